/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * KVM_SET_PMU_EVENT_FILTER: the library's filter means what KVM's does.
 */
#include <linux/kvm_host.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "vcpu.h"

/* As many as KVM takes. */
#define ENTRIES_MAX 300

/* What a VM has; it is freed as KVM frees its own. */
struct vm_filter {
	struct vpmu_filter filter;
	u64 number; /* of all that have been, from 1 */
	u64 entries[];
};

/*
 * A vCPU does so itself, so that a filter never changes between two steps of its thread. Numbers
 * tell filters apart; the memory of one that has gone may be the next one's.
 */
void vpmu_adopt_filter(struct kvm_vcpu *vcpu)
{
	struct vpmu_vcpu *own = vcpu_to_vpmu_vcpu(vcpu);
	const struct vm_filter *made = (void *)srcu_dereference(vcpu->kvm->arch.pmu_event_filter,
								 &vcpu->kvm->srcu);

	if (!made || made->number == own->filter)
		return;
	own->filter = made->number;
	vpmu_set_filter(&own->pmu, &made->filter);
}

/* Whether this machine's guests can have it, before any of them does. */
static int check(const struct vpmu_filter *filter)
{
	const struct vpmu_config off = { .vendor = vpmu_machine_vendor() };
	struct vpmu *pmu = kzalloc(sizeof(*pmu), GFP_KERNEL);
	enum vpmu_error error;

	if (!pmu)
		return -ENOMEM;
	vpmu_init(pmu, &off, NULL, NULL);
	error = vpmu_set_filter(pmu, filter);
	kfree(pmu);
	return error == VPMU_OK ? 0 : -EINVAL;
}

static int check_header(const struct kvm_pmu_event_filter *header)
{
	if (header->action != KVM_PMU_EVENT_ALLOW && header->action != KVM_PMU_EVENT_DENY)
		return -EINVAL;
	if (header->flags & ~KVM_PMU_EVENT_FLAGS_VALID_MASK)
		return -EINVAL;
	return header->nevents > ENTRIES_MAX ? -E2BIG : 0;
}

static struct vm_filter *copy_filter(const struct kvm_pmu_event_filter *header,
				     const struct kvm_pmu_event_filter __user *from)
{
	struct vm_filter *made = kzalloc(struct_size(made, entries, header->nevents),
					 GFP_KERNEL_ACCOUNT);

	if (!made)
		return ERR_PTR(-ENOMEM);
	made->filter = (struct vpmu_filter){
		.action = header->action == KVM_PMU_EVENT_DENY ? VPMU_FILTER_DENY
							       : VPMU_FILTER_ALLOW,
		.masked = header->flags & KVM_PMU_EVENT_FLAG_MASKED_EVENTS,
		.fixed = header->fixed_counter_bitmap,
		.count = header->nevents,
		.entries = made->entries,
	};
	if (!copy_from_user(made->entries, from->events, sizeof(u64) * header->nevents))
		return made;
	kfree(made);
	return ERR_PTR(-EFAULT);
}

/* A vCPU asks its filter within an SRCU section, so the old one is nobody's after them. */
static struct vm_filter *replace(struct kvm *kvm, struct vm_filter *made)
{
	static atomic64_t numbers;
	struct vm_filter *old;

	made->number = atomic64_inc_return(&numbers);
	mutex_lock(&kvm->lock);
	old = (struct vm_filter *)rcu_replace_pointer(kvm->arch.pmu_event_filter,
						      (void *)made, lockdep_is_held(&kvm->lock));
	mutex_unlock(&kvm->lock);
	kvm_make_all_cpus_request(kvm, KVM_REQ_PMU);
	synchronize_srcu_expedited(&kvm->srcu);
	return old;
}

int kvm_vm_ioctl_set_pmu_event_filter(struct kvm *kvm, void __user *argp)
{
	struct kvm_pmu_event_filter header;
	struct vm_filter *made;
	int error;

	if (copy_from_user(&header, argp, sizeof(header)))
		return -EFAULT;
	error = check_header(&header);
	if (error)
		return error;
	made = copy_filter(&header, argp);
	if (IS_ERR(made))
		return PTR_ERR(made);
	error = check(&made->filter);
	kfree(error ? made : replace(kvm, made));
	return error;
}
