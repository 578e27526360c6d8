/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See vpmu/perf_event.h: what the library and the host call. The work is slot.c's and
 * binding.c's.
 */
#include "binding.h"
#include "internal.h"
#include "slot.h"
#include <errno.h>
#include <stdlib.h>

/* For the library. */

static bool source_bind(void *opaque, unsigned int counter, const struct vpmu_event *event)
{
	return vpmu_pe_binding_make(opaque, counter, event);
}

static void source_unbind(void *opaque, unsigned int counter)
{
	vpmu_pe_binding_end(opaque, counter);
}

static uint64_t source_total(void *opaque, unsigned int counter)
{
	return vpmu_pe_slot_read_total(slot_at(opaque, counter));
}

static uint64_t source_known(void *opaque, unsigned int counter)
{
	struct slot *slot = slot_at(opaque, counter);

	vpmu_pe_slot_take_records(slot);
	/* The guest may have run since the last total was read. */
	slot->total_is_current = false;
	return slot->news.value ? slot->base + slot->news.value : 0;
}

static void source_alarm(void *opaque, unsigned int counter, uint64_t at)
{
	vpmu_pe_slot_set_alarm(opaque, slot_at(opaque, counter), at);
}

const struct vpmu_source_ops vpmu_perf_event_ops = {
	.bind = source_bind,
	.unbind = source_unbind,
	.total = source_total,
	.known = source_known,
	.alarm = source_alarm,
};

/* For the host. */

void vpmu_perf_event_enter(struct vpmu_perf_event *source)
{
	int cpu = vpmu_pe_binding_cpu(&source->options);

	if (cpu != source->cpu)
		vpmu_pe_binding_move_all(source, cpu);
}

static enum signal_origin origin_of(int signalled, int own)
{
	if (signalled < 0)
		return SIGNAL_UNNAMED;
	return signalled == own ? SIGNAL_OF_SLOT : SIGNAL_OF_OTHER;
}

bool vpmu_perf_event_signal(struct vpmu_perf_event *source, int fd)
{
	int saved = errno;
	bool found = false;

	for (unsigned int i = 0; i < VPMU_SLOTS; i++) {
		int own = __atomic_load_n(&source->fds[i], __ATOMIC_RELAXED);

		if (own >= 0)
			found |= vpmu_pe_slot_signalled(source, &source->slots[i],
							origin_of(fd, own));
	}
	if (found && source->options.immediate_exit)
		__atomic_store_n(source->options.immediate_exit, 1, __ATOMIC_RELAXED);
	errno = saved;
	return found;
}

void vpmu_perf_event_poll(struct vpmu_perf_event *source)
{
	for (unsigned int i = 0; i < VPMU_SLOTS; i++)
		vpmu_pe_slot_poll(source, &source->slots[i]);
}

struct vpmu_perf_event_state vpmu_perf_event_state(struct vpmu_perf_event *source,
						   unsigned int counter)
{
	struct slot *slot = slot_at(source, counter);
	struct event_count count = { 0 };

	if (slot->event.fd >= 0) {
		vpmu_pe_slot_take_records(slot);
		slot_fail(slot, vpmu_pe_event_read(&slot->event, &count));
	}
	return (struct vpmu_perf_event_state){
		.bound = slot->event.fd >= 0,
		.error = slot->error,
		.user_reads = vpmu_pe_event_has_user_reads(&slot->event),
		.enabled_ns = slot->closed.enabled + count.enabled,
		.running_ns = slot->closed.running + count.running,
		.throttled = slot->news.throttles,
		.lost = slot->news.lost,
		.renewed = slot->renewed,
		.uncounted_ns = slot->closed.enabled - slot->closed.running,
	};
}

int vpmu_perf_event_fd(const struct vpmu_perf_event *source, unsigned int counter)
{
	return source->slots[vpmu_slot(counter)].event.fd;
}

static bool are_valid(const struct vpmu_perf_event_options *options)
{
	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return false;
	return true;
}

struct vpmu_perf_event *vpmu_perf_event_new(struct vpmu *pmu,
					    const struct vpmu_perf_event_options *options)
{
	struct vpmu_perf_event *source;

	if (!are_valid(options)) {
		errno = EINVAL;
		return NULL;
	}
	source = calloc(1, sizeof(*source));
	if (!source)
		return NULL;
	source->pmu = pmu;
	source->options = *options;
	source->machine = machine_at(MACHINE_SYSFS);
	source->cpu = vpmu_pe_binding_cpu(&source->options);
	for (unsigned int i = 0; i < VPMU_SLOTS; i++) {
		source->slots[i] = vpmu_pe_slot_empty();
		source->fds[i] = -1;
	}
	return source;
}

uint32_t vpmu_perf_event_probe(const struct vpmu_perf_event_options *options)
{
	struct machine machine = machine_at(MACHINE_SYSFS);
	uint32_t events = 0;

	if (!are_valid(options))
		return 0;
	for (unsigned int id = 0; id < VPMU_EVENT_IDS; id++)
		if (vpmu_pe_binding_is_possible(options, &machine, (enum vpmu_event_id)id))
			events |= UINT32_C(1) << id;
	return events;
}

void vpmu_perf_event_ask_again(struct vpmu_perf_event *source)
{
	source->machine = machine_at(MACHINE_SYSFS);
	vpmu_ask_again(source->pmu);
}

void vpmu_perf_event_free(struct vpmu_perf_event *source)
{
	if (!source)
		return;
	for (unsigned int i = 0; i < VPMU_SLOTS; i++)
		vpmu_pe_slot_close(source, &source->slots[i]);
	free(source);
}
