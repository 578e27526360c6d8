/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The plugin's own state and the calls between its files. A vCPU's state is
 * owned by the thread that runs the vCPU, as the library asks.
 */
#ifndef VPMU_QEMU_PLUGIN_H
#define VPMU_QEMU_PLUGIN_H

#include "abi.h"
#include "arguments.h"
#include "decode.h"
#include "events.h"
#include "trace.h"
#include <stdatomic.h>
#include <vpmu/vpmu.h>

#define PAGE UINT64_C(4096)

#define CR0_PE   (UINT64_C(1) << 0)
#define EFER_LMA (UINT64_C(1) << 10)

/*
 * A block runs at one privilege level. Counters count at one level or at both,
 * so each class has three totals: one event never needs the sum of two, and an
 * alarm is a threshold on a single total.
 */
enum level { LEVEL_USER, LEVEL_KERNEL, LEVEL_ANY, LEVEL_COUNT };

#define ENTRY_COUNT (CLASS_COUNT * LEVEL_COUNT)

static inline unsigned int entry_of(enum event_class class, enum level level)
{
	return (unsigned int)class * LEVEL_COUNT + (unsigned int)level;
}

/*
 * Guests stop and start their counters all the time (perf at every PMI and
 * task switch), and dropping the instrumentation costs all translations: it
 * stays until the PMU, or a class, has been unused for this long.
 */
#define UNUSED_US (5 * G_USEC_PER_SEC)

/* A total is kept so that reaching this value is reaching the nearest alarm. */
#define THRESHOLD (UINT64_C(1) << 63)

/* Which blocks look at the threshold of an entry: all, or those that may close a loop. */
enum look { LOOK_BLOCK, LOOK_LOOP, LOOK_COUNT };

/* What translated code writes for a vCPU. */
struct score {
	uint64_t raw[ENTRY_COUNT]; /* total + bias of the entry */
	uint64_t block;            /* struct block that started last; 0: none */
	uint64_t alone;            /* the same, of one that may be a re-run (rerun.c) */
	uint64_t ended;            /* has the block that started last ended? If it comes_back. */
	uint64_t held;             /* something waits for the next hook */
	uint64_t branch;           /* struct branch whose outcome is not known yet; 0: none */
	uint64_t fetched;          /* the line of code fetched last (models.c) */
};

/* With a power of two, code that several vCPUs run finds its vCPU's by a shift. */
#define SCORE_SIZE 512
_Static_assert(sizeof(struct score) <= SCORE_SIZE, "a score fits");

/* An instruction of a counted block, as the corrections need it. */
struct block_insn {
	uint16_t offset; /* of its address from the block's */
	uint8_t classes; /* bit 1 << enum event_class; CLASS_INTERRUPT never */
	uint8_t length;
};

/* A counted block. Lives until QEMU throws its translations away; see rerun_keep(). */
struct block {
	uint64_t vaddr;   /* where it was translated: another mapping may run it elsewhere */
	const char *code; /* where QEMU has its bytes, if it has: the same for all mappings */
	uint64_t entries; /* which totals it adds to: bit per entry */
	enum level level;
	bool comes_back; /* it may jump into itself, and QEMU may then cut it short */
	bool repeats;    /* its last instruction is a REP, which may be entered again (rerun.c) */
	uint16_t count;
	struct block_insn insn[];
};

/* From a score. */
static inline const struct block *as_block(uint64_t pointer)
{
	return (const struct block *)(uintptr_t)pointer;
}

/* An instruction that the plugin serves. */
struct site {
	enum insn_kind kind;
	enum level level;
	uint16_t offset; /* of its address from the block's */
	uint8_t length;
	uint16_t page_offset;        /* of the block's address in its page */
	bool last;                   /* nothing follows it in its block */
	bool clean_flags;            /* no instruction before it in the block writes flags */
	uint16_t ahead[CLASS_COUNT]; /* counted with the block but not before this one */
	uint16_t self;               /* its own classes */
};

/* How a total is made of the entries' totals. */
struct formula {
	enum event_class class; /* CLASS_NONE: it stays zero */
	bool scaled;            /* times cpi */
	bool complement;        /* cycles without the class's event */
	enum level level;
};

struct slot {
	bool used;
	struct formula formula;
	uint64_t high; /* the total reported last: it never goes backwards */
	uint64_t alarm;
};

enum reg {
	GUEST_AX,
	GUEST_BX,
	GUEST_CX,
	GUEST_DX,
	GUEST_SP,
	GUEST_IP,
	GUEST_FLAGS,
	GUEST_CS,
	GUEST_SS,
	GUEST_CR0,
	GUEST_CR4,
	GUEST_EFER,
	GUEST_KGSBASE,
	GUEST_COUNT
};

/* What is still to be done about an instruction that QEMU runs itself. */
enum fixup_kind {
	FIXUP_NONE,
	FIXUP_CPUID,       /* adjust what CPUID returned for leaf, subleaf */
	FIXUP_SHARED,      /* adjust what RDMSR of a shared register, leaf, returned */
	FIXUP_RESULT,      /* RDMSR returns value */
	FIXUP_CX,          /* value goes back into ECX, changed to make QEMU raise #GP */
	FIXUP_CR4,         /* the same for CR4 */
};

struct fixup {
	enum fixup_kind kind;
	uint32_t leaf; /* or MSR */
	uint32_t subleaf;
	uint64_t value;
};

/*
 * RDPMC that QEMU answers with #UD: completed at the first instruction of the
 * handler. An NMI may come just before that, with an RDPMC in its own handler.
 */
#define UNDOS_MAX 4

struct undo {
	uint8_t length;
	bool fault;  /* with #GP(0) */
	uint64_t ip; /* of the instruction */
	uint64_t value;
};

/* An exception that is brought about at another address, for an instruction. */
struct detour {
	uint64_t at;   /* where it is raised ... */
	uint64_t from; /* ... so that it would return here (0: there is none) ... */
	uint64_t to;   /* ... and returns there */
	uint64_t ip;   /* the instruction that it stands for */
};

struct lapic {
	bool x2apic;
	bool enabled; /* x2APIC mode: SVR bit 8 */
	uint32_t id;
	uint32_t lvtpc; /* in x2APIC mode, where LVTPC cannot be reached */
};

struct vcpu {
	struct vpmu pmu;
	unsigned int index;
	struct slot slots[VPMU_SLOTS];
	uint64_t bias[ENTRY_COUNT];
	const struct site *at; /* the site being served: totals are corrected to it */
	bool at_retired;       /* ... with the instruction itself counted */
	struct fixup fixup;
	struct undo undos[UNDOS_MAX]; /* the newest is the last */
	unsigned int undo_count;
	bool undo_raised; /* the next exception that is delivered is the newest's */
	struct lapic lapic;
	struct lapic lapic_before; /* a WRMSR that QEMU may yet refuse ... */
	uint64_t lapic_written;    /* ... the one at this address; 0: there is none */
	struct models *models;     /* NULL: none are asked for */
	bool late;            /* another vCPU's plugin_retranslate() is to serve this one, too */
	bool awaits;          /* ... and until then it does not go on */
	bool raised;          /* an exception has been raised and not delivered yet ... */
	enum level raised_at; /* ... by code of this level */
	struct detour detour;
	int64_t last_use;       /* monotonic time of the last PMU access, in microseconds */
	struct block *repeated; /* a REP whose translation is gone (rerun.c) */
};

struct statistics {
	_Atomic uint64_t blocks, instrumented, counted, pmis, rdmsr, wrmsr, rdpmc, cpuid;
};

extern struct statistics statistics;
extern struct qemu_plugin_scoreboard *scoreboard;

/* plugin.c */
struct vcpu *vcpu_get(unsigned int index);
struct score *vcpu_score(const struct vcpu *vcpu);
void vcpu_leave_block(struct vcpu *vcpu);
void vcpus_reset(void);
void vcpus_each(void (*function)(struct vcpu *vcpu));
bool plugin_retranslate(void);
bool plugin_retranslates(void);
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* registers.c: of the vCPU whose thread calls, in callbacks that may */
void registers_init(void);
uint64_t reg_read(enum reg reg);
void reg_write(enum reg reg, uint64_t value);
bool guest_read(uint64_t vaddr, void *to, size_t length);
bool guest_write(uint64_t vaddr, const void *from, size_t length);
bool physical_read32(uint64_t address, uint32_t *value);
bool physical_write32(uint64_t address, uint32_t value);

/* source.c */
extern const struct vpmu_source_ops source_ops;
void source_set_cpi(struct cpi cpi);
void source_correct(struct vcpu *vcpu, const struct block *block, unsigned int done);
void source_add(struct vcpu *vcpu, const struct block *block);
void source_alarm_reached(struct vcpu *vcpu, unsigned int entry);
void source_count(struct vcpu *vcpu, enum event_class class, enum level level);
uint64_t source_entries(void);
uint64_t source_installed(void);
uint64_t source_looked_at(enum look look);
uint64_t source_folded(void);
void source_look_ahead(struct vcpu *vcpu);
void source_note_installed(void);
void source_forget_recent(void);

/* rerun.c */
void rerun_accessed(unsigned int vcpu_index, uint32_t info, uint64_t vaddr, void *block);
void rerun_lone(unsigned int vcpu_index, void *block);
void rerun_repeated(unsigned int vcpu_index, void *block);
void rerun_interrupted(struct vcpu *vcpu, const struct block *block, enum level level,
		       uint64_t from);
void rerun_keep(struct vcpu *vcpu);

/* record.c: the guest's accesses and PMIs to a file, if there is one */
bool record_start(const char *path, const struct vpmu_config *config);
void record(const struct vcpu *vcpu, enum trace_kind kind, enum vpmu_answer answer, uint32_t index,
	    uint64_t value);
void record_finish(void);

/* service.c */
void service(struct vcpu *vcpu);
void service_idle(struct vcpu *vcpu);

/* lapic.c */
void lapic_reset(struct vcpu *vcpu);
void lapic_pmi(struct vcpu *vcpu, bool mask);
bool lapic_rdmsr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
bool lapic_wrmsr(struct vcpu *vcpu, uint32_t msr, uint64_t value);

/* access.c */
void access_serve(unsigned int vcpu_index, void *site);
void access_finish(unsigned int vcpu_index, void *unused);
void access_reset(struct vcpu *vcpu);
void access_hook(unsigned int vcpu_index, void *unused);
void access_raised(struct vcpu *vcpu);
void access_delivered(struct vcpu *vcpu, uint64_t from, uint64_t to);

/* hooks.c: blocks that begin where an access may have to be finished */
void hooks_init(void);
void hooks_flushed(void);
void hooks_add(uint64_t vaddr);
bool hooks_wanted(uint64_t vaddr);

/* translate.c */
void translate(struct qemu_plugin_tb *tb, void *unused);
enum level level_now(void);
void translate_expect_cuts(void);
void *translate_keep(void *memory); /* until QEMU throws its translations away */
void translate_forget(void);

#endif
