/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The manuals' PMUs, written down once more to be compared with the library: slow, without
 * totals, alarms or bindings. The model sees every single event.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <vpmu/vpmu.h>

/* Something that happens in the processor; one row of model_events. */
struct model_event {
	int id;         /* the library's name for it; -1: it has none */
	int intel, amd; /* event select << 8 | unit mask; -1: no general counter counts it */
	int fixed;      /* Intel's fixed counter that counts it; -1: none */
	int which;      /* with this event register's value ...; -1: no matter which */
	uint64_t extra; /* ... being this */
};

#define MODEL_EVENTS 16
extern const struct model_event model_events[MODEL_EVENTS];
#define MODEL_INSTRUCTIONS 1
#define MODEL_BRANCHES     5

/* An event filter as KVM_SET_PMU_EVENT_FILTER has it. */
struct model_filter {
	uint32_t action;       /* 0: allow, 1: deny */
	uint32_t flags;        /* 0: plain entries, 1: masked ones */
	uint32_t fixed_bitmap; /* the fixed counters that the action is about */
	size_t count;
	const uint64_t *entries;
};

bool model_filter_is_valid(enum vpmu_vendor_id vendor, const struct model_filter *filter);
/* May a general counter count the event? select has 12 bits. */
bool model_filter_allows(const struct model_filter *filter, unsigned int select,
			 unsigned int umask);
bool model_filter_allows_fixed(const struct model_filter *filter, unsigned int fixed);

struct model {
	struct vpmu_config config;
	uint64_t pmc[8], evtsel[8], fixed[4];
	uint64_t fixed_ctrl, global_ctrl, status, debugctl;
	uint64_t event_registers[4]; /* OFFCORE_RSP0 and 1, LD_LAT, FRONTEND */
	bool svme;
	const struct model_filter *filter; /* NULL: all events are allowed */
	unsigned int pmis_wanted;          /* overflows with INT since it was last set to 0 */
};

void model_reset(struct model *model);
/* As the library's: *value is the host's own before. A PMU that is off answers, too. */
enum vpmu_answer model_rdmsr(const struct model *model, uint32_t msr, uint64_t *value);
enum vpmu_answer model_wrmsr(struct model *model, uint32_t msr, uint64_t value);
enum vpmu_answer model_rdpmc(const struct model *model, uint32_t ecx, uint64_t *value);
/* On the host's own behalf. */
enum vpmu_answer model_host_wrmsr(struct model *model, uint32_t msr, uint64_t value);
void model_set_svme(struct model *model, bool svme);

/* Where something happens. */
struct model_place {
	bool user;       /* at privilege level 3; else at level 0 */
	bool guest_mode; /* in a guest that the guest runs */
};

/* The counters that count this event there now; in GLOBAL_CTRL's layout. */
uint64_t model_counting(const struct model *model, const struct model_event *event,
			struct model_place place);
/* The counters that count an emulated instruction of a kind (VPMU_RETIRED_*) now. */
uint64_t model_retired(const struct model *model, unsigned int kind);
/* Does this counter's overflow ask for a PMI? */
bool model_interrupts(const struct model *model, unsigned int counter);
/* Each of these goes on by one; returns how many overflow. */
unsigned int model_count(struct model *model, uint64_t counters);
/* Several in one step: n for this one. */
void model_count_many(struct model *model, unsigned int counter, uint64_t n);
/* A PMI is delivered: what is to freeze freezes. Returns what the host is asked to do. */
unsigned int model_pmi(struct model *model);

/* --- what the model's files share ------------------------------------------------ */

bool model_has_global(const struct model *model);
/* A PMI freezes by a bit of the status, not by clearing enable bits. */
bool model_freezes_by_status(const struct model *model);

static inline bool model_test(uint64_t value, unsigned int n)
{
	return value >> n & 1;
}

/* The lowest n bits. */
static inline uint64_t model_ones(unsigned int n)
{
	uint64_t value = 0;

	while (n-- > 0)
		value = value * 2 + 1;
	return value;
}

enum vpmu_answer model_intel_rdmsr(const struct model *model, uint32_t msr, uint64_t *value);
enum vpmu_answer model_intel_wrmsr(struct model *model, uint32_t msr, uint64_t value);
enum vpmu_answer model_intel_host_wrmsr(struct model *model, uint32_t msr, uint64_t value);
enum vpmu_answer model_amd_rdmsr(const struct model *model, uint32_t msr, uint64_t *value);
enum vpmu_answer model_amd_wrmsr(struct model *model, uint32_t msr, uint64_t value);
enum vpmu_answer model_amd_host_wrmsr(struct model *model, uint32_t msr, uint64_t value);

#endif
