#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vpmu bench pmi --kvm: what it refuses; and in a Debian guest, on KVM with libvpmu and on stock KVM,
what a PMI makes them do. TAP on stdout.
"""
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import bed
import drawing
from linux_guest import VPMU, check_messages
from tap import check, check_refusal, finish, skip

GUESTS = ["1 event", "6 events, in turns", "10 events, in turns"]
COUNTS = ("created", "released", "paused", "periods", "programmed", "exits", "msr", "rdpmc",
          "nmi", "iret")

SCRIPT = """
mount -t tracefs tracefs /sys/kernel/tracing
echo "result $($VPMU bench pmi --kvm --quick --json | tr '\\n' ' ')"
echo left $(cat /sys/module/kvm_amd/refcnt)
dmesg
"""


def refused(sentence, words, *said):
    check_refusal(sentence, subprocess.run([VPMU, "bench", *words], text=True,
                                           stdin=subprocess.DEVNULL, capture_output=True,
                                           timeout=60), *said)


def refusals():
    refused("only bench pmi has --kvm", ["exit", "--kvm"], "`--kvm'")
    refused("a trace is not for --kvm", ["pmi", "--kvm", "--trace", "x"], "--kvm", "traces")
    if os.path.exists("/dev/kvm"):
        skip("without KVM it says so", "there is a /dev/kvm")
    else:
        refused("without KVM it says so", ["pmi", "--kvm"], "/dev/kvm", "No such file")


def rows_of(result, table):
    return {row["events"]: row for row in result["tables"][table]["rows"]}


def measure(kvm):
    done = bed.run(SCRIPT, "--cpus", "2", kvm=kvm, VPMU=VPMU)
    found = re.search(r"^result (\{.*\}) *$", done.stdout, re.M)
    check(f"{kvm}: vpmu bench pmi --kvm measures it, and leaves no virtual machine behind",
          found and "left 0" in done.stdout, done.stdout[-3000:], done.stderr[-3000:])
    check_messages(f"{kvm}", done.stdout)
    return json.loads(found.group(1)) if found else None


def check_events(kvm, result):
    rows = rows_of(result, "pmi_kvm_events")
    moved = [name for name in rows if "moves" in name]
    check(f"{kvm}: PMIs are looked at where the vCPU stays, and where it moves",
          [name for name in rows if name in GUESTS] == GUESTS and len(moved) == 1, list(rows))
    check(f"{kvm}: perf events, and exits by reason, are counted",
          all(row[key] is not None for row in rows.values() for key in COUNTS), rows)
    one = rows[GUESTS[0]]
    check(f"{kvm}: one event's PMI has the exits of Linux's handler",
          all(1 <= one[key] < 1.2 for key in ("rdpmc", "nmi", "iret")) and 5 <= one["msr"] < 5.2,
          one)
    return one, rows[moved[0]]


def check_ours(result):
    stays, moves = check_events("ours", result)
    check("ours: a PMI creates and releases no event, where the vCPU moves as well",
          not any(row[key] for row in (stays, moves) for key in ("created", "released")),
          stays, moves)
    check("ours: a PMI pauses no event", not stays["paused"] and not stays["periods"], stays)


def check_both(ours, stock):
    instructions = [rows_of(result, "pmi_kvm") for result in (ours, stock)]
    check("a PMI costs the host fewer instructions than on stock KVM",
          all(instructions[0][guest]["instructions"] < instructions[1][guest]["instructions"]
              for guest in GUESTS), *instructions)
    check("exits alone cost about the same on both", all(
        abs(instructions[0][guest]["floor"] - instructions[1][guest]["floor"])
        < instructions[1][guest]["floor"] / 10 for guest in GUESTS), *instructions)


def check_drawing(result):
    drawing.check_bars("its plot has two bars for each guest", result, 2 * len(GUESTS), GUESTS)


def measures():
    missing = bed.missing_variants()
    if missing:
        skip("vpmu bench pmi --kvm measures KVM with libvpmu, and stock KVM", missing)
        return
    with ThreadPoolExecutor() as pool:
        ours, stock = pool.map(measure, bed.VARIANTS)
    if not ours or not stock:
        return
    check_ours(ours)
    check_events("stock", stock)
    check_both(ours, stock)
    check_drawing(ours)


def main():
    refusals()
    measures()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
