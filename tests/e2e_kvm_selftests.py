#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""KVM's own selftests that touch its PMU, its MSRs and its guests' state, in a bed: what passes
on stock KVM passes with libvpmu in it. They are Linux's (tools/testing/selftests/kvm), compiled
in the build folder by their own makefile. TAP on stdout.
"""
import os
import re
import subprocess
import sys

import bed
from linux_guest import BUILD
from tap import check, finish, skip

SOURCE = BUILD + "/kvm/source/tools/testing/selftests/kvm"
OUT = BUILD + "/kvm/selftests"
SECONDS = 60  # each

PASSES = ["cpuid_test", "exit_on_emulation_failure_test", "get_msr_index_features",
          "hwcr_msr_test", "nested_exceptions_test", "platform_info_test", "set_sregs_test",
          "smm_test", "state_test", "svm_int_ctl_test", "svm_nested_shutdown_test",
          "svm_vmcall_test", "userspace_msr_exit_test"]
# Its masked events are checked last and are loads and stores that AMD's processors dispatch: event
# 29H is one of micro-operations, which the bed's processor has not.
FILTER = "pmu_event_filter_test"
FILTER_END = "loads: 0, stores: 0, loads + stores: 0"
# pmu_counters_test and vmx_pmu_caps_test are for Intel's processors.

SCRIPT = """
cd %s/x86_64
for name in %s; do
	echo "test $name"
	timeout %u ./$name 2>&1
	echo "status $name $?"
done
"""


def build(names):
    os.makedirs(OUT, exist_ok=True)
    return subprocess.run(
        ["make", "-s", f"-j{len(os.sched_getaffinity(0))}", "-C", SOURCE, "ARCH=x86_64",
         "OUTPUT=" + OUT, *(f"{OUT}/x86_64/{name}" for name in names)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False)


def run(variant, names):
    """Each one's status, and what it said."""
    done = bed.run(SCRIPT % (OUT, " ".join(names), SECONDS), "--memory", "1G", kvm=variant)
    found = re.findall(r"^test (\w+)\n(.*?)^status \1 (\d+)$", done.stdout, re.M | re.S)
    return {name: (int(status), text) for name, text, status in found}


def said(found, name):
    status, text = found.get(name, (None, "it has not run"))
    return [f"status {status}", *text.splitlines()[-15:]]


def check_filter(found):
    for variant in bed.VARIANTS:
        status, text = found[variant].get(FILTER, (None, ""))
        check(f"{FILTER}, {variant}: all holds that needs no event of micro-operations",
              status == 0 or FILTER_END in text, *said(found[variant], FILTER))


def main():
    reason = bed.missing_variants()
    if not reason and not os.path.exists(SOURCE + "/Makefile"):
        reason = "there are no selftests (tools/setup kvm-sources brings them)"
    if reason:
        skip("KVM's selftests", reason)
        return finish()
    names = [*PASSES, FILTER]
    made = build(names)
    check("KVM's selftests are compiled", made.returncode == 0, made.stdout[-3000:])
    found = {variant: run(variant, names) for variant in bed.VARIANTS}
    for name in PASSES:
        check(f"{name} passes on ours", found["ours"].get(name, (None,))[0] == 0,
              *said(found["ours"], name))
        if found[bed.STOCK].get(name, (None,))[0] != 0:
            print(f"# {name}, stock KVM:", *said(found[bed.STOCK], name), sep="\n# ")
    check_filter(found)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
