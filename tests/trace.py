#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Recording, end to end: a bare-metal guest says what it did with its PMU, and
the trace of it says the same. Read with tracefile.py, not with the C library.

VPMU_BUILD: the build folder (default: build).
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

import tracefile
from guest import CPUS
from tap import check, finish

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build"))
QEMU = BUILD + "/qemu/usr/bin/qemu-system-x86_64"
MODELS = ["intel-v2", "intel-v4", "intel-v5", "amd-core", "amd-v2"]
TIMEOUT = 300  # only what hangs takes longer, however busy the machine is


def run(model, folder, *words, guest="accesses", qemu=("-serial", "stdio")):
    return subprocess.run(
        [BUILD + "/vpmu", "run", "--pmu", model, "--report", folder + "/report", *words, "--",
         QEMU, "-kernel", f"{BUILD}/guest/{guest}.elf", "-cpu", CPUS.get(model, "Skylake-Server"),
         "-smp", "2", "-m", "64", "-display", "none", "-nodefaults", "-no-user-config",
         "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", *qemu],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT,
        errors="replace")


def spoken(record):
    fault = " #GP" if record.fault else ""
    return f"vcpu {record.vcpu} {record.kind} {record.index:x} {record.value:x}{fault}"


def first_difference(got, wanted):
    for i, pair in enumerate(zip(got, wanted)):
        if pair[0] != pair[1]:
            return f"record {i}: {pair[0]}, the guest: {pair[1]}"
    return f"{len(got)} records, the guest: {len(wanted)}"


def one_pmu(model, folder):
    path = f"{folder}/{model},1.trace"  # a comma, which QEMU would split at
    began = time.monotonic()
    done = run(model, folder, "--trace", path)
    took = time.monotonic() - began
    did = re.findall(r"(?m)^# did: (.*?)\s*$", done.stdout)
    check(f"{model}: a guest runs while it is recorded",
          done.returncode == 1 and len(did) > 60 and "not ok" not in done.stdout, done)
    config, records = tracefile.load(path)
    resets = [record for record in records if record.kind == "reset"]
    said = [spoken(record) for record in records if record.kind != "reset"]
    check(f"{model}: the trace has every access and PMI that the guest says, in order",
          said == did, first_difference(said, did))
    firsts = [next((record for record in records if record.vcpu == vcpu), None)
              for vcpu in range(2)]
    check(f"{model}: each vCPU's part begins with RESET",
          all(first in resets for first in firsts), firsts)
    check(f"{model}: its time goes forwards",
          all(a.time <= b.time for a, b in zip(records, records[1:]))
          and 0 < records[-1].time < took * 1e9)
    amd = model.startswith("amd")
    check(f"{model}: it has the PMU's configuration",
          config.version == (1 if model == "amd-core" else int(model[-1]))
          and config.fixed == (0 if amd else 3) and config.full_width != amd
          and (not amd or config.general == 6), config)
    with open(folder + "/report", encoding="utf-8") as file:
        stats = dict(re.findall(r"(\w+)=(\d+)", file.read().splitlines()[-1]))
    os.remove(folder + "/report")
    pmis = sum(record.kind == "pmi" for record in records)
    check(f"{model}: it has each PMI delivered, and those that LVTPC masked: one in three",
          pmis == 9 and int(stats["pmis"]) == 6, pmis, stats)
    return path


def nothing_asked(folder):
    before = sorted(os.listdir(folder))
    done = run("intel-v4", folder)
    check("nothing is recorded unless it is asked for",
          done.returncode == 1 and sorted(os.listdir(folder)) == sorted(before + ["report"]),
          before, os.listdir(folder))


def off(folder):
    done = run("off", folder, "--trace", folder + "/off.trace", guest="off")
    config, records = tracefile.load(folder + "/off.trace")
    check("with the PMU off the trace is empty",
          done.returncode == 1 and not records and not any(config), config, records)


def background(folder):
    """-daemonize: QEMU forks after the recording has begun."""
    path, pidfile = folder + "/background.trace", folder + "/pid"
    done = run("intel-v4", folder, "--trace", path,
               qemu=("-serial", "null", "-daemonize", "-pidfile", pidfile))
    until = time.monotonic() + TIMEOUT
    records = []
    while not records and time.monotonic() < until:
        try:
            records = tracefile.load(path)[1]
        except (ValueError, IndexError):
            time.sleep(0.1)
    if not records and os.path.exists(pidfile):  # QEMU removes it when it ends
        with open(pidfile, encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)
    check("a QEMU that goes into the background writes one whole trace",
          done.returncode == 0 and len(records) > 60, done, len(records))


def full_disk(folder):
    done = run("intel-v4", folder, "--trace", "/dev/full")
    check("a trace that does not fit on the disk does not stop the guest, and is told",
          done.returncode == 1 and "the trace is not complete: No space left" in done.stderr,
          done)


def shipped():
    folder = ROOT + "/bench/traces"
    for name, status in ("one.trace", 1), ("six.trace", 4), ("ten.trace", 5):
        config, records = tracefile.load(f"{folder}/{name}")
        pmis = [record for record in records if record.kind == "pmi"]
        counters = {bit for record in pmis for bit in range(64) if record.value >> bit & 1}
        check(f"{name} is a trace of {status} or more sampled counters",
              config.version == 4 and 200 < len(pmis) and len(counters) >= status,
              len(pmis), counters)


def main():
    with tempfile.TemporaryDirectory(prefix="vpmu-trace-") as folder:
        for model in MODELS:
            one_pmu(model, folder)
        nothing_asked(folder)
        off(folder)
        background(folder)
        full_disk(folder)
    shipped()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
