#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The source of perf events over hardware events, in guests with a PMU of ours.

The checks are those of tests/perf_event_guest.c, once for each kernel.
VPMU_BUILD: the build folder (default: build).
"""
import os
import re
import subprocess
import sys

from tap import check, finish, skip

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build"))
VPMU = BUILD + "/vpmu"
PROGRAM = BUILD + "/tests/perf_event_guest"

RESULT = re.compile(r"(not )?ok \d+ (- |# SKIP )(.*)")


def in_guest(kernel):
    """The program's output; its settings may be changed there."""
    words = [VPMU, "exec", "--kernel", kernel, "--", "env", "CMOCKA_MESSAGE_OUTPUT=TAP",
             "VPMU_THROW_AWAY_GUEST=1", PROGRAM]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=180, text=True, errors="replace")
    return done.returncode, done.stdout


def main():
    for kernel in ("6.1", "6.12"):
        status, output = in_guest(kernel)
        found = RESULT.findall(output)
        for failed, how, sentence in found:
            if how == "# SKIP " and os.geteuid() != 0:
                skip(f"in a guest with Linux {kernel}, {sentence}",
                     "only root changes the guest's settings")
                continue
            # Nothing may be missing in this guest, so nothing else may be skipped.
            check(f"in a guest with Linux {kernel}, {sentence}",
                  not failed and how == "- ", output)
        check(f"in a guest with Linux {kernel}, the program runs to its end",
              status == 0 and len(found) > 0 and f"1..{len(found)}" in output, status, output)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
