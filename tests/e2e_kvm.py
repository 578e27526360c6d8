#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Bare-metal guests of guest/ under KVM, in a bed: they pass on ours. Stock KVM runs the same
guests: what passes there passes on ours, too. TAP on stdout.

With --guests it runs the guests in the bed itself, several at once.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys

import bed
from linux_guest import ROOT, bad_messages, check_messages
from tap import check, finish, skip
from unpacked import bare_metal

V2, CORE, K7 = "host", "host,-perfmon-v2", "host,-perfmon-v2,-perfctr-core"
CPUID = {V2: "version=2 counters=6", CORE: "version=1 counters=6", K7: "version=1 counters=4"}

# What counting.c's interrupts and instructions ask for.
MACHINE = "EPYC-Genoa,+svm,+npt,+clwb,+ibpb"

# guest, CPU, processors. Not here are:
#   models, skid, accesses, events, saved, patch, late forms: what they show is the plugin's;
#   cuts, lapic: PMI after PMI, or waiting, which takes minutes where each is many exits;
#   transparent, far: nothing that is not shown here, and half a minute;
#   off, bench, reset: there is nothing to show, nothing is judged, a RESET ends QEMU.
GUESTS = [
    ("exact", V2, 1),
    ("overflow", V2, 1),
    ("overflow", CORE, 1),
    ("overflow", K7, 1),
    ("modes", V2, 1),
    ("counting", V2, 1),
    ("svm", V2, 1),
    ("flood", V2, 2),
    ("smp", V2, 2),
    ("registers", V2, 1),
    ("registers", CORE, 1),
    ("registers", K7, 1),
    ("privilege", V2, 1),
    ("ground", V2, 2),
    ("storm", V2, 2),
    ("fuzz", V2, 2),
]
TIMEOUT = 150


def name_of(run):
    guest, cpu, processors = run
    return f"{guest}, {cpu}, {processors} vCPU{'s' if processors > 1 else ''}"


def run_guest(run):
    """Its output, whatever becomes of it."""
    guest, cpu, processors = run
    words = bare_metal(guest, "-accel", "kvm", "-cpu", cpu, "-smp", str(processors), "-no-reboot",
                       "-serial", "stdio", "-append",
                       f"kvm=1 cpus={processors} seconds=2 {CPUID[cpu]}")
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(errors="replace") + f"\n# no end after {TIMEOUT} s\n"
    return done.stdout.decode(errors="replace")


def run_guests(runs):
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for run, output in zip(runs, pool.map(run_guest, runs)):
            print("guest " + json.dumps([name_of(run), output]), flush=True)
    print("dmesg " + json.dumps(subprocess.check_output(["dmesg"], text=True)), flush=True)


def verdicts(output):
    """By sentence, without what a run alone has of numbers; None: it has not come to its end."""
    found = {}
    for bad, text in re.findall(r"^(not )?ok \d+ - (.*?)\r?$", output, re.M):
        sentence = re.sub(r" \(.*", "", text)
        found[sentence] = found.get(sentence, True) and not bad
    plan = re.search(r"^1\.\.(\d+)\r?$", output, re.M)
    ended = plan and int(plan.group(1)) == len(re.findall(r"^(?:not )?ok ", output, re.M)) > 0
    found["it comes to its end"] = bool(ended)
    return found


def run_variant(variant, runs):
    done = bed.run(f"python3 {ROOT}/tests/e2e_kvm.py --guests '{json.dumps(runs)}'", "--cpus", "2",
                   "--memory", "2G", "--cpu", MACHINE, kvm=variant)
    outputs = dict(json.loads(line) for line in re.findall(r"^guest (.*)$", done.stdout, re.M))
    log = re.search(r"^dmesg (.*)$", done.stdout, re.M)
    check(f"{variant}: all guests have run", log and len(outputs) == len(runs),
          done.stdout[-500:], *bad_messages(done.stderr.splitlines())[:5], done.stderr[-2000:])
    return outputs, json.loads(log.group(1)) if log else ""


def check_guest(run, outputs):
    name = name_of(run)
    output = outputs["ours"].get(name, "")
    ours, stock = (verdicts(outputs[variant].get(name, "")) for variant in bed.VARIANTS)
    bad = [sentence for sentence, holds in ours.items() if not holds]
    check(f"{name}: all {len(ours)} sentences hold ({sum(stock.values())} of {len(stock)} on stock "
          "KVM)", not bad, *bad, output[-1500:])
    worse = [sentence for sentence, holds in stock.items() if holds and not ours.get(sentence)]
    check(f"{name}: so does each that holds on stock KVM", not worse, *worse)
    for sentence in [sentence for sentence, holds in stock.items() if not holds][:5]:
        print(f"# stock KVM, {name}: not: {sentence}")


def main():
    if sys.argv[1:2] == ["--guests"]:
        run_guests(json.loads(sys.argv[2]))
        return 0
    reason = bed.missing_variants()
    if reason:
        skip("bare-metal guests under KVM", reason)
        return finish()
    chosen = [run for run in GUESTS if not sys.argv[1:] or run[0] in sys.argv[1:]]
    found = {variant: run_variant(variant, chosen) for variant in bed.VARIANTS}
    for run in chosen:
        check_guest(run, {variant: outputs for variant, (outputs, _) in found.items()})
    check_messages("the bed, on ours", found["ours"][1])
    return finish()


if __name__ == "__main__":
    sys.exit(main())
