/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * libvpmu: the performance monitoring unit of one x86 vCPU.
 *
 * A host (hypervisor, VMM, emulator) owns one struct vpmu per vCPU, hands it
 * the guest's RDMSR, WRMSR, RDPMC and CPUID, calls vpmu_service() before the
 * guest goes on, and delivers the PMI it asks for. docs/embedding.md shows the
 * whole loop.
 *
 * Threads: a PMU belongs to the thread that runs its vCPU. "Context" says for each
 * function where it may be called. "The vCPU's thread" is that thread, or another one
 * while it stands still and what it did is visible there (it was stopped with a lock,
 * say). "Any thread" is also while the vCPU runs; a function that takes a PMU wants
 * vpmu_init() to have returned. Signal handlers are named where they may call. Nothing is
 * global, nothing is allocated, nothing blocks, no function may be called from within a
 * source's functions, but vpmu_look() and vpmu_ask_again().
 *
 * Counters and totals are in occurrences of their events, masks of counters have a bit
 * for each counter's index (see VPMU_FIXED), register values are whole registers
 * (EDX:EAX).
 *
 * Manuals: Intel SDM vol. 3, chapter "Performance Monitoring" (below: SDM); AMD APM
 * vol. 2, "Performance Monitoring Counters", and the PPR of a processor.
 */
#ifndef VPMU_VPMU_H
#define VPMU_VPMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpmu/source.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whose manual the PMU follows. */
enum vpmu_vendor_id {
	VPMU_INTEL,
	VPMU_AMD,
};

/*
 * What a VM's PMU is. The same for all vCPUs of a VM, and constant. What is not
 * set is 0. vpmu_config_intel() and vpmu_config_amd() make usual ones.
 *
 * Intel: the fixed counters count instructions, cycles, TSC cycles and topdown slots,
 * in this order. AMD: version 1 is the PMU without global control, with 4 general
 * counters (K7) or 6 (the core extension); version 2 is PerfMonV2. There are no fixed
 * counters, and counters have 48 bits.
 */
struct vpmu_config {
	enum vpmu_vendor_id vendor;
	uint8_t version;          /* Intel: 1 to 5; AMD: 1 or 2; 0: the PMU is off */
	uint8_t general;          /* general counters, 1 to VPMU_MAX_GENERAL */
	uint8_t general_width;    /* bits, 32 to 48 */
	uint8_t fixed;            /* fixed counters, 0 to 3; version 5: to 4; version 1: none */
	uint8_t fixed_width;      /* bits, 32 to 48 */
	bool full_width_writes;   /* Intel: the counters have a second row of registers, which
				     take a counter's full width */
	bool nested;              /* AMD: the guest may have guests of its own, and counters that
				     tell them apart; see vpmu_set_svme() */
	uint32_t events;          /* bit 1 << enum vpmu_event_id: the event is counted */
	uint32_t event_registers; /* Intel: enum vpmu_event_register (msr.h); the guest has them */
	/*
	 * Bits of the debug control register that are the host's and that it lets the guest
	 * set: branch tracing, branch records, freezing in SMM. The library stores them for
	 * the guest and makes nothing of them, but see VPMU_FREEZE_LBR. A write of a bit
	 * that is neither among them nor the PMU's faults.
	 */
	uint64_t debug_bits;
	uint64_t reserved[8]; /* 0 */
};

/* What became of a guest's access. */
enum vpmu_answer {
	VPMU_DONE,     /* done; the result, if any, is stored */
	VPMU_FAULT,    /* the host raises #GP(0) in the guest; nothing has changed */
	VPMU_NOT_MINE, /* not a PMU register: the host answers as without the library */
};

/* Why a configuration, a filter or a saved state is refused; see vpmu_error_text(). */
enum vpmu_error {
	VPMU_OK,
	VPMU_ERROR_VENDOR,
	VPMU_ERROR_VERSION,
	VPMU_ERROR_GENERAL,
	VPMU_ERROR_FIXED,
	VPMU_ERROR_WIDTH,
	VPMU_ERROR_EVENTS,    /* an unknown event, or a fixed counter whose event is not counted */
	VPMU_ERROR_REGISTERS, /* event registers or debug bits that the vendor has not */
	VPMU_ERROR_SOURCE,    /* the PMU is on, but there is no source */
	VPMU_ERROR_RESERVED,  /* a reserved field is not 0 */
	VPMU_ERROR_FILTER,    /* filter.h: a masked entry has bits that mean nothing */
	VPMU_ERROR_STATE,     /* state.h: no image, or one that no PMU has made; or no room */
	VPMU_ERROR_CONFIG,    /* state.h: an image of a PMU with another configuration */
	VPMU_ERRORS,          /* how many there are, VPMU_OK included */
};

/* What a counter holds of its source. */
enum vpmu_binding {
	VPMU_UNBOUND,  /* nothing */
	VPMU_BOUND,    /* a total of the event */
	VPMU_REFUSED,  /* nothing: the source cannot count the event */
	VPMU_FILTERED, /* nothing: the event filter does not let the guest count it */
};

/*
 * One counter: a value that the guest has seen or set, and where the source then was. The
 * fields are the library's own.
 */
struct vpmu_counter {
	uint64_t value;          /* guest value, within the counter's width */
	uint64_t since;          /* source total at which value held; while counting */
	uint64_t alarm;          /* the alarm that the source may hold; VPMU_NO_ALARM: none */
	uint64_t slow_path_at;   /* from this value on an emulated instruction is more than an
				    addition; 0: always */
	struct vpmu_event event; /* what binding is about; unless VPMU_UNBOUND */
	enum vpmu_binding binding;
	uint8_t retired_kinds; /* a bit for each kind of emulated instruction that is the event */
};

/* Kinds of emulated instructions, see vpmu_retired(); they are ORed. */
enum {
	VPMU_RETIRED_USER = 0,       /* it ran at a privilege level above 0 */
	VPMU_RETIRED_KERNEL = 1,     /* it ran at privilege level 0 */
	VPMU_RETIRED_BRANCH = 2,     /* it was a branch */
	VPMU_RETIRED_GUEST_MODE = 4, /* it ran in a guest that the guest runs */
	VPMU_RETIRED_KINDS = 8,
};

/* What vpmu_service() asks of the host; they are ORed. */
enum {
	VPMU_PMI = 1,        /* deliver a PMI, as the local APIC's LVTPC says */
	VPMU_MASK_LVTPC = 2, /* then set LVTPC's mask bit (SDM vol. 3, "Local Vector Table") */
	VPMU_FREEZE_LBR = 4, /* if the host has branch records: stop them */
};

struct vpmu_vendor; /* one vendor's registers; core/ */
struct vpmu_filter; /* filter.h */

/* One vCPU's PMU. The fields are the library's own; a host only reserves the space. */
struct vpmu {
	/*
	 * Each exit asks these, and what follows only if they are not 0. Inline functions
	 * read them: they stay where they are. What follows may move from version to
	 * version of the library, the size stays.
	 */
	/* Counters that a source has hinted at, and more; only accessed atomically. */
	uint64_t look __attribute__((aligned(8)));
	uint64_t dirty; /* counters that vpmu_service() has to compare */
	/* Counters that count an instruction of this kind, as vpmu_service() last left them. */
	uint64_t retired[VPMU_RETIRED_KINDS];
	uint64_t retired_any;    /* the same of some kind */
	uint64_t retired_always; /* the same of every kind */
	uint64_t counting; /* counters whose value moves with their total */
	/* Counters whose registers may say another event than they are bound for. */
	uint64_t reprogrammed;
	uint64_t selected;     /* counters that their own registers enable */
	uint64_t restricted;   /* AMD: counters that count only while there are two modes */
	uint64_t interrupting; /* counters whose overflow asks for a PMI */
	uint64_t fresh;        /* counters whose total has been asked for since the guest ran */
	bool pmi; /* an overflow has asked for a PMI; some counter is dirty as long as it is set */
	bool handled; /* a PMI has been asked for, and no counter has started since */
	bool svme;
	uint8_t level; /* how much of the vendor's PMU it is */
	struct vpmu_config config;
	const struct vpmu_vendor *vendor;
	const struct vpmu_source_ops *ops;
	void *source;
	const struct vpmu_filter *filter; /* NULL: none; only accessed atomically */
	uint64_t global_ctrl;
	uint64_t global_status;
	uint64_t fixed_ctrl;
	uint64_t debug_control;
	uint64_t event_registers[4]; /* as msr.h has them */
	uint64_t event_select[VPMU_MAX_GENERAL];
	struct vpmu_counter general[VPMU_MAX_GENERAL];
	struct vpmu_counter fixed[VPMU_MAX_FIXED];
	uint64_t spare[93]; /* room for what later versions add */
};

/*
 * The usual configuration of an Intel version: 4 general counters (8 from version 5
 * on; 2 of 40 bits in version 1) and 3 fixed ones from version 2 on, all of 48 bits,
 * full width writes. version 0: off. events: as in struct vpmu_config; fixed counters
 * whose event is missing are left out, with those after them. What does not exist
 * is refused by vpmu_init(), not here.
 *
 * Context: any thread.
 */
struct vpmu_config vpmu_config_intel(unsigned int version, uint32_t events);

/*
 * The usual configuration of an AMD version: version 1 with 4 counters (K7) or 6 (core
 * extension), version 2 with 6. version 0: off. events: those that AMD's processors have
 * no encoding for (see vpmu_event_encoding()) are left out.
 *
 * Context: any thread.
 */
struct vpmu_config vpmu_config_amd(unsigned int version, unsigned int counters, uint32_t events);

/*
 * The event of a fixed counter, 0 to VPMU_MAX_FIXED - 1 (SDM, "Fixed-function Performance
 * Counters"); VPMU_EVENT_RAW if there is none.
 *
 * Context: any thread.
 */
enum vpmu_event_id vpmu_fixed_event(unsigned int fixed);

/*
 * How a vendor's general counters select an event (see enum vpmu_event_id). False, and
 * nothing is stored, if they cannot, or not on all of the vendor's processors in the same
 * way.
 *
 * Context: any thread.
 */
bool vpmu_event_encoding(enum vpmu_vendor_id vendor, enum vpmu_event_id id, uint16_t *select,
			 uint8_t *umask);

/*
 * Make *pmu a PMU in its RESET state that counts with ops(source). ops may be
 * NULL only if the PMU is off. The configuration is copied; ops and source have to be
 * there as long as the PMU is. What *pmu was before does not matter; if it was a PMU,
 * vpmu_reset() it first to end its bindings: that is also all that has to be done at
 * its end. The PMU of a vCPU whose CPUID changes is initialised anew.
 *
 * VPMU_OK, or why the configuration is refused: *pmu is then a PMU that is off.
 *
 * Context: the vCPU's thread.
 */
enum vpmu_error vpmu_init(struct vpmu *pmu, const struct vpmu_config *config,
			  const struct vpmu_source_ops *ops, void *source);

/*
 * A short English text for a vendor's error, without a full stop. It lasts.
 *
 * Context: any thread, signal handlers.
 */
const char *vpmu_error_text(enum vpmu_vendor_id vendor, enum vpmu_error error);

/*
 * RESET or power-up of the vCPU: all registers get their reset values and all
 * bindings end (SDM, "Processor State Following Power-up, Reset, or INIT").
 * INIT leaves the PMU as it is: a host does nothing.
 *
 * Context: the vCPU's thread.
 */
void vpmu_reset(struct vpmu *pmu);

/*
 * RDMSR and WRMSR at privilege level 0 (the host checks the level).
 * A write takes effect at the next vpmu_service(), which comes before the
 * guest runs on; a read, too, may find an overflow, whose PMI the next
 * vpmu_service() hands out. With the PMU off the PMU's registers answer VPMU_FAULT,
 * but registers that the PMU shares with the rest of the processor are the host's, and
 * AMD's four oldest counters, which no CPUID bit announces, read 0 and ignore writes.
 *
 * Of a register that is shared (vpmu_msr_bits() is not all ones) the host stores in
 * *value what it would answer itself, and gets it back with the PMU's bits in it; a
 * write is only about the PMU's bits, and if it is VPMU_DONE the host does the rest.
 *
 * If the answer is not VPMU_DONE, *value is as it was.
 *
 * Context: the vCPU's thread, when the guest executes the instruction, before
 * vpmu_retired() for it.
 */
enum vpmu_answer vpmu_rdmsr(struct vpmu *pmu, uint32_t msr, uint64_t *value);
enum vpmu_answer vpmu_wrmsr(struct vpmu *pmu, uint32_t msr, uint64_t value);

/*
 * Which bits of an MSR are the PMU's: all of them, some (a register that the PMU shares
 * with the rest of the processor), or none (then vpmu_rdmsr() is VPMU_NOT_MINE). The
 * configuration alone decides.
 *
 * Context: any thread.
 */
uint64_t vpmu_msr_bits(const struct vpmu *pmu, uint32_t msr);

/* Registers first, first + stride, ... */
struct vpmu_msr_range {
	uint32_t first;
	uint16_t count;
	uint16_t stride;
};

/*
 * The registers that the PMU answers, for hosts that say beforehand what they intercept
 * (bitmaps, filters). Stores as many ranges as there is room for and returns how many
 * there are; ranges may be NULL if room is 0. The configuration alone decides.
 *
 * Context: any thread.
 */
unsigned int vpmu_msr_ranges(const struct vpmu *pmu, struct vpmu_msr_range *ranges,
			     unsigned int room);

/*
 * RDPMC with ECX = index. allowed: the privilege level is 0, or CR4.PCE is
 * set, or CR0.PE is clear (SDM vol. 2, RDPMC; APM vol. 3, RDPMC). VPMU_DONE, or
 * VPMU_FAULT with *value as it was. As a read of the counter's MSR it may find an overflow.
 *
 * Context: the vCPU's thread, when the guest executes the instruction, before
 * vpmu_retired() for it.
 */
enum vpmu_answer vpmu_rdpmc(struct vpmu *pmu, uint32_t index, bool allowed, uint64_t *value);

/*
 * Bring EAX, EBX, ECX, EDX (regs[0..3]) as the host would return them for a leaf into
 * line with the PMU: what it has is announced, what it has not (debug store, precise
 * events, branch records, other vendors' counters) is hidden. Other leaves stay as they
 * are. The highest leaf (0H, 80000000H) is raised to one that the PMU needs. The
 * configuration alone decides (SDM vol. 2, CPUID; APM vol. 3, appendix E).
 *
 * Context: any thread.
 */
void vpmu_cpuid(const struct vpmu *pmu, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);

/*
 * The leaves that vpmu_cpuid() may change, of all their subleaves. Stores as many as
 * there is room for and returns how many there are; leaves may be NULL if room is 0.
 *
 * Context: any thread.
 */
unsigned int vpmu_cpuid_leaves(const struct vpmu *pmu, uint32_t *leaves, unsigned int room);

/*
 * EFER.SVME of the vCPU has changed (config.nested; it is 0 after vpmu_reset()). A counter
 * that is restricted to host or guest mode counts only while it is 1 (APM vol. 2,
 * "Performance Event-Select Registers"). It takes effect at the next vpmu_service().
 *
 * Context: the vCPU's thread.
 */
void vpmu_set_svme(struct vpmu *pmu, bool svme);

/*
 * Look at this counter: its total may have reached its alarm. Only a hint. The host sees
 * to it that vpmu_service() is called soon: it makes a running vCPU exit, and keeps one
 * that is about to run from doing so. An index that is no counter is ignored.
 *
 * Context: any thread, signal handlers, a source's functions.
 */
void vpmu_look(struct vpmu *pmu, unsigned int counter);

/*
 * The source may answer otherwise than before: an event has appeared or gone (another kind
 * of processor, a limit that was lifted). The next vpmu_service() ends all bindings and
 * forgets all refusals, and asks the source again for what is enabled. No count is lost.
 *
 * Context: any thread, signal handlers, a source's functions. The host sees to it that the
 * vCPU comes to vpmu_service(), as after vpmu_look().
 */
void vpmu_ask_again(struct vpmu *pmu);

/*
 * vpmu_retired() of a kind that some counter counts. Hosts call that, unless
 * vpmu_counts_retired() and vpmu_counts_every_kind() have told them that it is one.
 *
 * Context: the vCPU's thread.
 */
bool vpmu_count_retired(struct vpmu *pmu, unsigned int kind);

/*
 * The exit path. The host has emulated one instruction for the guest, which no
 * source has seen retire: counters of instructions (and branches) that are
 * enabled for its privilege level count it (SDM, "Instructions Retired"). May
 * overflow a counter, whose PMI the next vpmu_service() hands out. kind: VPMU_RETIRED_*.
 * True: it has left vpmu_service() something to do, which hosts that are told of it
 * (see vpmu_service_is_due()) need not ask then.
 *
 * Which counters count it is settled by vpmu_service(), never here: with none,
 * this is one load and one branch not taken. So a WRMSR that the host reports
 * between vpmu_wrmsr() and vpmu_service() counts as the SDM has it: the one that
 * disables a counter is counted, the one that enables it is not.
 *
 * No source is asked. The alarm of a counter that interrupts becomes late by each
 * instruction that is counted here, and the next vpmu_service() moves it once
 * that is more than 1/1024 of what is left to the overflow: a PMI may be late by
 * that part, and with fewer than 1024 left it is not.
 *
 * Context: the vCPU's thread, once the instruction has been emulated without a fault.
 */
static inline bool vpmu_retired(struct vpmu *pmu, unsigned int kind)
{
	return __builtin_expect(pmu->retired[kind] != 0, 0) && vpmu_count_retired(pmu, kind);
}

/*
 * Does any counter count emulated instructions, of whatever kind? For hosts to which it costs
 * something to know the kind: only if this is true need they call vpmu_retired(). One load
 * and one branch.
 *
 * Context: the vCPU's thread.
 */
static inline bool vpmu_counts_retired(const struct vpmu *pmu)
{
	return __builtin_expect(pmu->retired_any != 0, 0);
}

/*
 * Does each of these counters count emulated instructions of every kind? If so, any kind will
 * do for vpmu_retired(). For the same hosts. Two loads.
 *
 * Context: the vCPU's thread.
 */
static inline bool vpmu_counts_every_kind(const struct vpmu *pmu)
{
	return pmu->retired_any == pmu->retired_always;
}

/*
 * Has vpmu_service() something to do? For hosts that are told before each entry what there is
 * to do (by requests, say), and have no call of it there: they ask after each vpmu_wrmsr(), and
 * after a read; vpmu_retired() tells. Two loads.
 *
 * Context: the vCPU's thread.
 */
static inline bool vpmu_service_is_due(const struct vpmu *pmu)
{
	return (__atomic_load_n(&pmu->look, __ATOMIC_RELAXED) | pmu->dirty) != 0;
}

/*
 * vpmu_service() when there is something to do. Hosts call that.
 *
 * Context: the vCPU's thread.
 */
unsigned int vpmu_service_due(struct vpmu *pmu);

/*
 * Bring the bindings into line with what the guest has asked for, find overflows, and say
 * what the host has to do: 0, or VPMU_PMI and what goes with it. With nothing changed
 * and nothing hinted at this is two loads. A hint that a source gives from inside
 * its functions meanwhile (an alarm that was reached when it was set) is heeded
 * by the same call, so no call has to be repeated; any other that comes
 * meanwhile may be left for the next.
 *
 * Context: the vCPU's thread, before each entry of the guest.
 */
static inline unsigned int vpmu_service(struct vpmu *pmu)
{
	return __builtin_expect(vpmu_service_is_due(pmu), 0) ? vpmu_service_due(pmu) : 0;
}

/*
 * Would vpmu_service() bind nothing, and end no binding? Then it asks the source for totals and
 * alarms alone: for hosts that serve an access where their source cannot bind (with interrupts
 * off, say), and leave the service for later if it has to. Only hints from vpmu_look() may come
 * between this and the service.
 *
 * Context: the vCPU's thread.
 */
bool vpmu_service_binds_nothing(const struct vpmu *pmu);

/*
 * End the bindings of counters that are not counting. A stopped counter keeps
 * its binding, because guests stop and start counters all the time: a host
 * calls this when they have been idle for long. Returns how many ended.
 *
 * Context: the vCPU's thread.
 */
unsigned int vpmu_release_idle(struct vpmu *pmu);

/*
 * Counters that count at this moment, or may from the next vpmu_service() on: a bit for
 * each index. One whose event the source refuses is not among them.
 *
 * Context: the vCPU's thread.
 */
uint64_t vpmu_active(const struct vpmu *pmu);

/*
 * Counters that have overflowed and that the guest has not acknowledged yet, and what else
 * the vendor's status register says, as it is held: no source is asked. 0 where
 * the PMU has no such register.
 *
 * Context: the vCPU's thread.
 */
uint64_t vpmu_status(const struct vpmu *pmu);

#ifdef __cplusplus
}
#endif

#endif
