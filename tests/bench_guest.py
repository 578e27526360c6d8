#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vpmu bench guest: that it has all rows, what it refuses, and that nothing of it stays behind.
No figure is judged here.
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

import drawing
from tap import check, check_refusal, finish, skip

# VPMU_BUILD: the build folder (default: build).
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build"))
VPMU = BUILD + "/vpmu"
STATES = ["plain QEMU", "an empty plugin", "PMU off", "idle", "NMI watchdog", "1 event", "2 events", "4 events",
          "all counters", "8 events, in turns", "branch misses", "cache misses",
          "1 event at 1 kHz", "6 events at 1 kHz", "10 events at 1 kHz"]
BARE = ["integer", "memory", "branches"]
LINUX = ["syscalls", "processes"]
ONLY_LINUX = ["8 events, in turns", "10 events at 1 kHz"]
# With --quick only two of the Linux guests are booted, and the models not run in them.
QUICK = ["plain QEMU", "1 event", "2 events", "4 events", *ONLY_LINUX, "1 event at 1 kHz",
         "6 events at 1 kHz"]


def refused(sentence, words, *said):
    check_refusal(sentence, subprocess.run([VPMU, "bench", *words], stdin=subprocess.DEVNULL,
                                           capture_output=True, text=True, timeout=60), *said)


def refusals(work):
    refused("bench without a benchmark names guest", [], "guest")
    refused("bench guest refuses an unknown option", ["guest", "--fly"], "`--fly'", "--quick")
    refused("bench guest has no --trace", ["guest", "--trace", "x"], "`--trace'")
    refused("bench guest refuses --repeat 0", ["guest", "--repeat", "0"], "--repeat")
    refused("bench guest refuses a CPU without a PMU", ["guest", "--model", "pentium3"], "too old")
    refused("bench guest refuses another vendor's PMU", ["guest", "--pmu", "amd-v2", "--model",
                                                         "Haswell"], "not an AMD CPU")
    refused("bench guest refuses no PMU", ["guest", "--pmu", "off"], "--pmu off")
    refused("bench exit has no --model", ["exit", "--model", "EPYC"], "`--model'")
    refused("a plot that cannot be written is refused before anything is measured",
            ["guest", "--plot", work + "/none/x.svg"], "/none/x.svg")


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_ratios(table, linux):
    rows = {row["state"]: row for row in table["rows"]}
    check("there is a row for each state of the PMU", list(rows) == STATES, list(rows))
    check("plain QEMU is one, everywhere", all(
        rows["plain QEMU"][name] == 1 for name in BARE + (LINUX if linux else [])),
          rows["plain QEMU"])
    check("the bare-metal programs have a ratio in every state that they can be in", all(
        is_number(rows[state][name]) != (state in ONLY_LINUX) for state in STATES
        for name in BARE), table["rows"])
    if linux:
        check("system calls and processes have one in every state that --quick measures", all(
            is_number(rows[state][name]) == (state in QUICK) for state in STATES
            for name in LINUX), table["rows"])
    check("what is absent is explained", linux and "--quick" in str(table["notes"])
          or "no Linux" in str(table["notes"]), table["notes"])


def check_accesses(table):
    rows = {row["access"]: row for row in table["rows"]}
    names = ["RDMSR", "WRMSR", "RDPMC", "CPUID", "PMI"]
    check("RDMSR, WRMSR, RDPMC, CPUID and a PMI have their times", all(
        any(row["access"].startswith(name) and is_number(row["over"]) for row in table["rows"])
        for name in names), table["rows"])
    check("of RDPMC there is none on plain QEMU", rows["RDPMC"]["plain"] is None, rows["RDPMC"])


def check_beside(table, linux):
    rows = {row["how"]: row for row in table["rows"]}
    check("beside the guests there are this machine, callgrind and cachegrind",
          {"this machine", "callgrind", "cachegrind --cache-sim=yes"} <= set(rows), list(rows))
    valgrind = rows["callgrind"]["integer"] is not None
    check("callgrind's and cachegrind's times are there, or why not",
          valgrind == (rows["cachegrind --cache-sim=yes"]["integer"] is not None)
          and (valgrind or "valgrind" in str(table["notes"])), table)
    if linux:
        check("all five programs are timed in a Linux guest that counts", all(
            is_number(rows["vpmu, instructions and cycles"][name]) for name in BARE + LINUX), rows)


def check_sampling(table, linux):
    rows = [(row["guest"].split(",")[0], row["events"]) for row in table["rows"]]
    wanted = [("bare metal", 1), ("bare metal", 6)]
    if linux:
        wanted += [("Linux", 1), ("Linux", 6), ("Linux", 10)]
    check("1, 6 and 10 events are sampled", set(rows) == set(wanted), rows)
    check("PMIs have come in the bare-metal guests, and are counted in the Linux guests",
          all(row["pmis"] > 0 or row["guest"].startswith("Linux") and row["pmis"] == 0
              for row in table["rows"]), table["rows"])
    check("KVM's published overheads stand beside 6 and 10 events", all(
        (row["kvm_emulated"], row["kvm_mediated"])
        == {1: (None, None), 6: (33.6, 4.2), 10: (79.3, 7.3)}[row["events"]]
        for row in table["rows"]), table["rows"])


def check_plot(path, reason):
    sentence = "the plot is well-formed SVG, with a label for each state"
    if reason:
        skip(sentence, reason)
        return
    picture = drawing.read(path)
    check(sentence, picture.is_svg and all(
        any(state in text for text in picture.texts) for state in STATES), picture.texts)


def left_behind(work):
    """Files in the folder for temporary ones, and processes that have it in their environment."""
    processes = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if f"TMPDIR={work}".encode() in file.read().split(b"\0"):
                    processes.append(pid)
        except OSError:
            pass
    return os.listdir(work), processes


def measures(work):
    plot = work + "/guest.svg"
    reason = drawing.why_not()
    with tempfile.TemporaryDirectory(prefix="vpmu-test-", dir=work) as folder:
        done = subprocess.run([VPMU, "bench", "guest", "--quick", "--json",
                               *([] if reason else ["--plot", plot])],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=600, env=dict(os.environ, TMPDIR=folder))
        check("bench guest --quick --json succeeds and prints nothing on stderr",
              done.returncode == 0 and not done.stderr, done.stderr)
        check("it leaves nothing behind", left_behind(folder) == ([], []), left_behind(folder))
    result = json.loads(done.stdout)
    tables = result["tables"]
    linux = "no Linux" not in str(tables["guest"]["notes"])
    check("it says of what, and how to repeat it", result["benchmark"] == "guest"
          and re.match(r"vpmu bench guest --cpu \d+ --quick --model Skylake-Server --pmu intel-v4$", result["command"]),
          result["command"])
    check_ratios(tables["guest"], linux)
    check("minima and medians are of the same states",
          [row["state"] for row in tables["guest_median"]["rows"]] == STATES)
    check_accesses(tables["guest_access"])
    check_beside(tables["guest_beside"], linux)
    check_sampling(tables["guest_sampling"], linux)
    check_plot(plot, reason)


def amd(work):
    """The bare-metal part, on CPUs of AMD's."""
    for model, status in (("EPYC", False), ("EPYC-Genoa", True)):
        done = subprocess.run([VPMU, "bench", "guest", "--quick", "--json", "--model", model],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=600, env=dict(os.environ, PATH=work, TMPDIR=work))
        tables = json.loads(done.stdout or '{"tables": {}}')["tables"]
        rows = tables.get("guest", {"rows": []})["rows"]
        check(f"on {model} the programs have a ratio in every state but that of cache misses",
              [row["state"] for row in rows] == STATES and all(
                  is_number(row[name]) != (row["state"] in [*ONLY_LINUX, "cache misses"])
                  for row in rows for name in BARE), done.stderr, rows)
        check("PMIs have come", rows and all(row["pmis"] > 0 for row
                                             in tables["guest_sampling"]["rows"]), tables)
        access = {row["access"]: row["over"] for row in tables["guest_access"]["rows"]}
        check("accesses have their times, GLOBAL_STATUS where there is one",
              all(is_number(over) != (name == "RDMSR, GLOBAL_STATUS" and not status)
                  for name, over in access.items()), access)


def default_interrupt():
    """A shell's background jobs ignore it, and their children do, too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(work):
    with tempfile.TemporaryDirectory(prefix="vpmu-test-", dir=work) as folder:
        bench = subprocess.Popen([VPMU, "bench", "guest"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env=dict(os.environ, TMPDIR=folder), start_new_session=True,
                                 preexec_fn=default_interrupt)
        time.sleep(3)
        os.killpg(bench.pid, signal.SIGINT)
        output, errors = bench.communicate(timeout=60)
        check("Ctrl-C ends it, without a figure", bench.returncode == -signal.SIGINT
              and not output, bench.returncode, output, errors)
        check("and leaves nothing behind", left_behind(folder) == ([], []), left_behind(folder))


def main():
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as work:
        refusals(work)
        measures(work)
        amd(work)
        interrupted(work)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
