# SPDX-License-Identifier: BSD-2-Clause
"""Debian guests of vpmu exec that run a script, and what their kernels and perf say."""
import os
import re
import signal
import subprocess

from tap import check

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build"))
VPMU = BUILD + "/vpmu"
PROGRAMS = BUILD + "/tests/programs"
# Of QEMU's with several CPUs, without a plugin as well (docs/architecture.md, Limits).
STALE = "Oops: int3"
TIMEOUT = 900  # only what hangs takes longer, however busy the machine is

BAD = re.compile(r"Uhhuh|unknown NMI|unknown reason|Dazed|unchecked MSR|WARNING:|Call Trace|"
                 r"BIOS has corrupted|Broken PMU|no PMU driver", re.I)


def module(kernel, name):
    return f"{BUILD}/kernel/{kernel}/modules/kernel/{name}.ko"


def has_kernel(kernel):
    """Debian's archive may have Linux 7.3 no more."""
    return os.path.exists(f"{BUILD}/kernel/{kernel}/release")


def boot(script, *options, **environment):
    """Runs a shell's script in a guest; once more if QEMU itself has ended that one."""
    words = [VPMU, "exec", *options, "--", "sh", "-c", script]
    done = boot_once(words, environment)
    if STALE in done.stderr and "without a result" in done.stderr:
        print("# QEMU has run a breakpoint that another CPU had taken away; once more")
        done = boot_once(words, environment)
    return done


def boot_once(words, environment):
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace",
                          env={**os.environ, **environment}) as guest:
        try:
            out, err = guest.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            guest.send_signal(signal.SIGQUIT)  # the first SIGINT would be the script's
            out, err = guest.communicate()
            err += f"\nno end after {TIMEOUT} s"
    return subprocess.CompletedProcess(words, guest.returncode, out, err)


def title(what, kernel, cpus):
    return f"{what}, Linux {kernel}, {cpus} CPU{'s' if cpus > 1 else ''}"


def counts(text):
    """Of perf stat -x,"""
    return {event: int(value) for value, event in re.findall(r"^(\d+),,(\S+?),", text, re.M)}


def bad_messages(lines):
    return [line for line in lines if BAD.search(line)]


def check_messages(guest, log):
    bad = bad_messages(log.splitlines())
    check(f"{guest}: no stray NMI, no unchecked MSR access, no warning", not bad, *bad)
