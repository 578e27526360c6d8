/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a processor knows of its PMU from its own writes: which accesses fault,
 * what control registers read, and that counters do not go backwards. PMIs come
 * at any moment and only switch off, so "may have counted" is all that is said.
 */
#include "fuzz.h"

#define FIXED     32
#define BACKWARDS 0xffffffffull /* a counter this near to its end may have wrapped */
#define MISC_EMON (1u << 7)

void shadow_reset(struct shadow *shadow)
{
	memset(shadow, 0, sizeof(*shadow));
}

void shadow_forget_control(struct shadow *shadow)
{
	shadow->global_known = false;
}

static enum verdict expect_access(uint32_t msr, bool write, uint64_t value)
{
	unsigned int n;
	const struct pmu_register *row = pmu_register_of(msr, &n);

	if (!row)
		return MAY_FAULT;
	if (n >= row->there)
		return FAULTS;
	if (!write)
		return WORKS;
	return row->writes == WRITES_FAULT || (value & ~(row->kept | row->ignored)) ? FAULTS
										    : WORKS;
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
		return user ? FAULTS : expect_access(ecx, false, 0);
	case ACCESS_WRMSR:
		return user ? FAULTS : expect_access(ecx, true, written(access));
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

static unsigned int counter_of(const struct pmu_register *row, unsigned int n)
{
	return row->kind == REGISTER_FIXED_COUNTER ? FIXED + n : n;
}

/* Intel's before version 4: a PMI that freezes clears GLOBAL_CTRL, and LBR here. */
static bool freezes_by_control(void)
{
	return !pmu.frozen;
}

static void follow_debugctl(struct shadow *shadow, uint64_t value)
{
	if (freezes_by_control() && ((shadow->debugctl | value) & DEBUGCTL_FREEZE_PERFMON_ON_PMI))
		shadow->global_known = false;
	shadow->debugctl = value;
	shadow->debugctl_known = !freezes_by_control() || !(value & DEBUGCTL_FREEZE_LBRS);
}

static void follow_global_control(struct shadow *shadow, uint64_t value)
{
	shadow->global_control = value;
	shadow->global_known =
		!freezes_by_control() || !(shadow->debugctl & DEBUGCTL_FREEZE_PERFMON_ON_PMI);
}

static void follow_write(struct shadow *shadow, uint32_t msr, uint64_t value)
{
	unsigned int n;
	const struct pmu_register *row = pmu_register_of(msr, &n);

	if (!row)
		return;
	value = row->writes == WRITES_SIGNED ? (uint64_t)(int32_t)value : value & row->kept;
	switch (row->kind) {
	case REGISTER_COUNTER:
	case REGISTER_FIXED_COUNTER:
		set_counter(shadow, counter_of(row, n), value);
		break;
	case REGISTER_SELECT:
		shadow->select[n] = value;
		break;
	case REGISTER_FIXED_CONTROL:
		shadow->fixed_control = value;
		break;
	case REGISTER_GLOBAL_CONTROL:
		follow_global_control(shadow, value);
		break;
	case REGISTER_DEBUG_CONTROL:
		follow_debugctl(shadow, value);
		break;
	case REGISTER_STATUS:
	case REGISTER_STATUS_CHANGE:
	case REGISTER_INFORMATION:
	case REGISTER_OTHERS:
		break;
	}
}

static uint64_t status_bits(void)
{
	uint64_t bits = 0;

	for (unsigned int i = 0; i < pmu_register_rows; i++)
		if (pmu_registers[i].kind == REGISTER_STATUS_CHANGE)
			bits |= pmu_registers[i].kept;
	return bits;
}

/* Without global control a PMI's handler has stopped counters here. */
static bool select_fits(const struct shadow *shadow, unsigned int n, uint64_t value)
{
	uint64_t unknown = pmu.global_ctrl ? 0 : SEL_EN;

	return !((value ^ shadow->select[n]) & ~unknown);
}

static const char *check_read(struct shadow *shadow, uint32_t msr, uint64_t value)
{
	unsigned int n;
	const struct pmu_register *row = pmu_register_of(msr, &n);

	if (!row)
		return NULL;
	switch (row->kind) {
	case REGISTER_COUNTER:
	case REGISTER_FIXED_COUNTER:
		return check_counter(shadow, counter_of(row, n), value);
	case REGISTER_SELECT:
		return select_fits(shadow, n, value) ? NULL : "an event select has changed";
	case REGISTER_FIXED_CONTROL:
		return value == shadow->fixed_control ? NULL : "FIXED_CTR_CTRL has changed";
	case REGISTER_GLOBAL_CONTROL:
		return !shadow->global_known || value == shadow->global_control
			       ? NULL
			       : "global control has changed";
	case REGISTER_DEBUG_CONTROL:
		return !shadow->debugctl_known || value == shadow->debugctl
			       ? NULL
			       : "DEBUGCTL has changed";
	case REGISTER_STATUS:
		return value & ~status_bits() ? "the status has an odd bit" : NULL;
	case REGISTER_STATUS_CHANGE:
		return value ? "a register that is written only does not read as zero" : NULL;
	case REGISTER_INFORMATION:
		return msr != MSR_PERF_CAPABILITIES || value == CAPABILITIES_FW_WRITE
			       ? NULL
			       : "PERF_CAPABILITIES has changed";
	case REGISTER_OTHERS:
		return value & MISC_EMON ? NULL : "MISC_ENABLE shows no performance monitoring";
	}
	return NULL;
}

/* What CPUID says of the PMU at any time. */
static struct cpuid leaf_then;

static bool is_leaf_then(const struct results *results)
{
	return results->rax == leaf_then.eax && results->rbx == leaf_then.ebx &&
	       results->rcx == leaf_then.ecx && results->rdx == leaf_then.edx;
}

void shadow_prepare(void)
{
	leaf_then = cpuid(pmu.leaf, 0);
}

static const char *check_cpuid(const struct access *access, const struct results *results)
{
	uint32_t leaf = (uint32_t)access->rax;

	if ((results->rax | results->rbx | results->rcx | results->rdx) >> 32)
		return "CPUID leaves upper halves";
	if (leaf == pmu.leaf && !is_leaf_then(results))
		return "CPUID's leaf of the PMU has changed";
	if (!pmu.amd && leaf == 1 && !(results->rcx & 1u << 15))
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
