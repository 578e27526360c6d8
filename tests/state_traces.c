/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every shipped trace, replayed over totals in memory, twice: in one PMU, and in one that is
 * saved and loaded into another with another source all the time: between any two calls,
 * before a service and after it, in the middle of each PMI. What the guest reads, the PMIs
 * and when they come have to be the same.
 */
#include "bench/pmi/replay.h"
#include "bench/pmi/totals.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vpmu/state.h>

#include <cmocka.h>

/* One of the two PMUs that take turns, and its source. */
struct side {
	struct vpmu pmu;
	struct totals totals;
};

/* What has become of a call: an access's answer and value, or what a service asks for. */
struct outcome {
	unsigned int what;
	uint64_t value;
};

struct run {
	const struct vpmu_config *config;
	bool moves;
	struct side sides[2];
	unsigned int at; /* the side that runs */
	size_t moved, pmis;
	struct outcome *outcomes;
	size_t count, room;
};

static struct side *side(struct run *run)
{
	return &run->sides[run->at];
}

static void note(struct run *run, unsigned int what, uint64_t value)
{
	if (run->count == run->room) {
		run->room = run->room ? 2 * run->room : 1024;
		run->outcomes = realloc(run->outcomes, run->room * sizeof(*run->outcomes));
		assert_non_null(run->outcomes);
	}
	run->outcomes[run->count++] = (struct outcome){ what, value };
}

/* A PMU that another may be loaded into. Its totals are somewhere else. */
static void start_side(struct run *run, struct side *side, uint64_t first)
{
	memset(side, 0xa5, sizeof(*side));
	side->totals = (struct totals){ .pmu = &side->pmu };
	for (unsigned int i = 0; i < COUNTERS; i++)
		side->totals.total[i] = first * (i + 1);
	assert_int_equal(vpmu_init(&side->pmu, run->config, &totals_ops, &side->totals), VPMU_OK);
}

/* An image is in a block of its own size, so that an access outside of it is seen. */
static void move(struct run *run)
{
	struct side *from = side(run), *to = &run->sides[!run->at];
	size_t size = vpmu_state_size(&from->pmu);
	void *image;

	if (!run->moves)
		return;
	image = malloc(size);
	assert_non_null(image);
	assert_int_equal(vpmu_save(&from->pmu, image, size), VPMU_OK);
	vpmu_reset(&from->pmu);
	assert_int_equal(from->totals.bound, 0);
	start_side(run, to, run->moved * 1000);
	assert_int_equal(vpmu_load(&to->pmu, image, size), VPMU_OK);
	free(image);
	run->at = !run->at;
	run->moved++;
}

/* Before the guest goes on. What is loaded after a service is serviced once more. */
static void service(struct run *run)
{
	unsigned int asked;

	move(run);
	asked = vpmu_service(&side(run)->pmu);
	move(run);
	asked |= vpmu_service(&side(run)->pmu);
	note(run, asked, vpmu_active(&side(run)->pmu));
	note(run, asked, vpmu_status(&side(run)->pmu));
	run->pmis += (asked & VPMU_PMI) != 0;
}

/* One unit after the other, so that what is asked for comes at the same one in both runs. */
static void work(struct run *run, uint64_t units)
{
	while (units-- > 0) {
		struct side *now = side(run);

		totals_add(&now->totals, now->totals.bound, 1);
		service(run);
	}
}

static void take_step(struct run *run, const struct step *step)
{
	enum vpmu_answer answer = VPMU_DONE;
	uint64_t value = 0;

	if (step->kind == STEP_WORK) {
		work(run, step->value);
		return;
	}
	move(run);
	switch (step->kind) {
	case STEP_RESET:
		vpmu_reset(&side(run)->pmu);
		break;
	case STEP_RDMSR:
		answer = vpmu_rdmsr(&side(run)->pmu, step->index, &value);
		break;
	case STEP_WRMSR:
		answer = vpmu_wrmsr(&side(run)->pmu, step->index, step->value);
		break;
	case STEP_RDPMC:
		answer = vpmu_rdpmc(&side(run)->pmu, step->index, true, &value);
		break;
	case STEP_WORK:
	case STEP_PMI:
		break;
	}
	if (step->kind != STEP_PMI)
		assert_int_equal(answer, step->answer);
	note(run, answer, value);
	service(run);
}

static void run_plan(const struct plan *plan, struct run *run, bool moves)
{
	*run = (struct run){ .config = &plan->config, .moves = moves };
	start_side(run, &run->sides[0], 1000);
	for (size_t i = 0; i < plan->count; i++)
		take_step(run, &plan->steps[i]);
	vpmu_reset(&side(run)->pmu);
}

static void compare(const struct run *still, const struct run *moving)
{
	assert_int_equal(still->count, moving->count);
	for (size_t i = 0; i < still->count; i++) {
		const struct outcome *a = &still->outcomes[i], *b = &moving->outcomes[i];

		if (a->what != b->what || a->value != b->value)
			fail_msg("outcome %zu: %u, %" PRIx64 "H; moved %u, %" PRIx64 "H", i,
				 a->what, a->value, b->what, b->value);
	}
}

static void replay_trace(void **state)
{
	static struct run still, moving;
	struct trace trace;
	struct plan plan;

	assert_null(trace_load(*state, &trace));
	assert_null(plan_make(&plan, &trace, 0, EVENTS_MEMORY));
	run_plan(&plan, &still, false);
	run_plan(&plan, &moving, true);
	assert_true(still.pmis >= plan.pmis);
	compare(&still, &moving);
	printf("# %zu steps, %zu PMIs, saved and loaded %zu times\n", plan.count, moving.pmis,
	       moving.moved);
	free(still.outcomes);
	free(moving.outcomes);
	plan_free(&plan);
	trace_free(&trace);
}

static char one[] = "bench/traces/one.trace";
static char six[] = "bench/traces/six.trace";
static char ten[] = "bench/traces/ten.trace";

static const struct CMUnitTest tests[] = {
	{ .name = "one.trace goes on after saving and loading at each of its steps",
	  .test_func = replay_trace,
	  .initial_state = one },
	{ .name = "so does six.trace", .test_func = replay_trace, .initial_state = six },
	{ .name = "so does ten.trace", .test_func = replay_trace, .initial_state = ten },
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
