#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The Debian package of hosts/kvm/dkms: it has all that the modules are built of, DKMS takes it,
and it refuses a kernel's source of another version. TAP on stdout.

What it builds is what `make modules` builds, which takes minutes: VPMU_DKMS_KERNEL=RELEASE has DKMS
build it for that kernel, with VPMU_DKMS_HEADERS and VPMU_LINUX_SOURCE (hosts/kvm/dkms/make).
"""
import filecmp
import glob
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

from tap import check, finish, skip

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODULES = ["kvm.ko", "kvm-amd.ko", "kvm-intel.ko"]
TIMEOUT = 900


def run(*words, **options):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False, **options)


def sources():
    """What hosts/kvm/build reads of ours, and itself."""
    return sorted(path for pattern in ("core/*.[ch]", "include/vpmu/*.h", "hosts/kvm/*.[ch]",
                                       "hosts/kvm/include/*.h", "hosts/kvm/Kbuild",
                                       "hosts/kvm/build", "hosts/kvm/edits.py")
                  for path in glob.glob(pattern))


def check_contents(installed):
    lacking = [path for path in sources() if not os.path.exists(f"{installed}/{path}")
               or not filecmp.cmp(path, f"{installed}/{path}", False)]
    check("the package has all that the modules are built of", not lacking, *lacking)


def other_source(folder):
    """A source of a kernel that nobody has."""
    text = b"VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 99999\n"
    os.makedirs(folder + "/linux-source-6.12/arch/x86/kvm")
    os.makedirs(folder + "/linux-source-6.12/virt/kvm")
    with open(folder + "/linux-source-6.12/Makefile", "wb") as file:
        file.write(text)
    with tarfile.open(folder + "/other.tar.xz", "w:xz") as archive:
        archive.add(folder + "/linux-source-6.12", "linux-source-6.12")
    return folder + "/other.tar.xz"


def check_refusals(installed, folder):
    copy = folder + "/copy"
    shutil.copytree(installed, copy)
    done = run("hosts/kvm/dkms/make", "6.12.1+deb12-amd64", folder, cwd=copy,
               env={**os.environ, "VPMU_LINUX_SOURCE": folder + "/none"})
    check("without the kernel's source it says which package has it",
          done.returncode and "linux-source-6.12" in done.stdout, done.stdout)
    with open(folder + "/Makefile", "wb"):
        pass  # stands for headers
    done = run("hosts/kvm/dkms/make", "6.12.1+deb12-amd64", folder, cwd=copy,
               env={**os.environ, "VPMU_LINUX_SOURCE": other_source(folder)})
    check("a source of another version is refused", done.returncode
          and "is of Linux 6.12.99999, kernel 6.12.1+deb12-amd64 is not" in done.stdout, done.stdout)


def check_versions():
    """DKMS replaces no module by one of the same version; the kernel's own have none."""
    built = [f"build/kvm/ours/{name}" for name in MODULES]
    if not all(os.path.exists(path) for path in built):
        skip("the modules have a version", "they are not built (make modules)")
        return
    versions = [run("modinfo", "-F", "version", path).stdout.strip() for path in built]
    check("the modules have a version", versions == ["libvpmu"] * len(built), *versions)


def dkms(folder, version, verb, *words):
    return run("dkms", verb, "-m", "vpmu-kvm", "-v", version, "--sourcetree", folder + "/root/usr/src",
               "--dkmstree", folder + "/tree", *words)


def check_dkms(folder, version):
    done = dkms(folder, version, "add")
    check("DKMS takes it", done.returncode == 0, done.stdout)
    kernel = os.environ.get("VPMU_DKMS_KERNEL")
    if not kernel:
        return
    done = dkms(folder, version, "build", "-k", kernel, "--kernelsourcedir",
                os.environ.get("VPMU_DKMS_HEADERS", f"/lib/modules/{kernel}/build"))
    built = [os.path.basename(path) for path in
             glob.glob(f"{folder}/tree/vpmu-kvm/{version}/{kernel}/x86_64/module/*")]
    check("DKMS builds it", done.returncode == 0 and sorted(built) == sorted(MODULES), built,
          done.stdout)


def main():
    os.chdir(ROOT)
    if not shutil.which("dh_dkms") or not shutil.which("dkms"):
        skip("the DKMS package", "dh-dkms or dkms is not installed")
        return finish()
    made = run("hosts/kvm/dkms/package")
    check("the package is built", made.returncode == 0, made.stdout)
    if made.returncode:
        return finish()
    package = made.stdout.split()[-1]
    version = os.path.basename(package).split("_")[1]
    with tempfile.TemporaryDirectory(prefix="vpmu-dkms-") as folder:
        os.mkdir(folder + "/tree")
        run("dpkg-deb", "-x", package, folder + "/root")
        installed = f"{folder}/root/usr/src/vpmu-kvm-{version}"
        check_contents(installed)
        check_refusals(installed, folder)
        check_dkms(folder, version)
    check_versions()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
