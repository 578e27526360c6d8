/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What instructions are to the QEMU plugin (hosts/qemu/translate/decode.c), also those that
 * no QEMU runs or only in some modes.
 */
#include "events.h"
#include "translate/decode.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum {
	LOAD = 1u << CLASS_LOAD,
	STORE = 1u << CLASS_STORE,
	BRANCH = 1u << CLASS_BRANCH,
	CONDITIONAL = BRANCH | 1u << CLASS_CONDITIONAL,
	CALL = BRANCH | 1u << CLASS_CALL,
	RETURN = BRANCH | 1u << CLASS_RETURN,
	FAR = BRANCH | 1u << CLASS_FAR_BRANCH,
};

struct row {
	const char *name;
	const char *bytes;
	size_t length;
	enum code_size size;
	unsigned int classes; /* beside CLASS_INSTRUCTION */
};

#define ROW(name, bytes, size, classes)                                                            \
	{                                                                                          \
		name, bytes, sizeof(bytes) - 1, size, classes,                                     \
	}

static void check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		struct insn_facts facts;

		if (!decode_facts((const uint8_t *)row->bytes, row->length, row->size, &facts))
			fail_msg("%s is not known", row->name);
		if (facts.classes != (row->classes | 1u << CLASS_INSTRUCTION))
			fail_msg("%s: classes %x", row->name, facts.classes);
		assert_int_equal(facts.is_into, !strcmp(row->name, "INTO"));
	}
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

static void an_operand_that_is_an_address_is_neither_load_nor_store(void **unused)
{
	static const struct row rows[] = {
		ROW("INVLPG", "\x0f\x01\x38", CODE_64, 0),
		ROW("CLFLUSH", "\x0f\xae\x38", CODE_64, 0),
		ROW("CLFLUSHOPT", "\x66\x0f\xae\x38", CODE_64, 0),
		ROW("CLWB", "\x66\x0f\xae\x30", CODE_64, 0),
		ROW("CLDEMOTE", "\x0f\x1c\x00", CODE_64, 0),
		ROW("PREFETCHNTA", "\x0f\x18\x00", CODE_64, 0),
		ROW("PREFETCHT2", "\x0f\x18\x18", CODE_64, 0),
		ROW("PREFETCH", "\x0f\x0d\x00", CODE_64, 0),
		ROW("PREFETCHW", "\x0f\x0d\x08", CODE_64, 0),
		ROW("PREFETCHWT1", "\x0f\x0d\x10", CODE_64, 0),
		ROW("NOP", "\x0f\x1f\x00", CODE_64, 0),
		ROW("a reserved NOP", "\x0f\x19\x00", CODE_64, 0),
		ROW("LEA", "\x8d\x00", CODE_64, 0),
		ROW("BNDMK", "\xf3\x0f\x1b\x00", CODE_64, 0),
		ROW("MONITOR", "\x0f\x01\xc8", CODE_64, 0),
		ROW("WBINVD", "\x0f\x09", CODE_64, 0),
		ROW("ENDBR64", "\xf3\x0f\x1e\xfa", CODE_64, 0),
	};

	(void)unused;
	CHECK(rows);
}

static void system_instructions_load_and_store_their_operands(void **unused)
{
	static const struct row rows[] = {
		ROW("SGDT", "\x0f\x01\x00", CODE_64, STORE),
		ROW("LGDT", "\x0f\x01\x10", CODE_64, LOAD),
		ROW("SLDT", "\x0f\x00\x00", CODE_64, STORE),
		ROW("LLDT", "\x0f\x00\x10", CODE_64, LOAD),
		ROW("VERR", "\x0f\x00\x20", CODE_64, LOAD),
		ROW("VERW", "\x0f\x00\x28", CODE_64, LOAD),
		ROW("LAR", "\x0f\x02\x00", CODE_64, LOAD),
		ROW("INVPCID", "\x66\x0f\x38\x82\x00", CODE_64, LOAD),
		ROW("FXSAVE", "\x0f\xae\x00", CODE_64, STORE),
		ROW("FXRSTOR", "\x0f\xae\x08", CODE_64, LOAD),
		ROW("XSAVEC", "\x0f\xc7\x20", CODE_64, STORE),
		ROW("XRSTOR", "\x0f\xae\x28", CODE_64, LOAD),
		ROW("MOV to SS", "\x8e\x10", CODE_64, LOAD),
		ROW("LDS", "\xc5\x00", CODE_32, LOAD),
	};

	(void)unused;
	CHECK(rows);
}

static void the_stack_and_strings_are_memory(void **unused)
{
	static const struct row rows[] = {
		ROW("PUSH", "\x50", CODE_64, STORE),
		ROW("PUSH of memory", "\xff\x30", CODE_64, LOAD | STORE),
		ROW("POP to memory", "\x8f\x00", CODE_64, LOAD | STORE),
		ROW("CALL", "\xe8\0\0\0\0", CODE_64, CALL | STORE),
		ROW("CALL through memory", "\xff\x10", CODE_64, CALL | LOAD | STORE),
		ROW("JMP through memory", "\xff\x20", CODE_64, BRANCH | LOAD),
		ROW("RET", "\xc3", CODE_64, RETURN | LOAD),
		ROW("ENTER", "\xc8\0\0\0", CODE_64, STORE),
		ROW("LEAVE", "\xc9", CODE_64, LOAD),
		ROW("MOVS", "\xa4", CODE_64, LOAD | STORE),
		ROW("CMPS", "\xa6", CODE_64, LOAD),
		ROW("REP STOS", "\xf3\xaa", CODE_64, STORE),
		ROW("INS", "\x6c", CODE_64, STORE),
		ROW("OUTS", "\x6e", CODE_64, LOAD),
		ROW("XLAT", "\xd7", CODE_64, LOAD),
	};

	(void)unused;
	CHECK(rows);
}

static void interrupts_by_instruction_are_far_branches_if_they_are_sure_to_come(void **unused)
{
	static const struct row rows[] = {
		ROW("INT n", "\xcd\x80", CODE_64, FAR),
		ROW("INT3", "\xcc", CODE_64, FAR),
		ROW("INT1", "\xf1", CODE_64, FAR),
		ROW("SYSCALL", "\x0f\x05", CODE_64, FAR),
		ROW("IRET", "\x48\xcf", CODE_64, FAR | LOAD),
		ROW("INTO", "\xce", CODE_32, 0),
		ROW("INTO", "\xce", CODE_16, 0),
		ROW("BOUND", "\x62\x00", CODE_32, LOAD),
		ROW("UD2", "\x0f\x0b", CODE_64, 0),
	};

	(void)unused;
	CHECK(rows);
}

static void the_code_size_decides_what_bytes_are(void **unused)
{
	static const struct row rows[] = {
		ROW("JE", "\x74\x00", CODE_16, CONDITIONAL),
		ROW("JMP rel16", "\xe9\0\0", CODE_16, BRANCH),
		ROW("JMP rel32", "\xe9\0\0\0\0", CODE_32, BRANCH),
		ROW("DEC", "\x48", CODE_32, 0),
		ROW("far JMP", "\xea\0\0\0\0\0\0", CODE_32, FAR),
	};
	struct insn_facts facts;

	(void)unused;
	CHECK(rows);
	assert_false(decode_facts((const uint8_t *)"\xe9\0\0", 3, CODE_32, &facts));
	assert_false(decode_facts((const uint8_t *)"\x48", 1, CODE_64, &facts));
}

static void an_unknown_instruction_is_one_that_may_use_the_flags(void **unused)
{
	struct insn_facts facts;

	(void)unused;
	assert_false(decode_facts((const uint8_t *)"\x0f\x0a", 2, CODE_64, &facts));
	assert_int_equal(facts.classes, 1u << CLASS_INSTRUCTION);
	assert_true(facts.uses_flags);
	assert_int_equal(facts.flow, FLOW_NEXT);
	assert_false(facts.is_into || facts.has_rep || facts.empties_caches);
}

static void ends_behind_which_the_level_may_change_are_known(void **unused)
{
	static const struct {
		const char *name, *bytes;
		size_t length;
		enum insn_end end;
	} rows[] = {
		{ "HLT", "\xf4", 1, END_HLT },
		{ "REX HLT", "\x48\xf4", 2, END_HLT },
		{ "MWAIT", "\x0f\x01\xc9", 3, END_MWAIT },
		{ "VMRUN", "\x0f\x01\xd8", 3, END_VMRUN },
		{ "VMRUN of a 32-bit address", "\x67\x0f\x01\xd8", 4, END_VMRUN },
		{ "VMMCALL", "\x0f\x01\xd9", 3, END_OTHER },
		{ "SYSCALL", "\x0f\x05", 2, END_SYSCALL },
		{ "SYSRETQ", "\x48\x0f\x07", 3, END_FAR },
		{ "SYSENTER", "\x0f\x34", 2, END_FAR },
		{ "SYSEXIT", "\x0f\x35", 2, END_FAR },
		{ "IRETQ", "\x48\xcf", 2, END_FAR },
		{ "IRET of 16 bits", "\x66\xcf", 2, END_FAR },
		{ "far RET", "\xcb", 1, END_FAR },
		{ "far RET imm16", "\xca\x08\0", 3, END_FAR },
		{ "far CALL", "\x9a\0\0\0\0\x08\0", 7, END_FAR },
		{ "far CALL through memory", "\xff\x1f", 2, END_FAR },
		{ "near CALL through memory", "\xff\x17", 2, END_OTHER },
		{ "DEC", "\x48", 1, END_OTHER },
		{ "MONITOR", "\x0f\x01\xc8", 3, END_OTHER },
		{ "JMP", "\xeb\xf4", 2, END_OTHER },
		{ "MOV of F4H", "\xb0\xf4", 2, END_OTHER },
		{ "INT3", "\xcc", 1, END_OTHER },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (decode_end((const uint8_t *)rows[i].bytes, rows[i].length) != rows[i].end)
			fail_msg("%s is another end", rows[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_operand_that_is_an_address_is_neither_load_nor_store),
		cmocka_unit_test(system_instructions_load_and_store_their_operands),
		cmocka_unit_test(the_stack_and_strings_are_memory),
		cmocka_unit_test(
			interrupts_by_instruction_are_far_branches_if_they_are_sure_to_come),
		cmocka_unit_test(the_code_size_decides_what_bytes_are),
		cmocka_unit_test(an_unknown_instruction_is_one_that_may_use_the_flags),
		cmocka_unit_test(ends_behind_which_the_level_may_change_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
