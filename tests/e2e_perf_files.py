#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What vpmu perf and vpmu exec bring out of their guest: whatever perf writes, what this machine's
perf needs to read it, and what a program has made of a folder.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from tap import check, finish

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build"))
VPMU = BUILD + "/vpmu"
PROGRAMS = BUILD + "/tests/programs"
TIMEOUT = 900  # only what hangs takes longer, however busy the machine is
MANY = 5000

TEN = ",".join(f"r{umask:02x}c4:u" for umask in (0, 1, 2, 4, 8, 0x40, 0, 1, 2, 8))


def vpmu(*words, **more):
    return subprocess.run([VPMU, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=TIMEOUT, **more)


def host_perf(*words, cwd):
    return subprocess.run(["perf", *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=TIMEOUT, cwd=cwd)


def size(path):
    return os.path.getsize(path) if os.path.isfile(path) else None


def check_estimates(folder):
    for words in ["-o", "text"], ["-x,"], ["-j"]:
        done = vpmu("perf", "stat", *words, "-e", TEN, "--", PROGRAMS + "/split", cwd=folder)
        check(f"perf stat {' '.join(words)} with more events than counters is warned about",
              done.returncode == 0
              and re.search(r"^vpmu: \d+ of perf's counts are estimates", done.stderr, re.M), done)
    check("perf stat -o FILE is brought out", size(folder + "/text"), os.listdir(folder))
    done = vpmu("perf", "stat", "-dd", "--", "true", cwd=folder)
    check("perf stat -dd counts all of the time", done.returncode == 0
          and "estimates" not in done.stderr and "dTLB-loads" in done.stderr
          and not re.search(r"\(\d+\.\d\d%\)$", done.stderr, re.M), done)


def check_outputs(folder):
    command = ["--", "sh", "-c", "sleep 0.01; ls / >/dev/null"]
    for words, name in ((["stat", "record", "-o", "counts", "-e", "cycles"], "counts"),
                        (["sched", "record", "-o", "sched"], "sched"),
                        (["kmem", "record", "-o", "kmem"], "kmem"),
                        (["trace", "-o", "trace"], "trace"),
                        (["record", "-q", "-e", "cycles"], "perf.data")):
        # Without a terminal or a file perf record writes to stdout.
        with open(os.devnull, "wb") as null:
            done = subprocess.run([VPMU, "perf", *words, *command], stdin=subprocess.DEVNULL,
                                  stdout=null, stderr=subprocess.PIPE, text=True, cwd=folder,
                                  timeout=TIMEOUT)
        check(f"perf {' '.join(words)} is brought out", done.returncode == 0
              and size(f"{folder}/{name}"), done, os.listdir(folder))
    done = vpmu("perf", "inject", "-i", "perf.data", "-o", "injected", cwd=folder)
    check("perf inject -o is brought out", done.returncode == 0 and size(folder + "/injected"),
          done)


def check_symbols(folder):
    done = vpmu("perf", "record", "-q", "-e", "cycles", "-c", "20000", "-o", "kernel", "--", "ls",
                "-lR", "/etc", cwd=folder)
    shown = host_perf("report", "-i", "kernel", "--kallsyms", "kernel.kallsyms", "--stdio", "-s",
                      "sym", cwd=folder)
    names = re.findall(r"^ +[\d.]+% +\[k\] ([a-z_]\w+)", shown.stdout, re.M)
    check("this machine's perf report names the guest kernel's functions", done.returncode == 0
          and len(names) > 10 and any("sys" in name for name in names), done, shown)
    if size(folder + "/kernel"):
        done = vpmu("perf", "record", "-q", "-e", "cycles:u", "-o", "user", "--", "true",
                    cwd=folder)
    check("a profile of user space alone comes without them", size(folder + "/user")
          and not os.path.exists(folder + "/user.kallsyms"), done)


def check_jit(folder):
    done = vpmu("perf", "record", "-q", "-e", "cycles:u", "-c", "1000000", "-o", "jit", "--",
                PROGRAMS + "/jit", cwd=folder)
    maps = os.listdir(folder + "/jit.maps") if os.path.isdir(folder + "/jit.maps") else []
    check("a JIT compiler's map is brought out", done.returncode == 0 and len(maps) == 1
          and re.fullmatch(r"perf-\d+\.map", maps[0]), done, maps)
    check("and is not in this machine's /tmp", not any(
        os.path.exists("/tmp/" + name) and "compiled_loop" in
        open("/tmp/" + name, encoding="utf-8").read() for name in maps))
    shown = vpmu("perf", "report", "-i", "jit", "--stdio", "-s", "sym", cwd=folder)
    check("vpmu perf report names the compiled code",
          re.search(r"(9\d|100)\.\d+%.*compiled_loop", shown.stdout), shown)


# "kept" is old; "gone" and "folder" are deleted, "folder" is made anew.
CHANGES = f"""
rm gone; rm -r folder; mkdir folder; echo new >folder/new
echo x >first; sleep 1.5; echo x >second; touch -d '2001-01-01 00:00:00 UTC' dated
mkdir many; cd many
i=0; while [ $i -lt {MANY} ]; do echo $i >$i; i=$((i + 1)); done
echo ended
"""


def check_folder(folder):
    os.makedirs(folder + "/work/folder")
    for name in "kept", "gone", "folder/old":
        with open(f"{folder}/work/{name}", "w", encoding="utf-8") as file:
            file.write(name)
    before = time.time()
    with subprocess.Popen([VPMU, "exec", "--bring-out-all", "--bring-out", "absent", "--", "sh",
                           "-c", CHANGES], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, cwd=folder + "/work") as process:
        process.stdout.readline()
        start = time.monotonic()
        _, errors = process.communicate(timeout=TIMEOUT)
        seconds = time.monotonic() - start
    work = folder + "/work"
    check(f"{MANY} files are brought out", len(os.listdir(work + "/many")) == MANY, errors)
    check("in a few seconds", seconds < 10, seconds)
    print(f"# {MANY} files: {seconds:.1f} s, the guest's end included")
    check("what is deleted, and what is not there, is told by name, and is exit status 2",
          process.returncode == 2 and sorted(errors.splitlines()) == [
              "vpmu: absent was not written in the guest",
              "vpmu: folder was made anew in the guest: what was in it is still here",
              "vpmu: gone was deleted in the guest: it is still here"]
          and os.path.exists(work + "/gone") and os.path.exists(work + "/folder/old")
          and os.path.exists(work + "/folder/new"), process.returncode, errors)
    times = [os.stat(f"{work}/{name}").st_mtime for name in ("first", "second", "dated")]
    check("files keep the times at which they were written", 1.5 <= times[1] - times[0] < 600
          and before < times[0] < time.time() and times[2] == 978307200, before, times)


def check_interrupted(folder):
    with subprocess.Popen([VPMU, "exec", "--bring-out", "big", "--", "sh", "-c",
                           "head -c 500M /dev/zero >big; echo ended"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, cwd=folder) as process:
        process.stdout.readline()
        while process.poll() is None and not any(
                name.startswith(".vpmu-") for name in os.listdir(folder)):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT)
    left = [name for name in os.listdir(folder) if name == "big" or name.startswith(".vpmu-")]
    check("an interrupt while files are brought out leaves none half, and is exit status 130",
          process.returncode == 130 and not left, process.returncode, left)


def check_reader_gone(folder):
    script = f"exec {VPMU} perf record -q -e cycles:u -o piped -- sh -c 'yes; exit 3' | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, cwd=folder, timeout=TIMEOUT)
    check("who writes where nobody reads ends, perf goes on, and its file is brought out",
          done.stdout == "y\n" and done.returncode == 3 and size(folder + "/piped"), done)


def main():
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as folder:
        check_estimates(folder)
        check_outputs(folder)
        check_symbols(folder)
        check_jit(folder)
        check_folder(folder)
        check_interrupted(folder)
        check_reader_gone(folder)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
