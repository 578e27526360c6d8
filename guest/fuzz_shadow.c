/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a processor knows of its PMU from its own writes: which accesses fault,
 * what control registers read, and that counters do not go backwards. PMIs come
 * at any moment and only switch off, so "may have counted" is all that is said.
 */
#include "fuzz.h"

#define FIXED             32
#define BACKWARDS         0xffffffffull /* a counter this near to its end may have wrapped */
#define FREEZE_LBRS       (1ull << 11)
#define DEBUGCTL_WRITABLE (3 | FREEZE_LBRS | DEBUGCTL_FREEZE_PERFMON_ON_PMI)
#define MISC_EMON         (1u << 7)

void shadow_reset(struct shadow *shadow)
{
	memset(shadow, 0, sizeof(*shadow));
}

void shadow_forget_control(struct shadow *shadow)
{
	shadow->global_known = false;
}

static bool in(uint32_t msr, uint32_t first, unsigned int count)
{
	return msr - first < count;
}

static uint64_t fixed_allowed(void)
{
	uint64_t allowed = 0;

	for (unsigned int i = 0; i < pmu.fixed; i++)
		allowed |= FIXED_FIELD(
			i, FIXED_OS | FIXED_USR | FIXED_PMI |
				   (pmu.version >= 3 && !pmu.any_thread_gone ? FIXED_ANY : 0));
	return allowed;
}

static uint64_t select_allowed(void)
{
	return pmu.version >= 3 && !pmu.any_thread_gone ? 0xffffffff
							: 0xffffffff & ~(uint64_t)SEL_ANY;
}

static uint64_t status_allowed(void)
{
	return pmu_all() | STATUS_BUFFER | STATUS_CHANGED |
	       (pmu.version >= 4 ? STATUS_LBR_FRZ | STATUS_CTR_FRZ : 0);
}

static enum verdict within(uint64_t value, uint64_t allowed)
{
	return value & ~allowed ? FAULTS : WORKS;
}

static enum verdict expect_counter(uint32_t msr, bool write, uint64_t value)
{
	uint64_t allowed = write ? pmu_value_mask() : ~0ull;

	if (in(msr, MSR_PMC0, 8))
		return msr - MSR_PMC0 < pmu.general ? WORKS : FAULTS;
	if (in(msr, MSR_A_PMC0, 8))
		return msr - MSR_A_PMC0 < pmu.general ? within(value, allowed) : FAULTS;
	if (in(msr, MSR_FIXED_CTR0, 4))
		return msr - MSR_FIXED_CTR0 < pmu.fixed ? within(value, allowed) : FAULTS;
	return MAY_FAULT;
}

static enum verdict expect_read(uint32_t msr)
{
	if (in(msr, MSR_PERFEVTSEL0, 8))
		return msr - MSR_PERFEVTSEL0 < pmu.general ? WORKS : FAULTS;
	switch (msr) {
	case MSR_GLOBAL_STATUS_SET:
	case MSR_GLOBAL_INUSE:
		return pmu.version >= 4 ? WORKS : FAULTS;
	case MSR_GLOBAL_CTRL:
	case MSR_GLOBAL_STATUS:
	case MSR_GLOBAL_OVF_CTRL:
	case MSR_FIXED_CTR_CTRL:
	case MSR_DEBUGCTL:
	case MSR_PERF_CAPABILITIES:
	case MSR_MISC_ENABLE:
		return WORKS;
	default:
		return expect_counter(msr, false, 0);
	}
}

static enum verdict expect_write(uint32_t msr, uint64_t value)
{
	if (in(msr, MSR_PERFEVTSEL0, 8))
		return msr - MSR_PERFEVTSEL0 < pmu.general ? within(value, select_allowed())
							   : FAULTS;
	switch (msr) {
	case MSR_GLOBAL_STATUS:
	case MSR_GLOBAL_INUSE:
	case MSR_PERF_CAPABILITIES:
		return FAULTS;
	case MSR_GLOBAL_CTRL:
		return within(value, pmu_all());
	case MSR_FIXED_CTR_CTRL:
		return within(value, fixed_allowed());
	case MSR_DEBUGCTL:
		return within(value, DEBUGCTL_WRITABLE);
	case MSR_GLOBAL_OVF_CTRL:
		return within(value, status_allowed());
	case MSR_GLOBAL_STATUS_SET:
		return pmu.version >= 4 ? within(value, status_allowed() & ~STATUS_CHANGED)
					: FAULTS;
	default:
		return expect_counter(msr, true, value);
	}
}

static int counter_of_index(uint32_t index)
{
	if (index < pmu.general)
		return (int)index;
	if (index - RDPMC_FIXED < pmu.fixed)
		return (int)(FIXED + index - RDPMC_FIXED);
	return -1;
}

static uint64_t written(const struct access *access)
{
	return access->rdx << 32 | (uint32_t)access->rax;
}

enum verdict shadow_expect(const struct access *access, bool user, bool pce)
{
	uint32_t ecx = (uint32_t)access->rcx;

	if (access->locked)
		return FAULTS;
	switch (access->kind) {
	case ACCESS_CPUID:
		return WORKS;
	case ACCESS_RDPMC:
		return (user && !pce) || counter_of_index(ecx) < 0 ? FAULTS : WORKS;
	case ACCESS_RDMSR:
		return user ? FAULTS : expect_read(ecx);
	case ACCESS_WRMSR:
		return user ? FAULTS : expect_write(ecx, written(access));
	case ACCESS_KINDS:
		break;
	}
	return MAY_FAULT;
}

static bool may_count(const struct shadow *shadow, unsigned int counter)
{
	if (shadow->global_known && !(shadow->global_control >> counter & 1))
		return false;
	if (counter >= FIXED)
		return shadow->fixed_control >> 4 * (counter - FIXED) & FIXED_ALL;
	return (shadow->select[counter] & SEL_EN) && (shadow->select[counter] & (SEL_USR | SEL_OS));
}

static void note_running(struct shadow *shadow)
{
	for (unsigned int i = 0; i < pmu.general; i++)
		shadow->counter[i].ran |= may_count(shadow, i);
	for (unsigned int i = FIXED; i < FIXED + pmu.fixed; i++)
		shadow->counter[i].ran |= may_count(shadow, i);
}

static void set_counter(struct shadow *shadow, unsigned int counter, uint64_t value)
{
	shadow->counter[counter] = (struct shadow_counter){ value & pmu_value_mask(), true,
							    may_count(shadow, counter) };
}

static const char *check_counter(struct shadow *shadow, unsigned int counter, uint64_t value)
{
	struct shadow_counter before = shadow->counter[counter];

	set_counter(shadow, counter, value);
	if (value & ~pmu_value_mask())
		return "a counter is wider than CPUID says";
	if (!before.known)
		return NULL;
	if (!before.ran && value != before.value)
		return "a stopped counter has changed";
	if (value < before.value && before.value < pmu_value_mask() - BACKWARDS)
		return "a counter has gone backwards";
	return NULL;
}

static int counter_of_msr(uint32_t msr)
{
	if (in(msr, MSR_PMC0, pmu.general))
		return (int)(msr - MSR_PMC0);
	if (in(msr, MSR_A_PMC0, pmu.general))
		return (int)(msr - MSR_A_PMC0);
	if (in(msr, MSR_FIXED_CTR0, pmu.fixed))
		return (int)(FIXED + msr - MSR_FIXED_CTR0);
	return -1;
}

static void follow_debugctl(struct shadow *shadow, uint64_t value)
{
	/* Before version 4 a PMI may have cleared GLOBAL_CTRL, or LBR here. */
	if (pmu.version < 4 && ((shadow->debugctl | value) & DEBUGCTL_FREEZE_PERFMON_ON_PMI))
		shadow->global_known = false;
	shadow->debugctl = value;
	shadow->debugctl_known = pmu.version >= 4 || !(value & FREEZE_LBRS);
}

static void follow_write(struct shadow *shadow, uint32_t msr, uint64_t value)
{
	int counter = counter_of_msr(msr);

	if (in(msr, MSR_PMC0, pmu.general))
		value = (uint64_t)(int32_t)value;
	if (counter >= 0)
		set_counter(shadow, (unsigned int)counter, value);
	else if (in(msr, MSR_PERFEVTSEL0, pmu.general))
		shadow->select[msr - MSR_PERFEVTSEL0] = value;
	else if (msr == MSR_FIXED_CTR_CTRL)
		shadow->fixed_control = value;
	else if (msr == MSR_DEBUGCTL)
		follow_debugctl(shadow, value);
	if (msr != MSR_GLOBAL_CTRL)
		return;
	shadow->global_control = value;
	shadow->global_known =
		pmu.version >= 4 || !(shadow->debugctl & DEBUGCTL_FREEZE_PERFMON_ON_PMI);
}

static const char *check_read(struct shadow *shadow, uint32_t msr, uint64_t value)
{
	int counter = counter_of_msr(msr);

	if (counter >= 0)
		return check_counter(shadow, (unsigned int)counter, value);
	if (in(msr, MSR_PERFEVTSEL0, pmu.general))
		return value == shadow->select[msr - MSR_PERFEVTSEL0] ? NULL
								      : "PERFEVTSEL has changed";
	switch (msr) {
	case MSR_FIXED_CTR_CTRL:
		return value == shadow->fixed_control ? NULL : "FIXED_CTR_CTRL has changed";
	case MSR_GLOBAL_CTRL:
		return !shadow->global_known || value == shadow->global_control
			       ? NULL
			       : "GLOBAL_CTRL has changed";
	case MSR_DEBUGCTL:
		return !shadow->debugctl_known || value == shadow->debugctl
			       ? NULL
			       : "DEBUGCTL has changed";
	case MSR_GLOBAL_STATUS:
		return value & ~status_allowed() ? "GLOBAL_STATUS has an odd bit" : NULL;
	case MSR_GLOBAL_OVF_CTRL:
	case MSR_GLOBAL_STATUS_SET:
		return value ? "a register that is written only does not read as zero" : NULL;
	case MSR_PERF_CAPABILITIES:
		return value == CAPABILITIES_FW_WRITE ? NULL : "PERF_CAPABILITIES has changed";
	case MSR_MISC_ENABLE:
		return value & MISC_EMON ? NULL : "MISC_ENABLE shows no performance monitoring";
	default:
		return NULL;
	}
}

static const char *check_cpuid(const struct access *access, const struct results *results)
{
	uint32_t leaf = (uint32_t)access->rax;
	struct pmu now = pmu;

	if ((results->rax | results->rbx | results->rcx | results->rdx) >> 32)
		return "CPUID leaves upper halves";
	if (leaf == 0xa &&
	    (results->rax & 0xffffff) != (now.version | now.general << 8 | now.general_width << 16))
		return "CPUID.0AH has changed";
	if (leaf == 1 && !(results->rcx & 1u << 15))
		return "CPUID.01H shows no PDCM";
	return NULL;
}

const char *shadow_follow(struct shadow *shadow, const struct access *access,
			  const struct results *results)
{
	uint32_t ecx = (uint32_t)access->rcx;
	uint64_t value = results->rdx << 32 | (uint32_t)results->rax;
	const char *wrong = NULL;

	note_running(shadow);
	switch (access->kind) {
	case ACCESS_CPUID:
		return check_cpuid(access, results);
	case ACCESS_WRMSR:
		follow_write(shadow, ecx, written(access));
		note_running(shadow);
		return NULL;
	case ACCESS_RDMSR:
		wrong = check_read(shadow, ecx, value);
		break;
	case ACCESS_RDPMC:
		wrong = check_counter(shadow, (unsigned int)counter_of_index(ecx), value);
		break;
	case ACCESS_KINDS:
		break;
	}
	return wrong ? wrong
	       : (results->rax | results->rdx) >> 32
		       ? "the upper halves of RAX and RDX are not clear"
		       : NULL;
}
