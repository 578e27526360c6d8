#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A Debian guest that runs a guest of its own, by its own kvm_amd: the inner guest's counter
counts by KVM's PMU, which counts by ours, and perf tells both guests apart. TAP on stdout.

The inner guest's code is programs/nested.c's, which says how many instructions have retired
in it. What KVM emulates for it (CPUID) retires in the host.
With a mediated PMU KVM gives it the counters themselves: RDPMC is not intercepted, #UD is.
"""
import re
import sys

import bed
from linux_guest import PROGRAMS, check_messages, title
from tap import check, finish, skip

RUNS = [("loop", 1000), ("loop", 200000), ("exits", 1000), ("exits", 50000)]
PERIOD = 10000
# Stock KVM counts the WRMSR that starts a counter, as one that it emulates.
START = 1

SCRIPT = """
echo vpmu $(cat /sys/module/kvm/parameters/enable_pmu)
for run in $RUNS; do
	set -- $(echo $run | tr : ' ')
	perf stat -x, -o /tmp/counts -e '{instructions:GH,instructions:G,instructions:H}' \\
		$NESTED $1 $2 >/tmp/out
	echo run $run $(cat /tmp/out) $(sed -n 's/^\\([0-9]*\\),,\\([^,]*\\),.*/\\2=\\1/p' /tmp/counts)
done
perf record -q -e instructions:G -c $GUEST_PERIOD -o /tmp/data -- $NESTED loop 200000 >/tmp/out
echo samples $(perf report -D -i /tmp/data 2>/dev/null | grep -c ' PERF_RECORD_SAMPLE')
dmesg
"""

MEDIATED = """
echo vpmu $(cat /sys/module/kvm_amd/parameters/enable_mediated_pmu)
for run in $RUNS; do
	set -- $(echo $run | tr : ' ')
	echo run $run $($NESTED $1 $2)
done
dmesg
"""


# Of the scripts.
VARIABLES = {"GUEST_PERIOD": str(PERIOD), "NESTED": PROGRAMS + "/nested",
             "RUNS": " ".join(f"{program}:{turns}" for program, turns in RUNS)}


def run(pmu, kernel, cpus, script, parameters=None):
    done = bed.run(script, "--pmu", pmu, "--cpus", str(cpus), kernel=kernel, parameters=parameters,
                   **VARIABLES)
    return done.stdout, done.stderr


def values_of(program, turns, out):
    found = re.search(rf"^run {program}:{turns} (.*)$", out, re.M)
    values = dict(re.findall(r"([\w:]+)[ =](\d+)", found.group(1) if found else ""))
    return [int(values.get(name, -1)) for name in
            ("own", "retired", "instructions:GH", "instructions:G", "instructions:H")]


def check_own_count(guest, program, turns, out, emulated):
    own, retired, *_ = values = values_of(program, turns, out)
    # Its own counter starts behind three instructions, the last of which is a WRMSR.
    wanted = retired - 3 + emulated
    check(f"{guest}, {turns} turns of {program}: the inner guest counts its own instructions",
          own == wanted > turns, values)


def check_run(guest, program, turns, out, has_global_control):
    _, retired, both, inner, outer = values = values_of(program, turns, out)
    check(f"{guest}, {turns} turns of {program}: instructions:G are what has retired in it",
          inner == retired > 0, values)
    # Without it counters start one after the other.
    if has_global_control:
        check(f"{guest}, {turns} turns of {program}: G and H together are all",
              both == inner + outer > 0, values)


def check_runs(guest, out, has_global_control, emulated=START):
    for program, turns in RUNS:
        check_own_count(guest, program, turns, out, emulated)
        check_run(guest, program, turns, out, has_global_control)
    samples = re.search(r"^samples (\d+)$", out, re.M)
    check(f"{guest}: each {PERIOD} of the inner guest's instructions are one sample",
          samples and int(samples.group(1)) == 2 * 200000 // PERIOD, samples, out[-3000:])


def check_guest(pmu, kernel, cpus):
    guest = title(pmu, kernel, cpus)
    out, err = run(pmu, kernel, cpus, SCRIPT)
    check(f"{guest}: kvm_amd loads, with its PMU", "vpmu Y" in out, out[-3000:], err)
    check_runs(guest, out, pmu == "amd-v2")
    check_messages(guest, out)


def check_mediated(pmu, kernel, cpus):
    guest = f"{pmu}, Linux {kernel}, a mediated PMU"
    out, err = run(pmu, kernel, cpus, MEDIATED, {"kvm-amd": "enable_mediated_pmu=1"})
    check(f"{guest}: kvm_amd loads with it", "vpmu Y" in out, out[-3000:], err)
    for program, turns in RUNS:
        check_own_count(guest, program, turns, out, START)
    check_messages(guest, out)


def main():
    for pmu, kernel, cpus, judge in (("amd-core", "6.1", 1, check_guest),
                                     ("amd-v2", "6.12", 2, check_guest),
                                     ("amd-v2", "7.3", 1, check_mediated)):
        if bed.missing(kernel):
            skip(f"Linux {kernel} runs a guest of its own", bed.missing(kernel))
            continue
        judge(pmu, kernel, cpus)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
