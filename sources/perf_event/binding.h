/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which event counts for a counter, and on which CPU. Not for hosts.
 */
#ifndef VPMU_PERF_EVENT_BINDING_H
#define VPMU_PERF_EVENT_BINDING_H

#include "slot.h"

/* The CPU that the thread is on; -1 if it does not matter. */
int vpmu_pe_binding_cpu(const struct vpmu_perf_event_options *options);

/* Open an event for what the counter counts. */
bool vpmu_pe_binding_make(struct vpmu_perf_event *source, unsigned int counter,
			  const struct vpmu_event *event);
void vpmu_pe_binding_end(struct vpmu_perf_event *source, unsigned int counter);

/* The thread is on this CPU: open events there in place of those elsewhere. */
void vpmu_pe_binding_move_all(struct vpmu_perf_event *source, int cpu);

/* Could the event be counted, at all levels and at each alone? */
bool vpmu_pe_binding_is_possible(const struct vpmu_perf_event_options *options,
				 struct machine *machine, enum vpmu_event_id id);

#endif
