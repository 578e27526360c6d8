/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One guest processor whose PMU counts with perf events: a thread of the test. For both
 * programs, the one over events that every machine has and the one over hardware events.
 */
#ifndef TESTS_PERF_EVENT_VCPU_H
#define TESTS_PERF_EVENT_VCPU_H

#include "../../sources/perf_event/internal.h"
#include "../registers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpmu/perf_event.h>

#include <cmocka.h>

/* PERFEVTSEL: enabled, PMI; user and kernel level, or one of them. */
#define ALL_LEVELS  UINT64_C(0x530000)
#define USER_ONLY   UINT64_C(0x510000)
#define KERNEL_ONLY UINT64_C(0x520000)
#define EVTSEL_INT  (UINT64_C(1) << 20)

/* Event selects of instructions and branches. */
enum { INSTRUCTIONS = 0xc0, BRANCHES = 0xc4 };

#define MASK_48 ((UINT64_C(1) << 48) - 1)

struct vcpu {
	struct vpmu pmu;
	struct vpmu_perf_event *source;
	atomic_uint signals;
	atomic_uint unqueued; /* of them, sent because there was no room for the one asked for */
};

/* The one that runs on this thread, for the signal handler. */
extern _Thread_local struct vcpu *running;

/* Its source, its PMU with 8 general counters, and the handler of options->signal. */
void vcpu_start(struct vcpu *v, const struct vpmu_perf_event_options *options);
void vcpu_finish(struct vcpu *v);

/* A signal for overflows that is queued. */
int overflow_signal(void);

void set(struct vcpu *v, uint32_t msr, uint64_t value);
uint64_t get(struct vcpu *v, uint32_t msr);
/* A write as a host does it. Says whether a PMI is due. */
bool set_now(struct vcpu *v, uint32_t msr, uint64_t value);

struct vpmu_perf_event_state state_of(struct vcpu *v, unsigned int counter);

/* A counter's value that overflows after so many events. */
static inline uint64_t minus(uint64_t value)
{
	return (0 - value) & MASK_48;
}

#endif
