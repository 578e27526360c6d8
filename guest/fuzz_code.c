/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random code around random PMU instructions. It returns by RET, keeps RBP (its
 * results), RSI (its memory) and the stack, and uses no register of the PMU
 * instructions but for them.
 */
#include "fuzz.h"

struct filler {
	uint8_t size, bytes[7];
};

/* Makers and users of flags, memory, and what ends a block or delays an interrupt. */
static const struct filler fillers[] = {
	{ 3, { 0x4d, 0x01, 0xc1 } },                   /* add %r8, %r9 */
	{ 3, { 0x4d, 0x29, 0xc1 } },                   /* sub %r8, %r9 */
	{ 3, { 0x4d, 0x19, 0xc1 } },                   /* sbb %r8, %r9 */
	{ 3, { 0x4d, 0x11, 0xc1 } },                   /* adc %r8, %r9 */
	{ 3, { 0x4d, 0x39, 0xc1 } },                   /* cmp %r8, %r9 */
	{ 3, { 0x4d, 0x21, 0xc1 } },                   /* and %r8, %r9 */
	{ 3, { 0x4d, 0x31, 0xc1 } },                   /* xor %r8, %r9 */
	{ 3, { 0x4d, 0x85, 0xc1 } },                   /* test %r8, %r9 */
	{ 3, { 0x49, 0xff, 0xc2 } },                   /* inc %r10 */
	{ 3, { 0x49, 0xff, 0xca } },                   /* dec %r10 */
	{ 3, { 0x49, 0xf7, 0xda } },                   /* neg %r10 */
	{ 4, { 0x49, 0xc1, 0xe3, 0x03 } },             /* shl $3, %r11 */
	{ 3, { 0x49, 0xd1, 0xfb } },                   /* sar $1, %r11 */
	{ 4, { 0x49, 0xc1, 0xc3, 0x05 } },             /* rol $5, %r11 */
	{ 4, { 0x4d, 0x0f, 0xaf, 0xc8 } },             /* imul %r8, %r9 */
	{ 4, { 0x4d, 0x0f, 0xbc, 0xe0 } },             /* bsf %r8, %r12 */
	{ 1, { 0xf9 } },                               /* stc */
	{ 1, { 0xf8 } },                               /* clc */
	{ 1, { 0xf5 } },                               /* cmc */
	{ 4, { 0x41, 0x0f, 0x92, 0xc5 } },             /* setc %r13b */
	{ 4, { 0x41, 0x0f, 0x90, 0xc5 } },             /* seto %r13b */
	{ 4, { 0x4d, 0x0f, 0x48, 0xf0 } },             /* cmovs %r8, %r14 */
	{ 3, { 0x4c, 0x01, 0x06 } },                   /* add %r8, (%rsi) */
	{ 3, { 0x4c, 0x03, 0x06 } },                   /* add (%rsi), %r8 */
	{ 5, { 0xf0, 0x4c, 0x0f, 0xc1, 0x06 } },       /* lock xadd %r8, (%rsi) */
	{ 4, { 0x48, 0xd1, 0x66, 0x08 } },             /* shlq 8(%rsi) */
	{ 1, { 0x90 } },                               /* nop */
	{ 2, { 0xf3, 0x90 } },                         /* pause */
	{ 3, { 0x0f, 0xae, 0xf0 } },                   /* mfence */
	{ 2, { 0xeb, 0x00 } },                         /* jmp to the next one */
	{ 4, { 0x72, 0x02, 0x66, 0x90 } },             /* jc over a nop */
	{ 4, { 0x74, 0x02, 0x66, 0x90 } },             /* jz over a nop */
	{ 2, { 0x9c, 0x9d } },                         /* pushfq; popfq */
	{ 4, { 0x41, 0x50, 0x41, 0x5f } },             /* push %r8; pop %r15 */
	{ 6, { 0x41, 0x8c, 0xd7, 0x41, 0x8e, 0xd7 } }, /* mov %ss, %r15d; mov %r15d, %ss */
	{ 1, { 0xfb } },                               /* sti: the last one, for level 0 only */
};

static const uint8_t opcodes[] = {
	[ACCESS_RDMSR] = 0x32,
	[ACCESS_WRMSR] = 0x30,
	[ACCESS_RDPMC] = 0x33,
	[ACCESS_CPUID] = 0xa2,
};

static const struct filler nops[] = {
	{ 0, { 0 } },
	{ 1, { 0x90 } },
	{ 2, { 0x66, 0x90 } },
	{ 3, { 0x0f, 0x1f, 0x00 } },
	{ 4, { 0x0f, 0x1f, 0x40, 0x00 } },
	{ 5, { 0x0f, 0x1f, 0x44, 0x00, 0x00 } },
	{ 6, { 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 } },
};

static void put(struct snippet *snippet, const uint8_t *bytes, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		snippet->bytes[snippet->size++] = bytes[i];
}

static void put_byte(struct snippet *snippet, uint8_t byte)
{
	put(snippet, &byte, 1);
}

static void put_word(struct snippet *snippet, uint32_t word)
{
	for (unsigned int i = 0; i < 4; i++)
		put_byte(snippet, (uint8_t)(word >> 8 * i));
}

static void put_fillers(struct snippet *snippet, uint64_t *state, unsigned int most, bool user)
{
	for (unsigned int n = below(state, most + 1); n; n--) {
		const struct filler *filler =
			&fillers[below(state, (unsigned int)ARRAY_SIZE(fillers) - user)];

		put(snippet, filler->bytes, filler->size);
	}
}

/* mov $value, register; the number is the machine's. */
static void put_move(struct snippet *snippet, unsigned int reg, uint32_t value)
{
	put_byte(snippet, (uint8_t)(0xb8 + reg));
	put_word(snippet, value);
}

/* mov register, displacement(%rbp) */
static void put_store(struct snippet *snippet, unsigned int reg, uint32_t displacement)
{
	static const uint8_t code[] = { 0x48, 0x89 };

	put(snippet, code, sizeof(code));
	put_byte(snippet, (uint8_t)(0x85 | reg << 3));
	put_word(snippet, displacement);
}

static unsigned int prefixes(struct access *access, uint64_t *state, uint8_t bytes[3])
{
	static const uint8_t legacy[] = { 0x66, 0x2e, 0x3e, 0x65, 0x67, 0xf2, 0xf3 };
	unsigned int n = 0;

	if (!chance(state, 3))
		return 0;
	if (chance(state, 4)) {
		access->locked = true;
		bytes[n++] = 0xf0;
	}
	if (chance(state, 2))
		bytes[n++] = legacy[below(state, ARRAY_SIZE(legacy))];
	if (chance(state, 2))
		bytes[n++] = (uint8_t)(0x48 | below(state, 8)); /* REX.W */
	return n;
}

/* movw $..., to the access: the code writes itself. */
static void put_patch(struct snippet *snippet, unsigned int i)
{
	static const uint8_t code[] = { 0x66, 0xc7, 0x05 };

	put(snippet, code, sizeof(code));
	put_word(snippet, 2); /* over the NOP that follows */
	snippet->patch[i] = (uint16_t)snippet->size;
	put_byte(snippet, 0x0f);
	put_byte(snippet, opcodes[snippet->access[i].kind]);
	put(snippet, nops[2].bytes, 2);
}

static void put_access(struct snippet *snippet, unsigned int i, uint64_t *state, bool user)
{
	struct access *access = &snippet->access[i];
	uint8_t prefix[3];
	unsigned int n = prefixes(access, state, prefix);

	if (i) {
		put_move(snippet, 1, (uint32_t)access->rcx);
		put_move(snippet, 0, (uint32_t)access->rax);
		put_move(snippet, 2, (uint32_t)access->rdx);
		put_fillers(snippet, state, 1, user);
	}
	access->patched = n == 0 && chance(state, 8);
	if (access->patched)
		put_patch(snippet, i);
	snippet->at[i] = (uint16_t)snippet->size;
	access->length = (uint8_t)(n + 2);
	put(snippet, prefix, n);
	put_byte(snippet, 0x0f);
	put_byte(snippet, opcodes[access->kind]);
	put_fillers(snippet, state, 2, user);
	put_store(snippet, 0, i * (uint32_t)sizeof(struct results));
	put_store(snippet, 2, i * (uint32_t)sizeof(struct results) + 8);
	put_store(snippet, 3, i * (uint32_t)sizeof(struct results) + 16);
	put_store(snippet, 1, i * (uint32_t)sizeof(struct results) + 24);
}

/* Registers next to a PMU's, or of the other vendor's, which are others' or nobody's. */
static const uint32_t neighbours[] = {
	0x0c0,      0x0c1,      0x0c9,      0x185,      0x186,      0x18e,      0x1a6,
	0x1da,      0x308,      0x30d,      0x329,      0x344,      0x38c,      0x38f,
	0x393,      0x3f1,      0x4c0,      0x4c9,      0x600,      0xc00002ff, 0xc0000301,
	0xc0000304, 0xc0010000, 0xc0010201, 0xc001020c, 0xc0010230,
};

static uint32_t random_msr(uint64_t *state)
{
	switch (below(state, 12)) {
	case 0:
		return neighbours[below(state, ARRAY_SIZE(neighbours))];
	case 1:
		return MSR_X2APIC_LVTPC;
	default:
		return pmu_random_msr(state);
	}
}

static uint32_t random_index(uint64_t *state)
{
	static const uint32_t odd[] = { 0x20000000, 0x80000000, 0xffffffff, 0x3fffffff,
					0x40010000, 0x00010000, 0x40000020, 0x0000ffff };

	return chance(state, 4) ? odd[below(state, ARRAY_SIZE(odd))] : pmu_random_index(state);
}

static uint32_t random_leaf(uint64_t *state)
{
	const uint32_t leaves[] = { 0, 1,   0xa,  pmu.leaf,   pmu.leaf,
				    7, 0xd, 0x14, 0x40000000, 0x80000001 };

	return leaves[below(state, ARRAY_SIZE(leaves))];
}

static uint64_t random_value(uint64_t *state, uint32_t msr)
{
	static const uint32_t lvtpc[] = { LVT_NMI, 0x50, LVT_NMI | LVT_MASKED, 0x50 };

	if (msr == MSR_X2APIC_LVTPC)
		return lvtpc[below(state, ARRAY_SIZE(lvtpc))];
	return pmu_random_value(state, msr);
}

/* Those of others are read, not written: what they do is not what is looked at. */
static bool is_others(uint32_t msr)
{
	unsigned int n;
	const struct pmu_register *row = pmu_register_of(msr, &n);

	return (row && row->kind == REGISTER_OTHERS) || msr == 0x185 || msr == 0x600 ||
	       msr == 0x344;
}

static void choose(struct access *access, uint64_t *state)
{
	uint64_t value;

	*access = (struct access){ .kind = (enum access_kind)below(state, ACCESS_KINDS) };
	access->rax = next_random(state);
	access->rcx = next_random(state);
	access->rdx = next_random(state);
	switch (access->kind) {
	case ACCESS_RDMSR:
		access->rcx = (access->rcx & ~0xffffffffull) | random_msr(state);
		break;
	case ACCESS_WRMSR:
		access->rcx = (access->rcx & ~0xffffffffull) | random_msr(state);
		if (is_others((uint32_t)access->rcx))
			access->kind = ACCESS_RDMSR;
		value = random_value(state, (uint32_t)access->rcx);
		access->rax = (access->rax & ~0xffffffffull) | (uint32_t)value;
		access->rdx = (access->rdx & ~0xffffffffull) | value >> 32;
		break;
	case ACCESS_RDPMC:
		access->rcx = (access->rcx & ~0xffffffffull) | random_index(state);
		break;
	case ACCESS_CPUID:
		access->rax = (access->rax & ~0xffffffffull) | random_leaf(state);
		access->rcx = (access->rcx & ~0xffffffffull) | below(state, 3);
		break;
	case ACCESS_KINDS:
		break;
	}
}

void snippet_make(struct snippet *snippet, uint64_t *state, bool user)
{
	snippet->size = 0;
	snippet->accesses = chance(state, 3) ? 1 + below(state, ACCESSES_MAX) : 1;
	put_fillers(snippet, state, 4, user);
	for (unsigned int i = 0; i < snippet->accesses; i++) {
		struct access *access = &snippet->access[i];

		choose(access, state);
		if (i) { /* they come from moves of 32 bits */
			access->rax &= 0xffffffff;
			access->rcx &= 0xffffffff;
			access->rdx &= 0xffffffff;
		}
		put_access(snippet, i, state, user);
		put_fillers(snippet, state, 3, user);
	}
	put_byte(snippet, 0xc3);
}

/* Only what differs is written: the rest may stay translated. */
static void poke(uint8_t *to, uint8_t byte)
{
	volatile uint8_t *at = to;

	if (*at != byte)
		*at = byte;
}

void snippet_write(const struct snippet *snippet, uint8_t *to, bool accesses)
{
	for (unsigned int i = 0, k = 0; i < snippet->size; i++) {
		while (k < snippet->accesses && i >= snippet->at[k] + snippet->access[k].length)
			k++;
		uint8_t byte = snippet->bytes[i];
		const struct access *access = k < snippet->accesses ? &snippet->access[k] : NULL;

		if (access && i >= snippet->at[k] && (!accesses || access->patched))
			byte = nops[access->length].bytes[i - snippet->at[k]];
		else if (access && access->patched && !accesses &&
			 (i == snippet->patch[k] || i == snippet->patch[k] + 1u))
			byte = nops[2].bytes[i - snippet->patch[k]];
		poke(to + i, byte);
	}
}
