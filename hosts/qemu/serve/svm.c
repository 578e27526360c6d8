/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See svm.h. QEMU tells a plugin neither of guest mode nor of a #VMEXIT. But a #VMEXIT stores
 * its exit code in the VMCB, and the processor goes on behind the VMRUN. So VMRUN has a
 * callback that puts a mark where the exit code will be, and what follows VMRUN has one
 * that finds the mark gone. APM vol. 2, "Secure Virtual Machine".
 *
 * Nothing of this is in code that runs with EFER.SVME clear: QEMU has other translations
 * for that.
 *
 * A #VMEXIT may come of the plugin's own doing: of the #UD that stands for an RDPMC, or of the
 * access that stands for one of a register that faults (serve.c). It is undone by another VMRUN.
 *
 * The guest's state that a #VMEXIT has saved is in the VMCB, and the rest in the registers:
 * what is pending for the guest is done to both.
 */
#include "svm.h"
#include "guest/registers.h"
#include "guest/vmcb.h"
#include "guest/x86.h"
#include "models/models.h"
#include "service.h"
#include "translate/translation.h"
#include "vcpu.h"

#define MSR_EFER 0xc0000080

#define VMRUN_LENGTH 3 /* without prefixes */

static void set_mode(struct vcpu *vcpu, bool guest_mode)
{
	vcpu->svm.guest_mode = guest_mode;
	if (!guest_mode) {
		vcpu->svm.nested.tables.levels = 0;
		vcpu->svm.interrupt_injected = false;
	}
	source_change_mode(vcpu);
}

void svm_reset(struct vcpu *vcpu)
{
	if (vcpu->svm.guest_mode)
		set_mode(vcpu, false);
	vcpu->svm.enabled = false;
	vpmu_set_svme(&vcpu->pmu, false);
}

/* Before a change of the mode: the last instruction has retired. */
static void look_for_alarms(struct vcpu *vcpu)
{
	if (source_check_alarms(vcpu))
		service(vcpu);
}

/* QEMU delivers an exception that VMRUN injects without having raised it. */
static bool is_exception(uint64_t injection)
{
	return (injection & INJECTION_VALID) && (INJECTION_TYPE(injection) == INJECTION_EXCEPTION ||
						 INJECTION_TYPE(injection) == INJECTION_SOFTWARE);
}

static bool is_interrupt(uint64_t injection)
{
	return (injection & INJECTION_VALID) && INJECTION_TYPE(injection) == INJECTION_INTERRUPT;
}

/* Would a virtual interrupt come at once, and is there none yet? */
static bool takes_virtual_interrupt(uint64_t vmcb, uint64_t virtual_interrupt)
{
	return !(virtual_interrupt & (V_IRQ | V_GIF_ENABLED)) &&
	       vmcb_read(vmcb, VMCB_RFLAGS) & FLAGS_IF && !(vmcb_read(vmcb, VMCB_SHADOW) & SHADOW);
}

/*
 * What VMRUN injects stays QEMU's next exception, and would be delivered again as soon as a
 * callback sets the PC (svm_may_set_pc()). A virtual interrupt comes at the same place, and does
 * not stay.
 *
 * But an interrupt of the hypervisor's goes before a virtual one, and behind an injected one.
 * KVM sends itself one to regain control as soon as what it injects has come: an injection that
 * has been kept back once is made as it is asked for.
 */
static void inject_interrupt(struct vcpu *vcpu, uint64_t injection)
{
	uint64_t vmcb = vcpu->svm.vmcb;
	uint64_t before = vmcb_read(vmcb, VMCB_VIRTUAL_INTERRUPT);

	if (vcpu->svm.kept_back == injection || !takes_virtual_interrupt(vmcb, before)) {
		vcpu->svm.interrupt_injected = true;
		return;
	}
	vcpu->svm.injection = injection;
	vcpu->svm.virtual_interrupt = before;
	vmcb_write(vmcb, VMCB_EVENT_INJECTION, injection & ~INJECTION_VALID);
	vmcb_write(vmcb, VMCB_VIRTUAL_INTERRUPT,
		   (before & ~V_VECTOR_MASK) | V_IRQ | V_IGNORE_TPR |
			   V_VECTOR(INJECTION_VECTOR(injection)));
	vmcb_write(vmcb, VMCB_INTERCEPTS, vcpu->svm.intercepts & ~INTERCEPT_VINTR);
}

/* Behind the #VMEXIT. If the interrupt has not come, the hypervisor is told so. */
static void end_injection(struct vcpu *vcpu)
{
	const uint64_t changed = V_IRQ | V_IGNORE_TPR | V_VECTOR_MASK;
	uint64_t vmcb = vcpu->svm.vmcb;
	uint64_t now = vmcb_read(vmcb, VMCB_VIRTUAL_INTERRUPT);

	vcpu->svm.kept_back = 0;
	if (!vcpu->svm.injection)
		return;
	if (now & V_IRQ) {
		vmcb_write(vmcb, VMCB_EXIT_EVENT, vcpu->svm.injection);
		vcpu->svm.kept_back = vcpu->svm.injection;
	}
	vmcb_write(vmcb, VMCB_VIRTUAL_INTERRUPT,
		   (now & ~changed) | (vcpu->svm.virtual_interrupt & changed));
	vmcb_write(vmcb, VMCB_INTERCEPTS, vcpu->svm.intercepts);
	vcpu->svm.injection = 0;
}

/* It has not been the guest's. */
static void resume(struct vcpu *vcpu)
{
	const struct block *block = as_block(vcpu_score(vcpu)->block);

	vcpu->svm.resumes = false;
	if (block)
		totals_correct(vcpu, block, 0);
	vcpu_leave_block(vcpu);
}

/* In guest mode VMRUN is always intercepted. Without a page's address it is #GP. */
static void before_vmrun(unsigned int vcpu_index, void *userdata)
{
	const struct site *site = userdata;
	struct vcpu *vcpu = vcpu_get(vcpu_index);
	uint64_t vmcb = reg_read(GUEST_AX), injection;

	if (site->length > VMRUN_LENGTH) /* with another address size */
		vmcb &= UINT32_MAX;
	fixup_apply(vcpu);
	svm_look(vcpu);
	if (vcpu->svm.resumes)
		resume(vcpu);
	if (vcpu->svm.guest_mode || vmcb % PAGE || !vmcb_mark(vmcb))
		return;
	look_for_alarms(vcpu);
	vcpu_leave_block(vcpu);
	vcpu->svm.vmcb = vmcb;
	vcpu->svm.vmrun_length = site->length;
	vcpu->svm.intercepts = vmcb_read(vmcb, VMCB_INTERCEPTS);
	vcpu->svm.nested = nested_enter(vmcb);
	injection = vmcb_read(vmcb, VMCB_EVENT_INJECTION);
	vcpu->exceptions.pending = is_exception(injection);
	if (is_interrupt(injection))
		inject_interrupt(vcpu, injection);
	set_mode(vcpu, true);
}

/* Of the guest's registers the #VMEXIT has put EAX and the control registers away. */
static void apply_fixup(struct vcpu *vcpu)
{
	uint64_t ax = reg_read(GUEST_AX);
	uint64_t vmcb = vcpu->svm.vmcb;

	if (vcpu->fixup.kind == FIXUP_CR4) {
		vmcb_write(vmcb, VMCB_CR4, vcpu->fixup.value);
		vcpu->fixup.kind = FIXUP_NONE;
	}
	if (vcpu->fixup.kind == FIXUP_NONE)
		return;
	reg_write(GUEST_AX, vmcb_read(vmcb, VMCB_RAX));
	fixup_apply(vcpu);
	vmcb_write(vmcb, VMCB_RAX, reg_read(GUEST_AX));
	reg_write(GUEST_AX, ax);
}

static bool is_in_delivery_of_ud(uint64_t vmcb)
{
	uint64_t event = vmcb_read(vmcb, VMCB_EXIT_EVENT);

	return (event & INJECTION_VALID) && INJECTION_TYPE(event) == INJECTION_EXCEPTION &&
	       INJECTION_VECTOR(event) == VECTOR_UD;
}

/* Returns where the guest has been left. */
static uint64_t correct_saved_state(struct vcpu *vcpu)
{
	uint64_t vmcb = vcpu->svm.vmcb;
	uint64_t flags = vmcb_read(vmcb, VMCB_RFLAGS);
	uint64_t right_flags = hook_left(vcpu, flags);
	uint64_t ip = vmcb_read(vmcb, VMCB_RIP);
	uint64_t right_ip = rdpmc_left(vcpu, ip, is_in_delivery_of_ud(vmcb));

	if (right_flags != flags)
		vmcb_write(vmcb, VMCB_RFLAGS, right_flags);
	if (right_ip != ip)
		vmcb_write(vmcb, VMCB_RIP, right_ip);
	return right_ip + vmcb_read(vmcb, VMCB_CS_BASE);
}

/* Interrupts, also where their delivery has faulted, and faults of fetching an instruction. */
static bool is_between_instructions(const struct vcpu *vcpu)
{
	uint64_t vmcb = vcpu->svm.vmcb;
	uint32_t code = (uint32_t)vmcb_read(vmcb, VMCB_EXIT_CODE);
	bool fetch = vmcb_read(vmcb, VMCB_EXIT_INFO_1) & EXIT_INFO_FETCH;

	if (code >= EXIT_INTR && code <= EXIT_VINTR)
		return true;
	if ((vmcb_read(vmcb, VMCB_EXIT_EVENT) & INJECTION_VALID) && !vcpu->exceptions.pending)
		return true;
	return fetch && (code == EXIT_PAGE_FAULT || code == EXIT_NESTED_PAGE_FAULT);
}

/* A #VMEXIT has come, and the hypervisor goes on. */
static void leave(struct vcpu *vcpu)
{
	uint64_t vmcb = vcpu->svm.vmcb;
	enum level level = vmcb_read(vmcb, VMCB_CPL) & 3 ? LEVEL_USER : LEVEL_KERNEL;
	uint64_t from = correct_saved_state(vcpu);
	bool between;

	end_injection(vcpu);
	between = is_between_instructions(vcpu);
	lapic_delivered(vcpu, !between, from);
	branches_left(vcpu, !between, from);
	apply_fixup(vcpu);
	exceptions_left(vcpu, between, level, from);
	look_for_alarms(vcpu);
	vcpu->svm.resumes = false;
	set_mode(vcpu, false);
	svm_follow_efer(vcpu);
}

void svm_look(struct vcpu *vcpu)
{
	if (vcpu->svm.guest_mode && !vmcb_is_marked(vcpu->svm.vmcb))
		leave(vcpu);
}

bool svm_may_set_pc(const struct vcpu *vcpu)
{
	return !vcpu->svm.interrupt_injected;
}

void svm_raised(struct vcpu *vcpu)
{
	vcpu->svm.interrupt_injected = false;
}

bool svm_stop(struct vcpu *vcpu)
{
	bool own = vcpu->rdpmc.ud_raised || vcpu->fixup.kind == FIXUP_CX;

	if (vcpu->svm.guest_mode && own && !vmcb_is_marked(vcpu->svm.vmcb))
		return false;
	svm_look(vcpu);
	return true;
}

/* False: the hypervisor intercepts #GP, and is told of one. */
static bool inject_gp(struct vcpu *vcpu)
{
	uint64_t vmcb = vcpu->svm.vmcb;

	if (vmcb_read(vmcb, VMCB_EXCEPTIONS) >> VECTOR_GP & 1) {
		vmcb_write(vmcb, VMCB_EXIT_CODE, EXIT_GP);
		vmcb_write(vmcb, VMCB_EXIT_INFO_1, 0);
		return false;
	}
	vmcb_write(vmcb, VMCB_EVENT_INJECTION, INJECTION_GP0);
	vcpu->exceptions.pending = true;
	return true;
}

static bool finish_rdpmc(struct vcpu *vcpu, const struct pending_rdpmc *rdpmc)
{
	uint64_t vmcb = vcpu->svm.vmcb;

	if (rdpmc->fault)
		return inject_gp(vcpu);
	vmcb_write(vmcb, VMCB_RAX, rdpmc->value & UINT32_MAX);
	reg_write(GUEST_DX, rdpmc->value >> 32);
	vmcb_write(vmcb, VMCB_RIP, rdpmc->ip + rdpmc->length);
	vmcb_write(vmcb, VMCB_SHADOW, 0);
	return true;
}

/* Is the #VMEXIT one that the guest has not asked for? Then its reason is dealt with. */
static bool is_own_exit(struct vcpu *vcpu)
{
	uint64_t vmcb = vcpu->svm.vmcb;
	struct pending_rdpmc rdpmc;

	switch ((uint32_t)vmcb_read(vmcb, VMCB_EXIT_CODE)) {
	case EXIT_UD:
		return rdpmc_intercepted(vcpu, vmcb_read(vmcb, VMCB_RIP), &rdpmc) &&
		       finish_rdpmc(vcpu, &rdpmc);
	case EXIT_MSR:
		if (vcpu->fixup.kind != FIXUP_CX)
			return false;
		fixup_apply(vcpu);
		return inject_gp(vcpu);
	default:
		return false;
	}
}

static void behind_vmrun(unsigned int vcpu_index, void *unused)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);

	(void)unused;
	if (vcpu->svm.guest_mode && !vmcb_is_marked(vcpu->svm.vmcb) && is_own_exit(vcpu) &&
	    vmcb_mark(vcpu->svm.vmcb)) {
		vcpu->svm.resumes = true;
		qemu_plugin_set_pc(reg_read(GUEST_IP) - vcpu->svm.vmrun_length);
	}
	svm_look(vcpu);
	stale_wait(vcpu);
}

static bool is_behind_vmrun(const struct translation *t)
{
	uint8_t bytes[VMRUN_LENGTH];

	return guest_read(t->vaddr - sizeof(bytes), bytes, sizeof(bytes)) &&
	       decode_end(bytes, sizeof(bytes)) == END_VMRUN;
}

static void add_vmrun(struct translation *t)
{
	struct site *site = block_keep(g_new(struct site, 1));

	*site = translation_site(t, t->count - 1, INSN_OTHER);
	qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(t->tb, t->count - 1),
					       before_vmrun, QEMU_PLUGIN_CB_RW_REGS, site);
}

bool svm_translate(struct translation *t)
{
	bool is_vmrun, is_behind;

	if (!(reg_read(GUEST_EFER) & EFER_SVME))
		return false;
	is_vmrun = t->level == LEVEL_KERNEL && translation_end_kind(t) == END_VMRUN;
	is_behind = is_behind_vmrun(t);
	if (is_vmrun)
		add_vmrun(t);
	if (is_behind)
		qemu_plugin_register_vcpu_tb_exec_cb(t->tb, behind_vmrun, QEMU_PLUGIN_CB_RW_REGS_PC,
						     NULL);
	return is_vmrun || is_behind;
}

static bool intercepts_msr(const struct vcpu *vcpu, bool write)
{
	uint64_t map = vmcb_read(vcpu->svm.vmcb, VMCB_MSRPM) & ~(PAGE - 1);

	return vcpu->svm.intercepts & INTERCEPT_MSR &&
	       vmcb_map_intercepts(map, (uint32_t)reg_read(GUEST_CX), write);
}

bool svm_intercepts(struct vcpu *vcpu, enum insn_kind kind)
{
	svm_look(vcpu);
	if (!vcpu->svm.guest_mode)
		return false;
	switch (kind) {
	case INSN_RDMSR:
		return intercepts_msr(vcpu, false);
	case INSN_WRMSR:
		return intercepts_msr(vcpu, true);
	case INSN_RDPMC:
		return vcpu->svm.intercepts & INTERCEPT_RDPMC;
	case INSN_CPUID:
		return vcpu->svm.intercepts & INTERCEPT_CPUID;
	case INSN_OTHER:
		break;
	}
	return false;
}

/* QEMU takes the bit only if the CPU has SVM. */
void svm_wrmsr(struct vcpu *vcpu, const struct site *site, uint32_t msr, uint64_t value)
{
	if (msr != MSR_EFER || !((value ^ reg_read(GUEST_EFER)) & EFER_SVME))
		return;
	vcpu->fixup.kind = FIXUP_EFER;
	hook_behind(vcpu, site);
}

void svm_follow_efer(struct vcpu *vcpu)
{
	bool enabled = reg_read(GUEST_EFER) & EFER_SVME;

	if (vcpu->svm.enabled == enabled)
		return;
	vcpu->svm.enabled = enabled;
	vpmu_set_svme(&vcpu->pmu, enabled);
	service(vcpu);
}
