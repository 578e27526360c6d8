/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See saved.h.
 *
 * Each vCPU has a slot in the place (place.h). Whatever is put there gets a new stamp. When
 * no vCPU has run and one finds another stamp than its last one's, QEMU has loaded a state
 * meanwhile, and each takes its PMU from it. So it has where a vCPU's first block is not
 * where a processor begins.
 *
 * vCPUs wake up for a moment while QEMU loads a state. So it is taken when the vCPU runs, in
 * a hook before its first block, or as an interrupt comes there.
 */
#include "saved.h"
#include "carried.h"
#include "guest/registers.h"
#include "guest/reset.h"
#include "guest/x86.h"
#include "models/branches.h"
#include "place.h"
#include "plugin.h"
#include "record.h"
#include "serve/serve.h"
#include "service.h"
#include "vcpu.h"
#include <stdio.h>
#include <string.h>
#include <vpmu/state.h>

#define IMAGE_MAX 2048
#define LINES_MAX 256 /* a guest may spoil its slots again and again */

/* All bytes of a slot add up to 0, so that the table's checksum stays right. */
struct slot_image {
	uint64_t stamp;
	uint64_t balance;
	uint64_t signature; /* of the processor: a QEMU that loads a state has seen no RESET */
	uint64_t words[CARRIED_WORDS];
	uint8_t image[IMAGE_MAX];
};

/*
 * Of what vCPUs see of each other. Only who has QEMU's own lock (a vCPU that is idle or resumes
 * has) looks into memory with it.
 */
static GMutex lock;

static size_t used_size(const struct vcpu *vcpu)
{
	return offsetof(struct slot_image, image) + vpmu_state_size(&vcpu->pmu);
}

static size_t slot_offset(const struct vcpu *vcpu)
{
	return vcpu->index * ((used_size(vcpu) + 7) & ~(size_t)7);
}

static uint64_t new_stamp(void)
{
	static uint64_t last;

	while (!last)
		last = (uint64_t)g_random_int() << 32 | g_random_int();
	return last++;
}

static void balance(struct slot_image *slot, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)slot;
	uint8_t sum = 0;

	slot->balance = 0;
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + bytes[i]);
	slot->balance = GUINT64_TO_LE((uint8_t)-sum);
}

/* Firmware has run once there is paging, or a counter that counts. */
static bool has_place(struct vcpu *vcpu)
{
	if (place_is_valid())
		return true;
	return ((reg_read(GUEST_CR0) & CR0_PG) || vpmu_active(&vcpu->pmu)) && place_find() &&
	       place_is_valid();
}

static void put(struct vcpu *vcpu)
{
	struct slot_image slot;

	vcpu->saved.stamp = new_stamp();
	slot.stamp = GUINT64_TO_LE(vcpu->saved.stamp);
	slot.signature = GUINT64_TO_LE(vcpus_signature());
	carried_save(vcpu, slot.words);
	vpmu_save(&vcpu->pmu, slot.image, sizeof(slot.image));
	balance(&slot, used_size(vcpu));
	if (!place_write(slot_offset(vcpu), &slot, used_size(vcpu)))
		vcpu->saved.stamp = 0;
}

/* As for an interrupt: no block before is corrected later. */
static void leave_blocks(struct vcpu *vcpu)
{
	uint64_t at = reg_read(GUEST_IP) + code_base();

	if (!svm_stop(vcpu))
		return;
	branches_interrupted(vcpu, false, at);
	exceptions_leave_whole_block(vcpu, level_now(), at);
}

static void remove_hook(struct vcpu *vcpu)
{
	if (vcpu->saved.hook_added)
		hook_raised(vcpu);
	vcpu->saved.hook_added = false;
}

void saved_idle(struct vcpu *vcpu)
{
	g_mutex_lock(&lock);
	vcpu->saved.parked = true;
	leave_blocks(vcpu);
	remove_hook(vcpu);
	if (!vcpu->saved.load_due && has_place(vcpu))
		put(vcpu);
	g_mutex_unlock(&lock);
}

static bool any_runs;

static void look_whether_it_runs(struct vcpu *vcpu)
{
	any_runs |= !vcpu->saved.parked;
}

static bool all_are_parked(void)
{
	any_runs = false;
	vcpus_each(look_whether_it_runs);
	return !any_runs;
}

static bool any_differs;

static void look_whether_it_differs(struct vcpu *vcpu)
{
	uint64_t stamp;

	any_differs |= vcpu->saved.stamp && place_read(slot_offset(vcpu), &stamp, sizeof(stamp)) &&
		       GUINT64_FROM_LE(stamp) != vcpu->saved.stamp;
}

/* Whether this QEMU has seen a RESET, or has loaded a state. */
static bool begun;

/*
 * Before a machine's first RESET its vCPUs' registers are zero, CR0 among them. A table that is
 * gone is another state's memory, or a guest's own doing.
 */
static bool is_loaded(const struct vcpu *vcpu)
{
	if (!begun)
		return reg_read(GUEST_CR0) && !reset_has_begun();
	if (!place_is_valid())
		return vcpu->saved.stamp != 0;
	any_differs = false;
	vcpus_each(look_whether_it_differs);
	return any_differs;
}

static void note_load(struct vcpu *vcpu)
{
	vcpu->saved.load_due = true;
	vcpu->saved.stamp = 0;
}

static bool told; /* of this load */

static void say(const char *what)
{
	static unsigned int lines;

	g_mutex_lock(&lock);
	if (!told && lines++ < LINES_MAX)
		fprintf(stderr, "vpmu plugin: %s: the guest's PMU is reset\n", what);
	told = true;
	g_mutex_unlock(&lock);
}

/* NULL, or what is wrong with the state. */
static const char *get(struct vcpu *vcpu)
{
	size_t size = vpmu_state_size(&vcpu->pmu);
	struct slot_image slot;

	if (!place_find() || !place_is_valid() ||
	    !place_read(slot_offset(vcpu), &slot, used_size(vcpu)) || !slot.stamp)
		return "the state that was loaded has no PMU in it (-acpitable, see vpmu(1))";
	switch (vpmu_check_state(&vcpu->pmu, slot.image, size)) {
	case VPMU_OK:
		break;
	case VPMU_ERROR_CONFIG:
		return "the state that was loaded is that of another PMU";
	default:
		return "the PMU in the state that was loaded is damaged";
	}
	serve_reset(vcpu);
	if (!carried_load(vcpu, slot.words))
		return "the PMU in the state that was loaded is damaged";
	vcpus_identify((uint32_t)GUINT64_FROM_LE(slot.signature));
	vpmu_load(&vcpu->pmu, slot.image, size);
	vcpu->saved.stamp = GUINT64_FROM_LE(slot.stamp);
	return NULL;
}

/* The hook that led here is still to be reached, and so is one that has been loaded. */
static void keep_hook(struct vcpu *vcpu, struct hook before)
{
	if (!vcpu->hook.flag)
		vcpu->hook = before;
	else if (before.flag != vcpu->hook.flag)
		hook_clear(vcpu, before);
	hook_update(vcpu);
}

/* QEMU has loaded all there is, for the vCPU runs. */
static void load(struct vcpu *vcpu)
{
	struct hook before = vcpu->hook;
	const char *wrong;

	wrong = get(vcpu);
	if (wrong) {
		say(wrong);
		vcpu_reset(vcpu);
		svm_follow_efer(vcpu);
	}
	vcpu->saved.load_due = false;
	vcpu->saved.service_due = !wrong;
	keep_hook(vcpu, before);
	record_loaded();
}

/* The state that RESET and INIT leave is recognised by the flags, among others. */
static void add_hook(struct vcpu *vcpu)
{
	if (vcpu->hook.flag || reset_has_begun())
		return;
	hook_handler(vcpu, HOOK_START);
	vcpu->saved.hook_added = true;
}

void saved_resume(struct vcpu *vcpu)
{
	g_mutex_lock(&lock);
	if (all_are_parked() && is_loaded(vcpu)) {
		told = false;
		begun = true;
		place_forget();
		vcpus_each(note_load);
	}
	/* What was pending is not of this state. */
	if (vcpu->saved.load_due && !vcpu->saved.hook_added)
		serve_reset(vcpu);
	if (vcpu->saved.load_due || vcpu->saved.service_due)
		add_hook(vcpu);
	vcpu->saved.parked = false;
	g_mutex_unlock(&lock);
}

void saved_take(struct vcpu *vcpu)
{
	if (vcpu->saved.load_due)
		load(vcpu);
}

void saved_start(struct vcpu *vcpu)
{
	saved_take(vcpu);
	if (!vcpu->saved.service_due)
		return;
	vcpu->saved.service_due = vcpu->saved.hook_added = false;
	service(vcpu);
	stale_begin(vcpu);
}

void saved_interrupted(struct vcpu *vcpu)
{
	if (vcpu->saved.service_due)
		hook_handler(vcpu, HOOK_START);
}

void saved_reset(struct vcpu *vcpu)
{
	vcpu->saved.stamp = 0;
	vcpu->saved.load_due = vcpu->saved.service_due = vcpu->saved.hook_added = false;
}

void saved_begin(void)
{
	g_mutex_lock(&lock);
	begun = true;
	place_forget();
	g_mutex_unlock(&lock);
}

void saved_unplugged(struct vcpu *vcpu)
{
	g_mutex_lock(&lock);
	vcpu->saved.parked = true;
	g_mutex_unlock(&lock);
}
