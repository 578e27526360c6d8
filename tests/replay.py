#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vpmu replay: what it says about a trace, and what it refuses."""
import os
import re
import subprocess
import sys
import tempfile

from tap import check, check_refusal, finish

# VPMU_BUILD: the build folder (default: build).
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VPMU = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build")) + "/vpmu"
TRACES = ROOT + "/bench/traces"


def replay(*words):
    return subprocess.run([VPMU, "replay", *words], capture_output=True, text=True, timeout=100,
                          stdin=subprocess.DEVNULL)


def value(output, name):
    """The first number behind a row's name."""
    found = re.search(r"^ +" + re.escape(name) + r" +(\d+)", output, re.M)
    return int(found.group(1)) if found else None


def check_refusals(folder):
    broken = folder + "/broken"
    with open(TRACES + "/one.trace", "rb") as file:
        whole = file.read()
    with open(broken, "wb") as file:
        file.write(whole[:len(whole) // 2])
    one = TRACES + "/one.trace"
    for words, said in (([], "which trace"), (["--nonsense", one], "--nonsense"),
                        (["--as", "xen", one], "xen"), (["--source", "z80", one], "z80"),
                        (["--as"], "--as"), ([one, one], "one trace"),
                        (["--vcpu", "x", one], "--vcpu"), (["--vcpu", "7", one], "vCPU 7"),
                        (["--as", "kvm-2018", "--source", "memory", one], "kvm-2018"),
                        ([folder + "/missing"], "missing"), ([broken], "broken"),
                        (["/dev/null"], "/dev/null")):
        named = " ".join(["vpmu", "replay", *words])
        named = named.replace(folder, "...").replace(TRACES + "/", "")
        check_refusal(f"{named} is refused with one line", replay(*words), said)


def check_traces():
    for name in "one", "six", "ten":
        done = replay("--source", "memory", f"{TRACES}/{name}.trace")
        pmis = value(done.stdout, "  PMIs")
        after = done.stdout.partition("After the first 20 PMIs")[2]
        check(f"{name}.trace replays over memory: all PMIs but the warm-up's come",
              done.returncode == 0 and pmis and value(after, "PMIs") == pmis - 20 and
              value(after, "lost") == 0 and value(after, "spurious") == 0, done)


def main():
    done = replay("--help")
    check("vpmu replay --help says how it is used",
          done.returncode == 0 and done.stdout.startswith("usage: vpmu replay"), done)
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as folder:
        check_refusals(folder)
    check_traces()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
