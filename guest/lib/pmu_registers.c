/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See pmu_registers.h.
 */
#include "pmu_registers.h"

#define EVERY_BIT ~0ull

#define INTEL_GENERAL 8
#define INTEL_FIXED   4
#define DEBUGCTL_LBR  3ull /* and single steps by branch */
#define DEBUGCTL_KEPT (DEBUGCTL_LBR | DEBUGCTL_FREEZE_LBRS | DEBUGCTL_FREEZE_PERFMON_ON_PMI)

#define K7_NUMBERS   4
#define CORE_NUMBERS 6
/* Reserved: bit 19, which was of a pin, and bit 21, which is Intel's. */
#define AMD_SELECT_KEPT                                                                            \
	((0xffffffff & ~(uint64_t)(SEL_PC | SEL_ANY)) | 0xfull << 32 | SEL_GUEST_ONLY |            \
	 SEL_HOST_ONLY)
#define AMD_DEBUGCTL_PINS 0x3cull

struct pmu_register pmu_registers[REGISTER_ROWS];
unsigned int pmu_register_rows;

static void add(struct pmu_register row)
{
	if (pmu_register_rows == REGISTER_ROWS)
		bail_out("there are more registers than there is room for");
	pmu_registers[pmu_register_rows++] = row;
}

static uint64_t fixed_control_kept(void)
{
	uint64_t field = FIXED_OS | FIXED_USR | FIXED_PMI, kept = 0;

	if (pmu.version >= 3 && !pmu.any_thread_gone)
		field |= FIXED_ANY;
	for (unsigned int i = 0; i < pmu.fixed; i++)
		kept |= FIXED_FIELD(i, field);
	return kept;
}

static void add_intel_counters(void)
{
	bool any = pmu.version >= 3 && !pmu.any_thread_gone;

	add((struct pmu_register){ "PMC", REGISTER_COUNTER, WRITES_SIGNED, MSR_PMC0, 1,
				   INTEL_GENERAL, pmu.general, 0xffffffff, ~0xffffffffull });
	add((struct pmu_register){ "A_PMC", REGISTER_COUNTER, WRITES_KEPT, MSR_A_PMC0, 1,
				   INTEL_GENERAL, pmu.general, pmu_value_mask(), 0 });
	add((struct pmu_register){ "PERFEVTSEL", REGISTER_SELECT, WRITES_KEPT, MSR_PERFEVTSEL0, 1,
				   INTEL_GENERAL, pmu.general,
				   0xffffffff & ~(uint64_t)(any ? 0 : SEL_ANY), 0 });
	add((struct pmu_register){ "FIXED_CTR", REGISTER_FIXED_COUNTER, WRITES_KEPT, MSR_FIXED_CTR0,
				   1, INTEL_FIXED, pmu.fixed, pmu_value_mask(), 0 });
	add((struct pmu_register){ "FIXED_CTR_CTRL", REGISTER_FIXED_CONTROL, WRITES_KEPT,
				   MSR_FIXED_CTR_CTRL, 1, 1, 1, fixed_control_kept(), 0 });
}

static void add_intel_status(void)
{
	unsigned int v4 = pmu.version >= 4;
	uint64_t clears = pmu_all() | STATUS_BUFFER | STATUS_CHANGED |
			  (v4 ? STATUS_LBR_FRZ | STATUS_CTR_FRZ : 0);

	add((struct pmu_register){ "GLOBAL_STATUS", REGISTER_STATUS, WRITES_FAULT,
				   MSR_GLOBAL_STATUS, 1, 1, 1, 0, 0 });
	add((struct pmu_register){ "GLOBAL_OVF_CTRL", REGISTER_STATUS_CHANGE, WRITES_ACT,
				   MSR_GLOBAL_OVF_CTRL, 1, 1, 1, clears, 0 });
	add((struct pmu_register){ "GLOBAL_STATUS_SET", REGISTER_STATUS_CHANGE, WRITES_ACT,
				   MSR_GLOBAL_STATUS_SET, 1, 1, v4, clears & ~STATUS_CHANGED, 0 });
	add((struct pmu_register){ "GLOBAL_INUSE", REGISTER_INFORMATION, WRITES_FAULT,
				   MSR_GLOBAL_INUSE, 1, 1, v4, 0, 0 });
}

static void find_intel(void)
{
	add_intel_counters();
	add((struct pmu_register){ "GLOBAL_CTRL", REGISTER_GLOBAL_CONTROL, WRITES_KEPT,
				   MSR_GLOBAL_CTRL, 1, 1, 1, pmu_all(), 0 });
	add_intel_status();
	add((struct pmu_register){ "DEBUGCTL", REGISTER_DEBUG_CONTROL, WRITES_KEPT, MSR_DEBUGCTL, 1,
				   1, 1, DEBUGCTL_KEPT, 0 });
	add((struct pmu_register){ "PERF_CAPABILITIES", REGISTER_INFORMATION, WRITES_FAULT,
				   MSR_PERF_CAPABILITIES, 1, 1, 1, 0, 0 });
	add((struct pmu_register){ "MISC_ENABLE", REGISTER_OTHERS, WRITES_FAULT, MSR_MISC_ENABLE, 1,
				   1, 1, 0, 0 });
}

/* The core extension's first four are the K7's; both have bits that a write loses. */
static void add_amd_counters(void)
{
	unsigned int core = pmu.general > K7_NUMBERS ? pmu.general : 0;
	uint64_t value = pmu_value_mask(), select = AMD_SELECT_KEPT;

	add((struct pmu_register){ "PerfEvtSel", REGISTER_SELECT, WRITES_KEPT, MSR_K7_SELECT0, 1,
				   K7_NUMBERS, K7_NUMBERS, select, ~select });
	add((struct pmu_register){ "PerfCtr", REGISTER_COUNTER, WRITES_KEPT, MSR_K7_COUNTER0, 1,
				   K7_NUMBERS, K7_NUMBERS, value, ~value });
	add((struct pmu_register){ "PERF_CTL", REGISTER_SELECT, WRITES_KEPT, MSR_PERF_CTL0, 2,
				   CORE_NUMBERS, core, select, ~select });
	add((struct pmu_register){ "PERF_CTR", REGISTER_COUNTER, WRITES_KEPT, MSR_PERF_CTR0, 2,
				   CORE_NUMBERS, core, value, ~value });
}

static void add_amd_v2(void)
{
	unsigned int there = pmu.version >= 2;
	uint64_t counters = pmu_general_mask(), kept = DEBUGCTL_KEPT, pins = AMD_DEBUGCTL_PINS;
	uint64_t status = counters | STATUS_LBR_FRZ | STATUS_CTR_FRZ;

	add((struct pmu_register){ "PerfCntrGlobalCtl", REGISTER_GLOBAL_CONTROL, WRITES_KEPT,
				   MSR_AMD_GLOBAL_CTRL, 1, 1, there, counters, ~counters });
	add((struct pmu_register){ "PerfCntrGlobalStatus", REGISTER_STATUS, WRITES_IGNORED,
				   MSR_AMD_GLOBAL_STATUS, 1, 1, there, 0, EVERY_BIT });
	add((struct pmu_register){ "PerfCntrGlobalStatusClr", REGISTER_STATUS_CHANGE, WRITES_ACT,
				   MSR_AMD_GLOBAL_STATUS_CLR, 1, 1, there, status, ~status });
	add((struct pmu_register){ "PerfCntrGlobalStatusSet", REGISTER_STATUS_CHANGE, WRITES_ACT,
				   MSR_AMD_GLOBAL_STATUS_SET, 1, 1, there, status, ~status });
	/* Without PerfMonV2 nothing of it is the PMU's. */
	if (there && !is_kvm_guest())
		add((struct pmu_register){ "DbgCtl", REGISTER_DEBUG_CONTROL, WRITES_KEPT,
					   MSR_DEBUGCTL, 1, 1, 1, kept, pins });
}

void pmu_registers_find(void)
{
	pmu_register_rows = 0;
	if (!pmu.amd) {
		find_intel();
		return;
	}
	add_amd_counters();
	add_amd_v2();
}

const struct pmu_register *pmu_register_of(uint32_t msr, unsigned int *n)
{
	for (unsigned int i = 0; i < pmu_register_rows; i++) {
		const struct pmu_register *row = &pmu_registers[i];
		uint32_t distance = msr - row->first;

		if (distance % row->stride || distance / row->stride >= row->numbers)
			continue;
		*n = distance / row->stride;
		return row;
	}
	return NULL;
}

bool pmu_register_is_reset(const struct pmu_register *row)
{
	bool starts_on = row->kind == REGISTER_GLOBAL_CONTROL && !is_kvm_guest();
	uint64_t wanted = starts_on ? pmu_general_mask() : 0;
	bool reset = true;

	if (row->kind == REGISTER_OTHERS || row->first == MSR_PERF_CAPABILITIES)
		return true;
	for (unsigned int n = 0; n < row->there; n++)
		reset = reset && rdmsr(pmu_register_msr(row, n)) == wanted;
	return reset;
}
