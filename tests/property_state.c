/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Images of random states, damaged at random: each is refused, and then nothing has changed,
 * or loaded whole, and then it is a state that the manual's PMU can have (model.h), which is
 * saved as the same image again and goes on.
 * VPMU_SEED and VPMU_IMAGES (for each kind of PMU) in the environment choose others.
 */
#include "machine.h"
#include "model.h"
#include "random.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vpmu/msr.h>
#include <vpmu/state.h>

#include <cmocka.h>

/* Eight kinds of PMU, a million images. */
#define DEFAULT_IMAGES 125000

/* So many of them are of one state. */
#define IMAGES_PER_STATE 20

#define MOST_IMAGE 4096
#define MOST_MSRS  64

struct experiment {
	struct random random;
	struct machine from, to;
	uint32_t msrs[MOST_MSRS];
	unsigned int count; /* of MSRs that make up the state */
	uint8_t image[MOST_IMAGE], damaged[MOST_IMAGE + 64];
	size_t size, damaged_size;
	uint64_t refused, loaded, intact;
};

static uint64_t seed, images;

static uint64_t bits(struct experiment *x)
{
	return random_bits(&x->random);
}

static unsigned int below(struct experiment *x, unsigned int n)
{
	return random_below(&x->random, n);
}

static bool chance(struct experiment *x, unsigned int n)
{
	return one_in(&x->random, n);
}

/* --- random states ------------------------------------------------------------------- */

static struct vpmu_config random_config(struct experiment *x, enum kind kind)
{
	struct vpmu_config config = usual_config(kind);

	if (config.vendor == VPMU_AMD) {
		config.nested = chance(x, 2);
	} else {
		config.event_registers = below(x, VPMU_EVENT_REGISTERS + 1u);
		config.full_width_writes = chance(x, 2);
	}
	return config;
}

/* Few bits, many, or a value close to the highest one. */
static uint64_t random_value(struct experiment *x)
{
	switch (below(x, 4)) {
	case 0:
		return UINT64_C(1) << below(x, 64);
	case 1:
		return bits(x) & bits(x) & bits(x);
	case 2:
		return MAX_48 - below(x, 4);
	default:
		return bits(x) >> below(x, 64);
	}
}

/* The registers take what they take; what is enabled counts, and may overflow. */
static void disturb(struct experiment *x, struct machine *m)
{
	for (unsigned int i = 0; i < 2 * x->count; i++)
		vpmu_host_wrmsr(&m->pmu, x->msrs[below(x, x->count)], random_value(x));
	for (unsigned int i = 0; i < m->pmu.config.general; i++)
		if (chance(x, 2))
			vpmu_host_wrmsr(&m->pmu,
					m->pmu.config.vendor == VPMU_AMD ? K7_EVNTSEL0 + i
									 : PERFEVTSEL0 + i,
					INSTRUCTIONS | EVTSEL_INT);
	vpmu_set_svme(&m->pmu, chance(x, 2));
	vpmu_service(&m->pmu);
	for (unsigned int i = 0; i < COUNTERS; i++)
		if (m->source.bound[i])
			happen(m, i, below(x, 4));
	if (chance(x, 2))
		ring(m);
}

static void save(struct experiment *x, struct machine *m, uint8_t *image)
{
	x->size = vpmu_state_size(&m->pmu);
	assert_true(x->size <= MOST_IMAGE);
	assert_int_equal(vpmu_save(&m->pmu, image, x->size), VPMU_OK);
}

/* --- damage -------------------------------------------------------------------------- */

/* Values and register numbers lie in words; one is exchanged for another, or for anything. */
static void damage_word(struct experiment *x)
{
	uint8_t *word = x->damaged + 8 * below(x, (unsigned int)(x->size / 8));
	uint64_t value = chance(x, 2) ? random_value(x) : bits(x);

	if (chance(x, 4))
		memcpy(word, x->image + 8 * below(x, (unsigned int)(x->size / 8)), 8);
	else
		memcpy(word, &value, 8);
}

static void damage(struct experiment *x)
{
	memcpy(x->damaged, x->image, x->size);
	x->damaged_size = x->size;
	switch (below(x, 16)) {
	case 0:
		x->damaged_size = below(x, (unsigned int)x->size + 64);
		break;
	case 1:
		for (unsigned int i = below(x, 64); i < x->size; i++)
			x->damaged[i] = (uint8_t)bits(x);
		break;
	case 2:
		x->damaged[below(x, (unsigned int)x->size)] = (uint8_t)bits(x);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		damage_word(x);
		break;
	default:
		for (unsigned int i = 1 + below(x, 3); i > 0; i--)
			x->damaged[below(x, (unsigned int)x->size)] ^= (uint8_t)(1u << below(x, 8));
	}
}

/* --- what comes of it ------------------------------------------------------------------ */

static void check_unchanged(struct experiment *x, const struct vpmu *before)
{
	if (memcmp(before, &x->to.pmu, sizeof(*before)) != 0)
		fail_msg("an image is refused, but something has changed");
	assert_int_equal(calls(&x->to), 0);
}

/* Each register holds what the model's can. */
static void check_possible(struct experiment *x)
{
	struct model model = { .config = x->to.pmu.config };

	model_reset(&model);
	for (unsigned int i = 0; i < x->count; i++) {
		uint64_t value = get(&x->to, x->msrs[i]), kept = 0;

		if (model_host_wrmsr(&model, x->msrs[i], value) != VPMU_DONE ||
		    model_rdmsr(&model, x->msrs[i], &kept) != VPMU_DONE || kept != value)
			fail_msg("%" PRIx32 "H is %" PRIx64 "H", x->msrs[i], value);
	}
}

/* It is the image's state, all of it, and the PMU lives on. */
static void check_loaded(struct experiment *x)
{
	uint8_t again[MOST_IMAGE];

	if (x->damaged_size != x->size)
		fail_msg("an image of %zu bytes is loaded, not %zu", x->damaged_size, x->size);
	check_possible(x);
	save(x, &x->to, again);
	if (memcmp(again, x->damaged, x->size) != 0)
		fail_msg("what is loaded is saved as another image");
	vpmu_service(&x->to.pmu);
	for (unsigned int i = 0; i < COUNTERS; i++)
		if (x->to.source.bound[i])
			happen(&x->to, i, 1000);
	ring(&x->to);
	vpmu_service(&x->to.pmu);
}

static void try_image(struct experiment *x)
{
	/* In a block of its size, so that a read outside of it is seen. */
	uint8_t *image = malloc(x->damaged_size ? x->damaged_size : 1);
	struct vpmu before = x->to.pmu;
	enum vpmu_error error;

	assert_non_null(image);
	memcpy(image, x->damaged, x->damaged_size);
	calls(&x->to);
	error = vpmu_check_state(&x->to.pmu, image, x->damaged_size);
	check_unchanged(x, &before);
	assert_int_equal(vpmu_load(&x->to.pmu, image, x->damaged_size), error);
	free(image);
	if (error != VPMU_OK) {
		check_unchanged(x, &before);
		x->refused++;
		return;
	}
	check_loaded(x);
	x->loaded++;
	x->intact += memcmp(x->damaged, x->image, x->size) == 0;
}

static void try_state(struct experiment *x, enum kind kind)
{
	struct vpmu_config config = random_config(x, kind);

	start_with(&x->from, &config, &source_ops);
	start_with(&x->to, &config, &knowing_source_ops);
	x->count = vpmu_state_msrs(&x->from.pmu, x->msrs, MOST_MSRS);
	assert_in_range(x->count, 1, MOST_MSRS);
	disturb(x, &x->from);
	disturb(x, &x->to);
	save(x, &x->from, x->image);
	for (unsigned int i = 0; i < IMAGES_PER_STATE; i++) {
		damage(x);
		try_image(x);
	}
}

static void run_kind(void **state)
{
	static struct experiment x;
	const enum kind *kind = *state;

	x.random = random_from(seed * 16 + *kind);
	x.refused = x.loaded = x.intact = 0;
	while (x.refused + x.loaded < images)
		try_state(&x, *kind);
	printf("# %" PRIu64 " images refused, %" PRIu64 " loaded, of these %" PRIu64
	       " as they were\n",
	       x.refused, x.loaded, x.intact);
	if (images >= DEFAULT_IMAGES)
		assert_true(x.refused > images / 5 && x.loaded - x.intact > images / 50);
}

static enum kind kinds[KINDS] = { INTEL_1, INTEL_2, INTEL_3,  INTEL_4,
				  INTEL_5, AMD_K7,  AMD_CORE, AMD_V2 };

static const struct CMUnitTest tests[] = {
	{ .name = "an image of version 1 is refused or loaded whole",
	  .test_func = run_kind,
	  .initial_state = &kinds[INTEL_1] },
	{ .name = "so is one of version 2",
	  .test_func = run_kind,
	  .initial_state = &kinds[INTEL_2] },
	{ .name = "so is one of version 3",
	  .test_func = run_kind,
	  .initial_state = &kinds[INTEL_3] },
	{ .name = "so is one of version 4",
	  .test_func = run_kind,
	  .initial_state = &kinds[INTEL_4] },
	{ .name = "so is one of version 5",
	  .test_func = run_kind,
	  .initial_state = &kinds[INTEL_5] },
	{ .name = "so is one of AMD's K7", .test_func = run_kind, .initial_state = &kinds[AMD_K7] },
	{ .name = "so is one of AMD's core extension",
	  .test_func = run_kind,
	  .initial_state = &kinds[AMD_CORE] },
	{ .name = "so is one of AMD's PerfMonV2",
	  .test_func = run_kind,
	  .initial_state = &kinds[AMD_V2] },
};

int main(void)
{
	seed = random_seed();
	images = number_from("VPMU_IMAGES", DEFAULT_IMAGES);
	printf("# VPMU_IMAGES=%" PRIu64 "\n", images);
	fflush(stdout);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
