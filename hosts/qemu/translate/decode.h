/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an instruction is to the PMU. Decoding is Zydis's.
 */
#ifndef VPMU_QEMU_DECODE_H
#define VPMU_QEMU_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum insn_kind { INSN_OTHER, INSN_RDMSR, INSN_WRMSR, INSN_RDPMC, INSN_CPUID };

/* Instructions behind which no block of the same privilege level may follow soon. */
enum insn_end {
	END_OTHER,
	END_HLT,
	END_MWAIT,
	END_SYSCALL,
	END_FAR, /* another one that may change the level, and is no exception */
	END_VMRUN,
};

enum code_size { CODE_16, CODE_32, CODE_64 };

/* Where a near branch may go, as far as a branch predictor is concerned. */
enum insn_flow {
	FLOW_NEXT, /* also direct jumps and far branches: nothing to predict */
	FLOW_CONDITIONAL,
	FLOW_INDIRECT_JUMP,
	FLOW_CALL,
	FLOW_INDIRECT_CALL,
	FLOW_RETURN,
};

struct insn_facts {
	uint8_t classes; /* bit 1 << enum event_class */
	bool uses_flags; /* reads or writes any of CF, PF, AF, ZF, SF, OF */
	bool has_rep;    /* any of the REP prefixes */
	bool empties_caches;
	bool is_into; /* INTO: it is a branch if its exception is delivered */
	enum insn_flow flow;
};

/* Which of the served instructions this is, if any; needs no code size. */
enum insn_kind decode_kind(const uint8_t *bytes, size_t length);

/* Needs no code size. */
enum insn_end decode_end(const uint8_t *bytes, size_t length);

/* Is this a string instruction that a prefix repeats? Needs no code size. */
bool decode_is_rep_string(const uint8_t *bytes, size_t length);

/*
 * Where a direct near branch goes, from its own address. False for any other
 * instruction; needs no code size.
 */
bool decode_target(const uint8_t *bytes, size_t length, int64_t *offset);

/*
 * False if the bytes are not one known instruction of this length at this code size. The
 * facts are then those of an instruction that may use the flags and does nothing else.
 */
bool decode_facts(const uint8_t *bytes, size_t length, enum code_size size,
		  struct insn_facts *facts);

#endif
