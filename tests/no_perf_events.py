#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tests that need perf events say why they are skipped where the kernel refuses them all.

A seccomp filter refuses: no setting of the machine is changed, and it holds for root, too.
"""
import ctypes
import errno
import os
import platform
import re
import struct
import subprocess
import sys

from tap import check, finish

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build"))

PERF_EVENT_OPEN = 298  # of x86-64
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7fff0000
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def refuse_perf_events(error):
    """From now on, for this process and those that it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in (
        (LOAD_WORD, 0, 0, 0),  # the call's number
        (JUMP_IF_EQUAL, 0, 1, PERF_EVENT_OPEN),
        (RETURN, 0, 0, SECCOMP_RET_ERRNO | error),
        (RETURN, 0, 0, SECCOMP_RET_ALLOW)))
    argument = Program(len(program) // 8, program)
    if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(argument))):
        raise OSError(ctypes.get_errno(), "no seccomp filter")


def main():
    if platform.machine() != "x86_64":
        print("1..0 # SKIP the filter is for x86-64")
        return 0
    for error in errno.EACCES, errno.ENOSYS:
        for name in "perf_event", "bench_pmi":
            done = subprocess.run([f"{BUILD}/tests/{name}"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=60, env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP"},
                                  preexec_fn=lambda error=error: refuse_perf_events(error))
            failed = re.findall(r"(?m)^not ok \d+ (?!# SKIP).*", done.stdout)
            skipped = re.findall(r"(?m)^not ok \d+ # SKIP", done.stdout)
            reasons = re.findall(r"(?m)^# \S.*\nnot ok \d+ # SKIP", done.stdout)
            check(f"{name} fails nowhere where perf events are refused with "
                  f"{errno.errorcode[error]}", done.returncode == 0 and not failed, done.stdout)
            check("what it skips it gives a reason for",
                  skipped and len(reasons) == len(skipped), done.stdout)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
