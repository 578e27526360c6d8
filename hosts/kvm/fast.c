/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * RDMSR, WRMSR and RDPMC right after the exit, with interrupts off: a guest's PMI handler does
 * six or so of them, and the way through all of KVM costs more than what they ask for. It is
 * only taken where processors say where the next instruction is.
 */
#include <linux/kvm_host.h>
#include "trace.h"
#include "vcpu.h"
#include "x86.h"

/* All of the register is the PMU's, and userspace does not want to know. */
static bool is_fast(struct kvm_vcpu *vcpu, u32 msr, u32 filter)
{
	return vcpu_to_pmu(vcpu)->version && vpmu_msr_bits(vcpu_to_vpmu(vcpu), msr) == ~0ull &&
	       kvm_msr_allowed(vcpu, msr, filter);
}

/* As at other exits: the instruction has retired, then what it asks for takes effect. */
static fastpath_t finish(struct kvm_vcpu *vcpu)
{
	fastpath_t way = kvm_skip_emulated_instruction(vcpu) ? EXIT_FASTPATH_REENTER_GUEST
							     : EXIT_FASTPATH_EXIT_USERSPACE;
	struct vpmu *pmu = vcpu_to_vpmu(vcpu);

	if (!vpmu_service_is_due(pmu))
		return way;
	if (vpmu_service_binds_nothing(pmu))
		vpmu_serve(vcpu);
	else
		kvm_make_request(KVM_REQ_PMU, vcpu);
	return way;
}

static bool serve_write(struct kvm_vcpu *vcpu, u32 msr)
{
	u64 value = kvm_read_edx_eax(vcpu);

	if (!is_fast(vcpu, msr, KVM_MSR_FILTER_WRITE) ||
	    vpmu_wrmsr(vcpu_to_vpmu(vcpu), msr, value) != VPMU_DONE)
		return false;
	trace_kvm_msr_write(msr, value);
	return true;
}

static void store(struct kvm_vcpu *vcpu, u64 value)
{
	kvm_rax_write(vcpu, (u32)value);
	kvm_rdx_write(vcpu, value >> 32);
}

static bool serve_read(struct kvm_vcpu *vcpu, u32 msr)
{
	u64 value = 0;

	if (!is_fast(vcpu, msr, KVM_MSR_FILTER_READ) ||
	    vpmu_rdmsr(vcpu_to_vpmu(vcpu), msr, &value) != VPMU_DONE)
		return false;
	trace_kvm_msr_read(msr, value);
	store(vcpu, value);
	return true;
}

fastpath_t kvm_pmu_fast_msr(struct kvm_vcpu *vcpu, bool write)
{
	u32 msr = kvm_rcx_read(vcpu);
	bool done;

	kvm_vcpu_srcu_read_lock(vcpu);
	done = write ? serve_write(vcpu, msr) : serve_read(vcpu, msr);
	kvm_vcpu_srcu_read_unlock(vcpu);
	return done ? finish(vcpu) : EXIT_FASTPATH_NONE;
}
EXPORT_SYMBOL_GPL(kvm_pmu_fast_msr);

fastpath_t kvm_pmu_fast_rdpmc(struct kvm_vcpu *vcpu)
{
	u64 value;

	if (kvm_pmu_rdpmc(vcpu, kvm_rcx_read(vcpu), &value))
		return EXIT_FASTPATH_NONE;
	store(vcpu, value);
	return finish(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_pmu_fast_rdpmc);
