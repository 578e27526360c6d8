#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The libraries' ABI is the one that is stored in tests/abi: by abidiff, and what it does not
see, constants that hosts compile into their own code, by the compiler. TAP on stdout.

usage: tests/abi.py [--renew]   (--renew: store the ABI of the libraries in build/)
"""
import os
import platform
import shutil
import subprocess
import sys
import tempfile

from tap import check, finish, skip

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIBRARIES = {"libvpmu": "build/core/libvpmu.so",
             "libvpmu-perf-event": "build/sources/perf_event/libvpmu-perf-event.so"}
# What is declared elsewhere than in a public header is left out, and so is where and by whom the
# library was built.
DUMP = ["abidw", "--headers-dir", "include/vpmu", "--drop-private-types",
        "--exported-interfaces-only", "--no-show-locs", "--no-corpus-path", "--no-comp-dir-path",
        "--no-elf-needed", "--type-id-style", "hash", "--out-file"]


def run(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120, check=False)


def stored(name):
    return f"tests/abi/{name}.abi"


def renew():
    for name, library in LIBRARIES.items():
        subprocess.run([*DUMP, stored(name), library], check=True)
    return 0


def why_not():
    """The reason for which abidiff cannot judge here."""
    if platform.machine() != "x86_64":
        return "what is stored is the ABI of x86-64"
    if not shutil.which("abidiff"):
        return "there is no abidiff (package abigail-tools)"
    if ".debug_info" not in run("readelf", "-SW", *LIBRARIES.values()).stdout:
        return "the libraries are built without debug information"
    return None


def compare(name, library, work):
    dump = f"{work}/{name}.abi"
    made = run(*DUMP, dump, library)
    done = run("abidiff", stored(name), dump)
    check(f"{name}'s ABI is the stored one (CONTRIBUTING.md says what to do if it is to change)",
          made.returncode == 0 and done.returncode == 0, made.stderr, done.stdout, done.stderr)


def notices(work):
    """A change of each kind that matters, made in a copy of what is stored."""
    with open(stored("libvpmu"), encoding="utf-8") as file:
        dump = file.read()
    member = "layout-offset-in-bits='%d'>\n        <var-decl name='events' "
    for what, old, new in (
            ("an enumerator's value", "name='VPMU_NOT_MINE' value='2'",
             "name='VPMU_NOT_MINE' value='3'"),
            ("a function that is gone", "vpmu_status", "vpmu_status_before"),
            ("a member's place", member % 96, member % 72)):
        with open(work + "/changed.abi", "w", encoding="utf-8") as file:
            file.write(dump.replace(old, new))
        done = run("abidiff", work + "/changed.abi", stored("libvpmu"))
        check(f"abidiff notices {what}", old in dump and done.returncode & 4, done)


def main():
    os.chdir(ROOT)
    if sys.argv[1:] == ["--renew"]:
        return renew()
    reason = why_not()
    with tempfile.TemporaryDirectory(prefix="vpmu-abi-") as work:
        for name, library in LIBRARIES.items():
            if reason:
                skip(f"{name}'s ABI is the stored one", reason)
            else:
                compare(name, library, work)
        if not reason:
            notices(work)
    done = run("cc", "-std=c11", "-Iinclude", "-fsyntax-only", "tests/abi/constants.c")
    check("what hosts compile into their own code is as it was", done.returncode == 0, done.stderr)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
