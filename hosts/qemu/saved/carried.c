/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See carried.h.
 */
#include "carried.h"
#include "guest/registers.h"
#include "guest/x86.h"
#include "vcpu.h"

#define LENGTH_MAX 15 /* an instruction's */

struct carried {
	struct lapic lapic;
	struct hook hook;
	struct fixup fixup;
	struct rdpmc rdpmc;
	struct exceptions exceptions;
	struct svm svm;
};

struct words {
	uint64_t *next;
	bool load;
};

/* The next word becomes the value, or the other way around. */
static uint64_t pass(struct words *words, uint64_t value)
{
	uint64_t *word = words->next++;

	if (!words->load)
		*word = GUINT64_TO_LE(value);
	return GUINT64_FROM_LE(*word);
}

static void pass_registers(struct words *w, struct lapic_registers *r)
{
	r->x2apic = pass(w, r->x2apic);
	r->enabled = pass(w, r->enabled);
	r->lvtpc = (uint32_t)pass(w, r->lvtpc);
	r->base = pass(w, r->base);
	r->id = (uint8_t)pass(w, r->id);
}

static void pass_lapic(struct words *w, struct lapic *lapic)
{
	pass_registers(w, &lapic->now);
	pass_registers(w, &lapic->before_write);
	lapic->write_address = pass(w, lapic->write_address);
	lapic->x2apic_id = (uint32_t)pass(w, lapic->x2apic_id);
}

static void pass_rdpmc(struct words *w, struct rdpmc *rdpmc)
{
	rdpmc->ud_raised = pass(w, rdpmc->ud_raised);
	rdpmc->pending_count = (unsigned int)pass(w, rdpmc->pending_count);
	for (unsigned int i = 0; i < RDPMC_PENDING_MAX; i++) {
		struct pending_rdpmc *pending = &rdpmc->pending[i];

		pending->ip = pass(w, pending->ip);
		pending->length = (uint8_t)pass(w, pending->length);
		pending->fault = pass(w, pending->fault);
		pending->value = pass(w, pending->value);
	}
	rdpmc->substitute.ip = pass(w, rdpmc->substitute.ip);
	rdpmc->substitute.next_ip = pass(w, rdpmc->substitute.next_ip);
	rdpmc->substitute.return_ip = pass(w, rdpmc->substitute.return_ip);
	rdpmc->substitute.rdpmc_ip = pass(w, rdpmc->substitute.rdpmc_ip);
}

static void pass_exceptions(struct words *w, struct exceptions *exceptions)
{
	exceptions->pending = pass(w, exceptions->pending);
	exceptions->pending_level = (enum level)pass(w, exceptions->pending_level);
}

static void pass_svm(struct words *w, struct svm *svm)
{
	svm->enabled = pass(w, svm->enabled);
	svm->guest_mode = pass(w, svm->guest_mode);
	svm->resumes = pass(w, svm->resumes);
	svm->vmrun_length = (uint8_t)pass(w, svm->vmrun_length);
	svm->vmcb = pass(w, svm->vmcb);
	svm->intercepts = pass(w, svm->intercepts);
}

static void pass_all(struct words *w, struct carried *carried)
{
	struct fixup *fixup = &carried->fixup;

	pass_lapic(w, &carried->lapic);
	carried->hook.flag = pass(w, carried->hook.flag);
	carried->hook.place = (enum hook_place)pass(w, carried->hook.place);
	fixup->kind = (enum fixup_kind)pass(w, fixup->kind);
	fixup->index = (uint32_t)pass(w, fixup->index);
	fixup->subleaf = (uint32_t)pass(w, fixup->subleaf);
	fixup->value = pass(w, fixup->value);
	pass_rdpmc(w, &carried->rdpmc);
	pass_exceptions(w, &carried->exceptions);
	pass_svm(w, &carried->svm);
}

void carried_save(const struct vcpu *vcpu, uint64_t words[CARRIED_WORDS])
{
	struct carried carried = { vcpu->lapic, vcpu->hook,       vcpu->fixup,
				   vcpu->rdpmc, vcpu->exceptions, vcpu->svm };
	struct words w = { .next = words };

	pass_all(&w, &carried);
	g_assert(w.next == words + CARRIED_WORDS);
}

/* Those of a #GP are gone between two blocks, unless it is a #VMEXIT. */
static bool is_fixup(const struct carried *carried)
{
	const struct fixup *fixup = &carried->fixup;

	switch (fixup->kind) {
	case FIXUP_NONE:
	case FIXUP_CPUID:
	case FIXUP_SHARED:
	case FIXUP_RESULT:
	case FIXUP_EFER:
		return true;
	case FIXUP_APIC_ID:
		return fixup->index == GUEST_AX || fixup->index == GUEST_DX;
	case FIXUP_CX:
	case FIXUP_CR4:
		return carried->svm.guest_mode;
	}
	return false;
}

static bool is_hook(const struct hook *hook)
{
	return (hook->flag == 0 || hook->flag == FLAGS_RF || hook->flag == FLAGS_TF) &&
	       (unsigned int)hook->place <= HOOK_RDPMC;
}

static bool is_rdpmc(const struct rdpmc *rdpmc)
{
	for (unsigned int i = 0; i < RDPMC_PENDING_MAX; i++)
		if (rdpmc->pending[i].length > LENGTH_MAX)
			return false;
	return rdpmc->pending_count <= RDPMC_PENDING_MAX &&
	       (!rdpmc->ud_raised || rdpmc->pending_count > 0);
}

bool carried_load(struct vcpu *vcpu, const uint64_t words[CARRIED_WORDS])
{
	uint64_t copy[CARRIED_WORDS];
	struct carried carried = { 0 };
	struct words w = { .next = copy, .load = true };

	for (unsigned int i = 0; i < CARRIED_WORDS; i++)
		copy[i] = words[i];
	pass_all(&w, &carried);
	if (!is_fixup(&carried) || !is_hook(&carried.hook) || !is_rdpmc(&carried.rdpmc) ||
	    (unsigned int)carried.exceptions.pending_level > LEVEL_KERNEL ||
	    carried.svm.vmrun_length > LENGTH_MAX)
		return false;
	/* No translation of the saving QEMU is linked to another here. */
	if (carried.hook.place == HOOK_LINKED)
		carried.hook.place = HOOK_BEHIND;
	vcpu->lapic = carried.lapic;
	vcpu->hook = carried.hook;
	vcpu->fixup = carried.fixup;
	vcpu->rdpmc = carried.rdpmc;
	vcpu->exceptions = carried.exceptions;
	vcpu->svm = carried.svm;
	return true;
}
