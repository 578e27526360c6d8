/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an instruction is to the PMU: a branch, a load, one that we serve.
 */
#include "decode.h"
#include "events.h"
#include <Zydis/Zydis.h>
#include <glib.h>
#include <string.h>

_Static_assert(CLASS_INTERRUPT <= 8, "the classes that code has fit in insn_facts.classes");

static bool is_legacy_prefix(uint8_t byte)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0x66:
	case 0x67:
	case 0xf2:
	case 0xf3:
		return true;
	}
	return false; /* LOCK is none: it makes all of the served instructions #UD */
}

enum insn_kind decode_kind(const uint8_t *bytes, size_t length)
{
	size_t at = 0;

	while (at < length && is_legacy_prefix(bytes[at]))
		at++;
	/* Outside 64-bit code 40H to 4FH are instructions of one byte. */
	if (length - at == 3 && (bytes[at] & 0xf0) == 0x40)
		at++;
	if (length - at != 2 || bytes[at] != 0x0f)
		return INSN_OTHER;
	switch (bytes[at + 1]) {
	case 0x30:
		return INSN_WRMSR;
	case 0x32:
		return INSN_RDMSR;
	case 0x33:
		return INSN_RDPMC;
	case 0xa2:
		return INSN_CPUID;
	}
	return INSN_OTHER;
}

/* Of an instruction of two bytes, the first of which is 0FH. */
static enum insn_end end_of_0f(uint8_t second)
{
	switch (second) {
	case 0x05:
		return END_SYSCALL;
	case 0x07: /* SYSRET */
	case 0x34: /* SYSENTER */
	case 0x35: /* SYSEXIT */
		return END_FAR;
	}
	return END_OTHER;
}

static enum insn_end end_of(uint8_t opcode)
{
	switch (opcode) {
	case 0xf4:
		return END_HLT;
	case 0x9a: /* CALL */
	case 0xca: /* RET */
	case 0xcb:
	case 0xcf: /* IRET */
	case 0xea: /* JMP */
		return END_FAR;
	}
	return END_OTHER;
}

enum insn_end decode_end(const uint8_t *bytes, size_t length)
{
	size_t at = 0;

	while (at < length && is_legacy_prefix(bytes[at]))
		at++;
	/* Before these a REX prefix does not mean another instruction. */
	if (length - at > 1 && (bytes[at] & 0xf0) == 0x40)
		at++;
	if (at == length)
		return END_OTHER;
	if (length - at == 2 && bytes[at] == 0x0f)
		return end_of_0f(bytes[at + 1]);
	if (length - at == 3 && !memcmp(bytes + at, "\x0f\x01\xc9", 3))
		return END_MWAIT;
	if (length - at == 3 && !memcmp(bytes + at, "\x0f\x01\xd8", 3))
		return END_VMRUN;
	if (bytes[at] == 0xff && at + 1 < length && (bytes[at + 1] >> 3 & 7) == 3)
		return END_FAR; /* CALL to a far pointer in memory, perhaps through a gate */
	return end_of(bytes[at]);
}

bool decode_is_rep_string(const uint8_t *bytes, size_t length)
{
	bool repeats = false;
	size_t at = 0;

	for (; at < length && is_legacy_prefix(bytes[at]); at++)
		repeats = repeats || bytes[at] == 0xf2 || bytes[at] == 0xf3;
	if (length - at == 2 && (bytes[at] & 0xf0) == 0x40)
		at++;
	if (!repeats || length - at != 1)
		return false;
	switch (bytes[at]) {
	case 0x6c: /* INS */
	case 0x6d:
	case 0x6e: /* OUTS */
	case 0x6f:
	case 0xa4: /* MOVS */
	case 0xa5:
	case 0xa6: /* CMPS */
	case 0xa7:
	case 0xaa: /* STOS */
	case 0xab:
	case 0xac: /* LODS */
	case 0xad:
	case 0xae: /* SCAS */
	case 0xaf:
		return true;
	}
	return false;
}

bool decode_target(const uint8_t *bytes, size_t length, int64_t *offset)
{
	size_t at = 0;
	int32_t wide;

	while (at < length && is_legacy_prefix(bytes[at]))
		at++;
	if (length - at == 2 &&
	    ((bytes[at] & 0xf0) == 0x70 || (bytes[at] & 0xfc) == 0xe0 || bytes[at] == 0xeb)) {
		*offset = (int64_t)length + (int8_t)bytes[at + 1];
		return true;
	}
	if (length - at == 6 && bytes[at] == 0x0f && (bytes[at + 1] & 0xf0) == 0x80)
		at++;
	else if (length - at != 5 || (bytes[at] & 0xfe) != 0xe8)
		return false;
	memcpy(&wide, bytes + at + 1, sizeof(wide));
	*offset = (int64_t)length + (int32_t)GINT32_FROM_LE(wide);
	return true;
}

static unsigned int bit(enum event_class class)
{
	return 1u << class;
}

static unsigned int branch_classes(const ZydisDecodedInstruction *insn)
{
	bool far = insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;

	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_COND_BR:
		return bit(CLASS_BRANCH) | bit(CLASS_CONDITIONAL);
	case ZYDIS_CATEGORY_UNCOND_BR:
		return bit(CLASS_BRANCH) | (far ? bit(CLASS_FAR_BRANCH) : 0);
	case ZYDIS_CATEGORY_CALL:
		return bit(CLASS_BRANCH) | (far ? bit(CLASS_FAR_BRANCH) : bit(CLASS_CALL));
	case ZYDIS_CATEGORY_RET:
		if (far || (insn->mnemonic != ZYDIS_MNEMONIC_RET))
			return bit(CLASS_BRANCH) | bit(CLASS_FAR_BRANCH);
		return bit(CLASS_BRANCH) | bit(CLASS_RETURN);
	case ZYDIS_CATEGORY_INTERRUPT:
		/* INTO is a branch only if it is taken. BOUND is none: its exception is a fault. */
		if (insn->mnemonic == ZYDIS_MNEMONIC_INTO || insn->mnemonic == ZYDIS_MNEMONIC_BOUND)
			return 0;
		return bit(CLASS_BRANCH) | bit(CLASS_FAR_BRANCH);
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
		return bit(CLASS_BRANCH) | bit(CLASS_FAR_BRANCH);
	default:
		return 0;
	}
}

static enum insn_flow flow_of(const ZydisDecodedInstruction *insn,
			      const ZydisDecodedOperand *operands)
{
	bool direct = operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;

	if (insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return FLOW_NEXT;
	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_COND_BR:
		return FLOW_CONDITIONAL;
	case ZYDIS_CATEGORY_UNCOND_BR:
		return direct ? FLOW_NEXT : FLOW_INDIRECT_JUMP;
	case ZYDIS_CATEGORY_CALL:
		return direct ? FLOW_CALL : FLOW_INDIRECT_CALL;
	case ZYDIS_CATEGORY_RET:
		return insn->mnemonic == ZYDIS_MNEMONIC_RET ? FLOW_RETURN : FLOW_NEXT;
	default:
		return FLOW_NEXT;
	}
}

/* Its memory operand is an address, at which nothing is read or written. */
static bool has_address_only(const ZydisDecodedInstruction *insn)
{
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_CLDEMOTE:
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
	case ZYDIS_MNEMONIC_CLWB:
	case ZYDIS_MNEMONIC_INVLPG:
	case ZYDIS_MNEMONIC_PREFETCHWT1:
		return true;
	default:
		break;
	}
	return insn->meta.category == ZYDIS_CATEGORY_NOP ||
	       insn->meta.category == ZYDIS_CATEGORY_WIDENOP ||
	       insn->meta.category == ZYDIS_CATEGORY_PREFETCH;
}

static unsigned int memory_classes(const ZydisDecodedInstruction *insn,
				   const ZydisDecodedOperand *operands)
{
	unsigned int classes = 0;

	if (has_address_only(insn))
		return 0;
	for (unsigned int i = 0; i < insn->operand_count; i++) {
		const ZydisDecodedOperand *operand = &operands[i];

		if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY ||
		    operand->mem.type == ZYDIS_MEMOP_TYPE_AGEN)
			continue;
		if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
			classes |= bit(CLASS_LOAD);
		if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			classes |= bit(CLASS_STORE);
	}
	return classes;
}

static const ZydisDecoder *decoder(enum code_size size)
{
	static const struct {
		ZydisMachineMode mode;
		ZydisStackWidth stack;
	} modes[] = {
		[CODE_16] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
		[CODE_32] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
		[CODE_64] = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
	};
	static _Thread_local ZydisDecoder decoders[3];
	static _Thread_local bool ready[3];

	if (!ready[size])
		ready[size] = ZYAN_SUCCESS(
			ZydisDecoderInit(&decoders[size], modes[size].mode, modes[size].stack));
	return ready[size] ? &decoders[size] : NULL;
}

bool decode_facts(const uint8_t *bytes, size_t length, enum code_size size,
		  struct insn_facts *facts)
{
	const ZyanU32 flags = ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF |
			      ZYDIS_CPUFLAG_ZF | ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF;
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	const ZydisDecoder *with = decoder(size);

	*facts = (struct insn_facts){ .classes = (uint8_t)bit(CLASS_INSTRUCTION),
				      .uses_flags = true };
	if (!with || !ZYAN_SUCCESS(ZydisDecoderDecodeFull(with, bytes, length, &insn, operands)) ||
	    insn.length != length)
		return false;
	facts->classes = (uint8_t)(bit(CLASS_INSTRUCTION) | branch_classes(&insn) |
				   memory_classes(&insn, operands));
	facts->is_into = insn.mnemonic == ZYDIS_MNEMONIC_INTO;
	facts->flow = flow_of(&insn, operands);
	facts->empties_caches =
		insn.mnemonic == ZYDIS_MNEMONIC_WBINVD || insn.mnemonic == ZYDIS_MNEMONIC_INVD;
	facts->has_rep = insn.attributes &
			 (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
	/* Reading them is use, too: TCG works them out, and does not store that it has. */
	facts->uses_flags = insn.cpu_flags && ((insn.cpu_flags->tested | insn.cpu_flags->modified |
						insn.cpu_flags->set_0 | insn.cpu_flags->set_1 |
						insn.cpu_flags->undefined) &
					       flags);
	return true;
}
