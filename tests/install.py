#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `meson install` brings: the headers, the libraries and what they export, and the
command, which finds its parts. TAP on stdout."""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

from tap import check, finish, skip

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT + "/docs")
from manual import Header
LIBRARIES = ("vpmu", "vpmu-perf-event")


def run(*words, **options):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False, **options)


def found(folder, name):
    """The one file of this name below a folder; None if there is none, or more than one."""
    paths = [os.path.join(at, name) for at, _, names in os.walk(folder) if name in names]
    return paths[0] if len(paths) == 1 else None


def declared(header):
    """What a public header declares and does not define itself."""
    with open(header, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    text = re.sub(r"^static inline.*?^}", "", text, flags=re.S | re.M)
    functions = re.findall(r"^\w[\w *]*?\b(vpmu_\w+)\(", text, flags=re.M)
    return set(functions + re.findall(r"^extern const .*?(\w+);", text, flags=re.M))


def of_library(name):
    """The names that the headers declare of a library."""
    wanted = set()
    for header in os.listdir("include/vpmu"):
        if (header == "perf_event.h") == (name == "vpmu-perf-event"):
            wanted |= declared("include/vpmu/" + header)
    return wanted


def exported(library):
    words = [line.split() for line in run("nm", "-D", "--defined-only", library).stdout.splitlines()]
    return {each[2].split("@")[0] for each in words if each[1] != "A"}


def undefined(library):
    """But for what the compiler's start files may have."""
    words = [line.split() for line in run("nm", "-D", "--undefined-only", library).stdout.splitlines()]
    return {each[1].split("@")[0] for each in words if each[0] != "w"}


def headers(prefix):
    folder = prefix + "/include/vpmu"
    check("the installed headers are the public ones, no others",
          sorted(os.listdir(folder)) == sorted(os.listdir("include/vpmu")), os.listdir(folder))


def libraries(prefix):
    for name in LIBRARIES:
        shared = found(prefix, f"lib{name}.so")
        if not shared:
            check(f"lib{name}.so is installed", False)
            continue
        wanted = of_library(name)
        check(f"lib{name}.so exports what its headers declare, and nothing else",
              wanted and exported(shared) == wanted, exported(shared) ^ wanted)
        said = run("readelf", "-d", shared).stdout
        check(f"lib{name}.so is of ABI version 0", f"soname: [lib{name}.so.0]" in said, said)
        check(f"lib{name}.a is beside it, with its objects in it",
              wanted <= set(re.findall(r" [A-Z] (\w+)", run("nm", "-g", shared[:-2] + "a").stdout)))
    shared = found(prefix, "libvpmu.so")
    check("libvpmu.so needs nothing but mem*",
          undefined(shared) <= {"memcpy", "memmove", "memset", "memcmp"}, undefined(shared))


# A program of both libraries: a counter that is asked for, whatever becomes of it.
PROGRAM = """
#include <vpmu/msr.h>
#include <vpmu/perf_event.h>

int main(void)
{
	static struct vpmu pmu;
	static struct vpmu_perf_event_options options;
	struct vpmu_config config = vpmu_config_intel(4, 1u << VPMU_EVENT_INSTRUCTIONS);
	struct vpmu_perf_event *source = vpmu_perf_event_new(&pmu, &options);
	int right = source && vpmu_init(&pmu, &config, &vpmu_perf_event_ops, source) == VPMU_OK &&
		    vpmu_wrmsr(&pmu, VPMU_MSR_PERFEVTSEL0, 0x4300c0) == VPMU_DONE &&
		    vpmu_service(&pmu) == 0 && vpmu_perf_event_state(source, 0).lost == 0;

	vpmu_reset(&pmu);
	vpmu_perf_event_free(source);
	return !right;
}
"""


def programs(work, prefix):
    environment = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(found(prefix, "vpmu.pc")),
                       PKG_CONFIG_SYSROOT_DIR=work,
                       LD_LIBRARY_PATH=os.path.dirname(found(prefix, "libvpmu.so")))
    with open(work + "/program.c", "w", encoding="utf-8") as file:
        file.write(PROGRAM)
    for how, compiler, static in (("C", "cc -std=c11 -xc", ""), ("C++", "c++ -std=c++11 -xc++", ""),
                                  ("C, statically", "cc -std=c11 -xc", "-static")):
        sentence = f"a program with perf events is built against what is installed, in {how}"
        if not shutil.which(compiler.split()[0]):
            skip(sentence, f"there is no {compiler.split()[0]}")
            continue
        done = run("sh", "-c", f"{compiler} program.c -xnone -o program {static} "
                   f"$(pkg-config --cflags --libs {static and '--static'} vpmu-perf-event)"
                   " && ./program", cwd=work, env=environment)
        check(sentence, done.returncode == 0, done)


def packages(prefix):
    folder = os.path.dirname(found(prefix, "vpmu.pc"))
    environment = dict(os.environ, PKG_CONFIG_PATH=folder)
    version = re.search(r"version: '(.*?)'", open("meson.build", encoding="utf-8").read()).group(1)
    for name in LIBRARIES:
        done = run("pkg-config", "--modversion", name, env=environment)
        check(f"pkg-config knows {name} by the project's version", done.stdout.strip() == version,
              done)
    done = run("pkg-config", "--libs", "vpmu-perf-event", env=environment)
    check("a host with perf events is linked with both libraries",
          {"-lvpmu", "-lvpmu-perf-event"} <= set(done.stdout.split()), done)


def command(prefix):
    done = run(prefix + "/bin/vpmu", "--version")
    check("the installed command runs", done.returncode == 0 and done.stdout.startswith("vpmu "),
          done)
    plugin = found(prefix, "libvpmu-qemu.so")
    check("it finds its plugin", plugin and re.search(
        rf"(?m)^ *plugin +{re.escape(plugin)}$", run(prefix + "/bin/vpmu", "info").stdout), plugin)
    check("the traces that the benchmarks replay and the guest's programs are beside it",
          plugin and {found(prefix, name) for name in ("one.trace", "vpmu-init", "vpmu-count",
                                                       "vpmu-sample")} == {
              os.path.dirname(os.path.realpath(prefix + "/bin/vpmu")) + path
              for path in ("/bench/traces/one.trace", "/tools/init/vpmu-init",
                           "/tools/gate/count/vpmu-count", "/tools/gate/count/vpmu-sample")})
    plot = found(prefix, "plot")
    check("the program that draws figures is beside it, and can be run", plugin and plot
          and plot.endswith("/bench/figures/plot") and os.access(plot, os.X_OK), plot)


def manual(prefix):
    pages = [found(prefix, "vpmu.1"), found(prefix, "vpmu.3")]
    check("both manual pages are installed", all(pages), pages)
    if not all(pages):
        return
    with open(pages[1], encoding="utf-8") as file:
        text = file.read().replace("\\-", "-")
    names = text.split(".SH NAME\n")[1].split(".SH")[0]
    wanted = set.union(*map(of_library, LIBRARIES))
    check("vpmu(3) names each public function, so that man finds it by that", wanted and all(
        re.search(rf"\b{name}\b", names) for name in wanted), names)
    missing = set()
    for header in glob.glob("include/vpmu/*.h"):
        with open(header, encoding="utf-8") as file:
            missing |= set(re.findall(r"\b(?:vpmu|VPMU)_\w+\b", file.read()))
    # Include guards, and what is in the structs that are the library's own.
    missing = {name for name in missing - set(re.findall(r"\w+", text))
               if not name.endswith("_H") and name != "vpmu_vendor"}
    check("whatever is in a public header is in vpmu(3)", not missing, missing)
    items = [item for path in glob.glob("include/vpmu/*.h") for item in Header(path).items]
    without = [item.names for item in items if item.functions
               and not any(line.startswith("Context: ") for line in item.comment)]
    check("each function's context is told",
          not without and wanted <= {name for item in items for name in item.names}, without)
    if not shutil.which("man"):
        skip("the manual pages have no mistakes in their markup", "there is no man")
        return
    done = run("man", "--warnings", "-l", *pages, env=dict(os.environ, LC_ALL="C.UTF-8"))
    check("the manual pages have no mistakes in their markup",
          done.returncode == 0 and done.stdout and not done.stderr, done.stderr)


def main():
    os.chdir(ROOT)
    work = os.path.realpath(tempfile.mkdtemp(prefix="vpmu-install-"))
    try:
        done = run("meson", "install", "-C", "build", "--no-rebuild", "--destdir", work)
        check("meson install succeeds", done.returncode == 0, done.stdout, done.stderr)
        prefix = (found(work, "vpmu.h") or "").removesuffix("/include/vpmu/vpmu.h")
        headers(prefix)
        libraries(prefix)
        packages(prefix)
        programs(work, prefix)
        command(prefix)
        manual(prefix)
    finally:
        shutil.rmtree(work)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
