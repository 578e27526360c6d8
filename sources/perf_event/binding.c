/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See binding.h.
 */
#define _GNU_SOURCE
#include "binding.h"
#include <errno.h>
#include <sched.h>

int vpmu_pe_binding_cpu(const struct vpmu_perf_event *source)
{
	return source->options.per_cpu ? sched_getcpu() : -1;
}

static struct perf_event_attr attributes(const struct vpmu_perf_event *source,
					 const struct vpmu_event *event)
{
	return (struct perf_event_attr){
		.exclude_user = !event->user,
		.exclude_kernel = !event->kernel,
		.exclude_hv = 1,
		.exclude_host = !source->options.include_host,
	};
}

/* Does the kernel heed exclude_host? It does not for what it counts itself. */
static bool restricts_to_guest(const struct perf_event_attr *attr)
{
	return attr->type != PERF_TYPE_SOFTWARE && attr->type != PERF_TYPE_TRACEPOINT &&
	       attr->type != PERF_TYPE_BREAKPOINT;
}

/* Open the slot's event for a CPU, in *event. 0 or an errno value. */
static int open_for(const struct vpmu_perf_event *source, struct slot *slot, int cpu,
		    struct event *event)
{
	int trouble;
	int error = vpmu_pe_event_open(event, &slot->attr, cpu, source->options.signal, &trouble);

	slot_fail(slot, error ? error : trouble);
	return error;
}

bool vpmu_pe_binding_make(struct vpmu_perf_event *source, unsigned int counter,
			  const struct vpmu_event *event)
{
	struct slot *slot = slot_at(source, counter);
	int cpu = vpmu_pe_binding_cpu(source);
	struct event opened;

	*slot = vpmu_pe_slot_empty();
	slot->attr = attributes(source, event);
	if (!source->options.map(event, &slot->attr)) {
		slot_fail(slot, ENOENT);
	} else if (!source->options.include_host && !restricts_to_guest(&slot->attr)) {
		slot_fail(slot, EOPNOTSUPP);
	} else if (open_for(source, slot, cpu, &opened) == 0) {
		vpmu_pe_slot_install(source, slot, opened, cpu);
		slot->is_bound = true;
		/* The thread may be back for the next entry, which is to look at all then. */
		if (cpu != source->cpu)
			source->cpu = -1;
	}
	return slot->is_bound;
}

void vpmu_pe_binding_end(struct vpmu_perf_event *source, unsigned int counter)
{
	struct slot *slot = slot_at(source, counter);

	vpmu_pe_slot_close(source, slot);
	slot->is_bound = false;
}

/*
 * The slot's event on another CPU. The new one is opened first: each counts on
 * its own CPU only, and the time in which neither did ends with that.
 */
static void move(struct vpmu_perf_event *source, struct slot *slot, int cpu)
{
	struct event opened;
	int error = open_for(source, slot, cpu, &opened);

	if (slot->event.fd >= 0)
		vpmu_pe_slot_retire(source, slot);
	/* There may be room for it now. */
	if (error)
		error = open_for(source, slot, cpu, &opened);
	slot->cpu = cpu;
	if (error)
		return;
	vpmu_pe_slot_install(source, slot, opened, cpu);
	slot->renewed++;
	vpmu_pe_slot_set_alarm_again(source, slot);
}

void vpmu_pe_binding_move_all(struct vpmu_perf_event *source, int cpu)
{
	source->cpu = cpu;
	for (unsigned int i = 0; i < VPMU_SLOTS; i++) {
		struct slot *slot = &source->slots[i];

		if (slot->is_bound && slot->cpu != cpu)
			move(source, slot, cpu);
	}
}
