#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Guests that start from a snapshot: they count what those count that boot, share no random numbers,
and boot where there is no snapshot that is good. What makes a snapshot good is tests/unit_snapshot.c.
"""
import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from tap import check, finish

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build"))
VPMU = BUILD + "/vpmu"
TIMEOUT = 400
COUNT = ["stat", "-x,", "-e", "instructions:u", "--", "true"]
KEPT, RESTORED = "it is kept as a snapshot", "takes the snapshot"
# Random numbers, where the stack is, and the time.
CHANCE = "cat /proc/sys/kernel/random/uuid; grep -F '[stack]' /proc/self/maps; date +%s"


class Runs:
    """Runs with a cache of their own, and a plugin that they can touch."""

    def __init__(self, folder):
        self.cache, self.scratch = folder + "/cache", folder + "/scratch"
        self.plugin = shutil.copy(BUILD + "/hosts/qemu/libvpmu-qemu.so", folder)
        os.mkdir(self.scratch)

    def start(self, command, *words, cache=None):
        return subprocess.Popen(
            [VPMU, command, "--verbose", "--plugin", self.plugin, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "XDG_CACHE_HOME": cache or self.cache, "TMPDIR": self.scratch})

    def run(self, *words, **more):
        process = self.start(*words, **more)
        out, err = process.communicate(timeout=TIMEOUT)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def count(self, *options, **more):
        """instructions:u of true, and all that was said."""
        done = self.run("perf", *options, *COUNT, **more)
        found = re.search(r"^(\d+),,instructions:u,", done.stderr, re.M)
        return int(found[1]) if found else None, done.stderr

    def snapshots(self):
        folder = self.cache + "/vpmu/starts"
        return {name: os.stat(f"{folder}/{name}").st_ino for name in os.listdir(folder)}


def first_and_second(runs):
    count, said = runs.count()
    names = runs.snapshots()
    check("the first run boots the guest, and keeps it", count and KEPT in said and len(names) == 1,
          said, names)
    again, said = runs.count()
    check("the second one starts it from there, and counts the same instructions:u",
          again == count and RESTORED in said, count, said)
    for phase in "the guest prepares", "mounts", "the command runs", "in all":
        check(f"--verbose has the phase `{phase}'", re.search(rf"\d ms  {phase}$", said, re.M), said)
    return count


def chance(runs):
    first, second = [runs.run("exec", "--", "sh", "-c", CHANCE) for _ in range(2)]
    lines = list(zip(first.stdout.splitlines(), second.stdout.splitlines()))
    check("two guests of one snapshot have other random numbers and addresses",
          RESTORED in second.stderr and len(lines) == 3
          and all(a != b for a, b in lines[:2]), first, second)
    check("and this machine's time", lines and abs(int(lines[-1][1]) - time.time()) < 60, second)


def ten(runs, count):
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        done = list(pool.map(lambda _: runs.count(), range(10)))
    check("ten at once start from it, and count the same",
          all(got == count and RESTORED in said for got, said in done), done)
    check("nothing is left of them", not os.listdir(runs.scratch), os.listdir(runs.scratch))


def damaged(runs, count):
    before = runs.snapshots()
    path = f"{runs.cache}/vpmu/starts/{list(before)[0]}"
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    got, said = runs.count()
    after = runs.snapshots()
    check("with a damaged snapshot the guest boots, one line says so, and it is made again",
          got == count and len(re.findall("cannot be restored", said)) == 1 and KEPT in said
          and before.keys() == after.keys() and before != after, said, before, after)


def changed(runs, count):
    before = runs.snapshots()
    os.utime(runs.plugin)
    got, said = runs.count()
    check("it is not used for another plugin; there is a second one then",
          got == count and KEPT in said and RESTORED not in said
          and len(runs.snapshots()) == len(before) + 1, said, runs.snapshots())


def no_cache(runs, count):
    before = runs.snapshots()
    got, said = runs.count("--no-snapshot", cache="/dev/null/cache")
    check("--no-snapshot, and a cache that cannot be written: the guest boots, and counts the same",
          got == count and "snapshot" not in said and runs.snapshots() == before, said)


def interrupted(runs):
    folder = runs.cache + "/interrupted"
    process = runs.start("exec", "--", "true", cache=folder)
    end = time.monotonic() + TIMEOUT
    while process.poll() is None and time.monotonic() < end:
        starts = folder + "/vpmu/starts"
        if any(entry.stat().st_size for entry in (os.scandir(starts) if os.path.isdir(starts)
                                                  else [])):
            break
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=TIMEOUT)
    left = [name for name in os.listdir(starts) if name.endswith(".new")]
    check("an interrupt while it is saved leaves nothing unfinished",
          process.returncode == 128 + signal.SIGINT and not left
          and not os.listdir(runs.scratch), process.returncode, said, left)


def main():
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(folder)
        count = first_and_second(runs)
        chance(runs)
        ten(runs, count)
        damaged(runs, count)
        changed(runs, count)
        no_cache(runs, count)
        interrupted(runs)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
