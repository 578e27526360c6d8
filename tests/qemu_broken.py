#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""QEMUs that do not do what the plugin relies on: each ends with one line that says so.

The QEMU is the real one; tests/broken_qemu.c stands between it and the plugin.
"""
import os
import subprocess
import sys

from tap import check, finish

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build"))
QEMU = os.path.abspath(os.environ.get("VPMU_QEMU_ROOT", ROOT + "/build/qemu"))

BROKEN = {"registers": "does not show the register cr4",
          "write": "does not keep what is written to a register",
          "set_pc": "does not set the program counter"}


def start(broken):
    """Runs a guest that ends by itself."""
    words = [QEMU + "/usr/lib64/ld-linux-x86-64.so.2", "--library-path",
             QEMU + "/usr/lib/x86_64-linux-gnu", QEMU + "/usr/bin/qemu-system-x86_64",
             "-L", QEMU + "/usr/share/qemu", "-L", QEMU + "/usr/share/seabios",
             "-cpu", "qemu64", "-m", "64", "-display", "none", "-nodefaults",
             "-no-user-config", "-smp", "2", "-kernel", BUILD + "/guest/registers.elf",
             "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
             "-plugin", BUILD + "/hosts/qemu/libvpmu-qemu-broken.so,pmu=intel-v4"]
    return subprocess.run(words, capture_output=True, text=True, timeout=100,
                          stdin=subprocess.DEVNULL, env={**os.environ, "VPMU_BROKEN": broken})


def main():
    for broken, says in BROKEN.items():
        done = start(broken)
        check(f"a QEMU with other {broken} ends with a line", done.returncode == 1
              and done.stderr == f"vpmu plugin: this QEMU does not serve: it {says}\n", done)
    done = start("nothing")
    check("the same with nothing of it other serves", not done.stderr and done.returncode != 1, done)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
