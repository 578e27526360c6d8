#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A bundle on machines that have next to nothing: in a user namespace without network, as an
ordinary user, in a root of a few files. TAP on stdout."""
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

from tap import check, check_refusal, finish, skip

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUNDLE = ROOT + "/build/bundle-fast.tar.gz"
LOADER = "/lib64/ld-linux-x86-64.so.2"

# Makes a namespace with this machine's devices and processes in a root ($1), and is an ordinary
# user there.
ENTER = """
mount --rbind /dev "$1/dev"
mount --rbind /proc "$1/proc"
root=$1
shift
exec unshare -U --map-user=1000 --map-group=1000 --root="$root" --wd=/home/user "$@"
"""
NAMESPACE = ["unshare", "-Urmn"]

# What Ubuntu has as /usr/bin/perf, where the running kernel's own is missing.
WRAPPER = """#!/bin/sh
echo "WARNING: perf not found for kernel 6.12.1-generic" >&2
exit 2
"""


class Machine:
    """A root, with a bundle that is linked on PATH. Its folder has a space in its name."""

    def __init__(self, folder, bundle):
        self.root = folder
        for each in "dev", "proc", "sys", "tmp", "usr/bin", "usr/local/bin", "home/user":
            os.makedirs(f"{folder}/{each}")
        os.symlink("usr/bin", folder + "/bin")
        self.home = folder + "/home/user"
        self.bundle = self.home + "/a bundle"
        shutil.move(bundle, self.bundle)
        os.symlink("/home/user/a bundle/bin/vpmu", folder + "/usr/local/bin/vpmu")

    def put(self, path, to=None):
        """A file of this machine's, at the same place or another."""
        to = self.root + (to or path)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(os.path.realpath(path), to)

    def put_script(self, text, to):
        with open(self.root + to, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(self.root + to, 0o755)

    def put_libc(self):
        """The loader, libc and three programs that need nothing else."""
        self.put(LOADER)
        libraries = subprocess.run([LOADER, "--list", "/usr/bin/true"], capture_output=True,
                                   text=True, check=True).stdout
        self.put(re.search(r"libc\.so\.6 => (\S+)", libraries).group(1))
        self.put("/usr/bin/true")
        self.put("/usr/bin/echo")
        self.put("/bin/sh", "/usr/bin/sh")

    def run(self, *words, **variables):
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/user", **variables}
        return subprocess.run([*NAMESPACE, "sh", "-ec", ENTER, "sh", self.root, *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=900, check=False, env=environment)

    def counts(self, *command):
        """User-mode instructions, and what perf and the command have said."""
        done = self.run("vpmu", "perf", "stat", "-x,", "-e", "instructions:u", "--", *command)
        found = re.search(r"^(\d+),,instructions:u,", done.stderr, flags=re.M)
        return (int(found.group(1)) if found and not done.returncode else 0), done

    def vpmu(self, *words, **variables):
        return self.run("vpmu", *words, **variables)


def archive(work):
    """Unpacked, as a user does it; where its folder is."""
    with tarfile.open(BUNDLE) as file:
        members = file.getmembers()
    names = [member.name for member in members]
    check("a bundle is one folder, with nothing of who made it and when",
          names == sorted(names, key=lambda name: name.split("/")) and all(
              member.name.split("/")[0] == names[0] and member.uid == member.gid == 0
              and not member.uname and not member.gname and member.mtime == 0
              for member in members), names[:5])
    subprocess.run(["tar", "-xf", BUNDLE, "-C", work], check=True)
    with open(f"{work}/{names[0]}/SOURCES", encoding="utf-8") as file:
        lines = file.read().split("\n\n")[-1].splitlines()
    packages = set(sum((line.split(": ")[1].split() for line in lines), []))
    licences = {name.split("/")[2].split("_")[0] for name in names if name.endswith("/copyright")}
    check("it has the licence of each package that something in it is from, and names the source",
          licences == packages and {"qemu-system-x86", "linux-perf", "libc6"} <= packages,
          licences ^ packages)
    return f"{work}/{names[0]}"


def with_libc(machine):
    start = time.monotonic()
    count, done = machine.counts("true")
    first = time.monotonic() - start
    check("where there is nothing but a libc, an ordinary user counts a command's instructions",
          count > 10000, done)
    start = time.monotonic()
    again, done = machine.counts("true")
    print(f"# vpmu perf stat -- true: {first:.1f} s, the second time "
          f"{time.monotonic() - start:.1f} s")
    check("... and again, the same", abs(again - count) < count / 100, count, done)
    done = machine.vpmu("exec", "--", "sh", "-c", 'echo "$0 $PWD" $(echo "$@"); exit 3', "in", "it")
    check("... and runs a command in the guest",
          (done.returncode, done.stdout) == (3, "in /home/user it\n"), done)
    done = machine.vpmu("perf", "record", "-q", "-e", "instructions:u", "-o", "profile", "--",
                        "true")
    check("... and records a profile", done.returncode == 0
          and os.path.exists(machine.home + "/profile"), done)
    done = machine.vpmu("info")
    check("all parts are the bundle's own", done.returncode == 0
          and done.stdout.count("/home/user/a bundle/") >= 2, done)
    os.rename(machine.bundle, machine.home + "/a:b")
    done = machine.run("/home/user/a:b/bin/vpmu", "info")
    os.rename(machine.home + "/a:b", machine.bundle)
    check_refusal("a folder that its loader could not name is refused", done, "a:b")


def with_perf(machine):
    machine.put_script(WRAPPER, "/usr/bin/perf")
    count, done = machine.counts("true")
    check("where perf is a script that finds none for its kernel, the bundle's counts",
          count > 10000 and "WARNING" not in done.stderr, done)
    os.unlink(machine.root + "/usr/bin/perf")
    machine.put("/usr/bin/echo", "/usr/bin/perf")
    done = machine.vpmu("perf", "stat", "--", "true")
    check("a perf of the machine's that is a program is taken",
          (done.returncode, done.stdout) == (0, "stat -- true\n"), done)


def is_static(path):
    with open(path, "rb") as file:
        return b"\0" + LOADER.encode() + b"\0" not in file.read()


def without_libc(machine):
    check("nothing of the bundle is needed but itself: there is no loader here",
          not os.path.exists(machine.root + LOADER)
          and machine.run("/usr/bin/true").returncode != 0)
    machine.put(ROOT + "/build/tests/programs/loop", "/usr/bin/loop")
    count, done = machine.counts("loop")
    check("where all programs are static, each instruction of one is counted",
          count == 80000004, count, done)
    done = machine.vpmu("exec", "--", "loop")
    check("... and one runs in the guest", done.returncode == 0 and not done.stderr, done)
    done = machine.vpmu("gate", "--save", "--runs", "1", "--functions", "never", "--", "loop")
    baseline = ""
    if os.path.exists(machine.home + "/vpmu-gate/main.toml"):
        with open(machine.home + "/vpmu-gate/main.toml", encoding="utf-8") as file:
            baseline = file.read()
    check("... and one is a baseline for vpmu gate", done.returncode == 0
          and '"instructions:u" = [80000004, 80000004]' in baseline, done, baseline)
    sentence = "... and Alpine's shell"
    busybox = shutil.which("busybox")
    if not busybox or not is_static(busybox):
        skip(sentence, "there is no static busybox (Debian's package busybox-static)")
        return
    machine.put(busybox, "/usr/bin/busybox")
    for name in "sh", "uname", "true":
        os.symlink("busybox", f"{machine.root}/usr/bin/{name}")
    count, done = machine.counts("sh", "-c", "uname -r; true")
    check(sentence, count > 10000 and done.stdout, done)


def main():
    os.chdir(ROOT)
    done = subprocess.run([*NAMESPACE, "unshare", "-U", "--map-user=1000", "true"],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        print("1..0 # SKIP no user namespaces can be had here: "
              + (done.stderr.strip().splitlines() or ["unshare fails"])[-1])
        return 0
    done = subprocess.run(["make", "-s", os.path.relpath(BUNDLE)], capture_output=True, text=True,
                          check=False)
    check("a bundle is made", done.returncode == 0, done)
    if done.returncode:
        return finish()
    with tempfile.TemporaryDirectory(prefix="vpmu-bundle-") as work:
        machine = Machine(work + "/libc", archive(work))
        machine.put_libc()
        with_libc(machine)
        with_perf(machine)
        without_libc(Machine(work + "/static", machine.bundle))
    return finish()


if __name__ == "__main__":
    sys.exit(main())
