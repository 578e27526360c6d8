#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The rules of docs/counting.md, and counts that are equal however QEMU runs the code.

The bare-metal guest (guest/exact.c) knows what its sequences hold. Its programs, and the same
under Linux, are counted under a QEMU that runs one instruction at a time, too: there a block
cannot be left in the middle.

VPMU_ORACLE=1: also a Linux that is run one instruction at a time, which takes minutes.
"""
import os
import re
import subprocess
import sys

import guest
import unpacked
from tap import check, finish

PROGRAMS = ["sort", "sieve", "checksum", "interpreter", "copy"]
EXACT = os.path.join(unpacked.BUILD, "tests/programs/exact")
TIMEOUT = 900  # of a Linux: only what hangs takes longer, however busy the machine is
CALLS = 10_000  # of "exact calls", SYSCALL and a loop around it
EVENTS = "instructions:u,branches:u,r01c4:u"
SCRIPT = f"""
for name in {' '.join(PROGRAMS)} calls; do
	perf stat -x, -e {EVENTS} -o /tmp/count {EXACT} $name
	echo program $name $(grep -o '^[0-9]*,' /tmp/count)
done
"""

# how QEMU runs, PMU, processors, its arguments
ONE_INSTRUCTION = ["-accel", "tcg,one-insn-per-tb=on"]
MODES = [
    ("as usual", "intel-v4", 1, []),
    ("one instruction at a time", "intel-v4", 1, ONE_INSTRUCTION),
    ("on two vCPUs", "intel-v4", 2, []),
    ("on two vCPUs, one instruction at a time", "intel-v4", 2, ONE_INSTRUCTION),
    ("with -icount", "intel-v4", 1, ["-icount", "shift=0"]),
    ("with -icount again", "intel-v4", 1, ["-icount", "shift=0"]),
    ("with another -icount", "intel-v4", 1, ["-icount", "shift=2,sleep=off"]),
    ("over a PMU of AMD's", "amd-v2", 1, []),
    ("over it, one instruction at a time", "amd-v2", 1, ONE_INSTRUCTION),
    ("over it, with -icount", "amd-v2", 1, ["-icount", "shift=0"]),
]


def run_bare(model, processors, arguments):
    command = guest.qemu_command("exact", model, processors, [])
    command += [*unpacked.plugin(f"pmu={model},cpi=1"), *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=guest.TIMEOUT, errors="replace")
    return done.stdout.replace("\r", "")


def programs(output):
    return dict(re.findall(r"program (\w+):? (.*)", output))


def check_bare():
    first = None
    for name, *how in MODES:
        output = run_bare(*how)
        failed = re.findall(r"(?:#.*\n)*not ok.*", output)
        passed = len(re.findall(r"^ok ", output, re.M))
        check(f"bare metal, {name}: every rule holds ({passed})",
              not failed and f"\n1..{passed}\n" in output, *failed, output[-500:])
        counts = programs(output)
        if first is None:
            first = counts
            check("bare metal: there are counts of five programs", sorted(counts) ==
                  sorted(PROGRAMS), counts)
        else:
            check(f"bare metal, {name}: five programs count as they usually do",
                  counts == first, counts, first)


def check_refused(sentence, words, *arguments):
    command = guest.qemu_command("exact", "intel-v4", 2, [])
    command += [*unpacked.plugin("pmu=intel-v4"), *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=guest.TIMEOUT, errors="replace")
    said = [line for line in done.stderr.splitlines() if line.startswith("vpmu plugin:")]
    check(f"{sentence} are refused with one line",
          done.returncode == 1 and len(said) == 1 and words in said[0], done.returncode, said)


def run_linux(*options):
    done = subprocess.run([unpacked.BUILD + "/vpmu", "perf", *options, "--append", "norandmaps",
                           "stat", "-o", "/dev/null", "-e", "task-clock", "--", "/bin/sh", "-c",
                           SCRIPT], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=TIMEOUT, errors="replace")
    return programs(done.stdout), done.stderr


def check_linux():
    usual, error = run_linux()
    check("Linux: there are counts of six programs", len(usual) == len(PROGRAMS) + 1, usual, error)
    modes = [("--deterministic", ["--deterministic"])]
    if os.environ.get("VPMU_ORACLE"):
        modes.append(("one instruction at a time", ["--tcg", "one-insn-per-tb=on"]))
    for name, options in modes:
        counts, error = run_linux(*options)
        check(f"Linux, {name}: six programs count as they usually do", usual and
              counts == usual, counts, usual, error)
    calls = usual.get("calls", "0").replace(",", "").split()
    check("Linux: each SYSCALL counts once, as an instruction and as a branch",
          len(calls) == 3 and int(calls[1]) - int(calls[2]) - CALLS in range(20), calls)


def main():
    check_bare()
    check_refused("several vCPUs in one thread, whose counts QEMU mixes up,", "-smp 1",
                  "-icount", "shift=0")
    check_refused("more vCPUs than a PMI can be addressed to", "at most 255 vCPUs",
                  "-machine", "q35", "-smp", "1,maxcpus=256")
    check_linux()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
