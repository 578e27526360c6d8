# SPDX-License-Identifier: BSD-2-Clause
"""The QEMU that tools/setup has unpacked, without the vpmu command around it.

VPMU_QEMU_ROOT: another one. VPMU_BUILD: the build folder (default: build).
"""
import os

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build"))
QEMU = os.path.abspath(os.environ.get("VPMU_QEMU_ROOT", ROOT + "/build/qemu"))

COMMAND = [QEMU + "/usr/lib64/ld-linux-x86-64.so.2", "--library-path",
           QEMU + "/usr/lib/x86_64-linux-gnu", QEMU + "/usr/bin/qemu-system-x86_64"]


def bare_metal(guest, *words):
    """Runs a guest of build/guest. It ends QEMU with twice its own status, plus one."""
    return [*COMMAND, "-L", QEMU + "/usr/share/qemu", "-L", QEMU + "/usr/share/seabios",
            "-kernel", f"{BUILD}/guest/{guest}.elf", "-m", "64", "-display", "none",
            "-nodefaults", "-no-user-config",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4", *words]


def plugin(arguments, variant=""):
    """The words for it; there are variants for tests."""
    return ["-plugin", f"{BUILD}/hosts/qemu/libvpmu-qemu{variant}.so,{arguments}"]
