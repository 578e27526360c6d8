#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What Debian's kernels say about the PMU: the driver, stray NMIs, the NMI watchdog.

One guest for each kernel and number of CPUs, and one that hangs, under vpmu perf.
"""
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

from tap import check, finish, skip

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VPMU = ROOT + "/build/vpmu"
PROGRAMS = ROOT + "/build/tests/programs"
TIMEOUT = 900  # only what hangs takes longer, however busy the machine is

# Sampling on all CPUs, for NMIs.
WORK = """
perf stat -a -e cycles,instructions,branches -o /dev/null -- sleep 0.2
perf record -q -a -e cycles -c 500000 -o /tmp/data -- PROGRAMS/loop
dmesg
"""
# The hang is on a CPU that nothing else runs on: the others can tell of it.
LOCKUP = """
echo 1 >/proc/sys/kernel/watchdog_thresh
echo 1 >/proc/sys/kernel/nmi_watchdog
taskset -c 1 PROGRAMS/load MODULE &
# What an NMI handler says reaches the console with the next message of another CPU.
while sleep 1; do
	echo alive >/dev/kmsg
done
"""

BAD = re.compile(r"Uhhuh|unknown NMI|unknown reason|Dazed|unchecked MSR|WARNING:|Call Trace|"
                 r"BIOS has corrupted|Broken PMU|broken PMU|no PMU driver", re.I)
# What the PMU's driver may say: that it is there, and its geometry.
DRIVER = re.compile(r"\] (Performance Events: .*Intel PMU driver\.|\.\.\. [a-z_ -]+:  *\S+|"
                    r"core: CPUID marked event: '[a-z -]+' unavailable)$")
DRIVER_LINE = re.compile(r"\] (Performance Events|core:|\.\.\. |perf_event|intel_pmu|pmu)", re.I)
SIGNED = b"~Module signature appended~\n"
UNAVAILABLE = {"cache references", "cache misses", "branch misses"}


def sections(data):
    """(name, offset, size, type, link, info) of an ELF file's sections, and their bytes."""
    table, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    rows = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
    text = rows[names][4]
    for row in rows:
        start = text + row[0]
        yield data[start:data.index(b"\0", start)].decode(), row


def symbol(data, wanted):
    rows = list(sections(data))
    for _, row in rows:
        if row[1] != 2:  # the symbol table
            continue
        strings = rows[row[6]][1][4]
        for at in range(row[4], row[4] + row[5], 24):
            name, _, _, section, value = struct.unpack_from("<IBBHQ", data, at)
            start = strings + name
            if data[start:data.index(b"\0", start)] == wanted:
                return section, value
    raise ValueError("no such symbol")


def hanging_module(kernel, path):
    """A module of the kernel whose first steps are CLI and an endless loop."""
    with open(f"{ROOT}/build/kernel/{kernel}/modules/kernel/drivers/block/virtio_blk.ko",
              "rb") as file:
        data = bytearray(file.read())
    if data.endswith(SIGNED):  # the signature does not fit what follows; it need not be there
        size, = struct.unpack_from(">I", data, len(data) - len(SIGNED) - 4)
        del data[-len(SIGNED) - 12 - size:]
    rows = list(sections(data))
    section, value = symbol(data, b"init_module")
    # The call of __fentry__, five bytes, is the tracer's and stays; so does ENDBR64.
    start = rows[section][1][4] + value
    value += 9 if data[start:start + 4] == b"\xf3\x0f\x1e\xfa" else 5
    code = b"\xfa" + b"\x90" * 60 + b"\xeb" + struct.pack("b", -62)
    first, last = value, value + len(code)
    for _, row in rows:
        if row[1] != 4 or row[7] != section:  # relocations of that section
            continue
        for at in range(row[4], row[4] + row[5], 24):
            offset, info, _ = struct.unpack_from("<QQq", data, at)
            if first <= offset < last:
                struct.pack_into("<QQq", data, at, offset, 0, 0)  # R_X86_64_NONE
    start = rows[section][1][4] + first
    assert first + len(code) <= rows[section][1][5], "the section is too short"
    data[start:start + len(code)] = code
    with open(path, "wb") as file:
        file.write(data)


def words(kernel, cpus, script, *more):
    return [VPMU, "perf", "--kernel", kernel, "--cpus", str(cpus), *more,
            "stat", "-e", "task-clock", "-o", "/dev/null", "--", "sh", "-c",
            script.replace("PROGRAMS", PROGRAMS)]


def boot(kernel, cpus, script):
    done = subprocess.run(words(kernel, cpus, script), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=TIMEOUT, errors="replace")
    return done.returncode, done.stdout, done.stderr


def check_watchdog(kernel, folder):
    """The guest is never asked to end in order: one of its CPUs cannot."""
    module, console = folder + "/hang.ko", folder + "/console"
    hanging_module(kernel, module)
    with subprocess.Popen(words(kernel, 2, LOCKUP.replace("MODULE", module), "--console", console,
                                "--append", "isolcpus=1"),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        log = ""
        until = time.monotonic() + TIMEOUT
        while time.monotonic() < until:
            time.sleep(0.5)
            if os.path.exists(console):
                with open(console, encoding="utf-8", errors="replace") as file:
                    log = file.read()
            if "hard LOCKUP on cpu 1" in log or process.poll() is not None:
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT)
    check(f"Linux {kernel}: a CPU that spins with interrupts off is a hard lockup",
          "hard LOCKUP on cpu 1" in log, log[-3000:], err)


def check_log(guest, log, facts):
    lines = log.splitlines()
    check(f"{guest}: the kernel has its Intel PMU driver",
          any("Intel PMU driver" in line for line in lines), *facts)
    bad = [line for line in lines if BAD.search(line)]
    check(f"{guest}: no stray NMI, no unchecked MSR access, no warning", not bad, *bad)
    marked = set(re.findall(r"CPUID marked event: '([a-z -]+)' unavailable", log))
    check(f"{guest}: the events marked unavailable are those that nothing counts",
          marked == UNAVAILABLE, marked)
    other = [line for line in lines if DRIVER_LINE.search(line) and not DRIVER.search(line)]
    check(f"{guest}: the PMU driver says nothing else", not other, *other)


def main():
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as folder:
        for kernel in "6.1", "6.12", "7.3":
            if kernel == "7.3" and not os.path.exists(f"{ROOT}/build/kernel/7.3/release"):
                skip("Linux 7.3", "Debian's archive has this kernel no more")
                continue
            for cpus in 1, 4:
                status, log, err = boot(kernel, cpus, WORK)
                check_log(f"Linux {kernel}, {cpus} CPU{'s' if cpus > 1 else ''}", log,
                          [f"exit status {status}", err])
            if os.geteuid() == 0:
                check_watchdog(kernel, folder)
            else:
                skip(f"Linux {kernel}: a hard lockup", "only root loads a module, also in a guest")
    return finish()


if __name__ == "__main__":
    sys.exit(main())
