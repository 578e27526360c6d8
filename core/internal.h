/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * What the library's files say to each other: counter.c owns the life of a counter,
 * binding.c what it holds of its source, msr.c the tables of registers, a vendor's file
 * its registers and what they mean. Not for hosts or sources.
 */
#ifndef VPMU_INTERNAL_H
#define VPMU_INTERNAL_H

#include <vpmu/msr.h>
#include <vpmu/vpmu.h>

#define BIT(n) (UINT64_C(1) << (n))

#define VPMU_ALL_BITS (~UINT64_C(0))

/* struct vpmu_msr_row's state: at each level. */
#define VPMU_STATE UINT8_MAX

/* How many of a row's registers there are. */
enum vpmu_row_count {
	VPMU_ROW_WHOLE,        /* all of the row */
	VPMU_ROW_GENERAL,      /* one for each general counter */
	VPMU_ROW_GENERAL_WIDE, /* the same, if there are full width writes */
	VPMU_ROW_FIXED,        /* one for each fixed counter */
};

/*
 * Registers of one kind: each (1 << shift)th of the span's numbers. The functions of the
 * nth get i = base + n, are only called where the PMU has the register, and change nothing
 * if they do not answer VPMU_DONE. An access without a function faults.
 */
struct vpmu_msr_row {
	uint32_t first;
	uint8_t span;
	uint8_t shift;
	uint8_t base;
	uint8_t level; /* the vendor's level of PMU that it came with */
	enum vpmu_row_count count;
	enum vpmu_event_register registers; /* the event register that it is; 0: none */
	bool hosts;    /* where the PMU lacks it, it is the host's; others fault then */
	uint8_t state; /* up to this level it is part of the guest's state and no alias; 0: never */
	uint64_t bits; /* the PMU's bits of it */
	size_t field;  /* where struct vpmu has the first of the row, if a read is only that */
	/* *value is the host's own of a shared register. */
	enum vpmu_answer (*read)(struct vpmu *pmu, unsigned int i, uint64_t *value);
	enum vpmu_answer (*write)(struct vpmu *pmu, unsigned int i, uint64_t value);
	/* On the host's own behalf, where that is another write than the guest's. */
	enum vpmu_answer (*host_write)(struct vpmu *pmu, unsigned int i, uint64_t value);
};

/*
 * One vendor's registers. Masks have a bit for each counter, at its index; counter is
 * such an index.
 */
struct vpmu_vendor {
	/* What is asked for most comes first. */
	const struct vpmu_msr_row *rows;
	unsigned int row_count;
	/* The bits of an event select that say which event it is, but for the unit mask. */
	uint64_t select_bits;
	/* Is this PMU one that the vendor's manual describes? It is not off. */
	enum vpmu_error (*check)(const struct vpmu_config *config);
	const char *(*error_text)(enum vpmu_error error);
	/* How much of a PMU it is: rows of a higher level are not there. 0: off. */
	unsigned int (*level)(const struct vpmu_config *config);
	/* Does a register that the PMU lacks read 0 and ignore writes? Others fault. */
	bool (*ignores)(const struct vpmu *pmu, uint32_t msr);
	/* Give the control registers their values after RESET; they are all 0. */
	void (*reset)(struct vpmu *pmu);
	/* The counter that RDPMC reads with this ECX; false if there is none. */
	bool (*rdpmc_counter)(const struct vpmu *pmu, uint32_t ecx, unsigned int *counter);
	/* Announce the PMU, which is on, in a leaf that announces none yet. */
	void (*cpuid)(const struct vpmu *pmu, uint32_t leaf, uint32_t regs[4]);
	/* The counters that the registers say are to count now. */
	uint64_t (*enabled)(const struct vpmu *pmu);
	/* What the registers say that a counter counts, whether or not it is enabled. */
	struct vpmu_event (*event)(const struct vpmu *pmu, unsigned int counter);
	/* The bits that the status register has. */
	uint64_t (*status_bits)(const struct vpmu *pmu);
	/* A counter has overflowed: show it to the guest. */
	void (*overflow)(struct vpmu *pmu, unsigned int counter);
	/* A PMI is being handed out: freeze what is to freeze, and say what the host does. */
	unsigned int (*deliver)(struct vpmu *pmu);
};

extern const struct vpmu_vendor vpmu_intel;
extern const struct vpmu_vendor vpmu_amd;

static inline uint64_t vpmu_bit(unsigned int counter)
{
	return UINT64_C(1) << counter;
}

/* All counters of the PMU. */
static inline uint64_t vpmu_counters(const struct vpmu *pmu)
{
	return (vpmu_bit(pmu->config.general) - 1) |
	       ((vpmu_bit(pmu->config.fixed) - 1) << VPMU_FIXED);
}

/* The values that a counter can hold. */
static inline uint64_t vpmu_counter_mask(const struct vpmu *pmu, unsigned int counter)
{
	return vpmu_bit(counter < VPMU_FIXED ? pmu->config.general_width
					     : pmu->config.fixed_width) -
	       1;
}

/*
 * The lowest bit of a set that is not empty. 32-bit machines look at halves: for the whole
 * set their compilers call a function of the compiler's own library.
 */
static inline unsigned int vpmu_lowest(uint64_t set)
{
	uint32_t low = (uint32_t)set;

	if (sizeof(size_t) >= sizeof(set))
		return (unsigned int)__builtin_ctzll(set);
	return low ? (unsigned int)__builtin_ctz(low)
		   : 32 + (unsigned int)__builtin_ctz((uint32_t)(set >> 32));
}

/* Whether the counter is in the set. */
static inline void vpmu_put(uint64_t *counters, unsigned int counter, bool in)
{
	*counters = (*counters & ~vpmu_bit(counter)) | (in ? vpmu_bit(counter) : 0);
}

/* Take the lowest counter out of a set that is not empty. */
static inline unsigned int vpmu_take(uint64_t *counters)
{
	unsigned int counter = vpmu_lowest(*counters);

	*counters &= *counters - 1;
	return counter;
}

/* A counter's own. */
static inline struct vpmu_counter *vpmu_counter_at(struct vpmu *pmu, unsigned int counter)
{
	if (__builtin_expect(counter < VPMU_FIXED, 1))
		return &pmu->general[counter];
	return &pmu->fixed[counter - VPMU_FIXED];
}

static inline unsigned int vpmu_row_size(const struct vpmu_msr_row *row)
{
	return (unsigned int)row->span >> row->shift;
}

/* How many of the row's registers the PMU has. Each access asks. */
static inline unsigned int vpmu_row_registers(const struct vpmu *pmu,
					      const struct vpmu_msr_row *row)
{
	unsigned int there = vpmu_row_size(row);

	if (pmu->level < row->level)
		return 0;
	switch (row->count) {
	case VPMU_ROW_WHOLE:
		break;
	case VPMU_ROW_GENERAL:
		there = pmu->config.general;
		break;
	case VPMU_ROW_GENERAL_WIDE:
		there = pmu->config.full_width_writes ? pmu->config.general : 0;
		break;
	case VPMU_ROW_FIXED:
		there = pmu->config.fixed;
		break;
	}
	return there < vpmu_row_size(row) ? there : vpmu_row_size(row);
}

/* events.c */

/* What the encoding stands for, of the first so many ids; VPMU_EVENT_RAW if none of them. */
enum vpmu_event_id vpmu_event_of(enum vpmu_vendor_id vendor, unsigned int ids, unsigned int select,
				 unsigned int umask);

/* What the event register that goes with an encoding says; 0 if none does. */
uint64_t vpmu_event_extra(const struct vpmu *pmu, unsigned int select, unsigned int umask);

/* filter.c: does the filter in force let this counter count the event? */
bool vpmu_is_let(const struct vpmu *pmu, unsigned int counter, const struct vpmu_event *event);

/* binding.c */

/* Is what the counter holds, a total or a refusal, about this event? */
bool vpmu_is_bound_for(const struct vpmu_counter *c, const struct vpmu_event *event);

/*
 * Make the source keep a total for the event of a counter that does not count. A refusal is
 * remembered, so that an event is asked for once.
 */
void vpmu_bind(struct vpmu *pmu, unsigned int counter, const struct vpmu_event *event);
void vpmu_unbind(struct vpmu *pmu, unsigned int counter);
/* Returns how many bindings have ended. */
unsigned int vpmu_unbind_all(struct vpmu *pmu, uint64_t counters);

/* counter.c */

/* Bits of struct vpmu's look beside those of counters. */
#define VPMU_LOOK_AT_SOURCE BIT(63) /* vpmu_ask_again() */
#define VPMU_LOOK_AT_FILTER BIT(62) /* the filter is another one */

static inline void vpmu_look_at(struct vpmu *pmu, uint64_t what)
{
	__atomic_fetch_or(&pmu->look, what, __ATOMIC_RELEASE);
}

void vpmu_reset_counters(struct vpmu *pmu);

/*
 * Bring those of the counters that are counting up to date, overflows
 * included. To be called before a register changes that says what an overflow
 * means, and before the status is looked at.
 */
void vpmu_settle(struct vpmu *pmu, uint64_t counters);

/* A counter as the guest reads and writes it; value is within its width. */
uint64_t vpmu_read_counter(struct vpmu *pmu, unsigned int counter);
void vpmu_write_counter(struct vpmu *pmu, unsigned int counter, uint64_t value);

/* These counters' control has changed: vpmu_service() compares them. */
static inline void vpmu_touch(struct vpmu *pmu, uint64_t counters)
{
	pmu->dirty |= counters;
}

/* The registers that say what these counters count have changed. */
static inline void vpmu_reprogram(struct vpmu *pmu, uint64_t counters)
{
	pmu->reprogrammed |= counters;
	vpmu_touch(pmu, counters);
}

#endif
