#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Debian guests on QEMU's CPU models: what a kernel and its perf make of the PMU that such a CPU has.

usage: tests/e2e_cpus.py [--all] [MODEL...]

Each guest shows everything, and its last act is a hard lockup. TAP on stdout, and a table in its
comments. --all: each model with each kernel and number of CPUs; else each model once, and each
kernel and number of CPUs with either vendor's.
"""
import argparse
import collections
import os
import re
import sys
import tempfile

import hanging_module
from linux_guest import PROGRAMS, bad_messages, boot, counts, has_kernel, title
from tap import check, finish, skip

# PROGRAMS/loop: so many turns of a call, a return, DEC and a conditional branch.
TURNS = 20000000
INSTRUCTIONS = 4 * TURNS + 4
BRANCHES = 3 * TURNS + 1  # with SYSCALL
PERIOD = 500000

# The encodings of conditional branches, calls and returns, as perf has them: unit mask and event
# select. None: what nothing counts exactly. And one of another family's, or of what nothing counts.
Family = collections.namedtuple("Family", "conditional calls returns foreign")
NEHALEM = Family("r1c4", "r2c4", None, "r11c4")
HASWELL = Family("r1c4", "r2c4", "r8c4", "r11c4")  # and Skylake
ICE_LAKE = Family("r11c4", "r2c4", "r8c4", "r1c4")  # and later
ATOM = Family("r7ec4", "rf9c4", "rf7c4", "r1c4")
K10 = Family(None, None, "rc8", "rd1")  # and Bulldozer
ZEN = Family("rd1", None, "rc8", "rc4")

# What Linux programs to work around errata of Nehalem; for another one branch misses are an event
# of its own there.
WORKAROUND = {"b1/00", "b5/00", "d2/00"}

# The end of what the kernel says as it finds the PMU, its version, and how many of perf's events
# have a counter at once: Intel's watchdog has a fixed one, and so have instructions.
Pmu = collections.namedtuple("Pmu", "driver version at_once")
INTEL_3 = Pmu("Intel PMU driver.", 3, 5)
INTEL_4 = Pmu("Intel PMU driver.", 4, 5)
INTEL_5 = Pmu("Intel PMU driver.", 5, 9)
AMD_K7 = Pmu("Performance Events: AMD PMU driver.", 0, 3)
AMD_CORE = Pmu("core perfctr, AMD PMU driver.", 0, 5)
AMD_V2 = Pmu("core perfctr, AMD PMU driver.", 2, 5)

# Icelake-Server without a version has Snowridge's model number.
MODELS = {
    "Nehalem": (INTEL_3, NEHALEM), "Haswell": (INTEL_3, HASWELL),
    "Skylake-Server": (INTEL_4, HASWELL), "Icelake-Server-v5": (INTEL_5, ICE_LAKE),
    "SapphireRapids": (INTEL_5, ICE_LAKE), "GraniteRapids": (INTEL_5, ICE_LAKE),
    "Icelake-Server": (INTEL_5, ATOM), "Snowridge": (INTEL_5, ATOM),
    "SierraForest": (INTEL_5, ATOM),
    # Under TCG Linux does not come behind its setting CR4.OSXSAVE on this one, PMU or not.
    "Opteron_G5,-xsave": (AMD_CORE, K10),
    "Opteron_G3": (AMD_K7, K10), "EPYC-v4": (AMD_CORE, ZEN), "EPYC-Milan": (AMD_CORE, ZEN),
    "EPYC-Genoa": (AMD_V2, ZEN), "EPYC-Turin": (AMD_V2, ZEN),
}
KERNELS = ("6.1", "6.12", "7.3")
CPUS = (1, 4)

SPREAD = (
    ("Nehalem", "6.1", 4), ("Haswell", "6.12", 1), ("Skylake-Server", "7.3", 4),
    ("Icelake-Server-v5", "6.1", 1), ("SapphireRapids", "6.12", 4), ("GraniteRapids", "7.3", 1),
    ("Snowridge", "6.12", 1), ("SierraForest", "7.3", 1),
    ("Opteron_G3", "6.12", 1), ("Opteron_G5,-xsave", "6.1", 4), ("EPYC-v4", "6.12", 4),
    ("EPYC-Milan", "7.3", 1), ("EPYC-Genoa", "6.1", 1), ("EPYC-Turin", "7.3", 4),
)

TEN = ",".join(["instructions:u"] * 6 + ["branches:u"] * 4)
SCRIPT = """
exec 2>&1
settings=/proc/sys/kernel
if [ -n "$MODULE" ]; then echo 1 >$settings/nmi_watchdog; fi
echo == watchdog; cat $settings/nmi_watchdog
echo == exact; perf stat -x, -e $EXACT $LOOP
echo == everywhere; perf stat -x, -a -e cycles,$FOREIGN sleep 0.2
echo == ten; perf stat -x, -e $TEN $LOOP
echo == record; perf record -N -a -e cycles -c $PERIOD -o /tmp/data -- $LOOP
echo == log; dmesg
echo == end
[ -n "$MODULE" ] || exit
sleep 0.5
echo 1 >$settings/hardlockup_panic
echo 1 >$settings/watchdog_thresh
exec $LOAD $MODULE
"""

# What the PMU's driver may say: that it is there, its geometry, what it does about a processor's
# errata, and that TopDown's events have no counter.
DRIVER = re.compile(r"\] (Performance Events: .*PMU driver\.|\.\.\. [a-z_ -]+:  *\S+|"
                    r"core: (CPUID marked event: '[a-z -]+' unavailable|"
                    r"CPU erratum AAJ80 worked around|"
                    r"PMU erratum BJ122, BV98, HSD29 workaround disabled, HT off|"
                    r"The event 0x(400|8[0-7]00) is not supported as a normal event\.))$")
DRIVER_LINE = re.compile(r"\] (Performance Events|core:|\.\.\. |perf_event|intel_pmu|pmu)", re.I)
# Only models count these.
UNAVAILABLE = {"cache references", "cache misses", "branch misses"}


def variables(model, module):
    """SCRIPT's; module: hangs a CPU, or is empty."""
    _, family = MODELS[model]
    exact = ["instructions:u", "branches:u", *(f"{event}:u" for event in family[:3] if event)]
    return {"MODULE": module, "EXACT": ",".join(exact), "FOREIGN": family.foreign, "TEN": TEN,
            "PERIOD": str(PERIOD), "LOOP": PROGRAMS + "/loop", "LOAD": PROGRAMS + "/load"}


class Run:
    """A guest's, and what it has said by parts."""

    def __init__(self, model, may_hang, done):
        self.kind, self.family = MODELS[model]
        self.may_hang, self.err = may_hang, done.stderr
        self.parts = dict(re.findall(r"^== (\w+)\n(.*?)(?=^== |\Z)", done.stdout, re.M | re.S))
        self.log = unbroken(self.part("log").splitlines())

    def part(self, name):
        return self.parts.get(name, "")


def unbroken(lines):
    """The line that says the driver is there comes in pieces, with others' between them if the
    guest is slow."""
    start = next((i for i, line in enumerate(lines) if "] Performance Events: " in line), None)
    if start is None or lines[start].endswith("driver."):
        return lines
    for end in range(start + 1, len(lines)):
        if lines[end].endswith("PMU driver."):
            whole = f"{lines[start].rstrip()} {lines[end].partition('] ')[2]}"
            return [*lines[:start], whole, *lines[start + 1:end], *lines[end + 1:]]
    return lines


# Each of the following: whether it holds, what the table has of it, and the facts.

def driver(run):
    line = next((line for line in run.log if "] Performance Events: " in line), "")
    name = re.search(r"[\w. +]+(?: events|perfctr|AMD PMU|perfmon)", line)
    return (line.endswith(run.kind.driver), name.group().strip() if name else line,
            [line, run.err[-2000:]])


def version(run):
    found = [line.split()[-1] for line in run.log if "] ... version: " in line]
    return found == [str(run.kind.version)], " ".join(found), run.log


def unavailable(run):
    marked = set(re.findall(r"CPUID marked event: '([a-z -]+)' unavailable", "\n".join(run.log)))
    wanted = UNAVAILABLE if "Intel" in run.kind.driver else set()
    if run.family is NEHALEM:
        wanted = wanted - {"branch misses"}
    return marked == wanted, None, [marked]


def nothing_else(run):
    other = [line for line in run.log if DRIVER_LINE.search(line) and not DRIVER.search(line)]
    return not other, None, other


def stray(run):
    bad = bad_messages(run.log)
    return not bad and "end" in run.parts, "none", bad


def exact(event, wanted):
    def one(run):
        name = getattr(run.family, event, event)
        if name is None:
            return True, "-", []
        found = counts(run.part("exact")).get(f"{name}:u")
        return found == wanted, wanted, [run.part("exact"), run.err[-2000:]]
    return one


def foreign(run):
    """Refused, named, and nothing else is."""
    code = int(run.family.foreign[1:], 16)
    name = f"{code & 0xff:02x}/{code >> 8:02x}"
    refused = set(re.findall(r"^vpmu: not counted: event ([^\s:]+)", run.err, re.M))
    if run.family is NEHALEM:
        refused -= WORKAROUND
    everywhere = counts(run.part("everywhere"))
    return (refused == {name} and everywhere.get("cycles", 0) > 0
            and not everywhere.get(run.family.foreign), name, [refused, everywhere, run.err[-2000:]])


def record(run):
    found = re.search(r"\((\d+) samples\)", run.part("record"))
    number = int(found.group(1)) if found else 0
    least = INSTRUCTIONS // PERIOD
    return least <= number <= 2 * least, number, [run.part("record")]


def ten(run):
    """perf makes ten counts of shares of them, by the clock: those vary. The shares of what there
    was to count make the number of counters that are never idle."""
    rows = re.findall(r"^(\d+),,(\w+):u,\d+,([\d.]+)", run.part("ten"), re.M)
    totals = {"instructions": INSTRUCTIONS, "branches": BRANCHES}
    scaled = [int(count) / totals[name] for count, name, _ in rows]
    shares = [part * float(percent) / 100 for part, (_, _, percent) in zip(scaled, rows)]
    counters = run.kind.at_once
    if "AMD" in run.kind.driver and not run.may_hang:  # the watchdog's
        counters += 1
    return (len(rows) == 10 and all(0.25 < part < 4 for part in scaled)
            and all(0 < part < 1.02 for part in shares)
            and abs(sum(shares) - counters) < 0.5, f"{sum(shares):.1f} of {counters} at once",
            [counters, shares, run.part("ten")])


def watchdog(run):
    return run.part("watchdog").strip() == "1", "on", [run.part("watchdog"), run.part("log")]


def lockup(run):
    found = re.search(r"hard LOCKUP on cpu (\d+)", run.err)
    return (found and "Kernel panic - not syncing: Hard LOCKUP" in run.err,
            f"on CPU {found.group(1)}" if found else "", [run.err[-3000:]])


# Column (None: has no place in the table), sentence, judge.
PROPERTIES = (
    ("driver", "the kernel has the vendor's driver", driver),
    ("version", "and it finds the version that such a CPU has", version),
    (None, "the events marked unavailable are those that nothing counts", unavailable),
    (None, "the PMU driver says nothing else", nothing_else),
    ("instructions", "instructions are exact", exact("instructions", INSTRUCTIONS)),
    ("branches", "branches are exact", exact("branches", BRANCHES)),
    ("conditional", "conditional branches are exact", exact("conditional", TURNS)),
    ("calls", "calls are exact", exact("calls", TURNS)),
    ("returns", "returns are exact", exact("returns", TURNS)),
    ("refused", "an event of another family is refused, and only that", foreign),
    ("samples", f"each {PERIOD} cycles on all CPUs are one sample", record),
    ("ten events", "ten events take turns", ten),
    ("watchdog", "the NMI watchdog runs", watchdog),
    ("lockup", "a CPU that spins with interrupts off is a hard lockup", lockup),
    ("stray", "no stray NMI, no unchecked MSR access, no warning", stray),
)
OF_ROOT = {watchdog: "only root starts the watchdog, also in a guest",
           lockup: "only root loads a module, also in a guest"}


def judge(model, kernel, cpus, module):
    """The guest's row of the table."""
    guest = title(model, kernel, cpus)
    done = boot(SCRIPT, "--cpu", model, "--kernel", kernel, "--cpus", str(cpus),
                **variables(model, module))
    run = Run(model, bool(module), done)
    row = [model, kernel, cpus]
    for column, sentence, judges in PROPERTIES:
        if judges in OF_ROOT and not run.may_hang:
            skip(f"{guest}: {sentence}", OF_ROOT[judges])
            row.append("skipped")
            continue
        holds, shown, facts = judges(run)
        if shown != "-":
            check(f"{guest}: {sentence}", holds, shown, *facts)
        if column:
            row.append(shown if holds else f"NO: {shown}")
    return row


def print_table(rows):
    heads = ["CPU model", "Linux", "CPUs", *(column for column, *_ in PROPERTIES if column)]
    rows = [[str(cell) for cell in row] for row in [heads, *rows]]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("# " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def guests(asked):
    every = [(model, kernel, cpus) for model in MODELS for kernel in KERNELS for cpus in CPUS]
    return [guest for guest in (every if asked.all else SPREAD)
            if not asked.models or guest[0] in asked.models]


def arguments():
    parser = argparse.ArgumentParser(usage="tests/e2e_cpus.py [--all] [MODEL...]")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("models", nargs="*", metavar="MODEL")
    return parser.parse_args()


def main():
    rows = []
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as folder:
        for model, kernel, cpus in guests(arguments()):
            if not has_kernel(kernel):
                skip(title(model, kernel, cpus), "Debian's archive has this kernel no more")
                continue
            module = f"{folder}/{kernel}.ko" if os.geteuid() == 0 else ""
            if module and not os.path.exists(module):
                hanging_module.write(kernel, module)
            rows.append(judge(model, kernel, cpus, module))
    print_table(rows)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
