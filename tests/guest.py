#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs the bare-metal guests of build/guest under QEMU with the PMU plugin, for
# each PMU version, and prints all their verdicts as one TAP stream. Judges
# nothing itself but whether a guest came to its end, and of storms whether QEMU's
# memory stayed flat and the plugin's report has its end, and whether a report names
# what its guest programs and nothing counts.
#
# tests/guest.py [GUEST...]     only these guests
# tests/guest.py intel-v4 ...   only this PMU
#
# VPMU_QEMU_ROOT: an unpacked QEMU (default: build/qemu). VPMU_BUILD: the build
# folder (default: build). VPMU_STORM_SECONDS: how long storms last (default: 3).
# VPMU_SEED: a number or "random", for the guests that fuzz (default: always the same).

import concurrent.futures
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from unpacked import bare_metal, plugin

STORM_SECONDS = int(os.environ.get("VPMU_STORM_SECONDS", "3"))
SEED = os.environ.get("VPMU_SEED")
MODELS = ["intel-v2", "intel-v3", "intel-v4", "intel-v5"]
AMD_MODELS = ["amd-k7", "amd-core", "amd-v2"]
CPUS = {
    "amd-k7": "EPYC-v1,+svm,+npt,+x2apic,+clwb,+ibpb",
    "amd-core": "EPYC-v1,+svm,+npt,+x2apic,+clwb,+ibpb",
    "amd-v2": "EPYC-Genoa,+svm,+npt,+x2apic,+clwb,+ibpb",
}
# What CPUID is to say, as the guests' command line has it.
CPUID = {
    **{model: f"version={model[-1]}" for model in MODELS},
    "amd-k7": "version=1 counters=4",
    "amd-core": "version=1 counters=6",
    "amd-v2": "version=2 counters=6",
}
TIMEOUT = 300  # only what hangs takes longer, however busy the machine is

# How much a QEMU may grow between the second and the last quarter of a storm.
STORM_GROWTH_KIB = 16 * 1024

# guest, PMUs, processors, further QEMU arguments and lines of the plugin's report
GUESTS = [
    ("ground", ["none", "off"], 4, []),
    ("off", ["off"], 1, []),
    ("registers", MODELS + AMD_MODELS, 1, []),
    ("counting", MODELS + AMD_MODELS, 1, ["video"]),
    ("transparent", MODELS + AMD_MODELS, 1, []),
    ("transparent", ["intel-v4", "amd-v2"], 2, []),
    ("privilege", MODELS + AMD_MODELS, 1, []),
    ("modes", ["intel-v2", "intel-v5"] + AMD_MODELS, 1, []),
    ("overflow", MODELS + AMD_MODELS, 1, []),
    ("exact", MODELS + AMD_MODELS, 1, []),
    ("exact", ["intel-v4", "amd-v2"], 4, []),
    ("skid", ["intel-v2", "intel-v5", "amd-core", "amd-v2"], 1, []),
    ("cuts", ["intel-v4", "amd-core", "amd-v2"], 1, []),
    ("cuts", ["intel-v4"], 2, []),
    ("far", ["intel-v4", "amd-v2"], 1, []),
    ("svm", AMD_MODELS, 1, []),
    ("smp", ["intel-v2", "intel-v5"], 2, []),
    ("smp", MODELS + AMD_MODELS, 4, []),
    ("smp", ["intel-v4"], 4, ["late"]),
    ("models", ["amd-v2"], 1, ["models"]),
    ("models", MODELS, 1,
     ["models", "reports uncounted 0xb7 0x01 cmask=0 inv=0 edge=0 extra=0x84040001"]),
    ("patch", ["intel-v2", "intel-v5", "amd-core"], 2, []),
    ("reset", MODELS + AMD_MODELS, 2, ["reboot"]),
    ("lapic", ["intel-v2", "intel-v4", "amd-core", "amd-v2"], 2,
     ["reports pmi-lost delivery-mode=7", "reports apic-base 0xfea00000"]),
    ("lapic", ["intel-v4"], 1, ["wide", "reports pmi-lost apic-id=257"]),
    ("storm", ["intel-v2", "intel-v5", "amd-core", "amd-v2"], 4, ["storm"]),
    ("flood", ["intel-v2", "intel-v4", "amd-core", "amd-v2"], 2, ["storm"]),
    ("fuzz", ["intel-v2", "intel-v5", "amd-k7", "amd-v2"], 4, ["storm", "small"]),
    ("fuzz", ["intel-v4"], 4, ["storm", "small", "models"]),
]


def qemu_command(guest, model, processors, options):
    append = f"cpus={processors} seconds={STORM_SECONDS}"
    if model in CPUID:
        append += f" {CPUID[model]}"
    command = bare_metal(guest, "-cpu", CPUS.get(model, "Skylake-Server"), "-smp",
                         str(processors), "-serial", "stdio", "-append", append)
    if SEED is not None:
        command[-1] += f" seed={SEED}"
    if "video" in options:
        command[-1] += " video=1"
        command += ["-device", "isa-vga"]
    if "wide" in options:  # 7 bits of an APIC ID are the core's
        command[command.index("-smp") + 1] += ",sockets=3,cores=65,threads=1,maxcpus=195"
        command[command.index("-append") + 1] += " id=257"
        command += ["-device",
                    "Skylake-Server-x86_64-cpu,socket-id=2,core-id=1,thread-id=0"]
    if "reboot" not in options:
        command.append("-no-reboot")
    if "small" in options:  # translations of code that is always new would fill any memory
        command += ["-accel", "tcg,thread=multi,tb-size=8"]
    return command


class Tap:
    """One stream out of many: verdicts get new numbers and a prefix."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def verdict(self, holds, sentence):
        self.count += 1
        self.failed += not holds
        print(f"{'ok' if holds else 'not ok'} {self.count} - {sentence}", flush=True)

    def comment(self, text):
        print(f"# {text}", flush=True)

    def finish(self):
        print(f"1..{self.count}")
        return 1 if self.failed else 0


class Record:
    """Verdicts and comments of one guest, for a stream that is elsewhere by now."""

    def __init__(self):
        self.lines = []

    def verdict(self, holds, sentence):
        self.lines.append(lambda tap: tap.verdict(holds, sentence))

    def comment(self, text):
        self.lines.append(lambda tap: tap.comment(text))

    def replay(self, tap):
        for line in self.lines:
            line(tap)


class Memory(threading.Thread):
    """Samples a QEMU's resident memory from its guest's first word until it ends."""

    def __init__(self, pid, output):
        super().__init__(daemon=True)
        self.path = f"/proc/{pid}/status"
        self.output = output
        self.samples = []

    def run(self):
        while True:
            try:
                with open(self.path, encoding="ascii") as status:
                    found = re.search(r"VmRSS:\s+(\d+) kB", status.read())
                begun = os.fstat(self.output).st_size > 0
            except OSError:
                return
            if not found:
                return
            if begun:
                self.samples.append(int(found.group(1)))
            time.sleep(0.1)

    def growth(self):
        quarter = len(self.samples) // 4
        if not quarter:
            return None
        return (statistics.median(self.samples[-quarter:])
                - statistics.median(self.samples[quarter:2 * quarter]))


def pass_on(tap, prefix, output):
    """Returns whether the guest printed the plan that fits its verdicts."""
    count = 0
    plan = None
    for line in output.splitlines():
        line = line.rstrip("\r")
        found = re.match(r"(not )?ok \d+ - (.*)", line)
        if found:
            count += 1
            tap.verdict(not found.group(1), f"{prefix}: {found.group(2)}")
        elif line.startswith("1.."):
            plan = int(line[3:])
        elif line.startswith(("#", "Bail out!")):
            tap.comment(f"{prefix}: {line.lstrip('# ')}")
    return plan == count and count > 0


def plugin_arguments(model, options, report):
    models = ",models=on" if "models" in options else ""
    variant = "-late" if "late" in options else ""  # tests/late_reset.c
    return plugin(f"pmu={model},cpi=1,report={report}{models}", variant)


def lines_of(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except OSError:
        return []


def run_guest(tap, guest, model, processors, options):
    prefix = f"{model} {guest}" + (f" {processors} vCPUs" if processors > 1 else "")
    prefix += ", new translations late" if "late" in options else ""
    timeout = TIMEOUT + (4 * STORM_SECONDS if "storm" in options else 0)
    command = qemu_command(guest, model, processors, options)
    with tempfile.TemporaryDirectory(prefix="vpmu-guest-") as folder:
        report = os.path.join(folder, "report")
        if model != "none":
            command += plugin_arguments(model, options, report)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            memory = Memory(qemu.pid, out.fileno())
            memory.start()
            try:
                status = qemu.wait(timeout)
            except subprocess.TimeoutExpired:
                qemu.kill()
                qemu.wait()
                status = "timeout"
            memory.join()
            out.seek(0)
            err.seek(0)
            complete = pass_on(tap, prefix, out.read().decode("utf-8", "replace"))
            errors = err.read().decode("utf-8", "replace")
        reported = lines_of(report)
    ended = complete and status in (1, 3)
    tap.verdict(ended, f"{prefix}: the guest comes to its end")
    if not ended:
        tap.comment(f"{prefix}: QEMU's status: {status}")
        for line in errors.splitlines():
            if "TCG doesn't support requested feature" not in line:
                tap.comment(line)
    for line in (option[len("reports "):] for option in options if option.startswith("reports ")):
        tap.verdict(line in reported, f"{prefix}: it is reported: {line}")
    if "storm" in options:
        growth = memory.growth()
        tap.verdict(growth is not None and growth <= STORM_GROWTH_KIB,
                    f"{prefix}: QEMU's memory stays flat")
        tap.verdict(bool(reported) and reported[-1].startswith("stats "),
                    f"{prefix}: however much is reported, statistics end the report")
        tap.comment(f"{prefix}: it grew by {growth} KiB, to {max(memory.samples, default=0)} KiB")


def recorded(run):
    record = Record()
    run_guest(record, *run)
    return record


def run_all(tap, runs):
    """Those with one vCPU side by side, one for each of this machine's processors."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for record in pool.map(recorded, [run for run in runs if run[2] == 1]):
            record.replay(tap)
    for run in (run for run in runs if run[2] > 1):
        run_guest(tap, *run)


def main():
    global SEED
    if SEED == "random":
        SEED = random.getrandbits(32)
    chosen = set(sys.argv[1:])
    known = {guest for guest, *_ in GUESTS} | {*MODELS, *AMD_MODELS} | {"off", "none"}
    if chosen - known:
        print(f"guest.py: unknown: {' '.join(sorted(chosen - known))}", file=sys.stderr)
        return 2
    models = chosen & {*MODELS, *AMD_MODELS, "none"}
    guests = chosen - models
    tap = Tap()
    run_all(tap, [(guest, model, processors, options)
                  for guest, its_models, processors, options in GUESTS for model in its_models
                  if (not guests or guest in guests) and (not models or model in models)])
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
