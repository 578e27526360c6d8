/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See guest_event.h.
 */
#define _GNU_SOURCE
#include "guest_event.h"
#include "../../sources/perf_event/event.h"
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <linux/hw_breakpoint.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE  4096u
#define PAGES ((size_t)1 << 16)

#define NOT_SANITIZED __attribute__((no_sanitize("address", "thread", "undefined")))

enum guest_event guest_event = SANITIZED ? WRITES : FAULTS;
static uint32_t uprobe_type;

_Thread_local struct calls calls;
_Thread_local uint64_t refused_below;

static long (*real_syscall)(long number, ...);

/* Fewer words than six are nothing that a sanitizer should see. */
NOT_SANITIZED long syscall(long number, ...)
{
	uintptr_t words[6];
	va_list arguments;

	va_start(arguments, number);
	for (size_t i = 0; i < 6; i++)
		words[i] = va_arg(arguments, uintptr_t);
	va_end(arguments);
	if (number == SYS_perf_event_open) {
		calls.opens++;
		memcpy(&calls.opened, (const void *)words[0], sizeof(calls.opened));
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
	if (request == PERF_EVENT_IOC_PERIOD) {
		calls.periods++;
		if (*(const uint64_t *)argument < refused_below) {
			errno = EINVAL;
			return -1;
		}
	}
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

ssize_t read(int fd, void *to, size_t size)
{
	calls.reads++;
	return syscall(SYS_read, fd, to, size);
}

/* Pages that have never been touched, from next on. */
static _Thread_local struct {
	char *pages;
	size_t next;
} memory;

/*
 * Guests' writes to this are counted by a breakpoint. It keeps its distance: a masked store
 * beside it (memset's) may count, too.
 */
static _Thread_local struct {
	char before[64];
	volatile uint64_t here;
	char after[64];
} written;

/* Guests' calls of this are counted by a uprobe. */
__attribute__((noinline)) NOT_SANITIZED static void probed(void)
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

void guest_event_describe(struct perf_event_attr *attr)
{
	static const char program[] = "/proc/self/exe";
	uint64_t offset = 0;

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
		attr->type = uprobe_type;
		attr->uprobe_path = (uintptr_t)program;
		attr->probe_offset = offset;
		break;
	}
}

bool map_event(const struct vpmu_perf_event_options *options, const struct vpmu_event *event,
	       struct perf_event_attr *attr)
{
	(void)options;
	(void)event;
	guest_event_describe(attr);
	return true;
}

void happen_start(void)
{
	memory.next = 0;
	memory.pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory.pages != MAP_FAILED)
		madvise(memory.pages, PAGES * PAGE, MADV_NOHUGEPAGE);
}

void happen_end(void)
{
	munmap(memory.pages, PAGES * PAGE);
}

static char *next_page(void)
{
	if (memory.next == PAGES) {
		madvise(memory.pages, PAGES * PAGE, MADV_DONTNEED);
		memory.next = 0;
	}
	return memory.pages + memory.next++ * PAGE;
}

NOT_SANITIZED void happen(size_t n)
{
	while (n--)
		switch (guest_event) {
		case FAULTS:
			/* Reading is enough: the page of zeros is mapped. */
			(void)*(volatile char *)next_page();
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

void *happen_in_kernel(void)
{
	return guest_event == FAULTS ? (void *)next_page() : (void *)&written.here;
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

/* Opens the event, has it happen once, and sees whether it is counted. */
static const char *try_event(void)
{
	struct perf_event_attr attr = { 0 };
	struct event_count count = { 0 };
	struct event opened;
	int trouble, error;

	guest_event_describe(&attr);
	error = vpmu_pe_event_open(&opened, &attr, -1, 0, &trouble);
	if (error)
		return strerror(error);
	if (guest_event != FAULTS)
		happen(1);
	error = vpmu_pe_event_read(&opened, &count);
	vpmu_pe_event_close(&opened);
	if (error)
		return strerror(error);
	return guest_event != FAULTS && count.value != 1 ? "it happens and is not counted" : NULL;
}

const char *guest_event_choose(void)
{
	const char *trouble;

	real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	trouble = try_event();
	if (trouble && guest_event == WRITES) {
		printf("# no breakpoints: %s\n", trouble);
		uprobe_type = read_uprobe_type();
		guest_event = CALLS;
		trouble = try_event();
	}
	return trouble;
}
