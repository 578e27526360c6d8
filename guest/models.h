/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the parts of the guest "models" share; models.S has the sequences.
 */
#ifndef MODELS_H
#define MODELS_H

#include "pmu.h"

typedef void sequence(uint64_t a, uint64_t b, uint64_t c, uint64_t d);

#define SEQUENCE(name)                                                                             \
	extern sequence name;                                                                      \
	extern const char name##_from[], name##_to[]

SEQUENCE(seq_nothing);
SEQUENCE(seq_loop);
SEQUENCE(seq_loop_instruction);
SEQUENCE(seq_nested);
SEQUENCE(seq_alternating);
SEQUENCE(seq_random);
SEQUENCE(seq_straight_taken);
SEQUENCE(seq_straight_not_taken);
SEQUENCE(seq_straight_to_next);
SEQUENCE(seq_page_end);
SEQUENCE(seq_page_across);
SEQUENCE(seq_indirect);
SEQUENCE(seq_calls);
SEQUENCE(seq_calls_page_end);
SEQUENCE(seq_indirect_calls);
SEQUENCE(seq_faulting_call);
SEQUENCE(seq_load);
SEQUENCE(seq_store);
SEQUENCE(seq_modify);
SEQUENCE(seq_byte);
SEQUENCE(seq_prefetch);
SEQUENCE(seq_stos);
SEQUENCE(seq_code);
SEQUENCE(seq_emptied);
SEQUENCE(seq_across_lines);

extern const char loop_branch[], loop_instruction_branch[], nested_inner[], nested_outer[],
	alternating_branch[], alternating_loop[], random_branch[], random_loop[], straight_taken[],
	indirect_choice[], indirect_loop[];
extern const char fault_handler[], interrupt_handler[];
extern volatile uint64_t interrupts;
extern void user_loop(void *), user_loads(void *);

/* The register that lets counters count: models.S. */
extern uint32_t models_control;

/* Counters 0 to 3 are programmed, and are zero. */
void program(const enum event events[4]);
void zero(void);
/* Counters 0 to 2 count it in ring 3, in ring 0, and in both. */
void program_levels(enum event event);
/* Measured. */
void in_user_mode(uint64_t (*function)(void *), void *argument);
uint64_t user_branches(void *unused);

/* models_caches.c */
void test_caches(void);

#endif
