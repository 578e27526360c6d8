#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest that counts is saved, loaded and migrated at random moments, and counts on
exactly: each PMI comes, and comes once. The stock QEMU with the plugin, over QMP.

VPMU_SEED: a seed, else it is random;
VPMU_MOMENTS: how often in all (default: 100).
"""
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time

import unpacked
from tap import check, finish

SEED = int(os.environ.get("VPMU_SEED", "0")) or random.randrange(1, 1 << 32)
MOMENTS = int(os.environ.get("VPMU_MOMENTS", "100"))
PATIENCE = 100  # seconds for anything at all: what takes longer, on any machine, hangs
TABLE = 32768   # bytes
CUT = "failed to save SaveStateEntry"  # where a guest ends in the middle of a migration
MAGIC = b"vpmustat"  # of an image, core/state.c
KVM = "kvm"      # a PMU of /dev/kvm's, not the plugin's
NO_PMU = "the state that was loaded has no PMU in it (-acpitable, see vpmu(1))"


class Process:
    """A QEMU with its files in a folder that outlives it, spoken to over QMP."""

    def __init__(self, folder, command):
        self.folder = folder
        self.out = tempfile.TemporaryFile(dir=folder)
        self.errors = tempfile.TemporaryFile(dir=folder)
        mine, its = socket.socketpair()
        self.qemu = subprocess.Popen(
            [*command, "-chardev", f"socket,id=qmp,fd={its.fileno()}", "-qmp", "chardev:qmp"],
            stdin=subprocess.PIPE, stdout=self.out, stderr=self.errors, pass_fds=[its.fileno()])
        its.close()
        mine.settimeout(PATIENCE)
        self.socket = mine
        self.qmp = mine.makefile("rw", encoding="utf-8")
        self.qmp.readline()
        self.ask("qmp_capabilities")

    def ask(self, what, **arguments):
        self.qmp.write(json.dumps({"execute": what, "arguments": arguments}) + "\n")
        self.qmp.flush()
        for line in self.qmp:
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(f"{what}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise RuntimeError(f"{what}: QEMU is gone: {self.said(self.errors)}")

    @staticmethod
    def said(file):
        """QEMU writes where the file's position is, which stays where it is."""
        size = os.fstat(file.fileno()).st_size
        return os.pread(file.fileno(), size, 0).decode("utf-8", "replace")

    def lines(self):
        """What the plugin has said."""
        return [line for line in self.said(self.errors).splitlines()
                if "TCG doesn't support" not in line]

    def wait(self, what, until):
        end = time.monotonic() + PATIENCE
        while not until():
            if time.monotonic() > end:
                raise RuntimeError(f"{what} takes too long")
            time.sleep(0.005)

    def job(self, what, **arguments):
        """A job of QEMU's, to its end."""
        self.ask(what, **{"job-id": "job"}, **arguments)
        self.wait(what, lambda: self.ask("query-jobs")[0]["status"] == "concluded")
        wrong = self.ask("query-jobs")[0].get("error")
        self.ask("job-dismiss", id="job")
        if wrong:
            raise RuntimeError(f"{what}: {wrong}")

    def migrate(self, uri):
        self.ask("migrate", uri=uri)
        self.wait("migration", lambda: self.ask("query-migrate").get("status") in
                  ("completed", "failed"))
        answer = self.ask("query-migrate")
        if answer["status"] != "completed":
            raise RuntimeError(f"migration: {answer}")

    def snapshot(self, verb):
        self.job("snapshot-" + verb, tag="one", devices=["disk"],
                 **({} if verb == "delete" else {"vmstate": "disk"}))

    def close(self):
        if self.qemu.poll() is None:
            self.qemu.kill()
            self.qemu.wait()
        try:
            self.qmp.close()
        except OSError:
            pass  # something for a QEMU that is gone
        self.socket.close()
        self.qemu.stdin.close()
        self.out.close()
        self.errors.close()


def processor(pmu):
    """QEMU's words for one. QEMU itself restores six counters of AMD's at the wrong numbers."""
    if pmu == KVM:
        return ["-accel", "kvm", "-cpu", "host,perfmon-v2=off,perfctr-core=off"]
    return ["-cpu", "EPYC-v1,+svm" if pmu.startswith("amd") else "Skylake-Server",
            *unpacked.plugin("pmu=" + pmu)]


class Machine(Process):
    """A bare-metal guest."""

    def __init__(self, folder, cpus=1, pmu="intel-v4", incoming=None, place=True, append="",
                 disk=False, guest="saved"):
        command = unpacked.bare_metal(
            guest, "-append", f"cpus={cpus} {append}", "-smp", str(cpus), *processor(pmu),
            "-serial", "stdio", "-no-reboot")
        if place and pmu != KVM:
            with open(folder + "/table", "wb") as table:
                table.write(bytes(TABLE))
            command += ["-acpitable", f"sig=VPMU,rev=1,data={folder}/table"]
        if incoming:
            command += ["-incoming", incoming]
        if disk:
            command += disk_words(folder)
        super().__init__(folder, command)

    def runs(self):
        self.wait("the guest's start", lambda: "runs" in self.said(self.out))

    def end(self):
        """What the guest says in the end; where it stands, if it comes to none."""
        self.qemu.stdin.write(b"q")
        self.qemu.stdin.flush()
        try:
            self.qemu.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return [self.ask("human-monitor-command", **{"command-line": what})
                    for what in ("info status", "info registers", "info lapic")]
        return [line for line in self.said(self.out).splitlines() if line.startswith("cpu ")]


def disk_words(folder):
    return ["-blockdev", f"driver=file,node-name=file,filename={folder}/disk",
            "-blockdev", "driver=qcow2,node-name=disk,file=file"]


def judge(what, machine, cpus, wrong, lines=None):
    """lines: its last, if it has ended."""
    lines = machine.end() if lines is None else lines
    good = len(lines) == cpus
    for line in lines:
        seen = re.fullmatch(r"cpu \d+ turns (\d+) bad 0 traps 0 pmis (\d+) of (\d+)", line)
        good = good and seen is not None and int(seen[1]) > 10 and seen[2] == seen[3]
    wrong += machine.lines()
    check(what, good and not wrong, *lines, *wrong)
    machine.close()


def a_while(chance, most=0.15):
    time.sleep(chance.uniform(0, most))


def migrated(chance, folder, what, moments, live, cpus=1, pmu="intel-v4", append=""):
    """From QEMU to QEMU, through a file or directly."""
    machine = Machine(folder, cpus, pmu, append=append)
    machine.runs()
    wrong = []
    for _ in range(moments):
        a_while(chance)
        uri = f"unix:{folder}/live" if live else f"file:{folder}/state"
        if live:
            then = Machine(folder, cpus, pmu, incoming=uri, append=append)
            then.wait("listening", lambda: os.path.exists(folder + "/live"))
        machine.migrate(uri)
        if not live:
            then = Machine(folder, cpus, pmu, incoming=uri, append=append)
        wrong += machine.lines()
        machine.close()
        machine = then
        machine.wait("going on", lambda: machine.ask("query-status")["status"] == "running")
    a_while(chance)
    judge(what, machine, cpus, wrong)


def is_taken(machine):
    """Has it loaded the state? QEMU refuses one between VMRUN and #VMEXIT by itself."""
    try:
        machine.wait("going on", lambda: machine.ask("query-status")["status"] == "running")
    except (RuntimeError, OSError):
        machine.qemu.wait(PATIENCE)
    return "guest-mode" not in machine.said(machine.errors)


def hypervisor(chance, folder):
    """A guest that ends by itself. Where QEMU takes no state, it goes on where it was."""
    uri = f"file:{folder}/state"
    machine = Machine(folder, pmu="amd-v2", guest="svm", append="stops=1")
    machine.wait("the guest's start", lambda: "ok 1 " in machine.said(machine.out))
    said, wrong, moves = "", [], 0
    while True:
        a_while(chance)
        try:
            machine.migrate(uri)
        except (RuntimeError, OSError):
            machine.qemu.wait(PATIENCE)
            break
        then = Machine(folder, pmu="amd-v2", guest="svm", incoming=uri, append="stops=1")
        if is_taken(then):
            said += machine.said(machine.out)
            wrong += machine.lines()
            machine, then = then, machine
            moves += 1
        else:
            machine.ask("cont")
        then.close()
    said += machine.said(machine.out)
    wrong += [line for line in machine.lines() if CUT not in line]
    wrong += [line for line in said.splitlines() if re.match("not ok|Bail out", line)]
    check("so does a hypervisor with its guests", machine.qemu.returncode == 1 and moves > 0
          and re.search(r"(?m)^1\.\.\d+$", said) and not wrong, moves, *wrong)
    machine.close()


def make_disk(folder, pmu, size=1 << 20):
    machine = Machine(folder, pmu=pmu)
    path = folder + "/disk"
    machine.job("blockdev-create", options={"driver": "file", "filename": path, "size": 0})
    machine.ask("blockdev-add", **{"driver": "file", "node-name": "file", "filename": path})
    machine.job("blockdev-create",
                options={"driver": "qcow2", "file": "file", "size": size})
    machine.ask("quit")
    machine.qemu.wait(PATIENCE)
    machine.close()


def loaded(chance, folder, what, moments, cpus=1, pmu="intel-v4"):
    """savevm, on, loadvm: in one QEMU."""
    make_disk(folder, pmu)
    machine = Machine(folder, cpus, pmu, disk=True)
    machine.runs()
    for _ in range(moments):
        a_while(chance)
        machine.snapshot("save")
        a_while(chance)
        for _ in range(chance.randrange(1, 3)):
            machine.snapshot("load")
            machine.ask("cont")
            a_while(chance)
        machine.snapshot("delete")
    judge(what, machine, cpus, [])


def refused(folder, what, said, spoil=None, pmu="intel-v4", place=True):
    """A state that has no PMU for this guest: one line says so, and the guest goes on."""
    uri = f"file:{folder}/state"
    # An RDPMC that is begun is not finished by a PMU that has been reset.
    machine = Machine(folder, 2, place=place, append="rdpmc=0")
    machine.runs()
    machine.migrate(uri)
    machine.close()
    if spoil:
        with open(folder + "/state", "r+b") as file:
            state = spoil(file.read())
            file.seek(0)
            file.write(state)
    machine = Machine(folder, 2, pmu, incoming=uri)
    try:
        machine.wait("going on", lambda: machine.ask("query-status")["status"] == "running")
        lines = machine.end()
    except (RuntimeError, OSError):  # a guest of another PMU ends as it finds its registers gone
        machine.qemu.wait(PATIENCE)
        lines = []
    said = f"vpmu plugin: {said}: the guest's PMU is reset"
    check(what, (len(lines) == 2 or pmu != "intel-v4") and machine.lines() == [said],
          *lines, *machine.lines())
    machine.close()


def refusals(folder):
    damaged = "the PMU in the state that was loaded is damaged"
    refused(folder, "a state without a place for a PMU is told of", NO_PMU, place=False)
    refused(folder, "so is one of another PMU",
            "the state that was loaded is that of another PMU", pmu="intel-v2")
    refused(folder, "so is one whose PMU is damaged", damaged,
            lambda state: state.replace(MAGIC, bytes(len(MAGIC))))


def main():
    chance = random.Random(SEED)
    print(f"# VPMU_SEED={SEED}", flush=True)
    part = MOMENTS // 10
    with tempfile.TemporaryDirectory(prefix="vpmu-saved-") as folder:
        migrated(chance, folder, "saved to a file and loaded by another QEMU, a guest counts on",
                 2 * part, False)
        migrated(chance, folder, "so does one with a PMU of version 2 and an x2APIC",
                 part, False, 2, "intel-v2", "x2=1")
        migrated(chance, folder, "so does one that migrates to another QEMU", 2 * part, True)
        migrated(chance, folder, "so do four vCPUs", part, True, 4)
        migrated(chance, folder, "so does one with AMD's first PMU", part // 2, False, 1, "amd-k7")
        migrated(chance, folder, "so does one with PerfMonV2", part // 2, True, 2, "amd-v2")
        hypervisor(chance, folder)
        loaded(chance, folder, "a guest counts on in a snapshot that is loaded", 2 * part)
        loaded(chance, folder, "so do two vCPUs", part, 2)
        refusals(folder)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
