#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest of KVM's that samples is saved, loaded and migrated by stock QEMU, in a bed: it goes
on exactly, with libvpmu as KVM's PMU, also if stock KVM has run it before, or does so then. TAP
on stdout.

QEMU 11.1 restores six counters of AMD's at twice their index, on any KVM: its guests have four
here. With six, tests/kvm_state.c carries the registers from one virtual machine to another.

VPMU_SEED: a seed, else it is random;
VPMU_MOMENTS: how often a guest migrates, and is loaded (default: 2).
"""
import os
import random
import re
import subprocess
import sys
import tempfile

import bed
from linux_guest import BUILD, ROOT, check_messages
from saved import KVM, PATIENCE, SEED, Machine, a_while, judge, loaded, migrated
from tap import check, finish, skip

TRIES = 3
MOMENTS = int(os.environ.get("VPMU_MOMENTS", "2"))


def change_over(chance, folder, kvm):
    """The host's KVM is replaced while the guest is a file."""
    machine = Machine(folder, pmu=KVM)
    machine.runs()
    a_while(chance)
    machine.migrate(f"file:{folder}/state")
    machine.close()
    bed.change_kvm(kvm)
    machine = Machine(folder, pmu=KVM, incoming=f"file:{folder}/state")
    machine.wait("going on", lambda: machine.ask("query-status")["status"] == "running")
    a_while(chance)
    return machine


def has_lost_a_pmi(lines):
    """Its handler begins the next period: no other PMI comes."""
    seen = re.search(r" pmis (\d+) of (\d+)$", lines[0]) if lines else None
    return seen is not None and int(seen[1]) < int(seen[2])


def from_stock(chance, folder):
    """
    Stock KVM has no place in a state for a PMI that was due when the vCPU stopped: a guest that it
    has stopped there is none that can count on, and another one is tried.
    """
    for left in reversed(range(TRIES)):
        machine = change_over(chance, folder, "ours")
        lines = machine.end()
        if not left or not has_lost_a_pmi(lines):
            break
        print("# stock KVM has lost a PMI:", *lines, flush=True)
        machine.close()
        bed.change_kvm(bed.STOCK)
    judge("a guest that stock KVM has run counts on by ours", machine, 1, [], lines)


def check_six_counters():
    done = subprocess.run(BUILD + "/tests/kvm_state", stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, timeout=PATIENCE, check=False)
    check("six counters count on in another virtual machine, by KVM's ioctls",
          done.returncode == 0, done.stdout)


def inside():
    chance = random.Random(SEED)
    with tempfile.TemporaryDirectory() as folder:
        from_stock(chance, folder)
        migrated(chance, folder, "so does one that migrates to another QEMU", MOMENTS, True,
                 pmu=KVM)
        migrated(chance, folder, "so do two vCPUs", 1, True, 2, pmu=KVM)
        loaded(chance, folder, "so does one in a snapshot that is loaded", MOMENTS, pmu=KVM)
        check_six_counters()
        judge("one that ours has run counts on by stock KVM",
              change_over(chance, folder, bed.STOCK), 1, [])
    check_messages("the bed", subprocess.check_output(["dmesg"], text=True))
    return finish()


def main():
    if sys.argv[1:] == ["--inside"]:
        return inside()
    reason = bed.missing_variants()
    if reason:
        skip("states of KVM's guests", reason)
        return finish()
    print(f"# VPMU_SEED={SEED}", flush=True)
    done = bed.run(f"python3 {ROOT}/tests/e2e_kvm_saved.py --inside", "--cpus", "2", "--memory",
                   "2G", kvm=bed.STOCK, VPMU_SEED=str(SEED))
    print(done.stdout, end="")
    print(done.stderr, end="", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
