/* SPDX-License-Identifier: BSD-2-Clause
 *
 * libvpmu: the performance monitoring unit of one x86 vCPU.
 *
 * A host (hypervisor, VMM, emulator) owns one struct vpmu per vCPU, hands it
 * the guest's RDMSR, WRMSR, RDPMC and CPUID, calls vpmu_service() before the
 * guest goes on, and delivers the PMI it asks for. Everything is owned by the
 * thread that runs the vCPU, except vpmu_look(). Nothing is global, nothing is
 * allocated, nothing blocks.
 *
 * Manuals: Intel SDM vol. 3, chapter "Performance Monitoring" (below: SDM).
 */
#ifndef VPMU_VPMU_H
#define VPMU_VPMU_H

#include <stdbool.h>
#include <stdint.h>
#include <vpmu/source.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What a VM's PMU is. The same for all vCPUs of a VM, and constant. The fixed
 * counters count instructions, cycles, reference cycles and topdown slots, in
 * this order.
 */
struct vpmu_config {
	uint8_t version;        /* Intel architectural version, 2 to 5; 0: the PMU is off */
	uint8_t general;        /* general counters, 1 to VPMU_MAX_GENERAL */
	uint8_t general_width;  /* bits, 32 to 48 */
	uint8_t fixed;          /* fixed counters, 0 to 3; version 5: to 4 */
	uint8_t fixed_width;    /* bits, 32 to 48 */
	bool full_width_writes; /* IA32_A_PMCx exist (IA32_PERF_CAPABILITIES.FW_WRITE) */
	uint32_t events; /* bit 1 << enum vpmu_event_id: the architectural event is counted */
};

/* What became of a guest's access. */
enum vpmu_answer {
	VPMU_DONE,     /* done; the result, if any, is stored */
	VPMU_FAULT,    /* the host raises #GP(0) in the guest; nothing has changed */
	VPMU_NOT_MINE, /* not a PMU register: the host answers as without the library */
};

/* Why vpmu_init() refuses a configuration. */
enum vpmu_error {
	VPMU_OK,
	VPMU_ERROR_VERSION,
	VPMU_ERROR_GENERAL,
	VPMU_ERROR_FIXED,
	VPMU_ERROR_WIDTH,
	VPMU_ERROR_EVENTS, /* an unknown event, or a fixed counter whose event is not counted */
	VPMU_ERROR_SOURCE, /* the PMU is on, but there is no source */
};

/* One counter: a value that the guest has seen or set, and where the source then was. */
struct vpmu_counter {
	uint64_t value;          /* guest value, within the counter's width */
	uint64_t since;          /* source total at which value held; while counting */
	uint64_t alarm;          /* the alarm that the source may hold; VPMU_NO_ALARM: none */
	uint64_t quiet;          /* below it an emulated instruction is just added; 0: not known */
	struct vpmu_event bound; /* what the source counts for it; if is_bound */
	bool is_bound;           /* the source keeps a total */
	bool refused;            /* the source cannot count bound: it stands still */
};

/* Kinds of emulated instructions, see vpmu_retired(); they are added up. */
enum {
	VPMU_RETIRED_KERNEL = 1, /* it ran at privilege level 0 */
	VPMU_RETIRED_BRANCH = 2, /* it was a branch */
	VPMU_RETIRED_KINDS = 4,
};

struct vpmu_vendor; /* one vendor's registers; core/ */

/* One vCPU's PMU. The fields are the library's own; a host only reserves the space. */
struct vpmu {
	/* Each exit asks these, and what follows only if they are not 0. */
	uint64_t look;  /* counters that a source has hinted at; only accessed atomically */
	uint64_t dirty; /* counters that vpmu_service() has to compare */
	/* Counters that count an instruction of this kind, as vpmu_service() last left them. */
	uint64_t retired[VPMU_RETIRED_KINDS];
	uint64_t counting; /* counters whose value moves with their total */
	uint64_t current;  /* dirty ones whose total has been asked for since the guest ran */
	bool pmi; /* an overflow has asked for a PMI; some counter is dirty as long as it is set */
	struct vpmu_config config;
	const struct vpmu_vendor *vendor;
	const struct vpmu_source_ops *ops;
	void *source;
	uint64_t global_ctrl;
	uint64_t global_status;
	uint64_t fixed_ctrl;
	uint64_t debugctl;
	uint64_t event_select[VPMU_MAX_GENERAL];
	struct vpmu_counter general[VPMU_MAX_GENERAL];
	struct vpmu_counter fixed[VPMU_MAX_FIXED];
};

/*
 * The usual configuration of a version: 4 general counters (8 from version 5
 * on) and 3 fixed ones, all of 48 bits, full width writes. version 0: off.
 * events: as in struct vpmu_config; fixed counters whose event is missing are
 * left out, with those after them.
 */
struct vpmu_config vpmu_config_intel(unsigned int version, uint32_t events);

/*
 * Make *pmu a PMU in its RESET state that counts with ops(source). ops may be
 * NULL only if the PMU is off. On an error *pmu is off. What *pmu was before
 * does not matter; if it was a PMU, vpmu_reset() it first to end its bindings.
 */
enum vpmu_error vpmu_init(struct vpmu *pmu, const struct vpmu_config *config,
			  const struct vpmu_source_ops *ops, void *source);

/* A short English text for an error, without a full stop. */
const char *vpmu_error_text(enum vpmu_error error);

/*
 * RESET or power-up of the vCPU: all registers get their reset values and all
 * bindings end (SDM, "Processor State Following Power-up, Reset, or INIT").
 * INIT leaves the PMU as it is: a host does nothing.
 */
void vpmu_reset(struct vpmu *pmu);

/*
 * RDMSR and WRMSR at privilege level 0 (the host checks the level).
 * A write takes effect at the next vpmu_service(), which comes before the
 * guest runs on; a read, too, may find an overflow, whose PMI the next
 * vpmu_service() hands out. With the PMU off the PMU's registers answer VPMU_FAULT,
 * but DEBUGCTL (1D9H) is the host's.
 */
enum vpmu_answer vpmu_rdmsr(struct vpmu *pmu, uint32_t msr, uint64_t *value);
enum vpmu_answer vpmu_wrmsr(struct vpmu *pmu, uint32_t msr, uint64_t value);

/*
 * RDPMC with ECX = index. allowed: the privilege level is 0, or CR4.PCE is
 * set, or CR0.PE is clear (SDM vol. 2, RDPMC).
 */
enum vpmu_answer vpmu_rdpmc(struct vpmu *pmu, uint32_t index, bool allowed, uint64_t *value);

/*
 * Bring EAX, EBX, ECX, EDX (regs[0..3]) as the host would return them for a
 * leaf into line with the PMU. Leaves: 01H (PDCM, DTES64, DS), 0AH, 80000001H
 * (unchanged on Intel). Others stay as they are.
 */
void vpmu_cpuid(const struct vpmu *pmu, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);

/*
 * IA32_MISC_ENABLE as the guest reads it, from the host's own value: the
 * performance monitoring available bit is set if the PMU is on, BTS and PEBS
 * are marked unavailable (SDM vol. 4, 1A0H).
 */
uint64_t vpmu_misc_enable(const struct vpmu *pmu, uint64_t value);

/*
 * Look at this counter: its total may have reached its alarm. Only a hint;
 * safe from any thread, from signal handlers and from inside a source's
 * functions. The host sees to it that vpmu_service() is called soon (it makes
 * a running vCPU exit). An index that is no counter is ignored.
 */
void vpmu_look(struct vpmu *pmu, unsigned int counter);

/* vpmu_retired() when some counter counts the instruction. */
void vpmu_count_retired(struct vpmu *pmu, unsigned int kind);

/*
 * The exit path. The host has emulated one instruction for the guest, which no
 * source has seen retire: counters of instructions (and branches) that are
 * enabled for its privilege level count it (SDM, "Instructions Retired"). May
 * overflow a counter, whose PMI the next vpmu_service() hands out.
 *
 * Which counters count it is settled by vpmu_service(), never here: with none,
 * this is one load and one branch not taken. So a WRMSR that the host reports
 * between vpmu_wrmsr() and vpmu_service() counts as the SDM has it: the one that
 * disables a counter is counted, the one that enables it is not.
 *
 * No source is asked. The alarm of a counter with INT becomes late by each
 * instruction that is counted here, and the next vpmu_service() moves it once
 * that is more than 1/1024 of what is left to the overflow: a PMI may be late by
 * that part, and with fewer than 1024 left it is not.
 */
static inline void vpmu_retired(struct vpmu *pmu, bool kernel, bool branch)
{
	unsigned int kind =
		(unsigned int)(kernel * VPMU_RETIRED_KERNEL + branch * VPMU_RETIRED_BRANCH);

	if (__builtin_expect(pmu->retired[kind] != 0, 0))
		vpmu_count_retired(pmu, kind);
}

/* vpmu_service() when there is something to do. */
bool vpmu_service_due(struct vpmu *pmu);

/*
 * Bring the bindings into line with what the guest has asked for, find
 * overflows, and say whether a PMI is due: true asks the host to deliver one
 * through LVTPC now (and to set LVTPC's mask bit). With nothing changed and
 * nothing hinted at this is two loads. A hint that a source gives from inside
 * its functions meanwhile (an alarm that was reached when it was set) is heeded
 * by the same call, so no call has to be repeated; any other that comes
 * meanwhile may be left for the next.
 */
static inline bool vpmu_service(struct vpmu *pmu)
{
	if (__builtin_expect(!(__atomic_load_n(&pmu->look, __ATOMIC_RELAXED) | pmu->dirty), 1))
		return false;
	return vpmu_service_due(pmu);
}

/*
 * End the bindings of counters that are not counting. A stopped counter keeps
 * its binding, because guests stop and start counters all the time: a host
 * calls this when they have been idle for long. Returns how many ended.
 */
unsigned int vpmu_release_idle(struct vpmu *pmu);

/*
 * Counters that count at this moment, or may from the next vpmu_service() on:
 * GLOBAL_CTRL's layout. One whose event the source refuses is not among them.
 */
uint64_t vpmu_active(const struct vpmu *pmu);

#ifdef __cplusplus
}
#endif

#endif
