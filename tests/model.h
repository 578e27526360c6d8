/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The manual's PMU, written down once more to be compared with the library:
 * slow, without totals, alarms or bindings. It sees every single event.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <vpmu/vpmu.h>

/* Something that happens in the processor; one row of model_events. */
struct model_event {
	uint8_t select, umask;
	int architectural; /* its bit in CPUID.0AH:EBX, or 8: TSC cycles, which no event select
			      counts; -1: model-specific */
	int fixed;         /* the fixed counter that counts it; -1: none */
};

#define MODEL_EVENTS 11
extern const struct model_event model_events[MODEL_EVENTS];

struct model {
	struct vpmu_config config;
	uint64_t pmc[8], evtsel[8], fixed[4];
	uint64_t fixed_ctrl, global_ctrl, status, debugctl;
	unsigned int pmis_wanted; /* overflows with INT since it was last set to 0 */
};

void model_reset(struct model *model);
enum vpmu_answer model_rdmsr(const struct model *model, uint32_t msr, uint64_t *value);
enum vpmu_answer model_wrmsr(struct model *model, uint32_t msr, uint64_t value);
enum vpmu_answer model_rdpmc(const struct model *model, uint32_t ecx, uint64_t *value);
/* The counters that count this event now, at privilege level 3 or 0; GLOBAL_CTRL's layout. */
uint64_t model_counting(const struct model *model, const struct model_event *event, bool user);
/* Does this counter's overflow ask for a PMI? */
bool model_interrupts(const struct model *model, unsigned int counter);
/* Each of these goes on by one; returns how many overflow. */
unsigned int model_count(struct model *model, uint64_t counters);
/* A PMI is delivered: what is to freeze freezes. */
void model_pmi(struct model *model);

#endif
