/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See predictor.h; docs/models.md is what this file has to agree with.
 */
#include "predictor.h"
#include "guest/x86.h"
#include <string.h>

#define HISTORY_MASK   ((1u << PREDICTOR_HISTORY_BITS) - 1)
#define WEAK_NOT_TAKEN 1
#define WEAK_TAKEN     2
#define STRONG_TAKEN   3

_Static_assert(PREDICTOR_TARGETS == PAGE, "a target for each offset in a page");
_Static_assert(PREDICTOR_COUNTERS == 4 * PAGE, "an index is an offset in a page, times four");

void predictor_reset(struct predictor *p)
{
	memset(p, 0, sizeof(*p));
	memset(p->counters, WEAK_NOT_TAKEN, sizeof(p->counters));
}

/* By the offset in the page, so that counts do not depend on where a page is in memory. */
static uint8_t *counter_of(struct predictor *p, uint64_t address)
{
	unsigned int offset = (unsigned int)(address % PAGE);

	return &p->counters[(offset << 2) ^ p->history];
}

bool predictor_conditional(struct predictor *p, uint64_t address, bool taken)
{
	uint8_t *counter = counter_of(p, address);
	bool missed = (*counter >= WEAK_TAKEN) != taken;

	if (taken && *counter < STRONG_TAKEN)
		++*counter;
	else if (!taken && *counter > 0)
		--*counter;
	p->history = (uint16_t)(((unsigned int)p->history << 1 | taken) & HISTORY_MASK);
	return missed;
}

bool predictor_indirect(struct predictor *p, uint64_t address, uint64_t target)
{
	uint64_t *predicted = &p->targets[address % PAGE];
	bool missed = *predicted != target;

	*predicted = target;
	return missed;
}

void predictor_call(struct predictor *p, uint64_t return_address)
{
	p->returns[p->top] = return_address;
	p->top = (p->top + 1) % PREDICTOR_RETURNS;
	if (p->depth < PREDICTOR_RETURNS)
		p->depth++;
}

bool predictor_return(struct predictor *p, uint64_t target)
{
	uint64_t predicted;

	if (p->depth == 0)
		return true;
	p->depth--;
	p->top = (p->top + PREDICTOR_RETURNS - 1) % PREDICTOR_RETURNS;
	predicted = p->returns[p->top];
	if (predicted & PREDICTOR_ANY_PAGE)
		return predicted % PAGE != target % PAGE;
	return predicted != target;
}
