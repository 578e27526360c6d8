#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Folders that the guest writes in, and counting a part of a program."""
import os
import re
import stat
import subprocess
import sys
import tempfile

from tap import check, check_refusal, finish

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build"))
VPMU = BUILD + "/vpmu"
REGION = BUILD + "/tests/programs/region"
INSTRUCTIONS = 10_000_000  # of region.c's region
TIMEOUT = 600  # only what hangs takes longer, however busy the machine is


def vpmu(*words, **more):
    return subprocess.run([VPMU, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=TIMEOUT, **more)


def counted(text):
    found = re.search(r"([\d,]+) +instructions:u", text)
    return int(found.group(1).replace(",", "")) if found else None


def near(value):
    return value is not None and 0 <= value - INSTRUCTIONS < 5000


# The second is as the shared folder has it, the third is not shared.
WRITE = """
echo text >shared/new; mkdir shared/folder; mv shared/old shared/folder; ln -s new shared/link
mkdir shared/a; mv shared/a shared/b
ln -s "$PWD/outside" shared/away; echo evil >shared/away/kept; echo evil >shared/out/kept
echo lost >beside; cat shared/folder/old; chmod 750 shared/new
perl -e 'open F, "+>", "shared/mapped"; print F "x" x 8192' && rm shared/gone
"""


def check_writable(folder):
    for name in "shared", "outside":
        os.mkdir(f"{folder}/{name}")
    for name in "shared/old", "shared/gone", "outside/kept":
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write("before\n")
    os.symlink("../outside", folder + "/shared/out")
    done = vpmu("exec", "--writable", "shared", "--", "sh", "-c", WRITE, cwd=folder)
    shared = folder + "/shared"
    check("what is written in a --writable folder is written here", done.returncode == 0
          and done.stdout == "before\n" and os.path.isfile(shared + "/folder/old")
          and os.readlink(shared + "/link") == "new" and os.path.isdir(shared + "/b")
          and stat.S_IMODE(os.stat(shared + "/new").st_mode) == 0o750
          and os.path.getsize(shared + "/mapped") == 8192
          and not os.path.exists(shared + "/gone"), done, os.listdir(shared))
    with open(folder + "/outside/kept", encoding="utf-8") as file:
        kept = file.read()
    check("and nothing outside of it, whatever links lead there",
          kept == "before\n" and not os.path.exists(folder + "/beside"), kept)
    check("files are the user's", os.stat(shared + "/new").st_uid == os.getuid())
    for name, said in (("none", "No such file"), ("outside/kept", "no folder"), ("/", "never")):
        check_refusal(f"--writable {name} is refused",
                      vpmu("exec", "--writable", name, "true", cwd=folder), said)


CONTROL = f"""
mkfifo control answer
perf stat -D -1 --control fifo:control,answer -e instructions:u sh -c '
	exec 3>control 4<answer
	for word in enable disable; do
		{REGION}
		echo $word >&3; read -r line <&4
		[ $word = disable ] || {REGION}
	done'
"""


def check_control(folder):
    done = vpmu("exec", "--", "sh", "-c", CONTROL, cwd=folder)
    value = counted(done.stderr)
    # Two whole runs, of 17 times the region each, and what the shell does.
    check("perf stat --control counts between its commands", done.returncode == 0 and value
          and 34 * INSTRUCTIONS <= value < 36 * INSTRUCTIONS, done)


def check_regions(folder):
    done = vpmu("perf", "--regions", "stat", "-e", "instructions:u", "--", REGION, cwd=folder)
    check("with --regions perf stat counts the region alone, to within 5,000",
          done.returncode == 0 and near(counted(done.stderr)), done)
    print(f"# {counted(done.stderr)} of {INSTRUCTIONS}")
    done = vpmu("perf", "--regions", "record", "-q", "-e", "instructions:u", "-c", "100000", "-o",
                "data", "--", REGION, cwd=folder)
    samples = subprocess.run(["perf", "script", "-i", "data", "-F", "ip"], capture_output=True,
                             text=True, cwd=folder).stdout.count("\n")
    check("and perf record samples it alone", done.returncode == 0 and abs(samples - 100) <= 2,
          samples, done)
    done = vpmu("exec", "--", REGION, cwd=folder)
    check("without it the program is told, and goes on", done.returncode == 3, done)
    check_refusal("--regions is refused for other perf commands",
                  vpmu("perf", "--regions", "bench"), "perf stat and perf record")


def main():
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as folder:
        check_writable(folder)
        check_control(folder)
        check_regions(folder)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
