#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vpmu bench pmi on real perf events: software ones on this machine, and hardware ones in a
guest with our own PMU, where RDPMC works. What is checked are counts; no time is.
"""
import json
import os
import re
import subprocess
import sys

from tap import check, finish, skip

# VPMU_BUILD: the build folder (default: build).
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VPMU = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build")) + "/vpmu"
BENCH = [VPMU, "bench", "pmi", "--quick", "--json"]
BASELINES = ("kvm-6.12", "kvm-rfc", "kvm-2018")


def run(words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=900,
                          stdin=subprocess.DEVNULL)
    start = done.stdout.find("{")
    try:
        return json.loads(done.stdout[start:])["tables"], done
    except (ValueError, KeyError):
        return None, done


def rows(tables, table, trace, subject):
    return [row for row in tables[table]["rows"]
            if row["trace"] == trace and row["subject"] == subject]


def check_faithful(where, tables):
    for row in tables["pmi_checks"]["rows"]:
        check(f"{where}, {row['trace']}, {row['subject']}: each PMI comes, and no other",
              row["came"] == row["expected"] > 100 and row["lost"] == 0 and
              row["spurious"] == 0 and row["other"] == 0 and row["disagreed"] == 0, row)


def check_calls(where, tables, trace, most):
    ours = rows(tables, "pmi_calls", trace, "ours")[0]
    check(f"{where}, {trace}: at most {most} system calls a PMI", ours["all"] <= most, ours)
    for name in BASELINES:
        other = rows(tables, "pmi_calls", trace, name)[0]
        check(f"{where}, {trace}: fewer than {name} makes", ours["all"] < other["all"], ours, other)


def check_events(where, tables, trace):
    ours = rows(tables, "pmi_events", trace, "ours")[0]
    check(f"{where}, {trace}: no PMI opens or closes an event",
          ours["opened_pmi"] == 0 and ours["closed_pmi"] == 0, ours)
    check(f"{where}, {trace}: nothing is opened or closed that the guest has not changed",
          0 < ours["opened"] <= ours["changes"] and ours["closed"] <= ours["changes"], ours)


def check_here():
    tables, done = run(BENCH)
    if tables is None and "permitted" in done.stderr:
        print("# " + done.stderr.strip())
        return
    check("vpmu bench pmi measures on this machine", tables is not None, done)
    if tables is None:
        return
    hardware = "instructions" in " ".join(tables["pmi_main"]["notes"])
    check_faithful("here", tables)
    check_calls("here", tables, "one", 2 if hardware else 4)
    for trace in "one", "six", "ten":
        check_events("here", tables, trace)


def check_in_guest():
    tables, done = run([VPMU, "exec", "--", *BENCH, "--trace", ROOT + "/bench/traces/one.trace"])
    check("vpmu bench pmi measures in a guest with our own PMU", tables is not None, done)
    if tables is None:
        return
    check("the guest's perf has hardware events",
          "user instructions" in " ".join(tables["pmi_main"]["notes"]), tables["pmi_main"])
    check_faithful("in the guest", tables)
    check_calls("in the guest", tables, "one", 2)
    check_events("in the guest", tables, "one")
    ours = rows(tables, "pmi_calls", "one", "ours")[0]
    check("in the guest, totals are read without system calls", ours["read"] == 0, ours)


def value(output, name):
    """The first number behind a row's name."""
    found = re.search(r"^ +" + re.escape(name) + r" +(\d+)", output, re.M)
    return int(found.group(1)) if found else None


def check_replay(name, output):
    where = f"in the guest, {name}"
    before, _, after = output.partition("After the first 20 PMIs")
    all_pmis = value(before, "  PMIs")
    check(f"{where}: each PMI comes, and no other",
          all_pmis and value(after, "PMIs") == all_pmis - 20 and value(after, "lost") == 0 and
          value(after, "spurious") == 0 and value(after, "of other counters") == 0, output)
    check(f"{where}: totals are read without system calls, and no PMI opens or closes an event",
          value(after, "  rt_sigreturn") and value(after, "  read") is None and
          value(after, "  perf_event_open") is None and value(after, "  close") is None, output)
    changes = value(before, "event changes")
    check(f"{where}: nothing is opened or closed that the guest has not changed",
          changes and 0 < value(after, "opened") <= changes and
          value(after, "closed") <= changes, output)


def check_many_in_guest():
    """Version 5, since it has counters for all of these and for one that is held open."""
    names = ("six", "ten")
    words = " && echo next && ".join(
        f"{VPMU} replay --source hardware {ROOT}/bench/traces/{name}.trace" for name in names)
    done = subprocess.run([VPMU, "exec", "--pmu", "intel-v5", "--", "sh", "-c", words],
                          capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL)
    if "does not come to its end" in done.stderr:
        skip("vpmu replay replays six and ten events in a guest with our own PMU",
             "its system calls could not be counted: " + done.stderr.strip())
        return
    outputs = done.stdout.split("next\n")
    check("vpmu replay replays six and ten events in a guest with our own PMU",
          done.returncode == 0 and len(outputs) == len(names), done)
    for name, output in zip(names, outputs):
        check_replay(name, output)


def main():
    check_here()
    check_in_guest()
    check_many_in_guest()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
