#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""QEMUs that do not do what the plugin relies on: each ends with one line that says so.

The QEMU is the real one; tests/broken_qemu.c stands between it and the plugin.
"""
import os
import subprocess
import sys

from tap import check, finish
from unpacked import bare_metal, plugin

BROKEN = {"registers": "does not show the register cr4",
          "write": "does not keep what is written to a register",
          "set_pc": "does not set the program counter"}


def start(broken):
    """Runs a guest that ends by itself."""
    words = bare_metal("registers", "-cpu", "qemu64", "-smp", "2",
                       *plugin("pmu=intel-v4", "-broken"))
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
