/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See subject.h. The library itself as a subject; the baselines are kvm.c.
 */
#define _GNU_SOURCE
#include "subject.h"

#include "sampler.h"
#include "totals.h"
#include "work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vpmu/perf_event.h>

volatile sig_atomic_t subject_kicked;
volatile uint64_t subject_expected;

const struct subject_ops *const subjects[] = { &subject_ours, &subject_kvm_6_12, &subject_kvm_rfc,
					       &subject_kvm_2018, NULL };

const struct subject_ops *subject_find(const char *name)
{
	for (size_t i = 0; subjects[i]; i++)
		if (!strcmp(subjects[i]->name, name))
			return subjects[i];
	return NULL;
}

struct ours {
	struct vpmu pmu;
	struct totals totals;
	struct vpmu_perf_event *source; /* NULL: totals */
};

/* For the signal handler. */
static struct vpmu_perf_event *signalled;

static void on_overflow(int fd, uint32_t number)
{
	(void)number;
	if (signalled)
		vpmu_perf_event_signal(signalled, fd);
	subject_kicked = 1;
}

/* Whatever the guest wants to count, it gets the stand-in. */
static bool map_event(enum subject_events events, struct perf_event_attr *attr)
{
	attr->type = work_kinds[events].attr.type;
	attr->config = work_kinds[events].attr.config;
	attr->exclude_user = 0;
	attr->exclude_kernel = 1;
	return true;
}

static bool map_software(const struct vpmu_perf_event_options *options,
			 const struct vpmu_event *event, struct perf_event_attr *attr)
{
	(void)options;
	(void)event;
	return map_event(EVENTS_SOFTWARE, attr);
}

static bool map_hardware(const struct vpmu_perf_event_options *options,
			 const struct vpmu_event *event, struct perf_event_attr *attr)
{
	(void)options;
	(void)event;
	return map_event(EVENTS_HARDWARE, attr);
}

static struct vpmu_perf_event *perf_source(struct vpmu *pmu, enum subject_events events)
{
	struct vpmu_perf_event_options options = {
		.map = events == EVENTS_SOFTWARE ? map_software : map_hardware,
		.include_host = true,
		.signal = sampler_signal(),
	};

	if (!sampler_prepare(on_overflow))
		return NULL;
	return vpmu_perf_event_new(pmu, &options);
}

static void ours_end(void *subject)
{
	struct ours *ours = subject;

	vpmu_reset(&ours->pmu);
	signalled = NULL;
	if (ours->source)
		vpmu_perf_event_free(ours->source);
	free(ours);
}

static void *ours_make(const struct vpmu_config *config, enum subject_events events)
{
	struct ours *ours = calloc(1, sizeof(*ours));
	enum vpmu_error error;

	if (!ours)
		return NULL;
	if (events != EVENTS_MEMORY) {
		ours->source = perf_source(&ours->pmu, events);
		if (!ours->source) {
			free(ours);
			return NULL;
		}
	}
	ours->totals.pmu = &ours->pmu;
	if (ours->source)
		error = vpmu_init(&ours->pmu, config, &vpmu_perf_event_ops, ours->source);
	else
		error = vpmu_init(&ours->pmu, config, &totals_ops, &ours->totals);
	if (error != VPMU_OK) {
		ours_end(ours);
		errno = EINVAL;
		return NULL;
	}
	signalled = ours->source;
	return ours;
}

static void ours_reset(void *subject)
{
	vpmu_reset(&((struct ours *)subject)->pmu);
}

static enum vpmu_answer ours_rdmsr(void *subject, uint32_t msr, uint64_t *value)
{
	return vpmu_rdmsr(&((struct ours *)subject)->pmu, msr, value);
}

static enum vpmu_answer ours_wrmsr(void *subject, uint32_t msr, uint64_t value)
{
	return vpmu_wrmsr(&((struct ours *)subject)->pmu, msr, value);
}

static enum vpmu_answer ours_rdpmc(void *subject, uint32_t index, uint64_t *value)
{
	return vpmu_rdpmc(&((struct ours *)subject)->pmu, index, true, value);
}

static bool ours_service(void *subject)
{
	return vpmu_service(&((struct ours *)subject)->pmu);
}

static uint64_t ours_status(void *subject)
{
	return vpmu_status(&((struct ours *)subject)->pmu);
}

static void ours_happen(void *subject)
{
	struct ours *ours = subject;

	if (totals_add(&ours->totals, ours->totals.bound, 1))
		subject_kicked = 1;
}

const struct subject_ops subject_ours = {
	.name = "ours",
	.what = "libvpmu",
	.make = ours_make,
	.end = ours_end,
	.reset = ours_reset,
	.rdmsr = ours_rdmsr,
	.wrmsr = ours_wrmsr,
	.rdpmc = ours_rdpmc,
	.service = ours_service,
	.status = ours_status,
	.happen = ours_happen,
};
