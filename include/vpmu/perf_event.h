/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A source that counts with Linux perf events (perf_event_open(2)): one vCPU's
 * counters are events on the thread that runs it. Linux hosts only; link with
 * libvpmu-perf-event.
 *
 * The event of a counter is opened when the guest first wants it and then left
 * running: stopping, reloading and starting are arithmetic in the library, and
 * an alarm is a new period. Whatever goes wrong with an event (permission, too
 * few counters, contention, throttling), the guest runs on, its counter reads
 * what was counted, and vpmu_perf_event_state() says what it was.
 *
 * The loop of a host whose guest KVM runs, with options.immediate_exit set to
 * &run->immediate_exit:
 *
 *	run->immediate_exit = 0;
 *	vpmu_perf_event_enter(source);
 *	asked = vpmu_service(pmu);
 *	(deliver the PMI, if one is asked for)
 *	ioctl(vcpu, KVM_RUN, 0);
 *
 * No signal is lost in it, wherever it comes. Before the first line, the service
 * finds what its handler has hinted at. After it, the handler has set immediate_exit,
 * and KVM_RUN returns EINTR without running the guest. In the guest, the signal itself
 * ends KVM_RUN.
 *
 * The other way is to block the signal on the thread and to let it through in KVM_RUN
 * only (KVM_SET_SIGNAL_MASK). It is not for SIGTRAP, and dearer: KVM_RUN returns with the
 * signal pending, and the host takes it by sigtimedwait(2) and calls
 * vpmu_perf_event_signal() itself. A host without KVM tests a flag where it tests for
 * other interrupts, and gives its address as immediate_exit.
 */
#ifndef VPMU_PERF_EVENT_H
#define VPMU_PERF_EVENT_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <vpmu/vpmu.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One vCPU's perf events. Owned by the thread that runs the vCPU. */
struct vpmu_perf_event;

struct vpmu_perf_event_options {
	/*
	 * Which perf event counts this: set attr->type, attr->config and whatever else
	 * says what is counted, and return true, or return false to refuse (ENOENT in
	 * the counter's state). Called for each binding, on the vCPU's thread. The
	 * levels are set already; a PMU of a kind of core is chosen afterwards.
	 * NULL: vpmu_perf_event_hardware.
	 */
	bool (*map)(const struct vpmu_perf_event_options *options, const struct vpmu_event *event,
		    struct perf_event_attr *attr);
	/*
	 * Count the host's own code on the thread, too. For events that the
	 * kernel cannot restrict to the guest (software events), and where
	 * the thread itself is the guest. The signal's handler makes events then, too: a
	 * guest whose period is shorter than what one handler makes of an event of the
	 * processor (some hundred instructions) keeps its thread in handlers.
	 */
	bool include_host;
	/*
	 * Open events for the CPU that the thread is on, and again after it has
	 * moved: for hosts that pin their vCPUs. Without it events follow the
	 * thread by themselves.
	 */
	bool per_cpu;
	/*
	 * The signal that an overflow sends to the thread. Its handler, the
	 * host's, calls vpmu_perf_event_signal(). It makes a system call that runs
	 * the guest return, too. 0: none; the host calls vpmu_perf_event_poll() at
	 * exits, and a PMI comes as late as they do.
	 *
	 * SIGTRAP, where the host can spare it, is the cheap one: the kernel sends
	 * it on the thread's way back from the overflow (perf's attr.sigtrap),
	 * while any other signal takes an interrupt of its own first. Linux 5.13
	 * or newer; before, no counter is bound (EINVAL in its state). Up to 6.0
	 * some may get lost, and up to 6.10 it is no cheaper. The thread must not
	 * block it while the guest runs: up to 5.18 that ends the process, later
	 * the signal comes when it is let through. Several overflows may be one
	 * signal, which names none of them reliably: the handler passes -1.
	 *
	 * Of the others a real-time signal is best: each overflow is queued, and
	 * the handler (with SA_SIGINFO) passes siginfo's si_fd. When there is no
	 * room in the queue, the kernel sends SIGIO instead: handle it, too, and
	 * pass -1.
	 */
	int signal;
	/*
	 * The guest's processor, for vpmu_perf_event_hardware: its vendor, and EAX of
	 * CPUID.01H as the guest sees it, whose family and model say what the encodings of
	 * events mean that are not architectural. 0: such events are refused.
	 */
	enum vpmu_vendor_id vendor;
	uint32_t signature;
	/*
	 * Set to 1 by vpmu_perf_event_signal() when a signal was this source's: the
	 * immediate_exit of the vCPU's struct kvm_run, or a flag of the host's own that it
	 * clears before, and tests after, vpmu_service(). NULL: none.
	 */
	uint8_t *immediate_exit;
	uint64_t reserved[8]; /* 0 */
};

/*
 * The machine's own events. Those that the library has an id for are counted by Linux's
 * event of that name on any processor (on AMD's, the one for the caches is the second level's).
 * Others, and those with a counter mask, are raw events: only if this machine's processor is of
 * options' vendor, family and model. OFFCORE_RSP and FRONTEND are handed on in attr->config1.
 *
 * False: none of the host's events counts this. Among them: topdown slots of a fixed counter;
 * load latency, which counts with precise sampling only; an event in host or in guest mode only,
 * since a processor tells a guest from its host, not from the guest's own guest.
 *
 * Context: any thread. For maps of an embedder's own that change a few events only.
 */
bool vpmu_perf_event_hardware(const struct vpmu_perf_event_options *options,
			      const struct vpmu_event *event, struct perf_event_attr *attr);

/*
 * Which of the events with an id a source with these options would count: for the events of
 * struct vpmu_config, a bit 1 << enum vpmu_event_id each. An event is among them if it can
 * be counted at all privilege levels and at each alone: a user who may count user mode
 * only (kernel.perf_event_paranoid of 2) gets 0, since a guest that was promised an event would
 * see its kernel count nothing. Opens and closes an event for each of them. 0, too, if a
 * reserved field is not 0.
 *
 * Context: a thread that runs where the vCPU will: with its permissions, its limits and,
 * on machines with several kinds of cores, its affinity.
 */
uint32_t vpmu_perf_event_probe(const struct vpmu_perf_event_options *options);

/*
 * A source for the vCPU whose PMU is (or will be) *pmu, which only has to be
 * initialised when the source is used. Pass it to vpmu_init() with vpmu_perf_event_ops. The
 * options are copied. NULL with errno set if there is no memory (ENOMEM) or a reserved
 * field is not 0 (EINVAL).
 *
 * Context: the vCPU's thread, which is the one that will run the guest.
 */
struct vpmu_perf_event *vpmu_perf_event_new(struct vpmu *pmu,
					    const struct vpmu_perf_event_options *options);

/*
 * Close everything; vpmu_reset() the PMU first. The signal handler must not use the
 * source from now on. NULL is ignored.
 *
 * Context: the vCPU's thread.
 */
void vpmu_perf_event_free(struct vpmu_perf_event *source);

/* The functions of such a source, for vpmu_init(). */
extern const struct vpmu_source_ops vpmu_perf_event_ops;

/*
 * Before every entry of the guest with per_cpu set, and before its vpmu_service(): renews
 * the bindings if the thread is on another CPU than they are. Nothing else, and nothing at all
 * without per_cpu. A few loads if the thread has not moved. A renewal that fails leaves
 * the counter standing still; vpmu_perf_event_state() says why.
 *
 * Context: the vCPU's thread.
 */
void vpmu_perf_event_enter(struct vpmu_perf_event *source);

/*
 * The signal of the options has come: the counter whose event sent it is looked at. fd:
 * siginfo's si_fd, or -1 if the signal does not tell; the counters that have overflowed
 * since the last signal are found in either case. False: there is no event of this
 * source behind it, or none any more.
 *
 * Context: the handler of options.signal, on the vCPU's thread. Async-signal-safe.
 */
bool vpmu_perf_event_signal(struct vpmu_perf_event *source, int fd);

/*
 * Without a signal: look at the counters whose events have overflowed.
 *
 * Context: the vCPU's thread, before vpmu_service().
 */
void vpmu_perf_event_poll(struct vpmu_perf_event *source);

/*
 * What can be counted has changed: permissions, the thread's affinity, the machine's
 * processors or PMUs. What the source knows of the machine is read anew, and the next
 * vpmu_service() asks for all events again (vpmu_ask_again()), refused ones included. Without
 * it a refusal lasts until the counter wants another event.
 *
 * Context: the vCPU's thread, before vpmu_service().
 */
void vpmu_perf_event_ask_again(struct vpmu_perf_event *source);

/* What became of a counter's event since it was bound; for the host's user. */
struct vpmu_perf_event_state {
	bool bound; /* there is an event */
	/*
	 * Why there is no event, or what last went wrong; an errno value; 0: nothing.
	 * ENOENT: nothing counts this event here; EOPNOTSUPP: nor can it be limited
	 * to the guest; EACCES, EPERM: not permitted (kernel.perf_event_paranoid);
	 * EMFILE, ENOSPC: there are too many; EINVAL: this kernel has no such signal
	 * (options.signal); EXDEV: the thread may run on cores of several kinds (Intel's
	 * P- and E-cores), an event counts on one: limit its affinity, or, for Linux's own
	 * events, set per_cpu. It is kept when there is an event again. ENOMEM, EPERM
	 * with an event: its page could not be mapped, and each total costs a system call.
	 */
	int error;
	bool user_reads;       /* totals are read from user space, without system calls */
	uint64_t enabled_ns;   /* time that the event wanted to count */
	uint64_t running_ns;   /* time that it did; less than enabled_ns: contention */
	uint64_t throttled;    /* times that the kernel stopped it for overflowing too often */
	uint64_t lost;         /* overflow records that the kernel had no room for */
	uint64_t renewed;      /* times that it was opened again on another CPU */
	uint64_t uncounted_ns; /* per_cpu: time that ran between a move and vpmu_perf_event_enter();
				  contention until then is among it */
	uint64_t reserved[8];
};

/*
 * What became of a counter's event. counter: the library's index, as in struct
 * vpmu_source_ops. There are system calls in it: it is not for the fast path.
 *
 * Context: the vCPU's thread.
 */
struct vpmu_perf_event_state vpmu_perf_event_state(struct vpmu_perf_event *source,
						   unsigned int counter);

#ifdef __cplusplus
}
#endif

#endif
