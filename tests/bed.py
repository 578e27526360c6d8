#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A machine with KVM, wherever QEMU runs: a Debian guest of vpmu exec on a CPU of AMD's with a
PMU, in which KVM is loaded. Its guests are a second level. It sees this machine's files.

usage: tests/bed.py [options] [--] COMMAND...

Runs COMMAND there; exits as it does. A single word with spaces is a shell's text.

  --kernel VERSION        6.12 (the default), 6.1 or 7.3
  --kvm VARIANT           whose KVM: distribution (the default) is the kernel's own; ours, stock,
                          guard and nothing are built by hosts/kvm/build; none: KVM is not loaded
  --parameters MODULE:TEXT
                          parameters of kvm or kvm-amd; repeatable
  --help                  this text

Other options are those of vpmu exec, as one word (--cpus=2).
"""
import ctypes
import os
import shlex
import subprocess
import sys
import time

import linux_guest
from linux_guest import BUILD, VPMU

OPTIONS = ("--kernel", "--kvm", "--parameters")
DELETE_MODULE, FINIT_MODULE = 176, 313  # system calls

# The distribution's own KVM is built of what ours is.
STOCK = "distribution"
VARIANTS = ["ours", STOCK]


def module_paths(kernel, kvm):
    """In the order of need."""
    def own(name):
        return linux_guest.module(kernel, name)

    if kvm == "none":
        return []
    folder = os.path.dirname(own("arch/x86/kvm/kvm")) if kvm == STOCK \
        else f"{BUILD}/kvm/{kvm}"
    return [own("virt/lib/irqbypass"), own("drivers/crypto/ccp/ccp"),
            folder + "/kvm.ko", folder + "/kvm-amd.ko"]


def missing(kernel="6.12", kvm=STOCK):
    """Why there is no such bed, or None."""
    for path in module_paths(kernel, kvm):
        if not os.path.exists(path):
            made_by = "hosts/kvm/build " + kvm if path.startswith(BUILD + "/kvm/") \
                else "tools/setup kernels"
            return f"there is no {os.path.relpath(path, BUILD)} ({made_by} brings it)"
    return None


def missing_variants(kernel="6.12"):
    """Why ours and stock KVM cannot be compared, or None."""
    return next(filter(None, (missing(kernel, kvm) for kvm in VARIANTS)), None)


def options(kernel="6.12", kvm=STOCK, parameters=None):
    """The words for vpmu exec; parameters: a text by a module's name."""
    words = ["--kernel", kernel, "--pmu", "amd-v2"]
    for path in module_paths(kernel, kvm):
        text = (parameters or {}).get(os.path.basename(path)[:-3], "")
        words += ["--module", f"{path}:{text}"]
    return words


def run(script, *more, kernel="6.12", kvm=STOCK, parameters=None, **environment):
    """Runs a shell's script in it, with more options of vpmu exec."""
    return linux_guest.boot(script, *options(kernel, kvm, parameters), *more, **environment)


def debian(script, *more, kernel="6.12"):
    """A line for a shell in the bed: this shell's script runs in a Debian guest of its KVM."""
    return shlex.join([VPMU, "exec", "--accel", "kvm", "--kernel", kernel, "--memory", "512M",
                       *more, "--", "sh", "-c", script])


def system_call(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def delete_module(name):
    """Within the bed; a machine may have no rmmod."""
    system_call(DELETE_MODULE, name.encode(), os.O_NONBLOCK)


def unload(name):
    """QEMU's last descriptor may close a little later than it ends."""
    for patience in range(50, -1, -1):
        try:
            return delete_module(name)
        except BlockingIOError:
            if not patience:
                raise
            time.sleep(0.1)


def change_kvm(kvm, kernel="6.12"):
    """Within the bed: another variant takes the place of the one that is loaded."""
    unload("kvm_amd")
    unload("kvm")
    for path in module_paths(kernel, kvm)[-2:]:
        with open(path, "rb") as module:
            system_call(FINIT_MODULE, module.fileno(), b"", 0)


def refuse(message):
    print("bed:", message, file=sys.stderr)
    return 2


def take_options(words):
    """The bed's own by name, all values of each; those of vpmu exec; the command."""
    own, others = {name: [] for name in OPTIONS}, []
    while words and words[0].startswith("--") and words[0] != "--":
        name, equals, value = words.pop(0).partition("=")
        if name not in own:
            others.append(name + equals + value)
        elif equals or words:
            own[name].append(value if equals else words.pop(0))
    return own, others, words[1:] if words[:1] == ["--"] else words


def main(words):
    if "--help" in words[:1]:
        print(__doc__)
        return 0
    own, others, command = take_options(words)
    kernel, kvm = (own["--kernel"] or ["6.12"])[-1], (own["--kvm"] or [STOCK])[-1]
    if not command:
        return refuse("which command?")
    if missing(kernel, kvm):
        return refuse(missing(kernel, kvm))
    if len(command) == 1 and " " in command[0]:
        command = ["sh", "-c", *command]
    parameters = dict(text.partition(":")[::2] for text in own["--parameters"])
    return subprocess.run([VPMU, "exec", *options(kernel, kvm, parameters), *others, "--",
                           *command]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
