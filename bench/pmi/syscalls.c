/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See syscalls.h.
 */
#define _GNU_SOURCE
#include "syscalls.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* The kernel's own header with this does not go together with sys/ptrace.h. */
#ifndef PTRACE_GET_SYSCALL_INFO
#define PTRACE_GET_SYSCALL_INFO 0x420e
#endif

const char *const syscall_names[SYSCALL_KINDS] = {
	[SYSCALL_OPEN] = "perf_event_open", [SYSCALL_CLOSE] = "close",
	[SYSCALL_IOCTL] = "ioctl",          [SYSCALL_READ] = "read",
	[SYSCALL_FCNTL] = "fcntl",          [SYSCALL_MAP] = "mmap, munmap",
	[SYSCALL_RETURN] = "rt_sigreturn",  [SYSCALL_OTHER] = "other",
};

/*
 * Stops of a child that comes to its end are some ten thousand; of one that an event interrupts
 * again and again before it has done anything there is no end.
 */
#define STOPS_MAX 200000

/* What the child tells. */
struct told {
	struct replay_result result;
	const char *error;
};

static enum syscall_kind kind_of(uint64_t number)
{
	switch (number) {
	case SYS_perf_event_open:
		return SYSCALL_OPEN;
	case SYS_close:
		return SYSCALL_CLOSE;
	case SYS_ioctl:
		return SYSCALL_IOCTL;
	case SYS_read:
		return SYSCALL_READ;
	case SYS_fcntl:
		return SYSCALL_FCNTL;
	case SYS_mmap:
	case SYS_munmap:
		return SYSCALL_MAP;
	case SYS_rt_sigreturn:
		return SYSCALL_RETURN;
	default:
		return SYSCALL_OTHER;
	}
}

static void count(struct syscalls *syscalls, enum replay_phase *phase,
		  const struct __ptrace_syscall_info *info)
{
	if (info->op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	if (info->entry.nr == PHASE_CALL && info->entry.args[0] < PHASE_KINDS) {
		*phase = (enum replay_phase)info->entry.args[0];
		return;
	}
	syscalls->calls[*phase][kind_of(info->entry.nr)]++;
}

/* The child goes on from stop to stop until it has ended. */
static const char *watch(pid_t child, struct syscalls *syscalls)
{
	enum replay_phase phase = PHASE_NONE;
	int signal = 0;
	int status;

	for (unsigned int stops = 0; stops < STOPS_MAX; stops++) {
		struct __ptrace_syscall_info info;

		if (ptrace(PTRACE_SYSCALL, child, NULL, (void *)(intptr_t)signal))
			return strerror(errno);
		if (waitpid(child, &status, 0) != child)
			return strerror(errno);
		if (WIFEXITED(status))
			return WEXITSTATUS(status) ? "the replay that is watched has failed" : NULL;
		if (WIFSIGNALED(status))
			return "a signal ended the replay that is watched";
		signal = WSTOPSIG(status);
		if (signal != (SIGTRAP | 0x80))
			continue;
		signal = 0;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof(info), &info) <= 0)
			return strerror(errno);
		count(syscalls, &phase, &info);
	}
	return "the replay whose system calls are counted does not come to its end";
}

static _Noreturn void be_watched(const struct plan *plan, const struct subject_ops *ops,
				 const struct replay_options *options, struct told *told)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP))
		_exit(1);
	told->error = replay_run(plan, ops, options, &told->result);
	_exit(told->error ? 2 : 0);
}

static const char *start_and_watch(pid_t child, struct syscalls *syscalls)
{
	int status;

	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		return "the child to be watched has not started";
	if (ptrace(PTRACE_SETOPTIONS, child, NULL,
		   (void *)(intptr_t)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)))
		return strerror(errno);
	return watch(child, syscalls);
}

const char *syscalls_count(const struct plan *plan, const struct subject_ops *ops,
			   const struct replay_options *options, struct syscalls *syscalls)
{
	struct replay_options telling = *options;
	struct told *told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *error;
	pid_t child;

	*syscalls = (struct syscalls){ 0 };
	if (told == MAP_FAILED)
		return "there is no memory";
	telling.tell_phase = true;
	child = fork();
	if (!child)
		be_watched(plan, ops, &telling, told);
	error = child < 0 ? strerror(errno) : start_and_watch(child, syscalls);
	if (child > 0 && error) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	/* The text is a constant of this program, at the same place in the child. */
	error = told->error ? told->error : error;
	syscalls->pmis = told->result.pmi.count;
	syscalls->lost = told->result.lost;
	syscalls->spurious = told->result.spurious;
	syscalls->other = told->result.other;
	munmap(told, sizeof(*told));
	return error;
}

size_t syscalls_in(const struct syscalls *syscalls, enum replay_phase phase)
{
	size_t sum = 0;

	for (int i = 0; i < SYSCALL_KINDS; i++)
		sum += syscalls->calls[phase][i];
	return sum;
}
