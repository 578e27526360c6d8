#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What happens to a machine from outside, at random moments of a fixed seed, while
its guest counts and takes PMIs: pause, reset, reboot, vCPUs that come and go, the
end. The stock QEMU with the plugin, over QMP.

VPMU_BUILD: the build folder (default: build). VPMU_SEED: another seed.
"""
import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

import tracefile
from guest import CPUS
from tap import check, finish
from unpacked import bare_metal, plugin

SEED = int(os.environ.get("VPMU_SEED", "20180901"))
BOTH = ["intel-v4", "amd-v2"]
PATIENCE = 100  # seconds for anything at all: what takes longer, on any machine, hangs


def command(folder, model, smp, append):
    return bare_metal("events", "-append", append, "-cpu", CPUS.get(model, "Skylake-Server"),
                      "-smp", smp, "-serial", "stdio",
                      "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
                      *plugin(f"pmu={model},report={folder}/report,trace={folder}/trace"))


class Machine:
    """A QEMU and its guest, which says lines."""

    def __init__(self, model, smp="1", append=""):
        self.model = model
        self.folder = tempfile.TemporaryDirectory(prefix="vpmu-events-")
        name = self.folder.name
        with open(name + "/errors", "wb") as errors:
            self.qemu = subprocess.Popen(command(name, model, smp, append),
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=errors)
        self.said = b""
        self.connect(name + "/qmp")

    def listen(self, seconds):
        """What the guest has said; waits so long for something. None: nothing, or it is gone."""
        if not select.select([self.qemu.stdout], [], [], max(0, seconds))[0]:
            return None
        return os.read(self.qemu.stdout.fileno(), 65536) or None

    def connect(self, path):
        until = time.monotonic() + PATIENCE
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > until or self.qemu.poll() is not None:
                    raise
                time.sleep(0.02)
        self.socket.settimeout(PATIENCE)
        self.qmp = self.socket.makefile("rw", encoding="utf-8")
        self.qmp.readline()
        self.ask("qmp_capabilities")

    def ask(self, what, **arguments):
        """The answer; None if QEMU went away over it. Events are passed over."""
        try:
            self.qmp.write(json.dumps({"execute": what, "arguments": arguments}) + "\n")
            self.qmp.flush()
            for line in self.qmp:
                answer = json.loads(line)
                if "return" in answer or "error" in answer:
                    return answer
        except OSError:
            pass
        return None

    def say(self, letter):
        self.qemu.stdin.write(letter.encode())
        self.qemu.stdin.flush()

    def drain(self):
        """What the guest has said so far is of no interest."""
        self.said = b""
        while self.listen(0):
            pass

    def wait_for(self, pattern):
        """The next line of the guest that is like this; None: it did not come."""
        until = time.monotonic() + PATIENCE
        while True:
            line, newline, rest = self.said.partition(b"\n")
            if newline:
                self.said = rest
                text = line.decode("utf-8", "replace").strip()
                if re.fullmatch(pattern, text):
                    return text
                continue
            more = self.listen(until - time.monotonic())
            if more is None:
                return None
            self.said += more

    def beats(self):
        """Does the guest take PMIs, from now on?"""
        self.drain()
        return self.wait_for("beat .*") is not None and self.wait_for("beat .*") is not None

    def end(self, wanted, early=False):
        """What is wrong with how it ended, and with what it leaves; None: nothing.

        Early: perhaps before any vCPU ran, and then there is nothing to report.
        """
        try:
            status = self.qemu.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.qemu.kill()
            self.qemu.wait()
            return "QEMU does not end"
        name = self.folder.name
        with open(name + "/errors", encoding="utf-8", errors="replace") as errors:
            said = [line for line in errors
                    if "TCG doesn't support" not in line and "terminating on" not in line]
        if status != wanted or said:
            return f"status {status}, {said}"
        with open(name + "/report", encoding="utf-8") as file:
            report = file.read().splitlines()
        if early and not report:
            return None
        if not re.fullmatch(r"(cpu 0x\w+\n)?stats( \w+=\d+)+", "\n".join(report)):
            return f"report {report}"
        try:
            self.records = tracefile.load(name + "/trace")[1]
        except (ValueError, IndexError) as error:
            return f"trace: {error!r}"
        return None

    def check(self, sentence, holds, *otherwise):
        check(f"{self.model}: {sentence}", holds, *otherwise)

    def close(self):
        if self.qemu.poll() is None:
            self.qemu.kill()
            self.qemu.wait()
        self.socket.close()
        self.qemu.stdin.close()
        self.qemu.stdout.close()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def a_while(chance, most):
    time.sleep(chance.uniform(0, most))


def pause(chance, model):
    with Machine(model) as machine:
        good = machine.wait_for("cpu 0 good") is not None
        machine.check("a guest counts from RESET's state, and takes PMIs", good and machine.beats())
        still = going = True
        for _ in range(8):
            a_while(chance, 0.1)
            machine.ask("stop")
            machine.drain()
            a_while(chance, 0.1)
            still = still and machine.listen(0) is None
            machine.ask("cont")
            going = going and machine.beats()
        machine.check("a guest that is paused at any moment stands still", still)
        machine.check("and takes PMIs again when it goes on", going)
        machine.ask("stop")
        machine.ask("quit")
        wrong = machine.end(0)
        machine.check("a guest that is paused can be ended", wrong is None, wrong)


def again(machine):
    """The guest has booted anew: its PMU was in RESET's state, and it takes PMIs.

    A reset may have cut a line.
    """
    line = machine.wait_for("cpu 0 (good|bad)")
    return line == "cpu 0 good" and machine.beats()


def reset(chance, model):
    with Machine(model) as machine:
        good = machine.wait_for("cpu 0 good") is not None
        by_qmp = by_guest = paused = True
        for _ in range(5):
            a_while(chance, 0.3)
            machine.ask("system_reset")
            by_qmp = by_qmp and again(machine)
        machine.check("a machine that is reset at any moment counts from zero again",
                      good and by_qmp)
        for _ in range(3):
            a_while(chance, 0.3)
            machine.say("r")
            by_guest = by_guest and again(machine)
        machine.check("so does one whose guest reboots it", by_guest)
        for _ in range(3):
            a_while(chance, 0.1)
            machine.ask("stop")
            machine.drain()
            machine.ask("system_reset")
            machine.ask("cont")
            paused = paused and again(machine)
        machine.check("so does one that is reset while it is paused", paused)
        # Resets in a row: each comes before the guest is up.
        for _ in range(10):
            machine.ask("system_reset")
            a_while(chance, 0.05)
        machine.drain()
        machine.ask("system_reset")
        machine.check("so does one that is reset again and again while it boots", again(machine))
        machine.say("q")
        wrong = machine.end(1)
        machine.check("and it ends as its guest says", wrong is None, wrong)


def add(machine, socket_id):
    cpu = CPUS.get(machine.model, "Skylake-Server").split(",")[0]
    answer = machine.ask("device_add", driver=cpu + "-x86_64-cpu", id=f"cpu{socket_id}",
                         **{"socket-id": socket_id, "core-id": 0, "thread-id": 0})
    return answer is not None and "return" in answer


def remove(machine, socket_id):
    answer = machine.ask("device_del", id=f"cpu{socket_id}")
    if answer is None or "error" in answer:
        return False
    machine.say(str(socket_id))
    if not machine.wait_for(f"gave {socket_id} back"):
        return False
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        present = machine.ask("query-cpus-fast")["return"]
        if socket_id not in [cpu["props"]["socket-id"] for cpu in present]:
            return True
        time.sleep(0.05)
    return False


def hotplug(chance, model):
    with Machine(model, smp="1,sockets=4,maxcpus=4", append="plug=1") as machine:
        good = machine.wait_for("cpu 0 good") is not None
        for socket_id in (3, 1):  # not in their order
            a_while(chance, 0.2)
            good = good and add(machine, socket_id)
            line = machine.wait_for(f"cpu {socket_id} .*")
            machine.check(f"vCPU {socket_id}, plugged in while others count, has a PMU in RESET's"
                          " state, and takes PMIs", good and line == f"cpu {socket_id} good", line)
        a_while(chance, 0.2)
        gone = remove(machine, 1)
        machine.check("a vCPU is unplugged, and the others take PMIs", gone and machine.beats())
        a_while(chance, 0.2)
        line = add(machine, 1) and machine.wait_for("cpu 1 .*")
        machine.check("plugged in again, it has a PMU in RESET's state", line == "cpu 1 good", line)
        a_while(chance, 0.2)
        machine.drain()
        machine.ask("system_reset")
        lines = sorted(filter(None, (machine.wait_for("cpu . .*") for _ in range(3))))
        machine.check("a reset clears the PMU of those that were plugged in, too",
                      lines == ["cpu 0 good", "cpu 1 good", "cpu 3 good"], lines)
        machine.ask("quit")
        wrong = machine.end(0)
        machine.check("and the machine ends", wrong is None, wrong)


def ends(chance):
    ways = {"quit": lambda machine: machine.ask("quit"),
            "SIGTERM": lambda machine: machine.qemu.send_signal(signal.SIGTERM),
            "SIGINT": lambda machine: machine.qemu.send_signal(signal.SIGINT)}
    for name, way in ways.items():
        wrong = []
        for i in range(4):
            smp = chance.choice(["1", "1,sockets=4,maxcpus=4", "4"])
            model = chance.choice(["intel-v2", "intel-v5", "amd-k7", "amd-core"])
            with Machine(model, smp, "plug=1") as machine:
                if i:
                    machine.wait_for("beat .*")
                a_while(chance, 0.3)
                way(machine)
                problem = machine.end(0, early=i == 0)
                if problem:
                    wrong.append(f"{smp}: {problem}")
        check(f"{name} ends a machine at any moment: QEMU's status is 0, report and trace are"
              " whole", not wrong, *wrong)


def main():
    chance = random.Random(SEED)
    print(f"# seed {SEED}")
    for model in BOTH:
        print(f"# {model}")
        for part in pause, reset, hotplug:
            part(chance, model)
    ends(chance)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
