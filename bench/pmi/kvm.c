/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The baselines of the PMI path: Intel's registers over perf events as KVM's vPMU has
 * them, in user space, with the ways that KVM has had to bring a counter's event into
 * line. Each step takes the fewest system calls that user space can do it with.
 */
#define _GNU_SOURCE
#include "subject.h"

#include "bench/lib/registers.h"
#include "sampler.h"
#include "work.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

/* AnyThread, and what is beyond the register. */
#define EVTSEL_RESERVED (UINT64_C(1) << 21 | ~(uint64_t)UINT32_MAX)
#define FIXED_FIELD     (FIXED_EN | FIXED_PMI)

#define DEBUGCTL_BTF (UINT64_C(1) << 1)
#define DEBUGCTL_WRITABLE                                                                          \
	(VPMU_DEBUG_LBR | DEBUGCTL_BTF | VPMU_DEBUG_FREEZE_LBRS | VPMU_DEBUG_FREEZE_PERFMON)

#define CAPABILITIES_FW_WRITE (UINT64_C(1) << 13)

enum policy {
	POLICY_2018, /* Linux 4.20: an event is closed to stop it and made to start it */
	POLICY_RFC,  /* the same, but not at the overflow if the vCPU has not moved */
	POLICY_6_12, /* an event is paused, and resumed with a new period at the next entry */
};

struct pmc {
	unsigned int index;
	uint64_t control; /* event select, or the field of FIXED_CTR_CTRL */
	uint64_t counter;
	struct sampler event; /* if there is one, its counts since base come on top */
	uint64_t base;
	uint64_t made_for; /* the control that the event is for */
	bool paused;
	int cpu;               /* where the event was made */
	unsigned int repeated; /* overflows that nobody has seen to yet */
	bool held;             /* the event is disabled for that */
};

struct kvm {
	struct vpmu_config config;
	enum policy policy;
	enum subject_events events;
	uint64_t global_ctrl;
	uint64_t global_status; /* atomic: an overflow sets it */
	uint64_t fixed_ctrl;
	uint64_t debugctl;
	uint64_t reprogram; /* counters to see to before the entry; atomic */
	bool pmi;           /* asked for by an overflow; atomic */
	struct pmc pmc[COUNTERS];
};

/* For the signal handler. */
static struct kvm *signalled;

static struct pmc *pmc_at(struct kvm *kvm, unsigned int index)
{
	if (index >= COUNTERS || !(all_counters(&kvm->config) & counter_bit(index)))
		return NULL;
	return &kvm->pmc[index];
}

static uint64_t pmc_mask(const struct kvm *kvm, const struct pmc *pmc)
{
	return counter_mask(&kvm->config, pmc->index);
}

static bool interrupts(const struct pmc *pmc)
{
	return pmc->control & (pmc->index < VPMU_FIXED ? VPMU_EVTSEL_INT : FIXED_PMI);
}

static bool locally_enabled(const struct pmc *pmc)
{
	return pmc->control & (pmc->index < VPMU_FIXED ? VPMU_EVTSEL_EN : FIXED_EN);
}

static bool enabled(const struct kvm *kvm, const struct pmc *pmc)
{
	return locally_enabled(pmc) && (kvm->global_ctrl & counter_bit(pmc->index));
}

static bool asked_for(const struct kvm *kvm)
{
	return __atomic_load_n(&kvm->reprogram, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&kvm->pmi, __ATOMIC_RELAXED);
}

static void request(struct kvm *kvm, uint64_t counters)
{
	__atomic_fetch_or(&kvm->reprogram, counters, __ATOMIC_RELAXED);
}

static void forget_request(struct kvm *kvm, uint64_t counters)
{
	__atomic_fetch_and(&kvm->reprogram, ~counters, __ATOMIC_RELAXED);
}

/*
 * KVM's events do not count the host. These count the signal handler, too: a period that
 * is shorter than that would have signal follow signal for ever.
 */
#define MOST_REPEATED 8

static void hold_event(struct pmc *pmc)
{
	if (++pmc->repeated < MOST_REPEATED || pmc->held)
		return;
	pmc->held = true;
	sampler_disable(&pmc->event);
}

static void let_go(struct pmc *pmc)
{
	pmc->repeated = 0;
	if (!pmc->held)
		return;
	pmc->held = false;
	sampler_enable(&pmc->event);
}

/* perf's overflow callback; from the signal handler. */
static void overflow(struct kvm *kvm, struct pmc *pmc)
{
	uint64_t before =
		__atomic_fetch_or(&kvm->reprogram, counter_bit(pmc->index), __ATOMIC_RELAXED);

	/* One that is about to be seen to anyway has been changed since. */
	if (before & counter_bit(pmc->index)) {
		hold_event(pmc);
		return;
	}
	pmc->repeated = 0;
	__atomic_fetch_or(&kvm->global_status, counter_bit(pmc->index), __ATOMIC_RELAXED);
	if (interrupts(pmc))
		__atomic_store_n(&kvm->pmi, true, __ATOMIC_RELAXED);
	subject_kicked = 1;
}

static uint64_t pmc_read(struct kvm *kvm, struct pmc *pmc)
{
	uint64_t counter = pmc->counter;

	if (sampler_is_open(&pmc->event) && !pmc->paused)
		counter += sampler_total(&pmc->event) - pmc->base;
	return counter & pmc_mask(kvm, pmc);
}

/* Without a name only the totals tell which it was. */
static bool has_overflowed(struct kvm *kvm, struct pmc *pmc)
{
	uint64_t counted = sampler_total(&pmc->event) - pmc->base;

	return !pmc->paused && counted > (~pmc->counter & pmc_mask(kvm, pmc));
}

/*
 * The named counter has overflowed, and those that do so together with it have if they
 * are exact; else it takes a look at their totals.
 */
static void on_trap(struct kvm *kvm, unsigned int number)
{
	uint64_t together = subject_expected & all_counters(&kvm->config);
	bool exact = work_kinds[kvm->events].exact;

	if (!(together & counter_bit(number)))
		together = 0;
	together &= ~counter_bit(number);
	overflow(kvm, &kvm->pmc[number]);
	for (uint64_t left = together; left;) {
		struct pmc *pmc = &kvm->pmc[take_counter(&left)];

		if (sampler_is_open(&pmc->event) && (exact || has_overflowed(kvm, pmc)))
			overflow(kvm, pmc);
		else
			together &= ~counter_bit(pmc->index);
	}
	subject_expected &= ~(together | counter_bit(number));
}

static void on_overflow(int fd, uint32_t number)
{
	if (signalled && number < COUNTERS) {
		on_trap(signalled, number);
		return;
	}
	for (unsigned int i = 0; signalled && i < COUNTERS; i++) {
		struct pmc *pmc = pmc_at(signalled, i);

		if (!pmc || !sampler_is_open(&pmc->event))
			continue;
		if (pmc->event.fd == fd || (fd < 0 && has_overflowed(signalled, pmc)))
			overflow(signalled, pmc);
	}
}

/* Occurrences until a counter with this value overflows. */
static uint64_t period(const struct kvm *kvm, const struct pmc *pmc, uint64_t counter)
{
	uint64_t left = -counter & pmc_mask(kvm, pmc);

	return left ? left : pmc_mask(kvm, pmc) + 1;
}

static void release(struct pmc *pmc)
{
	sampler_close(&pmc->event);
	pmc->paused = false;
	pmc->held = false;
}

static void create(struct kvm *kvm, struct pmc *pmc)
{
	/* Long-lived events are worth a page to read them by. */
	bool page = kvm->policy == POLICY_6_12;

	sampler_open(&pmc->event, pmc->index, kvm->events, period(kvm, pmc, pmc->counter), page);
	pmc->made_for = pmc->control;
	pmc->base = 0;
	pmc->cpu = kvm->policy == POLICY_RFC ? sched_getcpu() : -1;
}

/* Linux 4.20: stop and, if it is to count, make an event. At once, in the exit. */
static void reprogram_2018(struct kvm *kvm, struct pmc *pmc)
{
	if (sampler_is_open(&pmc->event)) {
		pmc->counter = pmc_read(kvm, pmc);
		release(pmc);
	}
	forget_request(kvm, counter_bit(pmc->index));
	if (enabled(kvm, pmc))
		create(kvm, pmc);
}

static void pause_event(struct kvm *kvm, struct pmc *pmc)
{
	uint64_t total;

	if (!sampler_is_open(&pmc->event) || pmc->paused)
		return;
	sampler_disable(&pmc->event);
	total = sampler_total(&pmc->event);
	pmc->counter = (pmc->counter + total - pmc->base) & pmc_mask(kvm, pmc);
	pmc->base = total;
	pmc->paused = true;
	pmc->held = false;
}

static bool resume_event(struct kvm *kvm, struct pmc *pmc)
{
	if (!sampler_is_open(&pmc->event) ||
	    !sampler_period(&pmc->event, period(kvm, pmc, pmc->counter)))
		return false;
	sampler_enable(&pmc->event);
	pmc->paused = false;
	return true;
}

/* Linux 6.12: before the entry. */
static void reprogram_6_12(struct kvm *kvm, struct pmc *pmc)
{
	pause_event(kvm, pmc);
	if (!enabled(kvm, pmc))
		return;
	if (pmc->made_for == pmc->control && resume_event(kvm, pmc))
		return;
	release(pmc);
	create(kvm, pmc);
}

/* The guest has changed what these counters are to do. */
static void changed(struct kvm *kvm, uint64_t counters)
{
	if (kvm->policy == POLICY_6_12) {
		request(kvm, counters);
		return;
	}
	counters &= all_counters(&kvm->config);
	while (counters)
		reprogram_2018(kvm, pmc_at(kvm, take_counter(&counters)));
}

static void handle_2018(struct kvm *kvm, struct pmc *pmc)
{
	bool stays = kvm->policy == POLICY_RFC && pmc->cpu == sched_getcpu();

	if (sampler_is_open(&pmc->event) && !stays) {
		reprogram_2018(kvm, pmc);
		return;
	}
	forget_request(kvm, counter_bit(pmc->index));
	let_go(pmc);
}

/* kvm_pmu_handle_event() */
static void handle_event(struct kvm *kvm)
{
	uint64_t counters =
		__atomic_load_n(&kvm->reprogram, __ATOMIC_RELAXED) & all_counters(&kvm->config);

	if (kvm->policy == POLICY_6_12)
		forget_request(kvm, counters);
	while (counters) {
		struct pmc *pmc = pmc_at(kvm, take_counter(&counters));

		if (kvm->policy == POLICY_6_12)
			reprogram_6_12(kvm, pmc);
		else
			handle_2018(kvm, pmc);
	}
}

static bool service(void *subject)
{
	struct kvm *kvm = subject;

	if (!asked_for(kvm))
		return false;
	handle_event(kvm);
	return __atomic_exchange_n(&kvm->pmi, false, __ATOMIC_RELAXED);
}

static enum vpmu_answer write_counter(struct kvm *kvm, struct pmc *pmc, uint64_t value)
{
	if (!pmc || (value & ~pmc_mask(kvm, pmc)))
		return VPMU_FAULT;
	pmc->counter += value - pmc_read(kvm, pmc);
	pmc->counter &= pmc_mask(kvm, pmc);
	if (kvm->policy == POLICY_6_12 && sampler_is_open(&pmc->event) && !pmc->paused)
		sampler_period(&pmc->event, period(kvm, pmc, value));
	return VPMU_DONE;
}

/* The legacy registers are 32 bits wide and extend their sign. */
static enum vpmu_answer write_legacy(struct kvm *kvm, struct pmc *pmc, uint64_t value)
{
	if (!pmc)
		return VPMU_FAULT;
	return write_counter(kvm, pmc, (uint64_t)(int32_t)value & pmc_mask(kvm, pmc));
}

static enum vpmu_answer write_evtsel(struct kvm *kvm, struct pmc *pmc, uint64_t value)
{
	if (!pmc || (value & EVTSEL_RESERVED))
		return VPMU_FAULT;
	if (value == pmc->control)
		return VPMU_DONE;
	pmc->control = value;
	changed(kvm, counter_bit(pmc->index));
	return VPMU_DONE;
}

static enum vpmu_answer write_fixed_ctrl(struct kvm *kvm, uint64_t value)
{
	uint64_t differ = 0;
	uint64_t allowed = 0;

	for (unsigned int i = 0; i < kvm->config.fixed; i++)
		allowed |= FIXED_FIELD << (FIXED_BITS * i);
	if (value & ~allowed)
		return VPMU_FAULT;
	for (unsigned int i = 0; i < kvm->config.fixed; i++) {
		uint64_t field = value >> (FIXED_BITS * i) & FIXED_FIELD;

		if (field != kvm->pmc[VPMU_FIXED + i].control)
			differ |= counter_bit(VPMU_FIXED + i);
		kvm->pmc[VPMU_FIXED + i].control = field;
	}
	kvm->fixed_ctrl = value;
	changed(kvm, differ);
	return VPMU_DONE;
}

static enum vpmu_answer write_global_ctrl(struct kvm *kvm, uint64_t value)
{
	uint64_t differ = kvm->global_ctrl ^ value;

	if (value & ~all_counters(&kvm->config))
		return VPMU_FAULT;
	kvm->global_ctrl = value;
	if (differ)
		changed(kvm, differ);
	return VPMU_DONE;
}

static enum vpmu_answer write_status(struct kvm *kvm, uint32_t msr, uint64_t value)
{
	if (msr == VPMU_MSR_PERF_GLOBAL_STATUS_RESET)
		__atomic_fetch_and(&kvm->global_status, ~value, __ATOMIC_RELAXED);
	else if (kvm->config.version >= 4)
		__atomic_fetch_or(&kvm->global_status, value & all_counters(&kvm->config),
				  __ATOMIC_RELAXED);
	else
		return VPMU_FAULT;
	return VPMU_DONE;
}

static enum vpmu_answer wrmsr(void *subject, uint32_t msr, uint64_t value)
{
	struct kvm *kvm = subject;

	if (msr - VPMU_MSR_PMC0 < VPMU_MAX_GENERAL)
		return write_legacy(kvm, pmc_at(kvm, msr - VPMU_MSR_PMC0), value);
	if (msr - VPMU_MSR_A_PMC0 < VPMU_MAX_GENERAL)
		return write_counter(kvm, pmc_at(kvm, msr - VPMU_MSR_A_PMC0), value);
	if (msr - VPMU_MSR_FIXED_CTR0 < VPMU_MAX_FIXED)
		return write_counter(kvm, pmc_at(kvm, VPMU_FIXED + msr - VPMU_MSR_FIXED_CTR0),
				     value);
	if (msr - VPMU_MSR_PERFEVTSEL0 < VPMU_MAX_GENERAL)
		return write_evtsel(kvm, pmc_at(kvm, msr - VPMU_MSR_PERFEVTSEL0), value);
	switch (msr) {
	case VPMU_MSR_FIXED_CTR_CTRL:
		return write_fixed_ctrl(kvm, value);
	case VPMU_MSR_PERF_GLOBAL_CTRL:
		return write_global_ctrl(kvm, value);
	case VPMU_MSR_PERF_GLOBAL_STATUS_RESET:
	case VPMU_MSR_PERF_GLOBAL_STATUS_SET:
		return write_status(kvm, msr, value);
	case VPMU_MSR_DEBUGCTL:
		if (value & ~DEBUGCTL_WRITABLE)
			return VPMU_FAULT;
		kvm->debugctl = value;
		return VPMU_DONE;
	default:
		return VPMU_FAULT;
	}
}

static enum vpmu_answer read_pmc(struct kvm *kvm, struct pmc *pmc, uint64_t *value)
{
	if (!pmc)
		return VPMU_FAULT;
	*value = pmc_read(kvm, pmc);
	return VPMU_DONE;
}

static enum vpmu_answer read_evtsel(const struct pmc *pmc, uint64_t *value)
{
	if (!pmc)
		return VPMU_FAULT;
	*value = pmc->control;
	return VPMU_DONE;
}

static enum vpmu_answer rdmsr(void *subject, uint32_t msr, uint64_t *value)
{
	struct kvm *kvm = subject;

	if (msr - VPMU_MSR_PMC0 < VPMU_MAX_GENERAL)
		return read_pmc(kvm, pmc_at(kvm, msr - VPMU_MSR_PMC0), value);
	if (msr - VPMU_MSR_A_PMC0 < VPMU_MAX_GENERAL)
		return read_pmc(kvm, pmc_at(kvm, msr - VPMU_MSR_A_PMC0), value);
	if (msr - VPMU_MSR_FIXED_CTR0 < VPMU_MAX_FIXED)
		return read_pmc(kvm, pmc_at(kvm, VPMU_FIXED + msr - VPMU_MSR_FIXED_CTR0), value);
	if (msr - VPMU_MSR_PERFEVTSEL0 < VPMU_MAX_GENERAL)
		return read_evtsel(pmc_at(kvm, msr - VPMU_MSR_PERFEVTSEL0), value);
	switch (msr) {
	case VPMU_MSR_FIXED_CTR_CTRL:
		*value = kvm->fixed_ctrl;
		return VPMU_DONE;
	case VPMU_MSR_PERF_GLOBAL_STATUS:
		*value = __atomic_load_n(&kvm->global_status, __ATOMIC_RELAXED);
		return VPMU_DONE;
	case VPMU_MSR_PERF_GLOBAL_CTRL:
		*value = kvm->global_ctrl;
		return VPMU_DONE;
	case VPMU_MSR_PERF_GLOBAL_STATUS_RESET:
	case VPMU_MSR_PERF_GLOBAL_STATUS_SET:
		*value = 0;
		return VPMU_DONE;
	case VPMU_MSR_PERF_CAPABILITIES:
		*value = kvm->config.full_width_writes ? CAPABILITIES_FW_WRITE : 0;
		return VPMU_DONE;
	case VPMU_MSR_DEBUGCTL:
		*value = kvm->debugctl;
		return VPMU_DONE;
	default:
		return VPMU_FAULT;
	}
}

static enum vpmu_answer rdpmc(void *subject, uint32_t index, uint64_t *value)
{
	struct kvm *kvm = subject;

	if (index & RDPMC_FIXED)
		index = VPMU_FIXED + (index & ~RDPMC_FIXED);
	return read_pmc(kvm, pmc_at(kvm, index), value);
}

static uint64_t status(void *subject)
{
	struct kvm *kvm = subject;

	return __atomic_load_n(&kvm->global_status, __ATOMIC_RELAXED);
}

static void reset(void *subject)
{
	struct kvm *kvm = subject;

	for (unsigned int i = 0; i < COUNTERS; i++) {
		release(&kvm->pmc[i]);
		kvm->pmc[i] = (struct pmc){ .index = i, .event = SAMPLER_NONE };
	}
	kvm->global_ctrl = counter_bit(kvm->config.general) - 1;
	kvm->global_status = kvm->fixed_ctrl = kvm->debugctl = kvm->reprogram = 0;
	kvm->pmi = false;
}

static void end(void *subject)
{
	reset(subject);
	signalled = NULL;
	free(subject);
}

static void *make(const struct vpmu_config *config, enum subject_events events, enum policy policy)
{
	struct kvm *kvm;

	if (events == EVENTS_MEMORY) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	kvm = calloc(1, sizeof(*kvm));
	if (!kvm || !sampler_prepare(on_overflow)) {
		free(kvm);
		return NULL;
	}
	kvm->config = *config;
	kvm->policy = policy;
	kvm->events = events;
	for (unsigned int i = 0; i < COUNTERS; i++)
		kvm->pmc[i].event = SAMPLER_NONE;
	reset(kvm);
	signalled = kvm;
	return kvm;
}

static void *make_2018(const struct vpmu_config *config, enum subject_events events)
{
	return make(config, events, POLICY_2018);
}

static void *make_rfc(const struct vpmu_config *config, enum subject_events events)
{
	return make(config, events, POLICY_RFC);
}

static void *make_6_12(const struct vpmu_config *config, enum subject_events events)
{
	return make(config, events, POLICY_6_12);
}

const struct subject_ops subject_kvm_2018 = {
	.name = "kvm-2018",
	.what = "close and create at the overflow and at each change (Linux 4.20)",
	.make = make_2018,
	.end = end,
	.reset = reset,
	.rdmsr = rdmsr,
	.wrmsr = wrmsr,
	.rdpmc = rdpmc,
	.service = service,
	.status = status,
};

const struct subject_ops subject_kvm_rfc = {
	.name = "kvm-rfc",
	.what = "the same, but not at the overflow if the vCPU has not moved",
	.make = make_rfc,
	.end = end,
	.reset = reset,
	.rdmsr = rdmsr,
	.wrmsr = wrmsr,
	.rdpmc = rdpmc,
	.service = service,
	.status = status,
};

const struct subject_ops subject_kvm_6_12 = {
	.name = "kvm-6.12",
	.what = "pause, new period and resume (Linux 6.12)",
	.make = make_6_12,
	.end = end,
	.reset = reset,
	.rdmsr = rdmsr,
	.wrmsr = wrmsr,
	.rdpmc = rdpmc,
	.service = service,
	.status = status,
};
