#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""perf in a Debian guest: what it counts and samples, and how vpmu perf behaves.

The programs' sums are in tests/programs. Few guests: each carries several checks.
"""
import fcntl
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

import tracefile
from tap import check, finish

# VPMU_BUILD: the build folder (default: build).
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build"))
VPMU = BUILD + "/vpmu"
PROGRAMS = BUILD + "/tests/programs"
ROUNDS = 20_000_000  # of loop.S
SPLIT = 3236 * 2 * (43_262 + 18_541)  # instructions of split.c's loops
PERIOD = 1_000_000
GENERAL = 8  # counters, of which each can count branches

RAW = "cpu/event=0xc4,umask={}/u"
EIGHT = ["instructions:u", "branches:u", "r01c4:u", "r02c4:u", "r08c4:u", "r40c4:u", "r81d0:u",
         "r82d0:u"]
SCRIPT = f"""
cd {PROGRAMS}
echo == count
perf stat -x, -e instructions:u,cycles:u,branches:u,{RAW.format(1)},{RAW.format(2)},{RAW.format(8)} \
	./loop
echo == period
perf record -q -e cycles:u -c {PERIOD} -o /tmp/period ./split
perf script -i /tmp/period -F ip | grep -c .
echo == share
perf report -i /tmp/period --stdio -s symbol
echo == frequency
perf record -q -e cycles:u -F 500 -g -o /tmp/frequency ./split
perf script -i /tmp/frequency -F ip,sym
echo == eight
perf stat -x, -e {','.join(EIGHT)} ./split
echo == multiplexed
perf stat --no-scale -x, -e {','.join(['r00c4:u'] * 10)} ./split
echo == uncounted
perf stat -x, -e r00c5:u ./loop
"""


def perf(*words, **more):
    more.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([VPMU, "perf", *words], capture_output=True, text=True, timeout=600,
                          errors="replace", **more)


def parts(output):
    found = {}
    for part in re.split(r"^== ", output, flags=re.M)[1:]:
        name, _, text = part.partition("\n")
        found[name] = text
    return found


def counts(text):
    """perf stat -x, : the values, in order; None for what is not a number."""
    rows = [line.split(",") for line in text.splitlines() if line.count(",") > 4]
    return [int(row[0]) if row[0].isdigit() else None for row in rows], rows


def near(value, expected, part):
    return value is not None and abs(value - expected) <= expected * part


def check_counts(part):
    values, _ = counts(part["count"])
    names = ["instructions", "cycles", "branches", "conditional branches", "calls", "returns"]
    expected = [4 * ROUNDS, 4 * ROUNDS, 3 * ROUNDS, ROUNDS, ROUNDS, ROUNDS]
    for i, name in enumerate(names):
        value = values[i] if i < len(values) else None
        check(f"perf stat counts a known loop's {name} to within 0.1 %",
              near(value, expected[i], 0.001), f"{value}, expected {expected[i]}", part["count"])


def check_samples(part):
    samples = re.search(r"\d+", part["period"])
    samples = int(samples.group()) if samples else None
    check("perf record -c takes a sample each period, to within 1 %",
          near(samples, SPLIT / PERIOD, 0.01), f"{samples} samples", part["period"])
    for name, share in ("seventy", 70), ("thirty", 30):
        found = re.search(r"([\d.]+)%.*\b" + name + r"\b", part["share"])
        check(f"perf report gives {name}() its {share} % to within 2 points",
              found and abs(float(found.group(1)) - share) <= 2, part["share"])


def check_stacks(part):
    stacks = [stack.split("\n") for stack in part["frequency"].strip().split("\n\n")]
    names = [[line.split()[1] for line in stack if len(line.split()) > 1] for stack in stacks]
    inside = [stack for stack in names if stack and stack[0] in ("seventy", "thirty")]
    check("perf record -F samples", len(inside) > 10, part["frequency"][:2000])
    called = [stack for stack in inside if "main" in stack[1:]]
    check("perf record -g shows who called", len(inside) > 10 and
          len(called) >= 0.9 * len(inside), part["frequency"][:2000])


def check_multiplexed(part):
    values, rows = counts(part["multiplexed"])
    check("ten events take turns with the counters, and each has some",
          len(values) == 10 and all(values), part["multiplexed"])
    # Whenever it was whose turn: eight count at a time.
    check("what ten events count in turns is what the counters have counted, to within 1 %",
          len(values) == 10 and near(sum(filter(None, values)), GENERAL * SPLIT / 2, 0.01),
          part["multiplexed"])
    check("perf says that they were multiplexed",
          any(float(row[4]) < 99 for row in rows), part["multiplexed"])


def check_eight(part):
    values, rows = counts(part["eight"])
    check("eight events and more of them are counted all the time",
          len(values) == 8 and near(values[0], SPLIT, 0.01)
          and all(row[4] == "100.00" for row in rows), part["eight"])


def check_counting(kernel):
    done = perf("--kernel", kernel, "--strict", "stat", "-e", "task-clock", "-o", "/dev/null",
                "--", "sh", "-c", "exec 2>&1\n" + SCRIPT)
    part = parts(done.stdout)
    if "uncounted" not in part:
        check("a guest does all of the work", False, done.returncode, done.stdout, done.stderr)
        return
    check_counts(part)
    check_samples(part)
    check_stacks(part)
    check_multiplexed(part)
    check_eight(part)
    check("an event that nothing counts is reported at the end, and --strict makes it status 3",
          re.search(r"^vpmu: not counted: event c5/00", done.stderr, re.M) and done.returncode == 3,
          done.returncode, done.stderr)


def check_off(folder):
    report = folder + "/off.report"
    done = perf("--pmu", "off", "--report", report, "stat", "-x,", "-e", "cycles,instructions",
                "--", PROGRAMS + "/loop")
    _, rows = counts(done.stderr)
    check("with the PMU off perf says <not supported>",
          len(rows) == 2 and all(row[0] == "<not supported>" for row in rows), done.stderr)
    with open(report, encoding="utf-8") as file:
        text = file.read()
    check("with the PMU off no guest code is instrumented",
          re.search(r"^stats .*\binstrumented=0\b", text, re.M), text)


def check_files(folder):
    script = ("echo out; echo err >&2; cat; echo changed >old; mkdir new; echo x >new/file; "
              "echo y >unasked; echo z >/vpmu-was-here; exit 7")
    with open(folder + "/old", "w", encoding="utf-8") as file:
        file.write("before\n")
    done = perf("--bring-out", "old", "--bring-out=new", "stat", "-o", "/dev/null", "--",
                "sh", "-c", script, cwd=folder, stdin=None, input="from the host\n")
    check("the command's exit status is vpmu perf's", done.returncode == 7, done.returncode,
          done.stderr)
    check("stdin, stdout and stderr are the command's own",
          done.stdout == "out\nfrom the host\n" and "err\n" in done.stderr, done)
    check("what the command writes elsewhere is not on this machine",
          not os.path.exists("/vpmu-was-here") and not os.path.exists(folder + "/unasked"))
    with open(folder + "/old", encoding="utf-8") as file:
        changed = file.read()
    check("files that are asked for are brought out",
          changed == "changed\n" and os.path.isfile(folder + "/new/file"), os.listdir(folder))


# The measured program is an attacker: "link", "file" and "hard" lead out of the directory.
ATTACK = """
rm link file pipe
mkdir link; echo evil >link/kept; echo evil >file; echo evil >pipe; echo evil >hard
echo after >>existing; chmod 4777 existing
mkdir -p a/b; echo deep >a/b/c; chmod 555 a
ln -s /etc symbolic; mkfifo fifo; install -m 6755 /bin/true suid
printf x >"$(printf 'two\nlines')"; truncate -s 1G sparse; echo end >>sparse
"""


def check_attack(folder):
    os.mkdir(folder + "/outside")
    os.mkdir(folder + "/work")
    for name, text in ("outside/kept", "kept\n"), ("work/existing", "before\n"):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    os.symlink("../outside", folder + "/work/link")
    os.symlink("../outside/kept", folder + "/work/file")
    os.link(folder + "/outside/kept", folder + "/work/hard")
    os.mkfifo(folder + "/work/pipe")
    os.chmod(folder + "/work/existing", 0o640)
    done = perf("--bring-out-all", "--bring-out", "none", "stat", "-o", "/dev/null", "-e",
                "dummy", "--", "sh", "-c", ATTACK, cwd=folder + "/work", umask=0o022)

    def text(name):
        with open(f"{folder}/{name}", encoding="utf-8") as file:
            return file.read()

    def mode(name):
        return os.lstat(f"{folder}/work/{name}").st_mode

    check("--bring-out-all writes nothing outside the working directory",
          os.listdir(folder + "/outside") == ["kept"] and text("outside/kept") == "kept\n", done)
    check("it neither follows nor makes symbolic links, pipes and set-user-ID programs",
          all(map(os.path.islink, (folder + "/work/link", folder + "/work/file")))
          and stat.S_ISFIFO(mode("pipe")) and mode("suid") == stat.S_IFREG | 0o755
          and not {"symbolic", "fifo"} & set(os.listdir(folder + "/work")), done)
    check("what exists keeps its permissions", text("work/existing") == "before\nafter\n"
          and mode("existing") == stat.S_IFREG | 0o640, oct(mode("existing")), done)
    check("and the rest is brought out, whatever its name, mode and holes",
          text("work/a/b/c") == "deep\n" and text("work/two\nlines") == "x"
          and text("work/hard") == "evil\n"
          and os.stat(folder + "/work/sparse").st_size == 2**30 + 4
          and os.stat(folder + "/work/sparse").st_blocks < 1024, done)
    check("what cannot be brought out is told, a line each, and is exit status 2",
          done.returncode == 2 and sorted(done.stderr.splitlines()) == [
              "vpmu: existing is brought out without its permissions: they are 640 here, and 777 "
              "in the guest",
              "vpmu: fifo cannot be brought out: it is no regular file in the guest",
              "vpmu: file cannot be brought out: it is a symbolic link here",
              "vpmu: link cannot be brought out: it is a symbolic link here",
              "vpmu: none was not written in the guest",
              "vpmu: pipe cannot be brought out: it is no regular file here",
              "vpmu: symbolic cannot be brought out: it is a symbolic link in the guest"], done)


def check_many(folder):
    """More words, variables and groups than a list of any fixed length would have room for."""
    words = [f"{i:0100d}" for i in range(9000)]
    variables = {f"VPMU_MANY_{i}": str(i) for i in range(5000)}
    groups = list(range(20000, 20300))
    # Only root sets them.
    more = {"extra_groups": groups} if os.geteuid() == 0 else {}
    groups = groups if more else os.getgroups()
    script = 'echo $# ${9000}; env | grep -c ^VPMU_MANY_; id -G | wc -w'
    done = perf("stat", "-o", "/dev/null", "-e", "dummy", "--", "sh", "-c", script, "sh", *words,
                cwd=folder, env={**os.environ, **variables}, **more)
    check("a command has all of its words, however many", done.stdout.startswith(
        f"9000 {words[-1]}\n"), done.stdout, done.stderr)
    check("and all variables and all of the user's groups", done.stdout.split()[2:]
          == ["5000", str(len({*groups, os.getegid()}))], done.stdout[-100:], done.stderr)


def check_signals(folder):
    """perf stat itself exits with 0 if a signal has ended its command, or that of a -r."""
    for sentence, words, script, status in (
            ("a command that a signal ends is 128 + N", ["stat"], "kill -SEGV $$", 128 + 11),
            ("so it is under --deterministic", ["--deterministic", "stat"], "kill -KILL $$",
             128 + 9),
            ("one of several runs is enough", ["stat", "-r", "3"],
             "test -e ran && exit; echo >ran; kill $$", 128 + 15),
            ("and so it is under perf record", ["record", "-q"], "kill -ABRT $$", 128 + 6),
            ("a process that the command starts may end as it likes", ["stat"],
             "sh -c 'kill -SEGV $$'; exit 0", 0),
            ("perf stat's own --timeout ends no command by a signal",
             ["stat", "--timeout", "100"], "exec sleep 1000", 0)):
        done = perf(*words, "-e", "dummy", "--", "sh", "-c", script, cwd=folder)
        check(sentence, done.returncode == status, done)


def check_record(folder):
    os.mkdir(folder + "/below")
    os.symlink("below", folder + "/other")
    for name in "data", "below/../up", "other/linked":
        done = perf("record", "-q", "-e", "cycles", "-c", "100000", "-o", name, "--",
                    "/bin/ls", "/", cwd=folder)
        path = f"{folder}/{name}"
        check(f"perf record -o {name} is brought out", done.returncode == 0 and
              os.path.isfile(path) and os.path.getsize(path) > 1000, done)


ORPHAN = """
(sh -c 'echo $$ >/tmp/orphan' &)
again() { n=0; until "$@"; do n=$((n + 1)); [ $n -lt 600 ] || return; sleep 0.1; done; }
gone() { [ -s /tmp/orphan ] && [ ! -e "/proc/$(cat /tmp/orphan)" ]; }
asleep() { grep -q '^State:.S' /proc/1/status; }
again gone && echo gone
again asleep && echo asleep
cat
"""


def in_small_pieces():
    """Lines that come one by one: a frame each, of which the 47th begins just before QEMU's
    4096th byte."""
    reader, writer = os.pipe()
    lines = [b"%084d\n" % i for i in range(150)]

    def write():
        with os.fdopen(writer, "wb", 0) as file:
            for line in lines:
                file.write(line)
                time.sleep(0.005)
    threading.Thread(target=write, daemon=True).start()
    return reader, b"".join(lines).decode()


def check_streams():
    reader, text = in_small_pieces()
    done = perf("stat", "-e", "dummy", "-o", "/dev/null", "--", "sh", "-c", ORPHAN, stdin=reader)
    os.close(reader)
    first, _, rest = done.stdout.partition("asleep\n")
    check("what the command leaves behind is buried, and takes no time", first == "gone\n", done)
    check("stdin is the command's, in whatever pieces it comes", rest == text, done)


def statistics(report):
    with open(report, encoding="utf-8") as file:
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", file.read())}


def check_trace(folder):
    done = perf("--trace", "t,1", "--report", "report", "record", "-q", "-e", "cycles:u", "-c",
                "1000000", "-o", "data", "--", PROGRAMS + "/split", cwd=folder)
    config, records = tracefile.load(folder + "/t,1")
    pmis = [i for i, record in enumerate(records) if record.kind == "pmi"]
    check("a recorded perf record has a PMI for each sample, to within 1 %", done.returncode == 0
          and config.version == 5 and near(len(pmis), SPLIT / PERIOD, 0.01), len(pmis), done)
    after = [records[i + 1][:2] + records[i + 1][4:] for i in pmis]
    check("after each PMI Linux first switches all counters off",
          pmis and set(after) == {("wrmsr", False, 0x38f, 0)}, set(after))
    stats = statistics(folder + "/report")
    check("the trace has as many PMIs as were delivered", len(pmis) == stats.get("pmis"),
          len(pmis), stats)
    for kind in "rdmsr", "wrmsr", "rdpmc":
        recorded = sum(record.kind == kind for record in records)
        check(f"and no more {kind.upper()}s than the guest ran",
              0 < recorded <= stats.get(kind, 0), recorded, stats)
    return stats.get("blocks")


def check_turns(folder, blocks):
    """Events of seven classes on four counters: none makes QEMU translate all code anew."""
    done = perf("--pmu", "intel-v4", "--report", "turns", "stat", "-e",
                "branches,r01c4,r02c4,r08c4,r40c4,r81d0,r82d0", "--", PROGRAMS + "/split",
                cwd=folder)
    stats = statistics(folder + "/turns")
    check("multiplexed events share the translated code: at most three times the blocks",
          done.returncode == 0 and blocks and stats["blocks"] < 3 * blocks, blocks, stats)


def check_interrupt(folder):
    before = set(os.listdir(folder))
    with subprocess.Popen([VPMU, "perf", "stat", "--", "sh", "-c", "echo on; sleep 1000"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, TMPDIR=folder)) as process:
        line = process.stdout.readline()
        mark = f"{folder}/vpmu-".encode()
        running = guests(mark)
        time.sleep(1)  # dash loses a SIGINT that comes just before it starts a program
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    check("output comes while the command runs", line == "on\n" and len(running) == 1,
          line, running)
    check("an interrupt ends vpmu perf with 130, and perf says what it has counted",
          process.returncode == 130 and "instructions" in errors, process.returncode, errors)
    time.sleep(0.1)
    check("an interrupt leaves nothing behind",
          set(os.listdir(folder)) == before and not guests(mark), os.listdir(folder))


def check_no_reader():
    """Nobody reads its output, which fills all there is between."""
    with subprocess.Popen([VPMU, "perf", "stat", "-e", "dummy", "-o", "/dev/null", "--", "yes"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        size = fcntl.fcntl(process.stdout, fcntl.F_GETPIPE_SZ)
        while process.poll() is None and unread(process.stdout) < size // 4:
            time.sleep(0.1)
        time.sleep(2)  # until it is full; a signal before that would only show less
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
        check("a signal ends vpmu perf also while nobody reads its output",
              process.wait() == 128 + signal.SIGTERM, process.returncode)


def unread(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


def guests(mark):
    """Processes other than the shells that carry the mark in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if mark in file.read():
                    found.append(pid)
        except OSError:
            pass
    return found


def check_refusals():
    for words, said in ((["--cpus", "0", "stat"], "--cpus"), (["--kernel", "5", "stat"], "--kernel"),
                        (["--memory", "x", "stat"], "--memory"), (["--nonsense"], "--nonsense"),
                        (["--pmu", "z80", "stat"], "z80"), ([], "which perf command")):
        done = perf(*words)
        lines = done.stderr.splitlines()
        check(f"vpmu perf {' '.join(words)} is refused with one line",
              done.returncode == 2 and len(lines) == 1 and said in lines[0], done)


def main():
    check_refusals()
    check_counting("6.1")
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as folder:
        check_off(folder)
        check_files(folder)
        check_many(folder)
        check_attack(folder)
        check_signals(folder)
        check_record(folder)
        check_turns(folder, check_trace(folder))
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as folder:
        check_interrupt(folder)
    check_streams()
    check_no_reader()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
