#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vpmu bench vmexit: what it refuses; and in a Debian guest with Debian's kvm_amd, that its counts
are whole, and the same each time but for one branch. No figure is judged, but that a guest counts the instructions
that KVM emulates for it. TAP on stdout.
"""
import copy
import json
import os
import re
import subprocess
import sys
import tempfile

import bed
import drawing
from linux_guest import ROOT, VPMU, check_messages
from tap import check, check_refusal, finish, skip

KERNEL = "6.12"
COMPARE = ROOT + "/bench/figures/compare"
EXITS = ["CPUID", "RDMSR", "WRMSR", "RDPMC", "port write", "MMIO write", "HLT"]
STATES = ["off", "idle", "cycles", "instructions"]

SCRIPT = """
for run in 1 2; do
	echo "result $($VPMU bench vmexit --quick --json | tr '\\n' ' ')"
done
$VPMU bench vmexit --quick --exits cpuid --states off
echo status $?
timeout -s INT 2 $VPMU bench vmexit --seconds 60 --exits cpuid
echo interrupted $? $(cat /sys/module/kvm_amd/refcnt)
dmesg
"""


def refused(sentence, words, *said):
    check_refusal(sentence, subprocess.run([VPMU, "bench", "vmexit", *words], text=True,
                                           stdin=subprocess.DEVNULL, capture_output=True,
                                           timeout=60), *said)


def refusals():
    refused("bench vmexit refuses an unknown option, and lists those that there are", ["--fly"],
            "`--fly'", "--exits, --states, --leaf")
    refused("an unknown exit is refused", ["--exits", "cpuid,fly"], "`fly'", "cpuid, rdmsr,")
    refused("an unknown state is refused", ["--states", "on"], "`on'", "off, idle, cycles and")
    refused("a list of nothing is refused", ["--exits", ","], "--exits", "cpuid, rdmsr,")
    for leaf in ("x", "-1", "0x100000000", "1,2"):
        refused(f"leaf {leaf} is refused", ["--leaf", leaf], "--leaf", f"`{leaf}'")
    if os.path.exists("/dev/kvm"):
        skip("without KVM it says so", "there is a /dev/kvm")
    else:
        refused("without KVM it says so", ["--leaf", "0x80000001"], "/dev/kvm", "No such file")


def rows_of(result, table="vmexit"):
    return {(row["exit"], row["state"]): row for row in result["tables"][table]["rows"]}


def check_figures(result):
    rows = rows_of(result)
    wanted = [(exit, state) for exit in EXITS for state in STATES if (exit, state)
              != ("RDPMC", "off")]
    check("every exit is measured in every state of the guest's PMU that it can be in",
          list(rows) == wanted, list(rows))
    notes = result["tables"]["vmexit"]["notes"]
    check("what is absent is explained: a time, RDPMC without a PMU, calls",
          all(any(word in note for note in notes) for word in ("no times", "RDPMC", "calls")),
          notes)
    check("under a translator there are no cycles", all(
        row["minimum"] is None and row["over_off"] is None for row in rows.values()), rows)
    for event in ("instructions", "branches", "returns"):
        check(f"{event} of every exit are whole numbers", all(
            isinstance(row[event], int) and row[event] > 0 for row in rows.values()), rows)
    check("what a state adds is the difference to the PMU off", all(
        row["instructions_over_off"] == row["instructions"] - rows[exit, "off"]["instructions"]
        for (exit, _), row in rows.items() if exit != "RDPMC"), rows)
    check("the guest counts each of its instructions, those that KVM emulates as well",
          not any("the guest's counter" in note for note in notes), notes)


def check_repeated(results):
    """Some virtual machines take a branch less than others, all of their lives."""
    first, second = [rows_of(result) for result in results]
    details = [rows_of(result, "vmexit_details") for result in results]
    differ = [row for row in first
              if abs(first[row]["instructions"] - second[row]["instructions"]) > 1
              or abs(first[row]["branches"] - second[row]["branches"]) > 1
              or first[row]["returns"] != second[row]["returns"]]
    check("both runs have counted the same, but for a branch of a virtual machine's", not differ,
          *[detail[row] for row in differ for detail in details])


def check_kvm(result):
    facts = {row["what"]: row["value"] for row in result["tables"]["vmexit_kvm"]["rows"]}
    check("it says what kind of KVM it is", facts.get("virtualisation") == "SVM (kvm_amd)"
          and facts.get("kvm, enable_pmu") == "Y" and facts.get("kvm_amd, npt") == "Y"
          and "PerfMonV2" in facts.get("its guests' PMU", "")
          and re.fullmatch(r"[0-9a-f]{40}", facts.get("kvm_amd, build ID", "")), facts)


def check_drawing(result):
    drawing.check_bars("its plot has a bar for each exit and state", result, len(rows_of(result)),
                       EXITS)


def compare(*words):
    return subprocess.run([COMPARE, *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60)


def check_comparing(result):
    other = copy.deepcopy(result)
    other["tables"]["vmexit"]["rows"][0]["instructions"] += 7
    with tempfile.TemporaryDirectory() as work:
        for number, figures in enumerate((result, other)):
            with open(f"{work}/{number}", "w", encoding="utf-8") as file:
                json.dump(figures, file)
        done = compare(f"floor={work}/0", f"mine={work}/1")
        check("figures/compare says what one KVM adds to another, exit by exit",
              re.search(r"CPUID +off +7$", done.stdout, re.M)
              and re.search(r"CPUID +idle +0$", done.stdout, re.M), done)
        done = compare("--json", f"floor={work}/0", f"mine={work}/1")
        rows = json.loads(done.stdout)["tables"]["vmexit_compare"]["rows"]
        check("in JSON, too", [row["mine"] for row in rows][:2] == [7, 0], done)
        done = compare(f"floor={work}/0", f"mine={work}/none")
        check("a file that is not there is refused", done.returncode == 1
              and "none" in done.stderr and not done.stdout, done)


def measures():
    if bed.missing(KERNEL):
        skip("vpmu bench vmexit measures Debian's kvm_amd", bed.missing(KERNEL))
        return
    done = bed.run(SCRIPT, kernel=KERNEL, VPMU=VPMU)
    found = re.findall(r"^result (\{.*\}) *$", done.stdout, re.M)
    check("vpmu bench vmexit measures Debian's kvm_amd, twice, and prints text",
          len(found) == 2 and "status 0" in done.stdout
          and re.search(r"^ +CPUID +off .*\d", done.stdout, re.M),
          done.stdout[-3000:], done.stderr[-3000:])
    if len(found) != 2:
        return
    check("Ctrl-C ends it, and leaves no virtual machine behind",
          "interrupted 124 0" in done.stdout, done.stdout[-3000:])
    results = [json.loads(text) for text in found]
    check_figures(results[0])
    check_kvm(results[0])
    check_repeated(results)
    check_messages(f"Linux {KERNEL}", done.stdout)
    check_drawing(results[0])
    check_comparing(results[0])


def main():
    refusals()
    measures()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
