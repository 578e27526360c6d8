#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Debian guests on QEMU's CPU models: the driver that the kernel
chooses, counts to the unit, sampling by NMI, multiplexing, and nothing stray. TAP on stdout."""
import os
import re
import subprocess
import sys

from e2e_amd import counts
from e2e_linux import BAD, PROGRAMS, ROOT, TIMEOUT, VPMU
from tap import check, finish, skip

# The end of a line that a slow guest's kernel breaks.
INTEL = "Intel PMU driver."
AMD = "AMD PMU driver."

# Model, PMU, kernel, CPUs.
GUESTS = (
    ("Nehalem", "intel-v3", "6.1", 4), ("Haswell", "intel-v3", "6.12", 1),
    ("Skylake-Server", "intel-v4", "7.3", 4), ("Icelake-Server", "intel-v5", "6.1", 1),
    ("SapphireRapids", "intel-v5", "6.12", 4), ("GraniteRapids", "intel-v5", "7.3", 1),
    ("Snowridge", "intel-v4", "6.12", 1), ("SierraForest", "intel-v5", "6.12", 1),
    ("Opteron_G3", "amd-k7", "6.1", 1), ("EPYC-v4", "amd-core", "6.12", 4),
    ("EPYC-Milan", "amd-core", "7.3", 1), ("EPYC-Genoa", "amd-v2", "6.12", 1),
    ("EPYC-Genoa", "amd-v2", "7.3", 4),
)

# PROGRAMS/loop: 20,000,000 turns of four instructions, three of them branches.
EXACT = {"instructions:u": 80000004, "branches:u": 60000001}
TEN = ",".join(["instructions:u"] * 6 + ["branches:u"] * 4)
SCRIPT = f"""
echo 1 >/proc/sys/kernel/nmi_watchdog
perf stat -x, -e instructions:u,branches:u -o /tmp/exact {PROGRAMS}/loop
perf stat -x, -e {TEN} -o /tmp/ten {PROGRAMS}/loop
perf record -q -a -e cycles -c 500000 -o /tmp/data -- {PROGRAMS}/loop
echo exact; cat /tmp/exact
echo ten; cat /tmp/ten
echo samples $(perf script -i /tmp/data -F event 2>/dev/null | wc -l)
dmesg
"""


def boot(model, pmu, kernel, cpus):
    done = subprocess.run([VPMU, "perf", "--cpu", model, "--pmu", pmu, "--kernel", kernel,
                           "--cpus", str(cpus), "stat", "-e", "task-clock", "-o", "/dev/null",
                           "--", "sh", "-c", SCRIPT], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=TIMEOUT, errors="replace")
    return done.returncode, done.stdout, done.stderr


def check_ten(guest, text):
    """Each is on for a part of the time; what perf makes of it is up to the clock."""
    rows = re.findall(r"^(\d+),,\S+?,\d+,([\d.]+)", text, re.M)
    check(f"{guest}: ten events take turns", len(rows) == 10
          and all(int(count) and 0 < float(share) <= 100 for count, share in rows)
          and any(float(share) < 100 for _, share in rows), text)


def check_guest(model, pmu, kernel, cpus):
    guest = f"{model}, {pmu}, Linux {kernel}, {cpus} CPU{'s' if cpus > 1 else ''}"
    status, out, err = boot(model, pmu, kernel, cpus)
    driver = AMD if pmu.startswith("amd") else INTEL
    check(f"{guest}: the kernel has the vendor's driver", driver in out, status, err,
          out[-3000:])
    bad = [line for line in out.splitlines() if BAD.search(line)]
    check(f"{guest}: no stray NMI, no unchecked MSR access, no warning", not bad, *bad)
    exact, _, rest = out.partition("\nten\n")
    check(f"{guest}: instructions and branches are exact", counts(exact) == EXACT, exact)
    check_ten(guest, rest.partition("samples")[0])
    samples = re.search(r"^samples (\d+)$", out, re.M)
    least = EXACT["instructions:u"] // 500000
    check(f"{guest}: each 500,000 cycles are one sample",
          samples and least <= int(samples.group(1)) <= 2 * least, samples, least)


def main():
    for model, pmu, kernel, cpus in GUESTS:
        if kernel == "7.3" and not os.path.exists(f"{ROOT}/build/kernel/7.3/release"):
            skip(f"{model}, Linux 7.3", "Debian's archive has this kernel no more")
            continue
        check_guest(model, pmu, kernel, cpus)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
