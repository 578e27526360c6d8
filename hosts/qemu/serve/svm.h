/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Guests within the guest (AMD's SVM): when the vCPU runs one, which of its instructions
 * belong to the hypervisor, and what a #VMEXIT leaves unfinished.
 */
#ifndef VPMU_QEMU_SVM_H
#define VPMU_QEMU_SVM_H

#include "guest/nested.h"
#include "translate/decode.h"
#include <stdbool.h>
#include <stdint.h>

struct site;
struct translation;
struct vcpu;

struct svm {
	bool enabled;               /* EFER.SVME, as the PMU knows it */
	bool guest_mode;            /* VMRUN has been run, and no #VMEXIT has been seen since */
	bool resumes;               /* the VMRUN that comes is the plugin's: it undoes a #VMEXIT */
	bool interrupt_injected;    /* by VMRUN, and nothing has been raised since */
	uint64_t injection;         /* one that is made a virtual interrupt; 0: none is */
	uint64_t kept_back;         /* such a one that had not come at the last #VMEXIT; or 0 */
	uint64_t virtual_interrupt; /* of the VMCB, as it was before that */
	uint8_t vmrun_length;
	struct nested nested;
	uint64_t vmcb;       /* of the guest that runs */
	uint64_t intercepts; /* as the VMRUN has found them */
};

void svm_reset(struct vcpu *vcpu);

/* What has to be put into a block. False: nothing. */
bool svm_translate(struct translation *t);

/* If a #VMEXIT has come that has not been seen yet, do what is to be done behind it. */
void svm_look(struct vcpu *vcpu);

/*
 * May a callback set the PC? Not in a guest into which VMRUN has injected an interrupt, until
 * something has been raised: QEMU would deliver the interrupt once more, for it keeps the vector
 * where it keeps that of an exception to be delivered.
 */
bool svm_may_set_pc(const struct vcpu *vcpu);
void svm_raised(struct vcpu *vcpu);

/* The vCPU stops. False: between a #VMEXIT of the plugin's own doing and what follows it. */
bool svm_stop(struct vcpu *vcpu);

/* Does the instruction belong to the hypervisor? Then QEMU is to run it. */
bool svm_intercepts(struct vcpu *vcpu, enum insn_kind kind);

/* A WRMSR that is not the PMU's; and EFER may have changed. */
void svm_wrmsr(struct vcpu *vcpu, const struct site *site, uint32_t msr, uint64_t value);
void svm_follow_efer(struct vcpu *vcpu);

#endif
