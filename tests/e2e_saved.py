#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A Linux guest that is saved, loaded and migrated under perf stat, perf record and its NMI
watchdog: each count is exact, no sample is lost or comes twice, and the watchdog is quiet until
a CPU hangs. vpmu run, a QEMU without shared folders (which QEMU does not migrate), and an
initramfs with this machine's perf.

VPMU_SEED: a seed, else it is random; VPMU_MOMENTS: how often (default: 6).
"""
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

import hanging_module
import linux_guest
import saved
import unpacked
from tap import check, finish, skip

SEED = int(os.environ.get("VPMU_SEED", "0")) or random.randrange(1, 1 << 32)
MOMENTS = int(os.environ.get("VPMU_MOMENTS", "6"))
PROGRAMS = unpacked.BUILD + "/tests/programs/"
# What the module that hangs is made of needs these, where they are modules.
VIRTIO = ["virtio_ring", "virtio"]
COMMANDS = ["bash", "cat", "mount", "perf", "sleep", "taskset"]

INIT = """#!/bin/bash
PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
echo 1 >/proc/sys/kernel/watchdog_thresh
echo -1 >/proc/sys/kernel/perf_event_paranoid
# A slow handler, on a busy host, is no reason to take fewer samples.
echo 0 >/proc/sys/kernel/perf_cpu_time_max_percent
echo "watchdog $(cat /proc/sys/kernel/nmi_watchdog)"
turn=0
until read -t 0; do
	perf stat -x, -e instructions:u,CONDITIONAL:u -o /tmp/stat -- /bin/loop
	while IFS=, read -r count unit event rest; do
		[ -z "$event" ] || echo "count $event $count"
	done </tmp/stat
	perf record -q -e instructions:u -c 1000000 -o /tmp/data -- /bin/loop
	perf script -i /tmp/data -F period >/tmp/script 2>/dev/null
	mapfile -t lines </tmp/script
	echo "samples ${#lines[@]}"
	turn=$((turn + 1))
	echo "turn $turn"
done
echo hang
for module in /virtio_ring.ko /virtio.ko; do
	[ ! -e $module ] || load $module
done
taskset -c 1 load /hang.ko &
while sleep 1; do
	echo alive >/dev/kmsg
done
"""


def libraries(program):
    """What it is linked with, its loader included."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=60).stdout
    return re.findall(r"(/\S+) \(0x", told)


def record(name, mode, data):
    """A file of a cpio archive."""
    name = name.encode() + b"\0"
    fields = [1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def write_initramfs(folder, kernel, conditional):
    files = {"init": INIT.replace("CONDITIONAL", conditional).encode()}
    virtio = {f"{name}.ko": linux_guest.module(kernel, "drivers/virtio/" + name)
              for name in VIRTIO}
    files.update((name, file) for name, file in virtio.items() if os.path.exists(file))
    hanging_module.write(kernel, folder + "/hang.ko")
    files["hang.ko"] = folder + "/hang.ko"
    for program in [shutil.which(command) for command in COMMANDS]:
        files["bin/" + os.path.basename(program)] = program
        files.update((library.lstrip("/"), library) for library in libraries(program))
    for program in "loop", "load":
        files["bin/" + program] = PROGRAMS + program
    folders = {"proc", "sys", "dev", "tmp"}
    for name in files:
        parts = name.split("/")[:-1]
        folders.update("/".join(parts[:i + 1]) for i in range(len(parts)))
    with open(folder + "/initramfs", "wb") as archive:
        for name in sorted(folders):
            archive.write(record(name, 0o40755, b""))
        for name, content in files.items():
            if isinstance(content, str):
                with open(content, "rb") as file:
                    content = file.read()
            archive.write(record(name, 0o100755, content))
        archive.write(record("TRAILER!!!", 0, b""))


class Guest(saved.Process):
    """A Linux guest of vpmu run."""

    def __init__(self, folder, cpu, kernel, incoming=None):
        super().__init__(folder, [
            unpacked.BUILD + "/vpmu", "run", "--", unpacked.QEMU + "/usr/bin/qemu-system-x86_64",
            "-cpu", cpu, "-smp", "2", "-m", "384", "-machine", "q35", "-display", "none",
            "-nodefaults", "-no-user-config", "-serial", "stdio", "-no-reboot",
            "-kernel", f"{unpacked.ROOT}/build/kernel/{kernel}/vmlinux",
            "-initrd", folder + "/initramfs",
            "-append", "console=ttyS0 quiet loglevel=4 nmi_watchdog=1 isolcpus=1 panic=-1",
            *saved.disk_words(folder), *(["-incoming", incoming] if incoming else [])])

    def turns(self):
        return len(re.findall(r"(?m)^turn ", self.said(self.out)))


def move(chance, guest, cpu, kernel):
    """Into a snapshot and back, or to another QEMU; what has been said, and who goes on."""
    saved.a_while(chance, 2)
    if chance.random() < 0.5:
        guest.snapshot("save")
        saved.a_while(chance, 1)
        guest.snapshot("load")
        guest.ask("cont")
        guest.snapshot("delete")
        return "", guest
    uri = f"file:{guest.folder}/state"
    guest.migrate(uri)
    said = guest.said(guest.out)
    # One QEMU at a time has the disk.
    guest.ask("quit")
    guest.qemu.wait(saved.PATIENCE)
    wrong = guest.lines()
    guest.close()
    then = Guest(guest.folder, cpu, kernel, uri)
    then.wait("going on", lambda: then.ask("query-status")["status"] == "running")
    return said + "".join(f"\nplugin: {line}\n" for line in wrong), then


def judge(name, said):
    counts = re.findall(r"count (\S+) (\S+)", said)
    samples = re.findall(r"samples (\d+)", said)
    wrong = [(event, number) for event, number in counts
             if number != ("80000004" if event == "instructions:u" else "20000000")]
    check(f"{name}: perf stat counts to the unit, {MOMENTS} moves", len(counts) > 2 and not wrong,
          *wrong)
    check(f"{name}: perf record has each sample", len(samples) > 2 and set(samples) == {"80"},
          *samples)
    bad = re.findall(r"(?m)^.*(?:LOCKUP|Uhhuh|unknown NMI|unchecked MSR|plugin:).*$", said)
    check(f"{name}: the NMI watchdog runs, and finds nothing; nothing else is told",
          "watchdog 1" in said and not bad, *bad)


def run(chance, folder, cpu, conditional, kernel):
    name = f"Linux {kernel}, {cpu}"
    write_initramfs(folder, kernel, conditional)
    saved.make_disk(folder, "intel-v4", 1 << 30)
    guest = Guest(folder, cpu, kernel)
    guest.wait("the guest's start", lambda: guest.turns() > 0)
    said = ""
    for _ in range(MOMENTS):
        part, guest = move(chance, guest, cpu, kernel)
        said += part
    turns = guest.turns()
    guest.wait("two more turns", lambda: guest.turns() > turns + 1)
    judge(name, said + guest.said(guest.out))
    guest.qemu.stdin.write(b"x\n")
    guest.qemu.stdin.flush()
    try:
        guest.wait("the watchdog", lambda: "hard LOCKUP on cpu 1" in guest.said(guest.out))
    except RuntimeError:
        pass
    check(f"{name}: a CPU that hangs then is found", "hard LOCKUP on cpu 1" in
          guest.said(guest.out), guest.said(guest.out)[-3000:])
    guest.close()


def main():
    chance = random.Random(SEED)
    print(f"# VPMU_SEED={SEED}", flush=True)
    missing = [command for command in COMMANDS if not shutil.which(command)]
    if missing:
        skip("a Linux guest that is saved", f"there is no {missing[0]}")
        return finish()
    for cpu, conditional, kernel in (("Icelake-Server-v5", "r11c4", "6.12"),
                                     ("EPYC-Genoa", "rd1", "6.1")):
        with tempfile.TemporaryDirectory(prefix="vpmu-saved-") as folder:
            run(chance, folder, cpu, conditional, kernel)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
