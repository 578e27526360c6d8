#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bed.py: a machine with KVM and a PMU, in which stock QEMU runs guests. TAP on stdout."""
import re
import shlex
import sys

import bed
from linux_guest import check_messages, title
from tap import check, finish, skip
from unpacked import bare_metal

SCRIPT = """
echo parameter $(cat /sys/module/kvm/parameters/ignore_msrs)
%s
echo guest $?
dmesg >&2
exit 7
"""


def check_bed(kernel):
    name = title("the bed", kernel, 1)
    inner = shlex.join(bare_metal("ground", "-accel", "kvm", "-cpu", "host", "-serial", "stdio"))
    done = bed.run(SCRIPT % inner, kernel=kernel, parameters={"kvm": "ignore_msrs=1"})
    check(f"{name}: KVM is loaded with its parameters", "parameter Y" in done.stdout, done)
    verdicts = re.findall("^(ok|not ok) ", done.stdout, re.M)
    check(f"{name}: a bare-metal guest runs by /dev/kvm, and its verdicts come out",
          len(verdicts) > 10 and "not ok" not in verdicts, done.stdout[-3000:])
    check(f"{name}: QEMU's status is the guest's", "guest 1\n" in done.stdout, done.stdout[-300:])
    check(f"{name}: its script's status is its own", done.returncode == 7, done.returncode)
    check_messages(name, done.stderr)


INNER = """
echo online $(nproc)
cat
perf stat -x, -e instructions:u true 2>&1
dmesg | grep -i "PMU driver" >&2
exit 5
"""


def check_debian(kernel):
    """A second level: KVM's PMU over ours."""
    inner = bed.debian(INNER, "--cpus", "2", kernel=kernel)
    name = title("a Debian guest in the bed", kernel, 2)
    done = bed.run(f"echo typed | {inner}; echo status $?")
    check(f"{name}: it has its CPUs", "online 2" in done.stdout, done)
    check(f"{name}: streams go in and come out", "typed\n" in done.stdout, done)
    check(f"{name}: its perf counts by KVM's PMU",
          re.search(r"^[1-9]\d*,,instructions:u,", done.stdout, re.M)
          and "PMU driver" in done.stderr, done)
    check(f"{name}: its status is its program's", "status 5\n" in done.stdout, done)


def check_missing_module():
    kvm_amd = bed.module_paths("6.12", "distribution")[-1]
    done = bed.linux_guest.boot("echo ran", "--kernel", "6.12", "--module", kvm_amd)
    lines = done.stderr.splitlines()
    check("a module without what it needs is told of in one line, and nothing runs",
          done.returncode == 2 and len(lines) == 1 and kvm_amd in lines[0] and "ran" not in done.stdout,
          done)


def main():
    for kernel in "6.12", "7.3":
        if bed.missing(kernel):
            skip(title("the bed", kernel, 1), bed.missing(kernel))
        else:
            check_bed(kernel)
    if not bed.missing("6.12"):
        check_debian("6.12")
    check_missing_module()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
