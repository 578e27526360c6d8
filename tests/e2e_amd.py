#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Debian guests with an AMD CPU and each of AMD's PMUs: the driver that the kernel chooses,
counts to the unit, sampling by NMI, and nothing stray. TAP on stdout."""
import re
import subprocess
import sys

from e2e_linux import BAD, PROGRAMS, TIMEOUT, VPMU
from tap import check, finish

# What the kernel says of each PMU; it does not tell PerfMonV2 from the core extension.
DRIVERS = {"amd-k7": "Performance Events: AMD PMU driver.",
           "amd-core": "Performance Events: Fam17h+ core perfctr, AMD PMU driver.",
           "amd-v2": "Performance Events: Fam17h+ core perfctr, AMD PMU driver."}

# PROGRAMS/loop: as tests/e2e_perf.py counts it on Intel's PMUs. D1H and C8H are AMD's
# conditional branches and returns, C4H (taken branches) is not counted.
EVENTS = "instructions:u,branches:u,rd1:u,rc8:u"
SCRIPT = f"""
perf stat -x, -e {EVENTS} -o /tmp/first {PROGRAMS}/loop
perf stat -x, -e cycles:u,rc4:u -o /tmp/second true
perf record -q -a -e cycles -c 500000 -o /tmp/data -- {PROGRAMS}/loop
cat /tmp/first
echo samples $(perf script -i /tmp/data -F event 2>/dev/null | wc -l)
dmesg
"""


def boot(pmu, kernel, cpus):
    done = subprocess.run([VPMU, "perf", "--pmu", pmu, "--kernel", kernel, "--cpus", str(cpus),
                           "stat", "-e", "task-clock", "-o", "/dev/null", "--",
                           "sh", "-c", SCRIPT],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=TIMEOUT, errors="replace")
    return done.returncode, done.stdout, done.stderr


def counts(text):
    return {event: int(value) for value, event in
            re.findall(r"^(\d+),,(\S+?),", text, re.M)}


def intel_counts():
    """The same program's on Intel's PMU: what it does is not the PMU's doing."""
    done = subprocess.run([VPMU, "perf", "stat", "-x,", "-e", "instructions:u,branches:u,rc401:u",
                           "--", f"{PROGRAMS}/loop"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=TIMEOUT)
    return counts(done.stderr)


def main():
    intel = intel_counts()
    for pmu, kernel, cpus in (("amd-k7", "6.12", 1), ("amd-core", "6.1", 2),
                              ("amd-v2", "6.1", 1), ("amd-v2", "6.12", 4)):
        guest = f"{pmu}, Linux {kernel}, {cpus} CPU{'s' if cpus > 1 else ''}"
        status, out, err = boot(pmu, kernel, cpus)
        check(f"{guest}: the kernel has AMD's driver", DRIVERS[pmu] in out, status, err,
              out[-3000:])
        bad = [line for line in out.splitlines() if BAD.search(line)]
        check(f"{guest}: no stray NMI, no unchecked MSR access, no warning", not bad, *bad)
        got = counts(out)
        check(f"{guest}: instructions and branches are those of an Intel PMU to the unit",
              intel and got.get("instructions:u") == intel.get("instructions:u")
              and got.get("branches:u") == intel.get("branches:u"), got, intel)
        samples = re.search(r"^samples (\d+)$", out, re.M)
        least = intel.get("instructions:u", 0) // 500000
        check(f"{guest}: each 500,000 cycles are one sample",
              samples and least <= int(samples.group(1)) <= 2 * least, samples, least)
        check(f"{guest}: an event that is not counted is named",
              "not counted: event c4/00 (ex_ret_brn_tkn)" in err, err)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
