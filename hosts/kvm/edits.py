# SPDX-License-Identifier: BSD-2-Clause
"""What `build` changes in its copy of KVM's files, and why. An edit that does not apply is an error.

Each edit is (file, old, new): old is found exactly once in file, and becomes new. Files are named as
in arch/x86/kvm; virt/kvm lies beside them.
"""

# --- any KVM that is built outside of its kernel's tree ------------------------------

OUT_OF_TREE = [
    # What is included and compiled is the copy's.
    ("Makefile", "-I $(srctree)/arch/x86/kvm", "-I $(src)"),
    ("Makefile", "include $(srctree)/virt/kvm/Makefile.kvm", "include $(src)/virt/kvm/Makefile.kvm"),
    ("virt/kvm/Makefile.kvm", "KVM ?= ../../../virt/kvm", "KVM := virt/kvm"),
    ("trace.h", "TRACE_INCLUDE_PATH ../../arch/x86/kvm", "TRACE_INCLUDE_PATH ."),
]

# --- KVM with libvpmu ----------------------------------------------------------------

LICENSE = 'MODULE_LICENSE("GPL");\n'

OURS = [
    # modinfo tells the modules from the kernel's own, and DKMS replaces none by one of its version.
    *((file, LICENSE, LICENSE + 'MODULE_VERSION("libvpmu");\n')
      for file in ("svm/svm.c", "vmx/vmx.c", "virt/kvm/kvm_main.c")),

    # The PMU's files; hosts/kvm/Kbuild names ours. VMX asks about branch records: lbr.c.
    ("Makefile", "cpuid.o pmu.o regs.o", "cpuid.o regs.o"),
    ("Makefile", " svm/pmu.o", ""),
    ("Makefile", "vmx/pmu_intel.o", "vpmu/kvm/lbr.o"),
    ("Makefile", "obj-$(CONFIG_KVM_X86)\t+= kvm.o", "include $(src)/vpmu/kvm/Kbuild\n\nobj-m += kvm.o"),
    ("svm/svm.c", "\t.pmu_ops = &amd_pmu_ops,\n", ""),
    ("vmx/main.c", "\t.pmu_ops = &intel_pmu_ops,\n", ""),
    ("x86.c", "\tkvm_pmu_ops_update(ops->pmu_ops);\n", ""),
    ("x86.c", "kvm_init_pmu_capability(ops->pmu_ops);", "kvm_pmu_start();"),

    # A vCPU's PMU is allocated, which may fail, and freed if the vCPU then is not made.
    ("x86.c", "\tkvm_pmu_init(vcpu);\n",
     "\tr = kvm_pmu_init(vcpu);\n\tif (r)\n\t\tgoto free_guest_fpu;\n"),
    ("x86.c", "free_guest_fpu:\n", "free_guest_fpu:\n\tkvm_pmu_destroy(vcpu);\n"),

    # Emulated instructions are counted by one word that says whether anything counts them. Saying
    # what r is spares the compiler a frame to keep it in.
    ("x86.c", """\tkvm_pmu_trigger_event(vcpu, kvm_pmu_eventsel.INSTRUCTIONS_RETIRED);

""", "\tkvm_pmu_retired(vcpu, 0);\n\tr = 1;\n\n"),
    ("x86.c", """\t\t\tkvm_pmu_trigger_event(vcpu, kvm_pmu_eventsel.INSTRUCTIONS_RETIRED);
\t\t\tif (ctxt->is_branch)
\t\t\t\tkvm_pmu_trigger_event(vcpu, kvm_pmu_eventsel.BRANCH_INSTRUCTIONS_RETIRED);
""", "\t\t\tkvm_pmu_retired(vcpu, ctxt->is_branch ? VPMU_RETIRED_BRANCH : 0);\n"),
    ("vmx/nested.c",
     "kvm_pmu_trigger_event(vcpu, kvm_pmu_eventsel.BRANCH_INSTRUCTIONS_RETIRED);",
     "kvm_pmu_retired(vcpu, VPMU_RETIRED_BRANCH);"),

    # Events that nothing uses any more end some seconds later, not with the next time slice.
    ("x86.c", """\tstruct kvm_pmu *pmu = vcpu_to_pmu(vcpu);

\tvcpu->arch.l1tf_flush_l1d = true;

\tif (vcpu->scheduled_out && pmu->version && pmu->event_count) {
\t\tpmu->need_cleanup = true;
\t\tkvm_make_request(KVM_REQ_PMU, vcpu);
\t}
""", """\tvcpu->arch.l1tf_flush_l1d = true;

\tif (vcpu->scheduled_out)
\t\tkvm_pmu_sched_in(vcpu);
"""),

    # The PMU's registers are served in the innermost loop around the guest.
    ("svm/svm.c", "\tcase SVM_EXIT_MSR:\n\t\tif (!control->exit_info_1)\n\t\t\tbreak;\n",
     "\tcase SVM_EXIT_RDPMC:\n\t\treturn kvm_pmu_fast_rdpmc(vcpu);\n"
     "\tcase SVM_EXIT_MSR:\n\t\tif (!control->exit_info_1)\n"
     "\t\t\treturn kvm_pmu_fast_msr(vcpu, false);\n"),
    ("vmx/vmx.c", "\tcase EXIT_REASON_MSR_WRITE:\n\t\treturn handle_fastpath_set_msr_irqoff(vcpu);\n",
     "\tcase EXIT_REASON_RDPMC:\n\t\treturn kvm_pmu_fast_rdpmc(vcpu);\n"
     "\tcase EXIT_REASON_MSR_READ:\n\t\treturn kvm_pmu_fast_msr(vcpu, false);\n"
     "\tcase EXIT_REASON_MSR_WRITE:\n\t\treturn handle_fastpath_set_msr_irqoff(vcpu);\n"),
    ("x86.c", """\
\t} else {
\t\tret = EXIT_FASTPATH_NONE;
\t}

\tkvm_vcpu_srcu_read_unlock(vcpu);
""", """\
\t} else {
\t\tret = kvm_pmu_fast_msr(vcpu, true);
\t}

\tkvm_vcpu_srcu_read_unlock(vcpu);
"""),

    # Perf events belong to a thread; they move if another one runs the vCPU.
    ("x86.c", "\tkvm_run->flags = 0;\n\tkvm_load_guest_fpu(vcpu);\n",
     "\tkvm_run->flags = 0;\n\tkvm_load_guest_fpu(vcpu);\n\tkvm_pmu_run(vcpu);\n"),

    # A PMI that is due wakes a vCPU that halts, and is in the local APIC when a state is saved.
    ("x86.c", "\tbool hv_timer;\n\n\tif (!kvm_arch_vcpu_runnable(vcpu)) {",
     "\tbool hv_timer;\n\n\tkvm_pmu_settle(vcpu);\n\tif (!kvm_arch_vcpu_runnable(vcpu)) {"),
    ("x86.c", "out:\n\tkvm_put_guest_fpu(vcpu);\n",
     "out:\n\tkvm_pmu_settle(vcpu);\n\tkvm_put_guest_fpu(vcpu);\n"),

    # Of the debug control register some bits are the PMU's, and never the processor's: a PMI of
    # the guest's freezes the guest's counters. AMD's CPUID tells of it.
    ("svm/svm.c", "\t\tmsr_info->data = lbrv ? svm->vmcb->save.dbgctl : 0;\n",
     "\t\tmsr_info->data = lbrv ? svm->vmcb->save.dbgctl : 0;\n"
     "\t\tkvm_pmu_get_debugctl(vcpu, msr_info);\n"),
    ("svm/svm.c", "\tcase MSR_IA32_DEBUGCTLMSR:\n\t\tif (!lbrv) {\n",
     "\tcase MSR_IA32_DEBUGCTLMSR:\n"
     "\t\tif (kvm_pmu_set_debugctl(vcpu, msr->host_initiated, &data))\n\t\t\treturn 1;\n"
     "\t\tif (!lbrv) {\n"),
    ("vmx/vmx.c", "\t\tmsr_info->data = vmx_guest_debugctl_read();\n",
     "\t\tmsr_info->data = vmx_guest_debugctl_read();\n"
     "\t\tkvm_pmu_get_debugctl(vcpu, msr_info);\n"),
    ("vmx/vmx.c", "\t\tif (!vmx_is_valid_debugctl(vcpu, data, msr_info->host_initiated))\n",
     "\t\tif (kvm_pmu_set_debugctl(vcpu, msr_info->host_initiated, &data))\n\t\t\treturn 1;\n"
     "\t\tif (!vmx_is_valid_debugctl(vcpu, data, msr_info->host_initiated))\n"),
    ("cpuid.c", "\t\tcpuid_entry_override(entry, CPUID_8000_0022_EAX);\n",
     "\t\tcpuid_entry_override(entry, CPUID_8000_0022_EAX);\n"
     "\t\tentry->eax |= KVM_PMU_CPUID_FREEZE;\n"),

    # AMD's counters tell a guest's guests from itself, while EFER.SVME is set.
    ("svm/nested.c", '#include "svm.h"\n', '#include "svm.h"\n#include "pmu.h"\n'),
    ("svm/svm.c", "\tsvm->vmcb->save.efer = efer | EFER_SVME;\n",
     "\tkvm_pmu_set_svme(vcpu, vcpu->arch.efer & EFER_SVME);\n"
     "\tsvm->vmcb->save.efer = efer | EFER_SVME;\n"),
    ("svm/nested.c", "\tenter_guest_mode(vcpu);\n",
     "\tenter_guest_mode(vcpu);\n\tkvm_pmu_change_mode(vcpu);\n"),
    ("svm/nested.c", "\tleave_guest_mode(vcpu);\n\tsvm->nested.vmcb12_gpa = 0;\n",
     "\tleave_guest_mode(vcpu);\n\tkvm_pmu_change_mode(vcpu);\n\tsvm->nested.vmcb12_gpa = 0;\n"),
    ("svm/nested.c", "\t\tleave_guest_mode(vcpu);\n\n\t\tsvm_switch_vmcb",
     "\t\tleave_guest_mode(vcpu);\n\t\tkvm_pmu_change_mode(vcpu);\n\n\t\tsvm_switch_vmcb"),

    # What the PMU does with perf events, for whoever measures.
    ("debugfs.c", '#include "mmu/mmu_internal.h"\n', '#include "mmu/mmu_internal.h"\n#include "pmu.h"\n'),
    ("debugfs.c", "struct dentry *debugfs_dentry)\n{\n",
     "struct dentry *debugfs_dentry)\n{\n\tkvm_pmu_create_debugfs(vcpu, debugfs_dentry);\n"),

    # Neither branch records nor precise events.
    ("vmx/vmx.c", "\n\treturn perf_cap;\n", "\n\treturn perf_cap & PMU_CAP_FW_WRITES;\n"),
]

# --- for comparison --------------------------------------------------------------------

# The patch of 2026: instructions are counted only if the VM has a PMU.
GUARD = [
    ("x86.c", "\tkvm_pmu_trigger_event(vcpu, kvm_pmu_eventsel.INSTRUCTIONS_RETIRED);\n\n",
     "\tif (unlikely(vcpu->kvm->arch.enable_pmu))\n"
     "\t\tkvm_pmu_trigger_event(vcpu, kvm_pmu_eventsel.INSTRUCTIONS_RETIRED);\n\n"),
]

# The floor: KVM that does not count what it emulates.
NOTHING = [
    ("x86.c", "\tkvm_pmu_trigger_event(vcpu, kvm_pmu_eventsel.INSTRUCTIONS_RETIRED);\n\n", "\n"),
]

# For a machine whose SVM does not save the next RIP, as all processors since 2008 do and QEMU's
# does not: the length of these instructions, without prefixes. Only where the same guest is
# measured on several variants; `build --next-rip`.
NEXT_RIP = [
    ("svm/svm.c", "\tsvm->next_rip = 0;\n", """\
\tsvm->next_rip = 0;
\tswitch (svm->vmcb->control.exit_code) {
\tcase SVM_EXIT_MSR:
\tcase SVM_EXIT_RDPMC:
\tcase SVM_EXIT_CPUID:
\t\tsvm->next_rip = svm->vmcb->save.rip + 2;
\t}
"""),
    ("svm/svm.c", "\tif (!nrips || !control->next_rip)\n", "\tif (!svm->next_rip)\n"),
]

VARIANTS = {
    "ours": OUT_OF_TREE + OURS,
    "stock": OUT_OF_TREE,
    "guard": OUT_OF_TREE + GUARD,
    "nothing": OUT_OF_TREE + NOTHING,
}
