/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See binding.h.
 */
#define _GNU_SOURCE
#include "binding.h"
#include <errno.h>
#include <sched.h>

int vpmu_pe_binding_cpu(const struct vpmu_perf_event_options *options)
{
	return options->per_cpu ? sched_getcpu() : -1;
}

/* What counts the event, in *attr. 0 or an errno value. */
static int describe(const struct vpmu_perf_event_options *options, struct machine *machine,
		    const struct vpmu_event *event, struct perf_event_attr *attr)
{
	*attr = (struct perf_event_attr){
		.exclude_user = !event->user,
		.exclude_kernel = !event->kernel,
		.exclude_hv = 1,
		.exclude_host = !options->include_host,
	};
	if (!(options->map ? options->map : vpmu_perf_event_hardware)(options, event, attr))
		return ENOENT;
	/* The kernel heeds exclude_host only where a processor does. */
	if (attr->exclude_host && !vpmu_pe_machine_counts(machine, attr->type))
		return EOPNOTSUPP;
	return 0;
}

/* Open what attr describes for a CPU, in *event. 0 or an errno value. */
static int open_for(const struct vpmu_perf_event_options *options, struct machine *machine,
		    const struct perf_event_attr *attr, int cpu, struct event *event, int *trouble)
{
	struct perf_event_attr placed = *attr;
	int error = vpmu_pe_machine_place(machine, cpu, &placed);

	*event = event_none();
	*trouble = 0;
	if (error)
		return error;
	error = vpmu_pe_event_open(event, &placed, cpu, options->signal, trouble);
	event->software = !vpmu_pe_machine_counts(machine, placed.type);
	return error;
}

static int open_slot(struct vpmu_perf_event *source, struct slot *slot, int cpu,
		     struct event *event)
{
	int trouble;
	int error = open_for(&source->options, &source->machine, &slot->attr, cpu, event, &trouble);

	slot_fail(slot, error ? error : trouble);
	return error;
}

bool vpmu_pe_binding_make(struct vpmu_perf_event *source, unsigned int counter,
			  const struct vpmu_event *event)
{
	struct slot *slot = slot_at(source, counter);
	int cpu = vpmu_pe_binding_cpu(&source->options);
	struct event opened;
	int error;

	*slot = vpmu_pe_slot_empty();
	error = describe(&source->options, &source->machine, event, &slot->attr);
	slot_fail(slot, error);
	if (error || open_slot(source, slot, cpu, &opened) != 0)
		return false;
	vpmu_pe_slot_install(source, slot, opened, cpu);
	slot->is_bound = true;
	/* The thread may be back for the next entry, which is to look at all then. */
	if (cpu != source->cpu)
		source->cpu = -1;
	return true;
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
	int error = open_slot(source, slot, cpu, &opened);

	if (slot->event.fd >= 0)
		vpmu_pe_slot_retire(source, slot);
	/* There may be room for it now. */
	if (error)
		error = open_slot(source, slot, cpu, &opened);
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

/* Probing. */

static bool can_open(const struct vpmu_perf_event_options *options, struct machine *machine,
		     const struct vpmu_event *event)
{
	struct perf_event_attr attr;
	struct event opened;
	int trouble;

	if (describe(options, machine, event, &attr) ||
	    open_for(options, machine, &attr, vpmu_pe_binding_cpu(options), &opened, &trouble))
		return false;
	vpmu_pe_event_close(&opened);
	return true;
}

bool vpmu_pe_binding_is_possible(const struct vpmu_perf_event_options *options,
				 struct machine *machine, enum vpmu_event_id id)
{
	struct vpmu_event event = { .id = id, .host_mode = true, .guest_mode = true };
	bool is_possible = true;

	vpmu_event_encoding(options->vendor, id, &event.select, &event.umask);
	for (unsigned int levels = 1; levels <= 3 && is_possible; levels++) {
		event.user = levels & 1;
		event.kernel = levels & 2;
		is_possible = can_open(options, machine, &event);
	}
	return is_possible;
}
