/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A model of a branch predictor, as docs/models.md defines it: gshare for
 * conditional branches, a last-target table for indirect ones, a return stack.
 * It is no real processor's. Arithmetic only: no QEMU here.
 */
#ifndef VPMU_QEMU_PREDICTOR_H
#define VPMU_QEMU_PREDICTOR_H

#include <stdbool.h>
#include <stdint.h>

#define PREDICTOR_HISTORY_BITS 12
#define PREDICTOR_COUNTERS     16384
#define PREDICTOR_TARGETS      4096
#define PREDICTOR_RETURNS      16

/* Of an address whose page is not known: only its offset in the page counts. */
#define PREDICTOR_ANY_PAGE (UINT64_C(1) << 63)

struct predictor {
	uint8_t counters[PREDICTOR_COUNTERS];
	uint16_t history;
	uint64_t targets[PREDICTOR_TARGETS];
	uint64_t returns[PREDICTOR_RETURNS];
	unsigned int top;   /* index in returns that the next call writes */
	unsigned int depth; /* how many of its entries are valid */
};

/* The state in which the model begins. */
void predictor_reset(struct predictor *p);

/*
 * Each takes one retired branch in program order, learns from it, and returns
 * whether it was mispredicted. Addresses are physical ones.
 */
bool predictor_conditional(struct predictor *p, uint64_t address, bool taken);
/* An indirect jump or call; a call is also told to predictor_call(). */
bool predictor_indirect(struct predictor *p, uint64_t address, uint64_t target);
bool predictor_return(struct predictor *p, uint64_t target);

/* Any near call. */
void predictor_call(struct predictor *p, uint64_t return_address);

#endif
