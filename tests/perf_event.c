/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The source of perf events, with the library on top, over real events of this
 * kernel. The guest is the test itself, and its event is the minor page fault:
 * no machine lacks it, and it is counted exactly. Hardware events are the matter
 * of perf_event_guest.c.
 */
#define _GNU_SOURCE
#include "../sources/perf_event/event.h"
#include "../sources/perf_event/internal.h"
#include "registers.h"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <linux/hw_breakpoint.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <vpmu/perf_event.h>

#include <cmocka.h>

/* PERFEVTSEL: all levels, PMI, enabled; instructions, branches; user level only. */
#define INSTRUCTIONS UINT64_C(0x5300c0)
#define BRANCHES     UINT64_C(0x5300c4)
#define USER_ONLY    UINT64_C(0x5100c0)
#define EVTSEL_INT   (UINT64_C(1) << 20)

#define MASK_48 ((UINT64_C(1) << 48) - 1)
#define PAGE    4096u

/* The sanitizers' own memory causes page faults, and one of them holds signals back. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
enum { SANITIZED = 1, DELAYED_SIGNALS = 1 };
#elif defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { SANITIZED = 1, DELAYED_SIGNALS = 0 };
#else
enum { SANITIZED = 0, DELAYED_SIGNALS = 0 };
#endif

/* Sanitizers are slow: shorter runs. */
static unsigned int rounds(unsigned int number)
{
	return SANITIZED ? number / 20 : number;
}

/* One guest processor: a thread of this program. */
struct vcpu {
	struct vpmu pmu;
	struct vpmu_perf_event *source;
	char *pages; /* that have never been touched, from next on */
	size_t next, count;
	atomic_uint signals;
	atomic_uint unqueued; /* of them, sent because there was no room for the one asked for */
};

static _Thread_local struct vcpu *running;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (!running)
		return;
	atomic_fetch_add_explicit(&running->signals, 1, memory_order_relaxed);
	if (number == SIGIO)
		atomic_fetch_add_explicit(&running->unqueued, 1, memory_order_relaxed);
	vpmu_perf_event_signal(running->source,
			       number == SIGTRAP || number == SIGIO ? -1 : info->si_fd);
}

/*
 * What the guest's event is: page faults; with a sanitizer, writes to a breakpoint, or, where
 * breakpoints never trigger (some virtual machines), calls of a function with a uprobe.
 */
static enum { FAULTS, WRITES, CALLS } guest_event = SANITIZED ? WRITES : FAULTS;
static uint32_t uprobe_type;

/* The system calls that the source makes, counted on their way to the kernel. */
static _Thread_local struct {
	unsigned int reads, periods, ioctls;
} calls;

static long (*real_syscall)(long number, ...);

/*
 * A uprobe is a tracepoint to the source, which has to know that it is software, and to
 * the kernel an event of a PMU whose type differs from boot to boot. Fewer words than six are
 * nothing that a sanitizer should see.
 */
__attribute__((no_sanitize("address", "thread", "undefined"))) long syscall(long number, ...)
{
	struct perf_event_attr attr;
	uintptr_t words[6];
	va_list arguments;

	va_start(arguments, number);
	for (size_t i = 0; i < 6; i++)
		words[i] = va_arg(arguments, uintptr_t);
	va_end(arguments);
	if (number == SYS_perf_event_open && guest_event == CALLS) {
		memcpy(&attr, (const void *)words[0], sizeof(attr));
		attr.type = attr.type == PERF_TYPE_TRACEPOINT ? uprobe_type : attr.type;
		words[0] = (uintptr_t)&attr;
	}
	return real_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

int ioctl(int fd, unsigned long request, ...)
{
	unsigned long argument;
	va_list arguments;

	va_start(arguments, request);
	argument = va_arg(arguments, unsigned long);
	va_end(arguments);
	calls.ioctls++;
	calls.periods += request == PERF_EVENT_IOC_PERIOD;
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

ssize_t read(int fd, void *to, size_t size)
{
	calls.reads++;
	return syscall(SYS_read, fd, to, size);
}

static int overflow_signal(void)
{
	return SIGRTMIN + 3;
}

/*
 * Guests' writes to this are counted by a breakpoint where page faults will not do. It keeps
 * its distance: a masked store beside it (memset's) may count, too.
 */
static _Thread_local struct {
	char before[64];
	volatile uint64_t here;
	char after[64];
} written;

/* Guests' calls of this are counted by a uprobe. */
__attribute__((noinline, no_sanitize("address", "thread", "undefined"))) static void probed(void)
{
	__asm__ volatile("nop");
}

/* The first object is the program itself. */
static int find_probed(struct dl_phdr_info *object, size_t size, void *offset)
{
	uintptr_t at = (uintptr_t)probed - object->dlpi_addr;

	(void)size;
	for (unsigned int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];

		if (part->p_type == PT_LOAD && at - part->p_vaddr < part->p_filesz)
			*(uint64_t *)offset = at - part->p_vaddr + part->p_offset;
	}
	return 1;
}

static bool map_event(const struct vpmu_event *event, struct perf_event_attr *attr)
{
	static const char program[] = "/proc/self/exe";
	uint64_t offset = 0;

	(void)event;
	switch (guest_event) {
	case FAULTS:
		attr->type = PERF_TYPE_SOFTWARE;
		attr->config = PERF_COUNT_SW_PAGE_FAULTS_MIN;
		break;
	case WRITES:
		attr->type = PERF_TYPE_BREAKPOINT;
		attr->bp_type = HW_BREAKPOINT_W;
		attr->bp_addr = (uintptr_t)&written.here;
		attr->bp_len = HW_BREAKPOINT_LEN_8;
		break;
	case CALLS:
		dl_iterate_phdr(find_probed, &offset);
		attr->type = PERF_TYPE_TRACEPOINT;
		attr->uprobe_path = (uintptr_t)program;
		attr->probe_offset = offset;
		break;
	}
	return true;
}

/* The first touch of a page. Reading is enough: the page of zeros is mapped. */
static void touch(struct vcpu *v)
{
	if (v->next == v->count) {
		madvise(v->pages, v->count * PAGE, MADV_DONTNEED);
		v->next = 0;
	}
	(void)*(volatile char *)(v->pages + v->next++ * PAGE);
}

/* The event happens n times. */
__attribute__((no_sanitize("address", "thread", "undefined"))) static void happen(struct vcpu *v,
										  size_t n)
{
	while (n--)
		switch (guest_event) {
		case FAULTS:
			touch(v);
			break;
		case WRITES:
			written.here = n;
			break;
		case CALLS:
			probed();
			break;
		}
	/* The signals that are held back come out of a function like this. */
	if (DELAYED_SIGNALS)
		usleep(0);
}

static void handle(int number)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART };

	action.sa_sigaction = on_signal;
	sigemptyset(&action.sa_mask);
	assert_int_equal(sigaction(number, &action, NULL), 0);
}

static void start_with(struct vcpu *v, struct vpmu_perf_event_options options)
{
	struct vpmu_config config = {
		.version = 3,
		.general = 4,
		.general_width = 48,
		.fixed_width = 48,
		.full_width_writes = true,
		.events = 0x7f,
	};

	memset(v, 0, sizeof(*v));
	v->count = 1 << 16;
	v->pages = mmap(NULL, v->count * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(v->pages != MAP_FAILED);
	madvise(v->pages, v->count * PAGE, MADV_NOHUGEPAGE);
	if (options.signal) {
		handle(options.signal);
		handle(SIGIO);
	}
	v->source = vpmu_perf_event_new(&v->pmu, &options);
	assert_non_null(v->source);
	assert_int_equal(vpmu_init(&v->pmu, &config, &vpmu_perf_event_ops, v->source), VPMU_OK);
	running = v;
}

static void finish(struct vcpu *v)
{
	vpmu_reset(&v->pmu);
	running = NULL;
	vpmu_perf_event_free(v->source);
	munmap(v->pages, v->count * PAGE);
}

static void set(struct vcpu *v, uint32_t msr, uint64_t value)
{
	assert_int_equal(vpmu_wrmsr(&v->pmu, msr, value), VPMU_DONE);
}

static uint64_t get(struct vcpu *v, uint32_t msr)
{
	uint64_t value = 0;

	assert_int_equal(vpmu_rdmsr(&v->pmu, msr, &value), VPMU_DONE);
	return value;
}

/* A write as a host does it. Says whether a PMI is due. */
static bool set_now(struct vcpu *v, uint32_t msr, uint64_t value)
{
	set(v, msr, value);
	return vpmu_service(&v->pmu);
}

static uint64_t minus(uint64_t value)
{
	return (0 - value) & MASK_48;
}

static struct vpmu_perf_event_state state_of(struct vcpu *v, unsigned int counter)
{
	return vpmu_perf_event_state(v->source, counter);
}

/* The kernel's own number of a counter's event: another event, another number. */
static uint64_t event_id(struct vcpu *v, unsigned int counter)
{
	uint64_t id = 0;

	assert_int_equal(ioctl(vpmu_perf_event_fd(v->source, counter), PERF_EVENT_IOC_ID, &id), 0);
	return id;
}

static unsigned int open_files(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned int count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* A further event in the group of a counter's, which nobody starts or stops. */
static int open_sibling(struct vcpu *v, unsigned int counter)
{
	struct perf_event_attr attr = { .size = sizeof(attr) };
	int fd;

	map_event(NULL, &attr);
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, vpmu_perf_event_fd(v->source, counter),
			  PERF_FLAG_FD_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static uint64_t read_sibling(int fd)
{
	uint64_t value = 0;

	assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
	return value;
}

/* The machine refuses the tests' event altogether; the reason. */
static const char *cannot_run;

static void need_events(void)
{
	if (!cannot_run)
		return;
	print_message("# %s\n", cannot_run);
	skip();
}

/* The same of SIGTRAP as the events' signal. */
static const char *cannot_trap;

static void need_sigtrap(void)
{
	need_events();
	if (!cannot_trap)
		return;
	print_message("# no events that send SIGTRAP: %s\n", cannot_trap);
	skip();
}

static uint32_t read_uprobe_type(void)
{
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
	uint32_t type = UINT32_MAX;

	if (file) {
		if (fscanf(file, "%" SCNu32, &type) != 1)
			type = UINT32_MAX;
		fclose(file);
	}
	return type;
}

/* Opens the guest's event, has it happen once, and sees whether it is counted. */
static const char *try_event(void)
{
	struct perf_event_attr attr = { 0 };
	struct event_count count = { 0 };
	struct event opened;
	int trouble, error;

	map_event(NULL, &attr);
	error = vpmu_pe_event_open(&opened, &attr, -1, 0, &trouble);
	if (error)
		return strerror(error);
	if (guest_event != FAULTS)
		happen(NULL, 1);
	error = vpmu_pe_event_read(&opened, &count);
	vpmu_pe_event_close(&opened);
	if (error)
		return strerror(error);
	return guest_event != FAULTS && count.value != 1 ? "it happens and is not counted" : NULL;
}

static void probe(void)
{
	struct perf_event_attr attr = { 0 };
	struct event opened;
	int trouble;
	int error;

	cannot_run = try_event();
	if (cannot_run && guest_event == WRITES) {
		print_message("# no breakpoints: %s\n", cannot_run);
		uprobe_type = read_uprobe_type();
		guest_event = CALLS;
		cannot_run = try_event();
	}
	map_event(NULL, &attr);
	error = vpmu_pe_event_open(&opened, &attr, -1, SIGTRAP, &trouble);
	if (error)
		cannot_trap = strerror(error);
	else
		vpmu_pe_event_close(&opened);
}

/* Counter 0 counts faults and asks for a PMI after so many. */
static void sample(struct vcpu *v, uint64_t period)
{
	set(v, GLOBAL_CTRL, 0);
	set(v, A_PMC0, minus(period));
	set(v, PERFEVTSEL0, INSTRUCTIONS);
	assert_false(set_now(v, GLOBAL_CTRL, 1));
}

/* What a guest's handler does: disable all, status, reload, clear, enable all. Its status. */
static uint64_t handle_pmi(struct vcpu *v, uint64_t period)
{
	uint64_t status;

	assert_false(set_now(v, GLOBAL_CTRL, 0));
	status = get(v, GLOBAL_STATUS);
	for (unsigned int i = 0; i < 4; i++)
		if (status & (1u << i))
			set(v, A_PMC0 + i, minus(period));
	set(v, STATUS_RESET, status);
	assert_false(set_now(v, GLOBAL_CTRL, 0xf));
	return status;
}

/* The host looks whether the guest is due a PMI. */
static bool is_due(struct vcpu *v, bool polls)
{
	if (polls)
		vpmu_perf_event_poll(v->source);
	return vpmu_service(&v->pmu);
}

/* Sample so many periods; each PMI comes at its fault, with the counter at 0. */
static void sample_exactly(struct vcpu *v, uint64_t period, unsigned int periods, bool polls)
{
	for (unsigned int i = 0; i < periods; i++) {
		for (uint64_t fault = 1; fault <= period; fault++) {
			happen(v, 1);
			assert_int_equal(is_due(v, polls), fault == period);
		}
		assert_int_equal(get(v, PMC0), 0);
		assert_int_equal(handle_pmi(v, period), 1);
	}
}

/*
 * Code and memory that is used for the first time faults: run once through what
 * tests do, so that only the guest faults from then on.
 */
static void warm_up(struct vcpu *v, bool polls)
{
	for (unsigned int i = 0; i < 20; i++) {
		set(v, A_PMC0, minus(2));
		set(v, PERFEVTSEL0, i % 8 < 4 ? INSTRUCTIONS : BRANCHES);
		set_now(v, GLOBAL_CTRL, 1);
		happen(v, 2);
		is_due(v, polls);
		set_now(v, GLOBAL_CTRL, 0);
		set(v, STATUS_RESET, get(v, GLOBAL_STATUS));
		state_of(v, 0);
		event_id(v, 0);
		get(v, PMC0);
	}
	open_files();
	vpmu_reset(&v->pmu);
}

static void start(struct vcpu *v, int signal)
{
	start_with(v, (struct vpmu_perf_event_options){
			      .map = map_event, .include_host = true, .signal = signal });
	warm_up(v, !signal);
}

/* What the program started with: processors and files. */
static cpu_set_t all_cpus;
static struct rlimit all_files;

static int prepare(void **state)
{
	volatile char stack[1 << 16];
	struct vcpu v;

	(void)state;
	for (size_t i = 0; i < sizeof(stack); i += 512)
		stack[i] = 1;
	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus) < 0 ||
	    getrlimit(RLIMIT_NOFILE, &all_files) < 0)
		return -1;
	probe();
	if (cannot_run)
		return 0;
	start(&v, 0);
	finish(&v);
	start(&v, overflow_signal());
	finish(&v);
	return 0;
}

/* Also of a test that has failed on its way. */
static int forget(void **state)
{
	(void)state;
	running = NULL;
	if (setrlimit(RLIMIT_NOFILE, &all_files) < 0)
		return -1;
	return sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
}

static void samples(int signal)
{
	struct vcpu v;
	unsigned int files;
	uint64_t id;

	need_events();
	start(&v, signal);
	sample(&v, 7);
	sample_exactly(&v, 7, 10, !signal);
	id = event_id(&v, 0);
	files = open_files();
	sample_exactly(&v, 7, 1000, !signal);
	assert_int_equal(event_id(&v, 0), id);
	assert_int_equal(open_files(), files);
	assert_int_equal(state_of(&v, 0).error, 0);
	assert_int_equal(state_of(&v, 0).renewed, 0);
	assert_int_equal(state_of(&v, 0).uncounted_ns, 0);
	finish(&v);
}

/* A PMI reads the total when the counter stops and when it starts. */
static void check_few_calls(int signal)
{
	struct vcpu v;

	start(&v, signal);
	sample(&v, 7);
	sample_exactly(&v, 7, 3, false);
	memset(&calls, 0, sizeof(calls));
	for (unsigned int i = 0; i < 100; i++) {
		happen(&v, 7);
		assert_true(vpmu_service(&v.pmu));
		handle_pmi(&v, 7);
	}
	assert_int_equal(calls.reads, 200);
	/* The kernel's own next period is the one that is wanted. */
	assert_int_equal(calls.ioctls, 0);
	memset(&calls, 0, sizeof(calls));
	for (unsigned int i = 0; i < 100; i++) {
		happen(&v, 7 + i % 2);
		assert_true(vpmu_service(&v.pmu));
		handle_pmi(&v, 8 - i % 2);
	}
	assert_int_equal(calls.reads, 200);
	assert_int_equal(calls.periods, 100);
	finish(&v);
}

static void few_calls(void **state)
{
	(void)state;
	need_events();
	check_few_calls(overflow_signal());
}

static void few_calls_by_sigtrap(void **state)
{
	(void)state;
	need_sigtrap();
	check_few_calls(SIGTRAP);
}

/* Has the source hinted at counter 0 since the last time? */
static bool hinted(struct vcpu *v)
{
	return __atomic_exchange_n(&v->pmu.look, 0, __ATOMIC_ACQUIRE) & 1;
}

/* The library always asks for the total first; a source does not rely on it. */
static void alarm_from_now(void **state)
{
	const struct vpmu_source_ops *ops = &vpmu_perf_event_ops;
	struct vpmu_event event = { .id = VPMU_EVENT_INSTRUCTIONS, .user = true, .kernel = true };
	struct vcpu v;
	uint64_t total;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	assert_true(ops->bind(v.source, 0, &event));
	total = ops->total(v.source, 0);
	ops->alarm(v.source, 0, total + 100);
	happen(&v, 10);
	ops->alarm(v.source, 0, total + 15);
	happen(&v, 4);
	assert_false(hinted(&v));
	happen(&v, 1);
	assert_true(hinted(&v));
	/* One that is reached already. */
	ops->alarm(v.source, 0, total + 2);
	assert_true(hinted(&v));
	/* None. */
	ops->alarm(v.source, 0, total + 40);
	ops->alarm(v.source, 0, VPMU_NO_ALARM);
	happen(&v, 200);
	assert_false(hinted(&v));
	assert_true(ops->known(v.source, 0) <= ops->total(v.source, 0));
	assert_int_equal(ops->total(v.source, 0), total + 215);
	ops->unbind(v.source, 0);
	finish(&v);
}

/* The library brings the alarm nearer; what has been counted since its last look stays counted. */
static void emulated_instructions(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	for (unsigned int polls = 0; polls < 2; polls++) {
		start(&v, polls ? 0 : overflow_signal());
		sample(&v, 3000);
		assert_int_equal(get(&v, PMC0), minus(3000));
		happen(&v, 2000);
		for (unsigned int i = 0; i < 10; i++)
			vpmu_retired(&v.pmu, VPMU_RETIRED_USER);
		assert_false(vpmu_service(&v.pmu));
		for (unsigned int i = 1; i <= 990; i++) {
			happen(&v, 1);
			assert_int_equal(is_due(&v, polls), i == 990);
		}
		assert_int_equal(get(&v, PMC0), 0);
		finish(&v);
	}
}

static void samples_by_signal(void **state)
{
	(void)state;
	samples(overflow_signal());
}

static void samples_by_poll(void **state)
{
	(void)state;
	samples(0);
}

static void samples_by_sigtrap(void **state)
{
	(void)state;
	need_sigtrap();
	samples(SIGTRAP);
}

static void state_takes_nothing(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, 0);
	sample(&v, 3);
	happen(&v, 3);
	/* It looks into the records, too. */
	assert_int_equal(state_of(&v, 0).error, 0);
	assert_true(is_due(&v, true));
	finish(&v);
}

static void every_period(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	for (unsigned int polls = 0; polls < 2; polls++) {
		start(&v, polls ? 0 : overflow_signal());
		for (uint64_t period = 1; period < 40; period++) {
			sample(&v, period);
			sample_exactly(&v, period, 3, polls);
		}
		finish(&v);
	}
}

static void stale_alarm(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample(&v, 4);
	happen(&v, 2);
	assert_false(vpmu_service(&v.pmu));
	assert_false(set_now(&v, A_PMC0, minus(50)));
	for (unsigned int i = 1; i <= 50; i++) {
		happen(&v, 1);
		assert_int_equal(vpmu_service(&v.pmu) != 0, i == 50);
	}
	finish(&v);
}

static void nearer_alarm(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample(&v, 100);
	happen(&v, 10);
	assert_false(set_now(&v, A_PMC0, minus(3)));
	for (unsigned int i = 1; i <= 3; i++) {
		happen(&v, 1);
		assert_int_equal(vpmu_service(&v.pmu) != 0, i == 3);
	}
	finish(&v);
}

static void rewritten_in_flight(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample(&v, 5);
	happen(&v, 5);
	/* The host has not come round to the hint yet. */
	set(&v, A_PMC0, minus(9));
	assert_true(vpmu_service(&v.pmu));
	assert_int_equal(handle_pmi(&v, 9), 1);
	sample_exactly(&v, 9, 5, false);
	finish(&v);
}

static void overflow_while_stopped(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample(&v, 6);
	happen(&v, 4);
	assert_false(set_now(&v, GLOBAL_CTRL, 0));
	happen(&v, 100);
	assert_false(vpmu_service(&v.pmu));
	assert_int_equal(get(&v, PMC0), minus(2));
	assert_int_equal(get(&v, GLOBAL_STATUS), 0);
	assert_false(set_now(&v, GLOBAL_CTRL, 1));
	happen(&v, 1);
	assert_false(vpmu_service(&v.pmu));
	happen(&v, 1);
	assert_true(vpmu_service(&v.pmu));
	finish(&v);
}

/* A period that nothing needs any more is not left to send signals for ever. */
static void check_quiet(int signal)
{
	struct vcpu v;
	unsigned int before;

	start(&v, signal);
	sample(&v, 2);
	sample_exactly(&v, 2, 3, false);
	assert_false(set_now(&v, GLOBAL_CTRL, 0));
	before = atomic_load(&v.signals);
	happen(&v, 1000);
	assert_in_range(atomic_load(&v.signals) - before, 0, 2);
	/* And one that runs on without being reloaded. */
	sample(&v, 2);
	happen(&v, 2);
	assert_true(vpmu_service(&v.pmu));
	before = atomic_load(&v.signals);
	for (unsigned int i = 0; i < 1000; i++) {
		happen(&v, 1);
		assert_false(vpmu_service(&v.pmu));
	}
	assert_in_range(atomic_load(&v.signals) - before, 0, 2);
	assert_int_equal(get(&v, PMC0), 1000);
	sample(&v, 3);
	sample_exactly(&v, 3, 10, false);
	finish(&v);
}

static void quiet_when_unused(void **state)
{
	(void)state;
	need_events();
	check_quiet(overflow_signal());
}

static void quiet_sigtrap(void **state)
{
	(void)state;
	need_sigtrap();
	check_quiet(SIGTRAP);
}

/* A counter whose period is no longer needed is silent in no more than two of its overflows. */
static void stale_beside_another(void **state)
{
	unsigned int before;
	struct vcpu v;

	(void)state;
	need_sigtrap();
	start(&v, SIGTRAP);
	set(&v, PERFEVTSEL0, INSTRUCTIONS);
	set(&v, PERFEVTSEL0 + 1, BRANCHES);
	set(&v, A_PMC0 + 1, minus(2));
	assert_false(set_now(&v, GLOBAL_CTRL, 3));
	assert_false(set_now(&v, GLOBAL_CTRL, 0));
	set(&v, A_PMC0 + 1, minus(2));
	sample(&v, 30);
	assert_false(set_now(&v, GLOBAL_CTRL, 3));
	happen(&v, 2);
	assert_true(vpmu_service(&v.pmu));
	assert_int_equal(get(&v, GLOBAL_STATUS), 2);
	/* Not reloaded: from now on only counter 0 has anything to say. */
	set(&v, STATUS_RESET, 2);
	before = atomic_load(&v.signals);
	for (unsigned int i = 3; i <= 30; i++) {
		happen(&v, 1);
		assert_int_equal(vpmu_service(&v.pmu) != 0, i == 30);
	}
	assert_int_equal(get(&v, GLOBAL_STATUS), 1);
	assert_in_range(atomic_load(&v.signals) - before, 1, 2 + 1);
	sample(&v, 3);
	sample_exactly(&v, 3, 10, false);
	finish(&v);
}

static void two_at_once(int signal)
{
	unsigned int before;
	struct vcpu v;

	start(&v, signal);
	set(&v, A_PMC0, minus(5));
	set(&v, A_PMC0 + 1, minus(5));
	set(&v, PERFEVTSEL0, INSTRUCTIONS);
	set(&v, PERFEVTSEL0 + 1, BRANCHES);
	assert_false(set_now(&v, GLOBAL_CTRL, 3));
	/* Faults of the host between the two openings. */
	assert_false(set_now(&v, GLOBAL_CTRL, 0));
	before = atomic_load(&v.signals);
	for (unsigned int round = 0; round < 100; round++) {
		set(&v, A_PMC0, minus(5));
		set(&v, A_PMC0 + 1, minus(5));
		assert_false(set_now(&v, GLOBAL_CTRL, 3));
		happen(&v, 4);
		assert_false(is_due(&v, !signal));
		happen(&v, 1);
		assert_true(is_due(&v, !signal));
		assert_int_equal(get(&v, GLOBAL_STATUS), 3);
		set(&v, STATUS_RESET, 3);
		assert_false(set_now(&v, GLOBAL_CTRL, 0));
	}
	/* One for the two of them; stale periods may have sent one more each. */
	if (signal == SIGTRAP)
		assert_in_range(atomic_load(&v.signals) - before, 100, 102);
	finish(&v);
}

static void two_overflow_at_once(void **state)
{
	(void)state;
	need_events();
	two_at_once(0);
	two_at_once(overflow_signal());
	/* Of a signal that is not queued one comes for both. */
	two_at_once(SIGUSR1);
}

static void two_overflow_in_one_sigtrap(void **state)
{
	(void)state;
	need_sigtrap();
	two_at_once(SIGTRAP);
}

static void levels(void **state)
{
	int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct vcpu v;
	uint64_t before;

	(void)state;
	need_events();
	assert_true(zeros >= 0);
	start(&v, 0);
	set(&v, PERFEVTSEL0, INSTRUCTIONS & ~EVTSEL_INT);
	set(&v, PERFEVTSEL0 + 1, USER_ONLY & ~EVTSEL_INT);
	set(&v, PERFEVTSEL0 + 2, UINT64_C(0x4200c0));
	assert_false(set_now(&v, GLOBAL_CTRL, 7));
	get(&v, PMC0 + 2);
	before = get(&v, PMC0 + 1);
	happen(&v, 20);
	assert_int_equal(get(&v, PMC0 + 1) - before, 20);
	assert_in_range(get(&v, PMC0), 20, 60);
	before = get(&v, PMC0 + 2);
	/* By the kernel, on the guest's behalf; it calls none of our functions. */
	v.next++;
	assert_int_equal(
		read(zeros, SANITIZED ? (void *)&written.here : v.pages + v.next * PAGE, 8), 8);
	if (guest_event == CALLS)
		assert_int_equal(get(&v, PMC0 + 2), before);
	else
		assert_in_range(get(&v, PMC0 + 2) - before, 1, SANITIZED ? 8 : 1);
	close(zeros);
	finish(&v);
}

static void hardware_events(void **state)
{
	static const struct {
		struct vpmu_event event;
		uint64_t config;
	} rows[] = {
		{ { .id = VPMU_EVENT_CYCLES, .select = 0x3c }, PERF_COUNT_HW_CPU_CYCLES },
		{ { .id = VPMU_EVENT_CYCLES }, PERF_COUNT_HW_CPU_CYCLES },
		{ { .id = VPMU_EVENT_INSTRUCTIONS, .select = 0xc0 }, PERF_COUNT_HW_INSTRUCTIONS },
		{ { .id = VPMU_EVENT_INSTRUCTIONS }, PERF_COUNT_HW_INSTRUCTIONS },
		/* The bus or crystal clock; the fixed counter's is the time stamp counter's. */
		{ { .id = VPMU_EVENT_REF_CYCLES, .select = 0x3c, .umask = 0x01 },
		  PERF_COUNT_HW_BUS_CYCLES },
		{ { .id = VPMU_EVENT_TSC_CYCLES }, PERF_COUNT_HW_REF_CPU_CYCLES },
		{ { .id = VPMU_EVENT_LLC_REFERENCES, .select = 0x2e, .umask = 0x4f },
		  PERF_COUNT_HW_CACHE_REFERENCES },
		{ { .id = VPMU_EVENT_LLC_MISSES, .select = 0x2e, .umask = 0x41 },
		  PERF_COUNT_HW_CACHE_MISSES },
		{ { .id = VPMU_EVENT_BRANCHES, .select = 0xc4 },
		  PERF_COUNT_HW_BRANCH_INSTRUCTIONS },
		{ { .id = VPMU_EVENT_BRANCH_MISSES, .select = 0xc5 }, PERF_COUNT_HW_BRANCH_MISSES },
	};
	struct vpmu_event slots = { .id = VPMU_EVENT_TOPDOWN_SLOTS };
	struct perf_event_attr attr = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(vpmu_perf_event_hardware(&rows[i].event, &attr));
		assert_int_equal(attr.type, PERF_TYPE_HARDWARE);
		assert_int_equal(attr.config, rows[i].config);
	}
	assert_false(vpmu_perf_event_hardware(&slots, &attr));
}

/* Trouble. */

static bool map_nothing(const struct vpmu_event *event, struct perf_event_attr *attr)
{
	(void)event;
	(void)attr;
	return false;
}

static bool map_absent(const struct vpmu_event *event, struct perf_event_attr *attr)
{
	(void)event;
	attr->type = PERF_TYPE_SOFTWARE;
	attr->config = 0xfffff;
	return true;
}

/* The counter of an event that is refused stands still; why is told, and nothing is left over. */
static void check_refused(struct vcpu *v, int error)
{
	struct vpmu_perf_event_state trouble;

	set(v, PERFEVTSEL0, INSTRUCTIONS);
	set(v, A_PMC0, 5);
	assert_false(set_now(v, GLOBAL_CTRL, 1));
	happen(v, 20);
	assert_false(is_due(v, true));
	assert_int_equal(get(v, PMC0), 5);
	trouble = state_of(v, 0);
	assert_false(trouble.bound);
	if (error)
		assert_int_equal(trouble.error, error);
	else
		assert_int_not_equal(trouble.error, 0);
	assert_int_equal(vpmu_perf_event_fd(v->source, 0), -1);
}

static void refused_with(struct vpmu_perf_event_options options, int error)
{
	unsigned int files = open_files();
	struct vcpu v;

	start_with(&v, options);
	check_refused(&v, error);
	assert_int_equal(open_files(), files);
	finish(&v);
}

static void unsupported(void **state)
{
	(void)state;
	need_events();
	refused_with((struct vpmu_perf_event_options){ .map = map_nothing, .include_host = true },
		     ENOENT);
	refused_with((struct vpmu_perf_event_options){ .map = map_absent, .include_host = true },
		     0);
	refused_with((struct vpmu_perf_event_options){ .map = map_event }, EOPNOTSUPP);
}

static void reserved_options(void **state)
{
	struct vpmu_perf_event_options options = { .include_host = true };
	struct vpmu pmu;

	(void)state;
	for (size_t i = 0; i < sizeof(options.reserved) / sizeof(options.reserved[0]); i++) {
		options.reserved[i] = 1;
		errno = 0;
		assert_null(vpmu_perf_event_new(&pmu, &options));
		assert_int_equal(errno, EINVAL);
		options.reserved[i] = 0;
	}
}

static void failed_signal(void **state)
{
	unsigned int files;
	struct vcpu v;

	(void)state;
	need_events();
	files = open_files();
	start(&v, 0);
	vpmu_perf_event_free(v.source);
	v.source = vpmu_perf_event_new(
		&v.pmu, &(struct vpmu_perf_event_options){
				.map = map_event, .include_host = true, .signal = 1000 });
	v.pmu.source = v.source;
	check_refused(&v, EINVAL);
	assert_int_equal(open_files(), files);
	finish(&v);
}

static void set_user(uid_t user)
{
	/* Of this thread only; the C library's function is for all. */
	assert_int_equal(syscall(SYS_setresuid, -1, user, -1), 0);
	/* Or nobody may look at this process, the leak sanitizer included. */
	prctl(PR_SET_DUMPABLE, 1);
}

static int paranoid(void)
{
	FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "r");
	int level = -1;

	if (file) {
		if (fscanf(file, "%d", &level) != 1)
			level = -1;
		fclose(file);
	}
	return level;
}

static void no_permission(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	if (geteuid() != 0 || paranoid() != 2) {
		print_message("# needs root, and kernel.perf_event_paranoid of 2\n");
		skip();
	}
	if (guest_event == CALLS) {
		print_message("# needs an event that users may open; uprobes are root's\n");
		skip();
	}
	start(&v, 0);
	set_user(65534);
	check_refused(&v, EACCES);
	/* Less is allowed. */
	assert_false(set_now(&v, PERFEVTSEL0, USER_ONLY));
	happen(&v, 20);
	assert_int_equal(get(&v, PMC0), 25);
	assert_int_equal(state_of(&v, 0).error, 0);
	set_user(0);
	finish(&v);
}

static struct rlimit limit(int resource, rlim_t value)
{
	struct rlimit before, now;

	assert_int_equal(getrlimit((__rlimit_resource_t)resource, &before), 0);
	now = before;
	now.rlim_cur = value;
	assert_int_equal(setrlimit((__rlimit_resource_t)resource, &now), 0);
	return before;
}

static void no_more_files(void **state)
{
	struct rlimit before;
	struct vcpu v;
	int fd;

	(void)state;
	need_events();
	start(&v, 0);
	fd = dup(0);
	close(fd);
	before = limit(RLIMIT_NOFILE, (rlim_t)fd);
	check_refused(&v, EMFILE);
	limit(RLIMIT_NOFILE, before.rlim_cur);
	/* Another event, and there is room again. */
	assert_false(set_now(&v, PERFEVTSEL0, BRANCHES));
	happen(&v, 20);
	assert_int_equal(get(&v, PMC0), 25);
	assert_int_equal(state_of(&v, 0).error, 0);
	finish(&v);
}

static void no_mapping(void **state)
{
	struct rlimit before;
	struct vcpu v;

	(void)state;
	need_events();
	for (unsigned int polls = 0; polls < 2; polls++) {
		start(&v, polls ? 0 : overflow_signal());
		before = limit(RLIMIT_AS, 0);
		sample(&v, 7);
		limit(RLIMIT_AS, before.rlim_cur);
		assert_true(state_of(&v, 0).bound);
		assert_false(state_of(&v, 0).user_reads);
		assert_int_equal(state_of(&v, 0).error, ENOMEM);
		sample(&v, 7);
		sample_exactly(&v, 7, 50, polls);
		finish(&v);
	}
}

static void lost_records(void **state)
{
	struct vcpu v;
	uint64_t before;

	(void)state;
	need_events();
	start(&v, 0);
	sample(&v, 2);
	/* Far more overflows than there is room for records. */
	happen(&v, 2000);
	assert_true(is_due(&v, true));
	assert_int_equal(get(&v, PMC0), 1998);
	handle_pmi(&v, 2);
	/* The kernel tells of it with the next record. */
	sample_exactly(&v, 2, 3, true);
	assert_true(state_of(&v, 0).lost > 500);
	before = state_of(&v, 0).lost;
	sample(&v, 5);
	sample_exactly(&v, 5, 1000, true);
	assert_int_equal(state_of(&v, 0).lost, before);
	finish(&v);
}

/* Records as a kernel writes them. */
static void put_record(struct event *event, uint32_t type, uint16_t size, uint64_t first,
		       uint64_t second)
{
	uint64_t record[4] = { 0, first, second, 0 };
	struct perf_event_header header = { .type = type, .size = size };
	char *records = (char *)event->page + event->page->data_offset;

	memcpy(record, &header, sizeof(header));
	for (size_t i = 0; i < size; i++)
		records[(event->page->data_head + i) % event->page->data_size] =
			((const char *)record)[i];
	event->page->data_head += size;
}

static void record_kinds(void **state)
{
	struct event event = event_none();
	struct event_news news = { 0 };

	(void)state;
	event.page = aligned_alloc(PAGE, (size_t)2 * PAGE);
	memset(event.page, 0, (size_t)2 * PAGE);
	event.page->data_offset = PAGE;
	event.page->data_size = PAGE;
	for (unsigned int i = 0; i < 1000; i++) {
		put_record(&event, PERF_RECORD_SAMPLE, 32, i, 7);
		assert_true(event_has_records(&event));
		put_record(&event, PERF_RECORD_THROTTLE, 32, 1, 2);
		vpmu_pe_event_take_records(&event, &news);
		assert_true(news.throttled);
		put_record(&event, PERF_RECORD_LOST, 24, 1, 3);
		put_record(&event, PERF_RECORD_UNTHROTTLE, 32, 1, 2);
		put_record(&event, PERF_RECORD_EXIT, 32, 1, 2);
		vpmu_pe_event_take_records(&event, &news);
		assert_false(news.throttled);
		assert_false(event_has_records(&event));
		assert_int_equal(event.page->data_tail, event.page->data_head);
		assert_int_equal(news.value, i);
	}
	assert_int_equal(news.overflows, 1000);
	assert_int_equal(news.throttles, 1000);
	assert_int_equal(news.lost, 3000);
	free(event.page);
}

/* Moves. */

/* Two processors that this thread may use; false if there is only one. */
static bool two_cpus(int cpus[2])
{
	int found = 0;

	for (int i = 0; i < CPU_SETSIZE && found < 2; i++)
		if (CPU_ISSET((size_t)i, &all_cpus))
			cpus[found++] = i;
	return found == 2;
}

static void need_two_cpus(int cpus[2])
{
	if (two_cpus(cpus))
		return;
	print_message("# needs two processors\n");
	skip();
}

static void move_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

static void moved_thread(void **state)
{
	struct vpmu_perf_event_state now;
	struct vcpu v;
	int cpus[2];
	uint64_t id;

	(void)state;
	need_events();
	need_two_cpus(cpus);
	start(&v, overflow_signal());
	sample(&v, 5);
	id = event_id(&v, 0);
	for (unsigned int i = 0; i < 1000; i++) {
		happen(&v, 2);
		assert_false(vpmu_service(&v.pmu));
		move_to(cpus[i % 2]);
		happen(&v, 1);
		vpmu_perf_event_enter(v.source);
		assert_false(vpmu_service(&v.pmu));
		happen(&v, 1);
		assert_false(vpmu_service(&v.pmu));
		happen(&v, 1);
		assert_true(vpmu_service(&v.pmu));
		assert_int_equal(get(&v, PMC0), 0);
		assert_int_equal(handle_pmi(&v, 5), 1);
	}
	assert_int_equal(event_id(&v, 0), id);
	now = state_of(&v, 0);
	assert_int_equal(now.renewed, 0);
	assert_int_equal(now.uncounted_ns, 0);
	assert_int_equal(now.enabled_ns, now.running_ns);
	finish(&v);
}

static void start_per_cpu(struct vcpu *v, int signal)
{
	start_with(v, (struct vpmu_perf_event_options){ .map = map_event,
							.include_host = true,
							.per_cpu = true,
							.signal = signal });
	warm_up(v, !signal);
}

static void moved_binding(void **state)
{
	struct vpmu_perf_event_state now, last = { 0 };
	struct vcpu v;
	int cpus[2];

	(void)state;
	need_events();
	need_two_cpus(cpus);
	move_to(cpus[1]);
	start_per_cpu(&v, overflow_signal());
	sample(&v, 5);
	sample_exactly(&v, 5, 10, false);
	assert_int_equal(state_of(&v, 0).uncounted_ns, 0);
	for (unsigned int i = 0; i < 1000; i++) {
		happen(&v, 2);
		assert_false(vpmu_service(&v.pmu));
		move_to(cpus[i % 2]);
		/* Not counted, and nothing else is not. */
		happen(&v, i % 3);
		vpmu_perf_event_enter(v.source);
		vpmu_perf_event_enter(v.source);
		assert_false(vpmu_service(&v.pmu));
		now = state_of(&v, 0);
		assert_int_equal(now.renewed, i + 1);
		assert_true(now.uncounted_ns > last.uncounted_ns);
		assert_true(now.uncounted_ns <= now.enabled_ns - last.running_ns);
		last = now;
		assert_int_equal(get(&v, PMC0), minus(3));
		happen(&v, 2);
		assert_false(vpmu_service(&v.pmu));
		happen(&v, 1);
		assert_true(vpmu_service(&v.pmu));
		assert_int_equal(get(&v, PMC0), 0);
		assert_int_equal(handle_pmi(&v, 5), 1);
	}
	finish(&v);
}

static void unmoved_binding(void **state)
{
	struct vcpu v;
	uint64_t id;
	int cpus[2];

	(void)state;
	need_events();
	need_two_cpus(cpus);
	move_to(cpus[0]);
	start_per_cpu(&v, overflow_signal());
	sample(&v, 3);
	id = event_id(&v, 0);
	for (unsigned int i = 0; i < 100; i++) {
		vpmu_perf_event_enter(v.source);
		sample_exactly(&v, 3, 1, false);
	}
	assert_int_equal(event_id(&v, 0), id);
	assert_int_equal(state_of(&v, 0).renewed, 0);
	assert_int_equal(state_of(&v, 0).uncounted_ns, 0);
	finish(&v);
}

static void bound_after_move(void **state)
{
	struct vcpu v;
	int cpus[2];
	uint64_t id;

	(void)state;
	need_events();
	need_two_cpus(cpus);
	move_to(cpus[0]);
	start_per_cpu(&v, overflow_signal());
	vpmu_perf_event_enter(v.source);
	move_to(cpus[1]);
	sample(&v, 3);
	id = event_id(&v, 0);
	vpmu_perf_event_enter(v.source);
	assert_int_equal(event_id(&v, 0), id);
	sample_exactly(&v, 3, 5, false);
	finish(&v);
}

static void bound_elsewhere(void **state)
{
	struct vcpu v;
	int cpus[2];

	(void)state;
	need_events();
	need_two_cpus(cpus);
	move_to(cpus[0]);
	start_per_cpu(&v, overflow_signal());
	vpmu_perf_event_enter(v.source);
	move_to(cpus[1]);
	sample(&v, 3);
	move_to(cpus[0]);
	vpmu_perf_event_enter(v.source);
	assert_int_equal(state_of(&v, 0).renewed, 1);
	sample_exactly(&v, 3, 5, false);
	finish(&v);
}

static void failed_renewal(void **state)
{
	struct rlimit files;
	struct vcpu v;
	int cpus[2];
	int fd;

	(void)state;
	need_events();
	need_two_cpus(cpus);
	move_to(cpus[0]);
	start_per_cpu(&v, 0);
	sample(&v, 1000);
	happen(&v, 10);
	/* Only the old event's place is free. */
	fd = dup(0);
	close(fd);
	files = limit(RLIMIT_NOFILE, (rlim_t)fd);
	move_to(cpus[1]);
	vpmu_perf_event_enter(v.source);
	happen(&v, 10);
	assert_int_equal(get(&v, PMC0), minus(980));
	assert_int_equal(state_of(&v, 0).renewed, 1);
	/* Not even that. */
	limit(RLIMIT_NOFILE, 0);
	move_to(cpus[0]);
	vpmu_perf_event_enter(v.source);
	happen(&v, 10);
	assert_int_equal(get(&v, PMC0), minus(980));
	assert_false(state_of(&v, 0).bound);
	assert_int_equal(state_of(&v, 0).error, EMFILE);
	limit(RLIMIT_NOFILE, files.rlim_cur);
	/* It counts again after the next move. */
	move_to(cpus[1]);
	vpmu_perf_event_enter(v.source);
	happen(&v, 10);
	assert_int_equal(get(&v, PMC0), minus(970));
	assert_true(state_of(&v, 0).bound);
	finish(&v);
}

/* Random. */

struct walk {
	struct vcpu v;
	uint64_t random;
	int sibling;
	bool runs;
	uint64_t total;   /* the source's, at the last start or stop */
	uint64_t loaded;  /* the guest's value at the last start or reload */
	uint64_t seen;    /* by the guest */
	uint64_t stopped; /* counted while it was stopped */
};

static uint64_t draw(struct walk *w, uint64_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random % below;
}

static uint64_t total_now(struct walk *w)
{
	uint64_t total = vpmu_perf_event_ops.total(w->v.source, 0);

	assert_true(total >= w->total);
	return total;
}

static void account_seen(struct walk *w)
{
	uint64_t value = get(&w->v, PMC0);

	w->seen += (value - w->loaded) & MASK_48;
	w->loaded = value;
}

static void walk_stop(struct walk *w)
{
	set_now(&w->v, GLOBAL_CTRL, 0);
	account_seen(w);
	w->total = total_now(w);
	w->runs = false;
}

static void walk_start(struct walk *w)
{
	uint64_t total = total_now(w);

	w->stopped += total - w->total;
	w->total = total;
	set_now(&w->v, GLOBAL_CTRL, 1);
	w->runs = true;
}

static void walk_reload(struct walk *w)
{
	if (w->runs)
		account_seen(w);
	w->loaded = minus(1 + draw(w, 30));
	set_now(&w->v, A_PMC0, w->loaded);
}

static void step(struct walk *w, const int cpus[2], bool moves)
{
	unsigned int kind = (unsigned int)draw(w, 64);

	if (kind < 40)
		happen(&w->v, draw(w, 4));
	else if (kind < 48)
		w->runs ? walk_stop(w) : walk_start(w);
	else if (kind < 54)
		walk_reload(w);
	else if (kind < 56 && w->runs)
		account_seen(w);
	else if (kind == 56)
		total_now(w);
	else if (kind == 57 && moves)
		move_to(cpus[draw(w, 2)]);
	if (vpmu_service(&w->v.pmu))
		set(&w->v, STATUS_RESET, 1);
}

static void sibling_agrees(void **state)
{
	struct walk w = { .random = 20181120 };
	int cpus[2];
	bool moves;

	(void)state;
	need_events();
	moves = two_cpus(cpus);
	start(&w.v, overflow_signal());
	sample(&w.v, 10);
	walk_stop(&w);
	w.sibling = open_sibling(&w.v, 0);
	w.seen = 0;
	w.stopped = 0;
	/* Warm up, so that nothing but the guest faults any more. */
	for (unsigned int i = 0; i < 1000; i++)
		step(&w, cpus, moves);
	if (w.runs)
		walk_stop(&w);
	read_sibling(w.sibling);
	w.seen = w.stopped = 0;
	w.total = total_now(&w);
	{
		uint64_t start = read_sibling(w.sibling);

		assert_int_equal(total_now(&w), w.total);
		for (unsigned int i = 0; i < rounds(100000); i++)
			step(&w, cpus, moves);
		if (w.runs)
			walk_stop(&w);
		walk_start(&w);
		assert_int_equal(w.seen + w.stopped, read_sibling(w.sibling) - start);
		assert_true(w.seen > rounds(10000) && w.stopped > rounds(10000));
	}
	close(w.sibling);
	finish(&w.v);
}

/* Signals at any moment. */

struct flood {
	pid_t thread;
	atomic_bool stop;
	atomic_ulong sent;
};

/* Overflow signals that nobody sent, of events that exist and of others. */
static void *flooding(void *opaque)
{
	struct flood *flood = opaque;
	siginfo_t info = { .si_signo = overflow_signal(), .si_code = SI_QUEUE };

	for (int i = 0; !atomic_load(&flood->stop); i++) {
		info.si_value.sival_int = i % 16;
		if (i % 3)
			syscall(SYS_rt_tgsigqueueinfo, getpid(), flood->thread, overflow_signal(),
				&info);
		else
			syscall(SYS_tgkill, getpid(), flood->thread, overflow_signal());
		atomic_fetch_add(&flood->sent, 1);
		/* In bursts: the guest has to get on, too. */
		if (i % 8 == 0)
			usleep(DELAYED_SIGNALS ? 1000 : 20);
	}
	return NULL;
}

/* Bind, sample, rewrite, unbind. Every overflow is found at its fault. */
static void sample_and_rebind(struct vcpu *v, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		uint64_t period = 2 + i % 3;

		set(v, GLOBAL_CTRL, 0);
		set(v, A_PMC0, minus(period));
		set(v, PERFEVTSEL0, i / 4 % 2 ? INSTRUCTIONS : BRANCHES);
		vpmu_service(&v->pmu);
		/* The opening of an event, which faults itself, is over when it is set again. */
		set(v, GLOBAL_CTRL, 1);
		vpmu_service(&v->pmu);
		set(v, GLOBAL_CTRL, 0);
		set(v, A_PMC0, minus(period));
		set(v, STATUS_RESET, 1);
		vpmu_service(&v->pmu);
		assert_false(set_now(v, GLOBAL_CTRL, 1));
		sample_exactly(v, period, 4, false);
	}
}

static void signals_at_any_moment(void **state)
{
	struct flood flood = { .thread = gettid() };
	pthread_t thread;
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample_and_rebind(&v, 8);
	assert_int_equal(pthread_create(&thread, NULL, flooding, &flood), 0);
	sample_and_rebind(&v, rounds(2000));
	atomic_store(&flood.stop, true);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&flood.sent) > 0);
	assert_int_equal(state_of(&v, 0).error, 0);
	finish(&v);
}

/*
 * An event of the test's own that sends SIGTRAP every second time: signals that are none
 * of the source's business, at the guest's every other event. Its file.
 */
static int open_rattle(void)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.sample_period = 2,
		.sigtrap = 1,
		.remove_on_exec = 1,
	};
	int fd;

	map_event(NULL, &attr);
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void *flooding_sigtrap(void *opaque)
{
	struct flood *flood = opaque;

	while (!atomic_load(&flood->stop)) {
		syscall(SYS_tgkill, getpid(), flood->thread, SIGTRAP);
		/* In bursts: the guest has to get on, too. */
		if (atomic_fetch_add(&flood->sent, 1) % 8 == 0)
			usleep(20);
	}
	return NULL;
}

static void sigtrap_at_any_moment(void **state)
{
	struct flood flood = { .thread = gettid() };
	/* A sanitizer that holds signals back takes SIGTRAP for the thread's own doing. */
	bool floods = !DELAYED_SIGNALS;
	pthread_t thread;
	unsigned int before;
	struct vcpu v;
	int rattle;

	(void)state;
	need_sigtrap();
	start(&v, SIGTRAP);
	sample_and_rebind(&v, 8);
	rattle = open_rattle();
	if (floods)
		assert_int_equal(pthread_create(&thread, NULL, flooding_sigtrap, &flood), 0);
	before = atomic_load(&v.signals);
	sample_and_rebind(&v, rounds(2000));
	assert_true(atomic_load(&v.signals) - before > rounds(2000));
	if (floods) {
		atomic_store(&flood.stop, true);
		pthread_join(thread, NULL);
		assert_true(atomic_load(&flood.sent) > 0);
	}
	close(rattle);
	assert_int_equal(state_of(&v, 0).error, 0);
	finish(&v);
}

/* What the kernel sends when a user's signals are too many to be queued. */
static void unqueued_signal(void **state)
{
	struct rlimit before;
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample(&v, 5);
	before = limit(RLIMIT_SIGPENDING, 0);
	sample_exactly(&v, 5, 20, false);
	limit(RLIMIT_SIGPENDING, before.rlim_cur);
	assert_true(atomic_load(&v.unqueued) >= 20);
	finish(&v);
}

/* A signal that was held back comes for everything that has overflowed meanwhile. */
static void blocked_sigtrap(void **state)
{
	struct vcpu v;
	sigset_t set_of_one;

	(void)state;
	need_sigtrap();
	sigemptyset(&set_of_one);
	sigaddset(&set_of_one, SIGTRAP);
	start(&v, SIGTRAP);
	sample(&v, 5);
	sample_exactly(&v, 5, 3, false);
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(pthread_sigmask(SIG_BLOCK, &set_of_one, NULL), 0);
		happen(&v, 5);
		assert_false(vpmu_service(&v.pmu));
		assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &set_of_one, NULL), 0);
		assert_true(vpmu_service(&v.pmu));
		assert_int_equal(get(&v, PMC0), 0);
		assert_int_equal(handle_pmi(&v, 5), 1);
	}
	finish(&v);
}

static void moved_sigtrap(void **state)
{
	struct vcpu v;
	int cpus[2];

	(void)state;
	need_sigtrap();
	need_two_cpus(cpus);
	move_to(cpus[1]);
	start_per_cpu(&v, SIGTRAP);
	sample(&v, 5);
	sample_exactly(&v, 5, 10, false);
	for (unsigned int i = 0; i < 100; i++) {
		move_to(cpus[i % 2]);
		vpmu_perf_event_enter(v.source);
		sample_exactly(&v, 5, 2, false);
	}
	assert_int_equal(state_of(&v, 0).renewed, 100);
	finish(&v);
}

static void *guest_thread(void *opaque)
{
	struct vcpu v;

	(void)opaque;
	start(&v, overflow_signal());
	sample_and_rebind(&v, 8);
	sample_and_rebind(&v, rounds(500));
	sample(&v, 3);
	sample_exactly(&v, 3, 2000, false);
	finish(&v);
	return NULL;
}

static void two_threads(void **state)
{
	pthread_t thread[2];

	(void)state;
	need_events();
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, guest_thread, NULL), 0);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

static void foreign_signal(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample(&v, 3);
	assert_false(vpmu_perf_event_signal(v.source, -1));
	assert_false(vpmu_perf_event_signal(v.source, 0));
	assert_false(vpmu_perf_event_signal(v.source, 100000));
	assert_true(vpmu_perf_event_signal(v.source, vpmu_perf_event_fd(v.source, 0)));
	/* A hint without cause is no overflow. */
	assert_false(vpmu_service(&v.pmu));
	sample_exactly(&v, 3, 5, false);
	finish(&v);
	start(&v, 0);
	sample(&v, 3);
	/* One without a name is the source's if something has overflowed since the last. */
	assert_false(vpmu_perf_event_signal(v.source, -1));
	happen(&v, 3);
	assert_true(vpmu_perf_event_signal(v.source, -1));
	assert_false(vpmu_perf_event_signal(v.source, -1));
	assert_true(vpmu_service(&v.pmu));
	assert_false(vpmu_perf_event_signal(v.source, -1));
	finish(&v);
}

static void binds_and_unbinds(void **state)
{
	unsigned int files;
	struct vcpu v;

	(void)state;
	need_events();
	files = open_files();
	start(&v, overflow_signal());
	for (unsigned int i = 0; i < 4; i++)
		set(&v, PERFEVTSEL0 + i, INSTRUCTIONS);
	assert_false(set_now(&v, GLOBAL_CTRL, 0xf));
	assert_int_equal(open_files(), files + 4);
	assert_false(set_now(&v, GLOBAL_CTRL, 1));
	assert_int_equal(vpmu_release_idle(&v.pmu), 3);
	assert_int_equal(open_files(), files + 1);
	assert_true(state_of(&v, 0).bound);
	assert_false(state_of(&v, 1).bound);
	vpmu_reset(&v.pmu);
	assert_int_equal(open_files(), files);
	set(&v, PERFEVTSEL0, INSTRUCTIONS);
	assert_false(set_now(&v, GLOBAL_CTRL, 1));
	/* Freed with a binding. */
	running = NULL;
	vpmu_perf_event_free(v.source);
	assert_int_equal(open_files(), files);
	munmap(v.pages, v.count * PAGE);
}

int main(void)
{
	enum { COUNT = 43 };
	static const struct {
		const char *sentence;
		CMUnitTestFunction test;
	} sentences[COUNT] = {
		{ "by signal, a period's last fault brings its PMI; no event is opened or "
		  "closed",
		  samples_by_signal },
		{ "by poll, a period's last fault brings its PMI; no event is opened or closed",
		  samples_by_poll },
		{ "by SIGTRAP, a period's last fault brings its PMI; no event is opened or closed",
		  samples_by_sigtrap },
		{ "a steady PMI costs two reads, and one new period if it is another", few_calls },
		{ "so does one that SIGTRAP tells of", few_calls_by_sigtrap },
		{ "an alarm counts from where the total is", alarm_from_now },
		{ "emulated instructions bring the alarm nearer by their number",
		  emulated_instructions },
		{ "every period from 1 on is kept exactly", every_period },
		{ "asking for the state takes no overflow away", state_takes_nothing },
		{ "the alarm of a counter that was rewritten changes nothing", stale_alarm },
		{ "a counter rewritten to overflow sooner does", nearer_alarm },
		{ "an overflow counts though the counter is rewritten before it is looked at",
		  rewritten_in_flight },
		{ "a stopped counter neither counts nor overflows", overflow_while_stopped },
		{ "a period that is no longer needed sends no more than two signals",
		  quiet_when_unused },
		{ "nor more than two SIGTRAPs", quiet_sigtrap },
		{ "one that another counter's SIGTRAP tells of is silenced, too",
		  stale_beside_another },
		{ "two counters that overflow at once are both found, also by a signal not "
		  "queued",
		  two_overflow_at_once },
		{ "two counters that overflow at once are one SIGTRAP, and both found",
		  two_overflow_in_one_sigtrap },
		{ "privilege levels are the thread's own", levels },
		{ "each architectural event is the machine's own, reference cycles by their "
		  "counter",
		  hardware_events },
		{ "events come and go with bindings, and are closed with the source",
		  binds_and_unbinds },
		{ "an event that is not known, or not limited to the guest, is refused",
		  unsupported },
		{ "options are refused if a reserved field is not 0", reserved_options },
		{ "a signal that the kernel does not know refuses the counter", failed_signal },
		{ "without permission for a level the counter is refused", no_permission },
		{ "without a file descriptor the counter is refused", no_more_files },
		{ "without the event's page counts and PMIs are the same", no_mapping },
		{ "lost records are told and lose no counts", lost_records },
		{ "throttling, lost and unknown records are told apart", record_kinds },
		{ "a thread that moves 1,000 times loses and doubles nothing; nothing is "
		  "renewed",
		  moved_thread },
		{ "a binding to a CPU is renewed once a move; only what ran before it is "
		  "uncounted",
		  moved_binding },
		{ "a binding to a CPU that the thread does not leave is not renewed",
		  unmoved_binding },
		{ "a binding made after a move is not renewed for it", bound_after_move },
		{ "a binding made away from where the guest is entered is renewed there",
		  bound_elsewhere },
		{ "a renewal that fails is told, and keeps what was counted", failed_renewal },
		{ "seen and counted while stopped equal a sibling event, at random",
		  sibling_agrees },
		{ "a signal of no event of the source is none of its business", foreign_signal },
		{ "signals at any moment lose no overflow", signals_at_any_moment },
		{ "SIGTRAPs at any moment lose no overflow", sigtrap_at_any_moment },
		{ "an overflow whose signal cannot be queued is told by SIGIO", unqueued_signal },
		{ "an overflow whose SIGTRAP is held back is found when it comes",
		  blocked_sigtrap },
		{ "a binding to a CPU sends SIGTRAP after each move", moved_sigtrap },
		{ "two threads have a PMU each", two_threads },
	};
	struct CMUnitTest tests[COUNT];

	real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	for (size_t i = 0; i < COUNT; i++)
		tests[i] = (struct CMUnitTest){ .name = sentences[i].sentence,
						.test_func = sentences[i].test,
						.teardown_func = forget };
	return cmocka_run_group_tests(tests, prepare, NULL);
}
