/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The same random numbers and time each time: a tracer answers getrandom() and
 * what asks for the time, and writes what the kernel has put at AT_RANDOM of a
 * new program. The kernel's own pool takes the moments of the host's interrupts
 * in, and its clocks the length of the host's I/O; no two boots are the same.
 * The guest has no vDSO, so all of this are system calls.
 *
 * Each process has a sequence of its own, which depends on where it is in the
 * tree of processes and not on when it was started. Nothing here runs as user
 * code of the job, so its counts at level 3 do not change.
 *
 * A clock that only counts its readings would let a program wait forever that
 * waits until it shows some time. So a program that waits for time, has threads
 * or opens perf events (perf, which times its command) has the kernel's own
 * monotonic clocks from then on; they are ahead of what it was told before.
 */
#define _GNU_SOURCE
#include "fixed.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS                                                                                    \
	(PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |  \
	 PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

#define MILLION INT64_C(1000000)

/*
 * 2 January 2037: a day after the guest's own clock at its start, so that no file is newer.
 * It goes on by a microsecond each time that a process reads it, for that process and the
 * children that it then has: what runs at the same time has no part in it.
 */
#define START INT64_C(2114467200)

/* Where the monotonic clocks begin: none of these guests boots in less. */
#define MONOTONIC_START INT64_C(1)

/* A thread of the job. */
struct tracee {
	struct tracee *next;
	pid_t pid;
	uint64_t name; /* of its place in the tree */
	uint64_t children, taken;
	int64_t clock; /* microseconds since START and MONOTONIC_START */
	bool times;    /* it has the kernel's monotonic clocks */
	bool named;
	int stopped; /* the status it has stopped with before it was named; 0: it runs */
};

static struct tracee *tracees;

/* splitmix64's finalizer: any two words differ in about half of their bits. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static struct tracee *find(pid_t pid)
{
	struct tracee *tracee = tracees;

	while (tracee && tracee->pid != pid)
		tracee = tracee->next;
	return tracee;
}

static struct tracee *find_or_add(pid_t pid)
{
	struct tracee *tracee = find(pid);

	if (tracee)
		return tracee;
	tracee = calloc(1, sizeof(*tracee));
	if (!tracee)
		abort();
	tracee->pid = pid;
	tracee->next = tracees;
	tracees = tracee;
	return tracee;
}

static void forget(pid_t pid)
{
	for (struct tracee **at = &tracees; *at; at = &(*at)->next)
		if ((*at)->pid == pid) {
			struct tracee *gone = *at;

			*at = gone->next;
			free(gone);
			return;
		}
}

/* The next numbers of its sequence. */
static void take(struct tracee *tracee, uint8_t *to, size_t size)
{
	uint64_t word = 0;

	for (size_t i = 0; i < size; i++) {
		if (i % 8 == 0)
			word = mix(tracee->name ^ mix(++tracee->taken));
		to[i] = (uint8_t)(word >> i % 8 * 8);
	}
}

static ssize_t write_memory(pid_t pid, uint64_t at, void *data, size_t size)
{
	struct iovec from = { data, size };
	struct iovec to = { (void *)(uintptr_t)at, size };

	return process_vm_writev(pid, &from, 1, &to, 1, 0);
}

static long fill(struct tracee *tracee, uint64_t at, uint64_t size)
{
	uint8_t data[4096];
	uint64_t done = 0;

	if (size > INT32_MAX)
		size = INT32_MAX;
	while (done < size) {
		size_t part = size - done < sizeof(data) ? (size_t)(size - done) : sizeof(data);
		ssize_t n;

		take(tracee, data, part);
		n = write_memory(tracee->pid, at + done, data, part);
		if (n <= 0)
			return done ? (long)done : -EFAULT;
		done += (uint64_t)n;
	}
	return (long)done;
}

/* All clocks have these two words; the second's unit is a 1/per_second s. */
static long tell_time(struct tracee *tracee, int64_t start, uint64_t at, int64_t per_second)
{
	int64_t now[2] = { start + tracee->clock / MILLION,
			   tracee->clock % MILLION * (per_second / MILLION) };

	tracee->clock++;
	if (at && write_memory(tracee->pid, at, now, sizeof(now)) != sizeof(now))
		return -EFAULT;
	return 0;
}

static long tell_seconds(struct tracee *tracee, uint64_t at)
{
	int64_t now = START + tracee->clock++ / MILLION;

	if (at && write_memory(tracee->pid, at, &now, sizeof(now)) != sizeof(now))
		return -EFAULT;
	return now;
}

static bool is_monotonic(uint64_t clock)
{
	return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW ||
	       clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME;
}

/* False: the kernel is to make the call. */
static bool answer_call(struct tracee *tracee, const struct user_regs_struct *regs, long *answer)
{
	bool monotonic = is_monotonic((uint32_t)regs->rdi);

	switch (regs->orig_rax) {
	case SYS_getrandom:
		*answer = fill(tracee, regs->rdi, regs->rsi);
		return true;
	case SYS_clock_gettime:
		if (monotonic && tracee->times)
			return false;
		*answer = tell_time(tracee, monotonic ? MONOTONIC_START : START, regs->rsi,
				    1000 * MILLION);
		return true;
	case SYS_gettimeofday:
		*answer = tell_time(tracee, START, regs->rdi, MILLION);
		return true;
	case SYS_time:
		*answer = tell_seconds(tracee, regs->rdi);
		return true;
	}
	tracee->times = true;
	return false;
}

/* A call that is not made has its answer already. */
static void serve_call(struct tracee *tracee)
{
	struct user_regs_struct regs;
	long answer;

	if (ptrace(PTRACE_GETREGS, tracee->pid, NULL, &regs) ||
	    !answer_call(tracee, &regs, &answer))
		return;
	regs.rax = (unsigned long long)answer;
	regs.orig_rax = (unsigned long long)-1;
	ptrace(PTRACE_SETREGS, tracee->pid, NULL, &regs);
}

static uint64_t find_at_random(pid_t pid)
{
	char path[64];
	Elf64_auxv_t entry;
	uint64_t found = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (!found && fd >= 0 && read(fd, &entry, sizeof(entry)) == (ssize_t)sizeof(entry))
		if (entry.a_type == AT_RANDOM)
			found = entry.a_un.a_val;
	if (fd >= 0)
		close(fd);
	return found;
}

static void renew(struct tracee *tracee)
{
	uint8_t data[16];
	uint64_t at = find_at_random(tracee->pid);

	take(tracee, data, sizeof(data));
	if (at)
		write_memory(tracee->pid, at, data, sizeof(data));
}

static void go_on(struct tracee *tracee, int status);

/* Give a new child its place. It may have been seen to stop before. */
static void begin_child(struct tracee *parent)
{
	uint64_t name = mix(parent->name ^ mix(++parent->children));
	struct tracee *child;
	unsigned long pid;
	int stopped;

	if (ptrace(PTRACE_GETEVENTMSG, parent->pid, NULL, &pid))
		return;
	child = find_or_add((pid_t)pid);
	stopped = child->stopped;
	*child = (struct tracee){ .next = child->next,
				  .pid = child->pid,
				  .name = name,
				  .clock = parent->clock,
				  .times = parent->times,
				  .named = true };
	if (stopped)
		go_on(child, stopped);
}

/* Whatever stopped it: let it go on. */
static void go_on(struct tracee *tracee, int status)
{
	int number = WSTOPSIG(status);
	bool stops =
		number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;

	switch (status >> 16) {
	case 0:
		ptrace(PTRACE_CONT, tracee->pid, NULL, (void *)(intptr_t)number);
		return;
	case PTRACE_EVENT_STOP:
		ptrace(stops ? PTRACE_LISTEN : PTRACE_CONT, tracee->pid, NULL, NULL);
		return;
	case PTRACE_EVENT_SECCOMP:
		serve_call(tracee);
		break;
	case PTRACE_EVENT_EXEC:
		tracee->times = false;
		renew(tracee);
		break;
	case PTRACE_EVENT_CLONE: /* a thread */
		tracee->times = true;
		begin_child(tracee);
		break;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		begin_child(tracee);
		break;
	}
	ptrace(PTRACE_CONT, tracee->pid, NULL, NULL);
}

/* Which calls the tracer sees: those with an argument that ... */
static const struct call {
	unsigned int number;
	enum { ALWAYS, REAL_OR_MONOTONIC, NOT_NULL, MILLISECONDS } when;
	unsigned int argument;
} calls[] = {
	{ SYS_getrandom, ALWAYS, 0 },
	{ SYS_gettimeofday, ALWAYS, 0 },
	{ SYS_time, ALWAYS, 0 },
	{ SYS_clock_gettime, REAL_OR_MONOTONIC, 0 },
	/* By these a program waits for time. */
	{ SYS_nanosleep, ALWAYS, 0 },
	{ SYS_clock_nanosleep, ALWAYS, 0 },
	{ SYS_alarm, ALWAYS, 0 },
	{ SYS_setitimer, ALWAYS, 0 },
	{ SYS_timer_settime, ALWAYS, 0 },
	{ SYS_timerfd_settime, ALWAYS, 0 },
	{ SYS_poll, MILLISECONDS, 2 },
	{ SYS_epoll_wait, MILLISECONDS, 3 },
	{ SYS_epoll_pwait, MILLISECONDS, 3 },
	{ SYS_epoll_pwait2, NOT_NULL, 3 },
	{ SYS_ppoll, NOT_NULL, 2 },
	{ SYS_select, NOT_NULL, 4 },
	{ SYS_pselect6, NOT_NULL, 4 },
	{ SYS_futex, NOT_NULL, 3 },
	{ SYS_rt_sigtimedwait, NOT_NULL, 2 },
	{ SYS_semtimedop, NOT_NULL, 3 },
	{ SYS_mq_timedsend, NOT_NULL, 4 },
	{ SYS_mq_timedreceive, NOT_NULL, 4 },
	{ SYS_io_getevents, NOT_NULL, 4 },
	{ SYS_recvmmsg, NOT_NULL, 4 },
	/* And this is how it measures. */
	{ SYS_perf_event_open, ALWAYS, 0 },
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

enum { PER_CALL = 8, MOST = 5 + CALLS * PER_CALL };

struct filter {
	struct sock_filter v[MOST];
	unsigned short count;
};

static void put(struct filter *filter, struct sock_filter instruction)
{
	filter->v[filter->count++] = instruction;
}

static struct sock_filter load(size_t offset)
{
	return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

static struct sock_filter end(uint32_t verdict)
{
	return (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict);
}

/* What is jumped over if it holds, and if it does not. */
static struct sock_filter test(unsigned short kind, uint32_t with, uint8_t holds, uint8_t not )
{
	return (struct sock_filter)BPF_JUMP((unsigned short)(BPF_JMP | BPF_K | kind), with, holds,
					    not );
}

/* Two verdicts follow: to trace, to allow. x86's words have their low half first. */
static void put_tests(struct filter *filter, const struct call *call)
{
	size_t at = offsetof(struct seccomp_data, args) + call->argument * sizeof(uint64_t);

	if (call->when != ALWAYS)
		put(filter, load(at));
	switch (call->when) {
	case ALWAYS:
		break;
	case REAL_OR_MONOTONIC: /* no process's, no thread's */
		put(filter, test(BPF_JGT, CLOCK_BOOTTIME, 3, 0));
		put(filter, test(BPF_JEQ, CLOCK_PROCESS_CPUTIME_ID, 2, 0));
		put(filter, test(BPF_JEQ, CLOCK_THREAD_CPUTIME_ID, 1, 0));
		break;
	case NOT_NULL:
		put(filter, test(BPF_JEQ, 0, 0, 2));
		put(filter, load(at + sizeof(uint32_t)));
		put(filter, test(BPF_JEQ, 0, 1, 0));
		break;
	case MILLISECONDS: /* 0: not at all; negative: without end */
		put(filter, test(BPF_JGT, INT32_MAX, 2, 0));
		put(filter, test(BPF_JEQ, 0, 1, 0));
		break;
	}
}

/* The accumulator has the call's number before, and behind if it is another one. */
static void put_call(struct filter *filter, const struct call *call)
{
	unsigned short from = filter->count++;

	put_tests(filter, call);
	put(filter, end(SECCOMP_RET_TRACE));
	put(filter, end(SECCOMP_RET_ALLOW));
	filter->v[from] = test(BPF_JEQ, call->number, 0, (uint8_t)(filter->count - from - 1));
}

bool fixed_enter(void)
{
	struct filter filter = { .count = 0 };
	struct sock_fprog program = { .filter = filter.v };

	put(&filter, load(offsetof(struct seccomp_data, arch)));
	put(&filter, test(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0));
	put(&filter, end(SECCOMP_RET_ALLOW));
	put(&filter, load(offsetof(struct seccomp_data, nr)));
	for (size_t i = 0; i < CALLS; i++)
		put_call(&filter, &calls[i]);
	put(&filter, end(SECCOMP_RET_ALLOW));
	program.len = filter.count;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void serve(pid_t pid, int status)
{
	struct tracee *tracee;

	if (!WIFSTOPPED(status)) {
		forget(pid);
		return;
	}
	tracee = find_or_add(pid);
	if (tracee->named)
		go_on(tracee, status);
	else
		tracee->stopped = status;
}

bool fixed_serve(pid_t job, int gate, int *status)
{
	struct tracee *first = find_or_add(job);
	pid_t pid;

	first->named = true;
	if (ptrace(PTRACE_SEIZE, job, NULL, (void *)(uintptr_t)OPTIONS) || write(gate, "", 1) != 1)
		return false;
	for (;;) {
		pid = waitpid(-1, status, __WALL);
		if (pid < 0 && errno != EINTR)
			return false;
		if (pid == job && !WIFSTOPPED(*status))
			return true;
		if (pid > 0)
			serve(pid, *status);
	}
}

bool fixed_write(const char *path, size_t size)
{
	struct tracee all = { .name = mix(0) };
	uint8_t data[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	bool good = fd >= 0;

	for (size_t done = 0; good && done < size; done += sizeof(data)) {
		take(&all, data, sizeof(data));
		good = write(fd, data, sizeof(data)) == (ssize_t)sizeof(data);
	}
	if (fd >= 0)
		close(fd);
	return good;
}
