#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A Debian guest of hosts/kvm's KVM, in a bed: what its kernel and perf make of the PMU that
it has, and the signals that rr lives on. Stock KVM runs the same guest: what holds there holds on ours,
too. Then the bed's perf tells a guest from itself, other guests' PMUs come and go, and KVM is
unloaded and leaves nothing.
TAP on stdout.

VPMU_SEED: of what the other guests do (default: 1).
"""
import concurrent.futures
import os
import re
import sys
import tempfile

import bed
import e2e_cpus
import e2e_nested
import e2e_rr
import hanging_module
from linux_guest import BUILD, ROOT, check_messages
from tap import check, finish, skip

KERNEL = "6.12"
MODEL = "EPYC-Genoa"  # has the PMU that the guest has
COUNTERS = 6          # of the bed
SEED = int(os.environ.get("VPMU_SEED", "1"))

SHOWN = e2e_rr.SIGNALS + e2e_cpus.SCRIPT

# Events of the kernel are exactly as many as objects of their slab, once that has been shrunk.
# They are freed a moment after their end.
SCRIPT = """
events() {
	echo 1 >/sys/kernel/slab/perf_event/shrink
	cut -d' ' -f1 /sys/kernel/slab/perf_event/objects
}
unload() {
	PYTHONPATH=$TESTS python3 -Bc "import bed
for name in 'kvm_amd', 'kvm':
	bed.unload(name)
	print(name, 0)"
}
echo == before; events
echo == guest
%s
echo == nested
%s
echo == changes
echo 0 >/sys/module/kvm/parameters/report_ignored_msrs
$CHANGES
echo == unloaded; unload; ls /dev/kvm
for try in $(seq 50); do [ "$(events)" != 0 ] || break; sleep 0.1; done
echo == left; events
echo == counters; perf stat -a -x, -e $ALL_COUNTERS sleep 0.1 2>&1
echo == outer; dmesg
"""


class Run(e2e_cpus.Run):
    """A variant's."""

    def __init__(self, variant, module):
        guest = bed.debian(SHOWN, kernel=KERNEL)
        done = bed.run(SCRIPT % (guest, e2e_nested.SCRIPT), "--memory", "2G", kernel=KERNEL,
                       kvm=variant, CONDITIONAL=e2e_cpus.ZEN.conditional[1:],
                       ALL_COUNTERS=",".join(["cycles"] * COUNTERS), TESTS=ROOT + "/tests",
                       CHANGES=f"{BUILD}/tests/kvm_cpuid 3 {SEED}",
                       **e2e_cpus.variables(MODEL, module), **e2e_nested.VARIABLES)
        super().__init__(MODEL, bool(module), done)
        self.out = done.stdout


# What the bed says of KVM, behind the guest: sentences, and whether they hold.

def judge_kvm(run):
    yield ("other guests get one PMU after the other, and run",
           re.search(r"^\d+ rounds$", run.part("changes"), re.M))
    yield "KVM is unloaded", run.part("unloaded") == "kvm_amd 0\nkvm 0\n"
    yield "no event of the kernel is left", run.part("before") == run.part("left") == "0\n"
    shares = re.findall(r"^\d+,,cycles,\d+,([\d.]+)", run.part("counters"), re.M)
    yield ("all of the machine's counters are free", len(shares) == COUNTERS
           and all(float(share) == 100 for share in shares))


def verdicts(run):
    """By sentence: whether it holds, and facts."""
    found = {}
    for _, sentence, judges in e2e_cpus.PROPERTIES:
        if run.may_hang or judges not in e2e_cpus.OF_ROOT:
            holds, shown, facts = judges(run)
            found[sentence] = bool(holds), [shown, *facts]
    for sentence, holds in e2e_rr.judge_signals(run.out):
        found[sentence] = bool(holds), [run.out[:1000]]
    for sentence, holds in judge_kvm(run):
        found[sentence] = bool(holds), [
            *map(run.part, ("before", "changes", "left", "unloaded", "counters")),
            run.err[-1000:]]
    return found


def main():
    reason = bed.missing_variants(KERNEL)
    if reason:
        skip("a Debian guest under KVM", reason)
        return finish()
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as folder:
        module = f"{folder}/hang.ko" if os.geteuid() == 0 else ""
        if module:
            hanging_module.write(KERNEL, module)
        with concurrent.futures.ThreadPoolExecutor(len(bed.VARIANTS)) as pool:
            ours, stock = pool.map(lambda variant: Run(variant, module), bed.VARIANTS)
    on_stock = verdicts(stock)
    for sentence, (holds, facts) in verdicts(ours).items():
        known = on_stock[sentence][0]
        check(f"a Debian guest: {sentence}{'' if known else ' (not on stock KVM)'}", holds, *facts)
    e2e_nested.check_runs("the bed, on ours", ours.part("nested"), True, 0)
    check_messages("the bed, on ours", ours.part("outer"))
    return finish()


if __name__ == "__main__":
    sys.exit(main())
