#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The vpmu command's own behaviour: what it refuses, what it hands to QEMU.

No guest boots here. Small scripts stand in for the QEMUs that do not serve.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import unpacked
from tap import check, check_refusal, finish

# VPMU_BUILD: the build folder (default: build).
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build"))
VPMU = BUILD + "/vpmu"
REAL = BUILD + "/qemu/usr/bin/qemu-system-x86_64"
CPU = ["-cpu", "Skylake-Server"]


def vpmu(*words, path=None, **more):
    environment = dict(os.environ)
    if path is not None:
        environment["PATH"] = path
    return subprocess.run([VPMU, *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, env=environment, **more)


def refused(sentence, words, *said, **more):
    check_refusal(sentence, vpmu(*words, **more), *said)


def stand_in(folder, name, version="11.1.0", plugins=True, body="exit 0"):
    """A script that answers as a QEMU does, and else runs body."""
    path = os.path.join(folder, name)
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"""#!/bin/sh
case "$1" in
--version) echo "QEMU emulator version {version} (a stand-in)"; exit 0 ;;
-plugin) [ "$2" != help ] || exit {0 if plugins else 1} ;;
esac
{body}
""")
    os.chmod(path, 0o755)
    return path


def usage():
    done = vpmu("--help")
    check("--help names the subcommands", done.returncode == 0 and not done.stderr
          and all(name in done.stdout for name in ("run", "perf", "exec", "gate", "info")), done)
    done = vpmu("--version")
    check("--version prints the version", re.fullmatch(r"vpmu \d+\.\d+\.\d+\n", done.stdout), done)
    refused("no command is refused", [], "run", "perf", "exec", "info")
    refused("an unknown command is refused", ["fly"], "`fly'", "run", "perf", "exec", "info")
    refused("an unknown option is refused", ["--fly"], "`--fly'", "--help")
    for command in ("run", "perf", "exec", "gate", "info"):
        done = vpmu(command, "--help")
        check(f"{command} --help says how it is used", done.returncode == 0 and not done.stderr
              and done.stdout.startswith(f"usage: vpmu {command}"), done)
    refused("an unknown option of run is refused", ["run", "--fly"], "`--fly'", "--pmu")
    refused("an unknown option of info is refused", ["info", "--fly"], "`--fly'", "--pmu")
    refused("an unknown PMU is refused", ["run", "--pmu", "intel-v9", "--", REAL, *CPU],
            "`intel-v9'", "intel-v5")
    refused("so it is for info", ["info", "--pmu=amd"], "`amd'")
    refused("an option without its value is refused", ["run", "--pmu"], "--pmu")
    for cpi in ("0", "0.000", "1000.001", "-1", "1x", " 1", "1.", ".5", "1.0001",
                "99999999999999999999"):
        refused(f"--cpi '{cpi}' is refused", ["run", "--cpi", cpi, "--", REAL, *CPU], "--cpi")
    for cache in ("", "l3=1m:16:64", "l1d=32k:8", "l1d=33k:8:64", "l1d=32k:8:128", "l1d=32k:8:64,"):
        refused(f"--cache '{cache}' is refused",
                ["run", "--models", "on", "--cache", cache, "--", REAL, *CPU], "--cache")
    refused("--models is on or off", ["run", "--models", "yes", "--", REAL, *CPU], "--models")
    refused("run without a QEMU is refused", ["run"], "which QEMU")
    refused("run -- without a QEMU is refused", ["run", "--pmu", "off", "--"], "which QEMU")


def perf_refuses(work):
    old = stand_in(work + "/old", "qemu-system-x86_64", version="7.2.22")
    bare = stand_in(work + "/bare", "qemu-system-x86_64", plugins=False)
    job = ["stat", "--", "true"]
    for words, said in (([], "which perf command"), (["--fly", *job], "`--fly'"),
                        (["--pmu", "amd", *job], "`amd'"), (["--cpi", "0", *job], "--cpi"),
                        (["--cpus", "0", *job], "--cpus"), (["--memory", "x", *job], "--memory"),
                        (["--memory", "16M", *job], "too little"),
                        (["--kernel", "5.10", *job], "6.12"),
                        (["--cpu", "EPYC", "--pmu", "intel-v4", *job], "not an Intel CPU"),
                        (["--cpu", "Dhyana", *job], "Hygon"),
                        (["--cpu", "Skylake-Server", "--pmu", "amd-v2", *job], "not an AMD CPU"),
                        (["--cpu", "qemu32,vendor=GenuineIntel", *job], "too old"),
                        (["--cpu", "Haswell,-pmu", *job], "switches the PMU off"), (["--pmu"], "--pmu"),
                        (["--qemu", work + "/none", *job], "no such file"),
                        (["--qemu", old, *job], "7.2.22"), (["--qemu", bare, *job], "plugins")):
        shown = " ".join(words).replace(work, "")
        refused(f"vpmu perf {shown} is refused", ["perf", *words], said)
    for words in (["--pmu", "amd-v2"], ["--cpi", "2"], ["--models", "on"], ["--report", work + "/r"],
                  ["--trace", work + "/t"], ["--tcg", "x=on"], ["--plugin", "/x"], ["--deterministic"]):
        refused(f"vpmu perf --accel kvm {words[0]} is refused: its PMU is KVM's",
                ["perf", "--accel", "kvm", *words, *job], words[0], "KVM's")
    refused("another accelerator is refused", ["exec", "--accel", "hvf", "true"], "tcg or kvm")
    for words, said in (([], "which command"), (["--fly", "true"], "`--fly'"),
                        (["--cpus", "0", "true"], "--cpus"), (["--", "nosuchprogram"], "nosuchprogram"),
                        (["--module", work + "/none.ko:a=1", "true"], "/none.ko: No such file")):
        shown = " ".join(words).replace(work, "")
        refused(f"vpmu exec {shown} is refused", ["exec", *words], said)


def perf_reports(work):
    """The report of vpmu perf: QEMU is gone at once, with a line in it."""
    qemu = stand_in(work + "/says", "qemu-system-x86_64", body="""
for word; do
	case $word in *report=*) report=$(echo "$word" | sed "s/.*report=//") ;; esac
done
echo "uncounted ff 07 cmask=0 inv=0 edge=0 extra=0x0" >>"$report"
echo "vpmu plugin: the trace is not complete: out of paper" >&2
""")
    report = work + "/perf.report"
    with open(report, "w", encoding="utf-8") as file:
        file.write("uncounted 2e 41 cmask=0 inv=0 edge=0 extra=0x0\n")
    done = vpmu("perf", "--qemu", qemu, "--report", report, "stat", "--", "true")
    check("vpmu perf names what this run has not counted, not what the report had before",
          "event ff/07" in done.stderr and "event 2e/41" not in done.stderr, done)
    check("what the plugin says is shown", "out of paper" in done.stderr, done)


def silent_guest(work):
    """It takes some 30 s to be sure."""
    qemu = stand_in(work + "/silent", "qemu-system-x86_64", body="exec sleep 1000")
    done = vpmu("exec", "--qemu", qemu, "true")
    check("a guest that never says a word is given up", done.returncode == 2
          and "vpmu: the guest does not start" in done.stderr, done)


def which_qemu(work):
    refused("a QEMU that is not there is refused", ["run", "--", work + "/none", *CPU],
            "none", "no such file")
    refused("a name that is nowhere is refused", ["run", "--", "qemu-system-none", *CPU],
            "qemu-system-none")
    refused("a folder is refused", ["run", "--", work + "/", *CPU], "not a program")
    refused("a program that is no QEMU is refused", ["run", "--", "/bin/true", *CPU],
            "not a QEMU")
    old = stand_in(work + "/old", "qemu-system-x86_64", version="7.2.22")
    refused("QEMU 7.2 is refused", ["run", "--", old, *CPU], "7.2.22", "11.1")
    almost = stand_in(work + "/almost", "qemu-system-x86_64", version="11.0.9")
    refused("QEMU 11.0 is refused", ["run", "--", almost, *CPU], "11.0.9", "11.1")
    bare = stand_in(work + "/bare", "qemu-system-x86_64", plugins=False)
    refused("a QEMU without plugins is refused", ["run", "--", bare, *CPU], "plugins")
    arm = stand_in(work + "/arm", "qemu-system-aarch64")
    refused("a QEMU of another machine is refused", ["run", "--", arm, *CPU], "x86")
    refused("a name on PATH is that QEMU, also if it is too old",
            ["run", "--", "qemu-system-x86_64", *CPU], "7.2.22", path=work + "/old:/usr/bin:/bin")
    done = vpmu("run", "--", "qemu-system-x86_64", *CPU, "-version", path="/nowhere")
    check("a name that is not on PATH is the unpacked QEMU", done.returncode == 0
          and "QEMU emulator version" in done.stdout, done)
    done = vpmu("info", path=work + "/old")
    check("info takes the unpacked QEMU where PATH's is too old",
          REAL in done.stdout and "serves               yes" in done.stdout, done.stdout)
    done = vpmu("info", "--qemu", old)
    check("info says why a QEMU does not serve", done.returncode == 0
          and "serves               no" in done.stdout and "7.2.22" in done.stdout, done.stdout)


def which_arguments(work):
    qemu = stand_in(work + "/new", "qemu-system-x86_64")
    for words in (["-accel", "kvm"], ["--accel", "kvm"], ["-enable-kvm"],
                  ["-accel", "kvm,dirty-ring-size=4096"],
                  ["-machine", "accel=kvm"], ["-M", "q35,accel=kvm:tcg"], ["-accel", "hvf"],
                  ["-machine", "q35,accel=tcg:kvm,smm=off"], ["-accel", "whpx"], ["-accel", "xen"],
                  ["-accel", "tcg", "-accel", "kvm"]):
        refused(f"{' '.join(words)} is refused", ["run", "--", qemu, *CPU, *words],
                "not served yet", "tcg")
    kvm = stand_in(work + "/new", "kvm")
    refused("a QEMU named kvm is refused", ["run", "--", kvm, *CPU], "not served yet")
    for model in ("max", "qemu64", "qemu64-v1", "EPYC", "EPYC-Milan-v2", "Opteron_G5", "phenom",
                  "athlon", "Dhyana-v2", "YongFeng", "Skylake-Server,vendor=AuthenticAMD"):
        refused(f"-cpu {model} is refused for an Intel PMU",
                ["run", "--pmu", "intel-v4", "--", qemu, "-cpu", model],
                "not", "Intel", "Skylake-Server")
    refused("no -cpu is refused for an Intel PMU", ["run", "--pmu", "intel-v4", "--", qemu],
            "without -cpu", "Skylake-Server")
    for model in ("Dhyana-v2", "YongFeng", "base", "EPYC,vendor=HygonGenuine"):
        refused(f"-cpu {model} is refused", ["run", "--", qemu, "-cpu", model], "not", "Intel")
    for model in ("Skylake-Server", "Nehalem-v2", "Dhyana", "EPYC,vendor=GenuineIntel"):
        refused(f"-cpu {model} is refused for an AMD PMU",
                ["run", "--pmu", "amd-v2", "--", qemu, "-cpu", model], "not", "AMD", "EPYC")
    for words in ([], ["-cpu", "EPYC-Milan-v2"], ["-cpu", "Opteron_G5"], ["-cpu", "max"],
                  ["-cpu", "Skylake-Server,vendor=AuthenticAMD"]):
        done = vpmu("run", "--pmu", "amd-core", "--", qemu, *words)
        check(f"{' '.join(words) or 'no -cpu'} is taken for an AMD PMU",
              done.returncode == 0 and not done.stderr, done)
    refused("the text after -append is no -cpu",
            ["run", "--pmu", "intel-v4", "--", qemu, "-append", "-cpu"], "without -cpu")
    for model in ("486", "pentium", "pentium2-v1", "pentium3", "qemu32", "kvm32",
                  "kvm32,level=9"):
        refused(f"-cpu {model} is refused", ["run", "--", qemu, "-cpu", model], "too old")
    for words in (CPU, ["-cpu", "Nehalem-v2"], ["-cpu", "kvm64"], ["-cpu", "core2duo"],
                  ["-cpu", "qemu64,vendor=GenuineIntel"], ["-cpu", "EPYC", *CPU],
                  ["--cpu", "Skylake-Server,+avx2"], ["-cpu", "kvm32,level=10"],
                  [*CPU, "-accel", "tcg,thread=multi"], [*CPU, "-machine", "q35,accel=tcg"],
                  ["-append", "accel=kvm -cpu max", *CPU]):
        done = vpmu("run", "--", qemu, *words)
        check(f"{' '.join(words)} is taken", done.returncode == 0 and not done.stderr, done)


def with_pmu(work):
    report = work + "/a,b.report"
    qemu = stand_in(work + "/c,d", "qemu-system-x86_64", body='printf "%s\\n" "$@"')
    plugin = BUILD + "/hosts/qemu/libvpmu-qemu.so"

    def words(*arguments):
        return vpmu("run", *arguments).stdout.splitlines()

    got = words("--pmu", "intel-v2", "--cpi=3", "--report", report, "--", qemu, *CPU, "-m", "1G")
    doubled = report.replace(",", ",,")
    check("QEMU gets the plugin, then its own arguments",
          got[:2] + got[4:] ==
          ["-plugin", f"file={plugin.replace(',', ',,')},pmu=intel-v2,cpi=3,report={doubled}",
           *CPU, "-m", "1G"], got)
    check("and a table in which PMUs are saved", got[2] == "-acpitable" and
          got[3].startswith("sig=VPMU,rev=1,data=/proc/self/fd/"), got)
    for cpi in ("0.001", "0.5", "2", "1.25", "1000"):
        got = words("--cpi", cpi, "--", qemu, *CPU)
        check(f"--cpi {cpi} is taken", len(got) > 1 and f",cpi={cpi}," in got[1], got)
    got = words("--models", "on", "--cache", "l1d=48k:12:64+l2=2m:16:64", "--", qemu, *CPU)
    check("the models and their caches are handed to the plugin",
          got[1].endswith(",models=on,cache=l1d=48k:12:64+l2=2m:16:64"), got)
    check("without --models on they are not", ",models=" not in words("--", qemu, *CPU)[1])
    for cpu, off in (("Skylake-Server,pmu=off", True), ("Skylake-Server,-pmu", True),
                     ("EPYC,pmu=no", True), ("Skylake-Server,pmu=off,pmu=on", False),
                     ("Skylake-Server,pmu=on", False), ("Skylake-Server,pmu=off,+pmu", False),
                     ("Skylake-Server,pmu=on,-pmu", True)):
        got = ",".join(words("--pmu", "intel-v4", "--", qemu, "-cpu", cpu)[:2])
        check(f"-cpu {cpu} {'switches' if off else 'does not switch'} the PMU off",
              (",pmu=off," if off else ",pmu=intel-v4,") in got, got)
    got = words("--pmu", "off", "--", qemu)
    check("--pmu off takes any CPU, and nothing is saved",
          ",pmu=off," in got[1] and len(got) == 2, got)
    refused("a report that cannot be written is refused",
            ["run", "--report", work + "/none/report", "--", qemu, *CPU], "none/report")
    trace = work + "/d,e.trace"
    got = words("--trace", trace, "--", qemu, *CPU)
    check("a trace's path gets to the plugin with its commas doubled",
          got[1].endswith(",trace=" + trace.replace(",", ",,")), got)
    check("without --trace the plugin is not asked for one",
          "trace=" not in words("--", qemu, *CPU)[1])
    for path in (work + "/none/trace", work):
        refused(f"a trace at {path.replace(work, '...')} cannot be written and is refused",
                ["run", "--trace", path, "--", qemu, *CPU], path)
        refused("so it is by vpmu perf", ["perf", "--trace", path, "stat", "--", "true"], path)
    refused("--trace without a file is refused", ["run", "--trace"], "--trace")
    refused("info takes no --trace", ["info", "--trace", trace], "--trace")
    refused("a plugin that is not there is refused",
            ["run", "--plugin", work + "/none.so", "--", qemu, *CPU], "none.so")


def at_the_end(work):
    report = 'report=$(echo "$2" | sed "s/.*report=//; s/,.*//")\n'
    qemu = stand_in(work + "/says", "qemu-system-x86_64", body=report +
                    'echo "cpu 0x00050654" >>"$report"\n'
                    'echo "uncounted 2e 41 cmask=0 inv=0 edge=0 extra=0x0" >>"$report"\n'
                    'echo "uncounted ff 07 cmask=2 inv=1 edge=1 extra=0x0" >>"$report"\n'
                    'echo "uncounted b7 01 cmask=0 inv=0 edge=0 extra=0x84040001" >>"$report"\n'
                    'echo "pmi-lost apic-id=257" >>"$report"\n'
                    'echo "pmi-lost delivery-mode=7" >>"$report"\n'
                    'echo "apic-base 0xfea00000" >>"$report"\n'
                    'echo "stats blocks=1" >>"$report"\nexit 7')
    done = vpmu("run", "--", qemu, *CPU)
    lines = done.stderr.splitlines()
    check("what was programmed and not counted is named, a line each", len(lines) == 6
          and "2e/41 (cache-misses)" in lines[0] and "--models" in lines[0].split(": ")[-1]
          and "ff/07 cmask=2 inv edge" in lines[1], done)
    check("why interrupts have not come is said, a line each", "APIC ID 257" in lines[3]
          and "delivery mode 7" in lines[4] and "0xfea00000" in lines[5], done)
    check("the exit status is QEMU's", done.returncode == 7, done)
    lines = vpmu("run", "--models", "on", "--", qemu, *CPU).stderr.splitlines()
    check("a value of OFFCORE_RSP that no model counts is named", len(lines) == 6
          and "b7/01 extra=0x84040001" in lines[2] and "OFFCORE_RSP" in lines[2].split(": ")[-1],
          lines)
    done = vpmu("run", "--report", work + "/kept", "--", qemu, *CPU)
    with open(work + "/kept", encoding="utf-8") as file:
        kept = file.read()
    check("--report keeps the report", "uncounted ff 07" in kept and not done.stderr, kept, done)
    done = vpmu("run", "--report", work + "/kept", "--", qemu, *CPU)
    with open(work + "/kept", encoding="utf-8") as file:
        check("the next run adds to it", file.read() == 2 * kept)
    done = vpmu("run", "--", qemu, *CPU, preexec_fn=ignore_children)
    check("so it is for a caller that ignores its children", done.returncode == 7, done)
    qemu = stand_in(work + "/dies", "qemu-system-x86_64", body="kill -KILL $$")
    check("a QEMU that signal 9 kills is exit status 137",
          vpmu("run", "--", qemu, *CPU).returncode == 137)


def ignore_children():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def default_signals():
    """A shell's background jobs ignore some, and their children do, too."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, signal.SIG_DFL)


def gone(pid):
    for _ in range(100):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


def signals(work):
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"):
        folder = tempfile.mkdtemp(dir=work)
        qemu = stand_in(folder + "/bin", "qemu-system-x86_64",
                        body=f"echo $$ >{folder}/new; mv {folder}/new {folder}/pid\nexec sleep 60")
        os.mkdir(folder + "/tmp")
        child = subprocess.Popen([VPMU, "run", "--", qemu, *CPU], start_new_session=True,
                                 preexec_fn=default_signals,
                                 env=dict(os.environ, TMPDIR=folder + "/tmp"))
        while not os.path.exists(folder + "/pid") and child.poll() is None:
            time.sleep(0.02)
        with open(folder + "/pid", encoding="ascii") as file:
            pid = int(file.read())
        child.send_signal(getattr(signal, name))
        status = child.wait(timeout=20)
        number_of = getattr(signal, name)
        wanted = -number_of if name == "SIGKILL" else 128 + number_of
        check(f"{name} ends vpmu run and its QEMU, and leaves no file",
              status == wanted and gone(pid) and not os.listdir(folder + "/tmp"), status)


def real_qemu():
    done = vpmu("run", "--", REAL, *CPU, "-machine", "none", "-display", "none", "-fly")
    check("what QEMU refuses, QEMU says", done.returncode == 1 and "-fly" in done.stderr, done)
    for pmu, cpi in (("off", "1"), ("intel-v1", "1"), ("intel-v2", "0.001"), ("intel-v3", "1.25"),
                     ("intel-v4", "1000"), ("intel-v5", "1"), ("amd-k7", "1"), ("amd-core", "2"),
                     ("amd-v2", "1")):
        cpu = ["-cpu", "EPYC"] if pmu.startswith("amd") else CPU
        done = subprocess.run([VPMU, "run", "--pmu", pmu, "--cpi", cpi, "--", REAL, *cpu,
                               "-display", "none", "-S", "-monitor", "stdio", "-serial", "none"],
                              input="quit\n",
                              capture_output=True, text=True, timeout=60)
        check(f"the real QEMU starts with --pmu {pmu} --cpi {cpi}", done.returncode == 0
              and "not counted" not in done.stderr, done)
    for models in ("on", "off"):
        done = subprocess.run([VPMU, "run", "--models", models, "--cache", "l1d=48k:12:64", "--",
                               REAL, *CPU, "-display", "none", "-S", "-monitor", "stdio",
                               "-serial", "none"],
                              input="quit\n", capture_output=True, text=True, timeout=60)
        check(f"the real QEMU starts with --models {models}", done.returncode == 0, done)
    shown = vpmu("info", "--models", "on", "--cache", "l2=2m:16:64").stdout
    check("info shows what models count as such, and their geometry",
          re.search(r"c5/00 branch-misses +of a model, not of hardware", shown)
          and re.search(r"L2 +2048 KiB, 16 ways of 64 bytes", shown), shown)
    check("info shows a PMU event by event",
          re.search(r"c0/00 instructions +yes", vpmu("info").stdout)
          and re.search(r"c5/00 branch-misses +no: ", vpmu("info").stdout))
    check("info --pmu off shows no counters", "guest sees no PMU"
          in vpmu("info", "--pmu", "off").stdout)


def info_json(work):
    told = json.loads(vpmu("info", "--json", "--models", "on").stdout)
    shown = vpmu("info", "--models", "on").stdout
    check("info --json has the events of the text, and says the same of each",
          [f"{each['encoding']} {each['name']:34} {each['how']}" for each in told["events"]]
          == re.findall(r"(?m)^  ([0-9a-f]{2}/[0-9a-f]{2} .*)", shown)
          and all(each["counted"] != each["how"].startswith("no")
                  and each["of_model"] == each["how"].startswith("of a model")
                  for each in told["events"]), told)
    check("info --json says what serves", told["qemu"]["serves"] is True
          and told["qemu"]["found"] == REAL and told["qemu"]["why_not"] is None
          and told["pmu"]["general_counters"] == 8 and told["models"]["L2"] in shown, told)
    old = stand_in(work + "/old", "qemu-system-x86_64", version="7.2.22")
    told = json.loads(vpmu("info", "--json", "--pmu", "off", "--qemu", old).stdout)
    check("info --json says what does not, and has no counters of a PMU that is off",
          told["qemu"]["serves"] is False and "7.2.22" in told["qemu"]["why_not"]
          and "general_counters" not in told["pmu"] and "events" not in told, told)


def cpu_models():
    """What CPUID says of each of the real QEMU's models."""
    qemu = subprocess.Popen([*unpacked.COMMAND, "-machine", "none", "-display", "none",
                             "-qmp", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True)

    def ask(command, **arguments):
        qemu.stdin.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        qemu.stdin.flush()
        for line in qemu.stdout:
            answer = json.loads(line)
            if "return" in answer or "error" in answer:
                return answer.get("return")
        return None

    ask("qmp_capabilities")
    for definition in ask("query-cpu-definitions"):
        name = definition["name"]
        answer = ask("query-cpu-model-expansion", type="full", model={"name": name})
        # "host" is for other accelerators than TCG.
        if answer and name != "host":
            yield name, answer["model"]["props"]
    ask("quit")
    qemu.wait(timeout=20)


def real_models(work):
    qemu = stand_in(work + "/models", "qemu-system-x86_64")
    wrong = []
    models = list(cpu_models())
    signatures = []
    for name, said in models:
        serves = said["vendor"] == "AuthenticAMD" or (said["vendor"] == "GenuineIntel"
                                                      and said["level"] >= 10)
        # Versions do not differ there.
        if not re.search(r"-v\d+$", name) and (
                vpmu("run", "--", qemu, "-cpu", name).returncode == 0) != serves:
            wrong.append(f"{name}: {said['vendor']}, leaf {said['level']}")
        # QEMU settles what "max" is as the CPU starts.
        if serves and name != "max":
            pmu = json.loads(vpmu("info", "--json", "--qemu", qemu, "--cpu", name).stdout)["pmu"]
            if pmu["signature"] != signature(said["family"], said["model"]):
                signatures.append(f"{name}: {said['family']}, {said['model']}, {pmu}")
    check("of QEMU's CPU models AMD's and those of Intel's with CPUID leaf 0AH are taken",
          len(models) > 100 and not wrong, len(models), *wrong)
    check("their families and models are known", not signatures, *signatures)


def signature(family, model):
    """CPUID.1:EAX"""
    extended = max(family - 15, 0)
    return extended << 20 | model >> 4 << 16 | (family - extended) << 8 | (model & 15) << 4


def automatic(work):
    """The PMU that such a CPU has."""
    info = ["info", "--json", "--qemu", stand_in(work + "/auto", "qemu-system-x86_64")]
    for cpu, pmu in (("coreduo", "intel-v1"), ("core2duo", "intel-v2"), ("Nehalem", "intel-v3"),
                     ("Haswell-noTSX", "intel-v3"), ("Skylake-Client-v2", "intel-v4"),
                     ("Cascadelake-Server", "intel-v4"), ("Denverton", "intel-v4"),
                     ("Icelake-Server-v5", "intel-v5"), ("Snowridge", "intel-v5"),
                     ("SapphireRapids", "intel-v5"), ("GraniteRapids-v2", "intel-v5"),
                     ("SierraForest", "intel-v5"), ("qemu64", "amd-k7"), ("max", "amd-k7"),
                     ("Opteron_G3", "amd-k7"), ("Opteron_G5", "amd-core"), ("EPYC", "amd-core"),
                     ("EPYC-Rome-v2", "amd-core"), ("EPYC-Milan", "amd-core"),
                     ("EPYC-Genoa-v1", "amd-v2"), ("EPYC-Turin", "amd-v2"),
                     ("EPYC,family=25,model=0x11", "amd-v2"),
                     ("EPYC,vendor=GenuineIntel,family=6,model=85", "intel-v4")):
        told = json.loads(vpmu(*info, "--cpu", cpu).stdout)["pmu"]
        check(f"-cpu {cpu} has {pmu}", told["name"] == pmu, told)
    told = json.loads(vpmu(*info).stdout)["pmu"]
    check("without -cpu there are the most counters", told["name"] == "intel-v5", told)
    told = json.loads(vpmu(*info, "--cpu", "Haswell", "--pmu", "intel-v2").stdout)["pmu"]
    check("--pmu says otherwise", told["name"] == "intel-v2", told)


GATE = """format = 1
[environment]
libc = "x"
[benchmark.x]
command = ["true"]
runs = 1
[benchmark.x.total]
"instructions:u" = [1, 2]
"instructions:k" = [1, 2]
"branches:u" = [1, 2]
"branches:k" = [1, 2]
"syscalls" = [1, 2]
"page-faults" = [1, 2]
"context-switches" = [1, 2]
"""


def gate_refuses(work):
    folder = work + "/gate"
    os.makedirs(folder + "/vpmu-gate")
    for words, *said in (
            ([], "vpmu.toml"), (["nosuch"], "`nosuch'"), (["--"], "which command"),
            (["--fly"], "`--fly'", "--save"), (["--save", "--compare", "--", "true"], "--compare"),
            (["--limit", "cycles=1%", "--", "true"], "`cycles'", "instructions:u"),
            (["--limit", "syscalls", "--", "true"], "EVENT=N%"),
            (["--warn", "syscalls=-1%", "--", "true"], "per cent"),
            (["--runs", "0", "--", "true"], "--runs"),
            (["--functions", "no", "--", "true"], "always"),
            (["--baseline", "../x", "--", "true"], "--baseline"),
            (["--baseline", "none", "--", "true"], "vpmu-gate/none.toml", "--save"),
            (["--cpus", "2", "--", "true"], "--cpus 1"),
            (["--regions", "--", "true"], "--regions"),
            (["--functions", "never", "--folded", "-", "--", "true"], "--folded"),
            (["--save", "--", "no-such-program"], "`no-such-program'")):
        refused(f"gate {' '.join(words)} is refused", ["gate", *words], *said, cwd=folder)
    for text, *said in (
            ("x", "line 1"), ("runs = 0", "`runs'"), ("fly = 1", "`fly'", "benchmark"),
            ("[benchmark.x]", "`command'"), ("[benchmark.x]\ncommand = []", "`command'"),
            ("[benchmark.x]\ncommand = 'a'\nfly = 1", "`fly'", "exit-status"),
            ("[benchmark.'a b']\ncommand = 'a'", "`a b'"), ("[limits]\ncycles = '1%'", "`cycles'"),
            ("[limits]\nsyscalls = 1", "`syscalls'", "false")):
        with open(folder + "/bad.toml", "w", encoding="utf-8") as file:
            file.write(text)
        refused(f"gate refuses a configuration {text!r}", ["gate", "--config", "bad.toml"],
                "bad.toml", *said, cwd=folder)
    for change, *said in (
            (("format = 1", "format = 2"), "`format'"), (("runs = 1", "runs = 0"), "`runs'"),
            (("[1, 2]", "[2, 1]"), "LEAST"), (("[1, 2]", "[1, -2]"), "LEAST"),
            (("[1, 2]", "1"), "LEAST"), (("\"syscalls\"", "\"calls\""), "`calls'"),
            (("\"syscalls\" = [1, 2]", ""), "syscalls"), (("[benchmark.x.total]", ""), "there is no"),
            (("libc = \"x\"", "libc = x"), "line 3"), (("format = 1", "format = 1\nx = 1"), "`x'")):
        with open(folder + "/vpmu-gate/main.toml", "w", encoding="utf-8") as file:
            file.write(GATE.replace(*change, 1))
        refused(f"gate refuses a baseline with {change[1]!r} for {change[0]!r}",
                ["gate", "--", "true"], "vpmu-gate/main.toml", *said, cwd=folder)


def full_output():
    """What cannot be written is no success."""
    with open("/dev/full", "w", encoding="ascii") as full:
        for words in (["info"], ["--help"], ["run", "--help"]):
            done = subprocess.run([VPMU, *words], stdin=subprocess.DEVNULL, stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=60)
            check(f"vpmu {' '.join(words)} says that its output cannot be written",
                  done.returncode == 2
                  and done.stderr == "vpmu: standard output cannot be written\n", done)


def manual():
    with open("docs/vpmu.1", encoding="utf-8") as file:
        page = file.read().replace("\\-", "-")
    for command in ("run", "perf", "gate", "info", "bench", "replay"):
        said = vpmu(command, "--help").stdout
        section = page.split(f'.SH "VPMU {command.upper()}"\n')[1].split(".SH")[0]
        told = set(re.findall(r"(?m)^  (--[a-z-]+)", said))
        headings = re.findall(r"(?m)^\.TP\n(.*)$", section)
        written = set(re.findall(r"--[a-z-]+", " ".join(headings)))
        check(f"the manual page and vpmu {command} --help have the same options",
              told and told == written, told ^ written)


def main():
    os.chdir(ROOT)
    work = tempfile.mkdtemp(prefix="vpmu-cli-")
    try:
        usage()
        perf_refuses(work)
        perf_reports(work)
        silent_guest(work)
        which_qemu(work)
        which_arguments(work)
        with_pmu(work)
        at_the_end(work)
        signals(work)
        real_qemu()
        info_json(work)
        real_models(work)
        automatic(work)
        gate_refuses(work)
        full_output()
        manual()
    finally:
        shutil.rmtree(work)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
