#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vpmu gate: counts repeat, a change is found and named, nothing fails for nothing, and what it
writes is read by what it is for.

usage: tests/e2e_gate.py [--all]

--all: ten programs, five runs each, of which the spread is printed; twenty runs of each without a
change; and a change of 0.1 % in one function.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib

from tap import check, finish, skip

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VPMU = os.path.join(os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build")), "vpmu")
TIMEOUT = 900  # only what hangs takes longer, however busy the machine is
RUNS = 5
QUIET_RUNS = 20
USER = "instructions:u"

# A change of EXTRA in 300 rounds of one of three functions.
SOURCE = """#include <stdio.h>
static unsigned alpha(unsigned x) { for (int i = 0; i < 300 + EXTRA; i++) x = x * 31 + 7; return x; }
static unsigned beta(unsigned x) { for (int i = 0; i < 400; i++) x ^= x << 3 ^ x >> 5; return x; }
static unsigned gamma_(unsigned x) { for (int i = 0; i < 600; i++) x = x >> 1 ^ (x & 1); return x; }
unsigned (*volatile functions[])(unsigned) = { alpha, beta, gamma_ };
int main(void)
{
	unsigned x = 1;
	for (int i = 0; i < ROUNDS; i++)
		for (int k = 0; k < 3; k++)
			x = functions[k](x);
	printf("%u\\n", x);
}
"""

THREADS = """#include <pthread.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long sum;
static void *work(void *from)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&lock);
		sum += (unsigned long)from ^ (unsigned long)i;
		pthread_mutex_unlock(&lock);
	}
	return 0;
}
int main(void)
{
	pthread_t threads[4];
	for (long i = 0; i < 4; i++) pthread_create(&threads[i], 0, work, (void *)i);
	for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
	return sum == 0;
}
"""

SERVER = r"""
import socket, threading
server = socket.create_server(("127.0.0.1", 0))
def serve():
    peer, _ = server.accept()
    while data := peer.recv(4096):
        peer.sendall(data.upper())
threading.Thread(target=serve, daemon=True).start()
client = socket.create_connection(server.getsockname())
for i in range(200):
    client.sendall(b"x" * 100)
    assert client.recv(4096)
"""

# By nature the same each time; or not: threads and processes run side by side, and git takes a
# checksum, whose instructions depend on what is summed, of files' times.
PROGRAMS = {
    "c": (["./program"], True),
    "python": (["python3", "-c", "print(sum(hash(str(i)) % 7 for i in range(20000)))"], True),
    "perl": (["perl", "-e", "%h = map { $_ => $_ ** 2 } 1 .. 20000; print scalar keys %h"], True),
    "pipeline": ("seq 20000 | sort -r | uniq -c | tail -1", True),
    "compiler": (["gcc", "-O2", "-DEXTRA=0", "-DROUNDS=1", "-c", "program.c", "-o", "/tmp/p.o"],
                 True),
    "make": ("make -s -j2 -C build_me OUT=/tmp", False),
    "sqlite3": (["sqlite3", ":memory:", "create table t(a); with recursive c(x) as (select 1 "
                 "union all select x + 1 from c where x < 20000) insert into t select x from c; "
                 "select sum(a) from t;"], True),
    "server": (["python3", "server.py"], False),
    "git": ("git init -q /tmp/r && cd /tmp/r && seq 2000 > f && git add f && git -c user.name=n "
            "-c user.email=e commit -qm m && git log --stat | cat", False),
    "threads": (["./threads"], False),
}


def gate(folder, *words, timeout=TIMEOUT):
    return subprocess.run([VPMU, "gate", *words], cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout, errors="replace")


def build(folder, extra=0, rounds=2000):
    subprocess.run(["gcc", "-O1", "-fno-inline", f"-DEXTRA={extra}", f"-DROUNDS={rounds}", "-o",
                    "program", "program.c"], cwd=folder, check=True)


def prepare(folder):
    for name, text in (("program.c", SOURCE), ("threads.c", THREADS), ("server.py", SERVER)):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    build(folder)


def read(folder, name):
    with open(f"{folder}/{name}", encoding="utf-8") as file:
        return json.load(file)


def baseline(folder, name="main"):
    with open(f"{folder}/vpmu-gate/{name}.toml", "rb") as file:
        return tomllib.load(file)["benchmark"]


# --- the short one ----------------------------------------------------------------------------

def check_schema(found):
    try:
        import jsonschema
    except ImportError:
        skip("--json is what its schema says", "python3-jsonschema is not installed")
        return
    with open(ROOT + "/docs/gate.schema.json", encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    errors = [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(found)]
    check("--json is what its schema says", not errors, *errors)


def check_callgrind(folder):
    if not shutil.which("callgrind_annotate"):
        skip("callgrind_annotate reads the samples", "valgrind is not installed")
        return
    done = subprocess.run(["callgrind_annotate", "c.out"], cwd=folder, capture_output=True,
                          text=True, timeout=TIMEOUT)
    check("callgrind_annotate reads the samples", done.returncode == 0 and "gamma_" in done.stdout
          and "PROGRAM TOTALS" in done.stdout and not done.stderr, done.stdout, done.stderr)


def check_formats(folder):
    """As Bencher's and github-action-benchmark's documentation has them."""
    bmf, github = read(folder, "b.json"), read(folder, "g.json")
    check("--bmf is Bencher Metric Format: measures with numbers, by benchmark",
          all(isinstance(value["value"], int) and value["lower_value"] <= value["value"]
              <= value["upper_value"] for measures in bmf.values() for value in measures.values())
          and "instructions-u" in bmf["program"], bmf)
    check("--github is customSmallerIsBetter: entries with a name, a unit and a value",
          all({"name", "unit", "value"} <= set(entry) <= {"name", "unit", "value", "range", "extra"}
              for entry in github) and len(github) == 7, github)
    with open(folder + "/f.txt", encoding="utf-8") as file:
        folded = [line.rsplit(" ", 1) for line in file]
    check("--folded has a stack and its instructions a line",
          folded and all(count.strip().isdigit() and ";" in stack for stack, count in folded)
          and any("gamma_" in stack for stack, _ in folded), *folded[:5])


def quick(folder):
    saved = gate(folder, "--save", "--runs", "2", "--folded", "f.txt", "--callgrind", "c.out",
                 "--", "./program")
    check("--save writes a baseline", saved.returncode == 0
          and "program" in baseline(folder), saved)
    counts = baseline(folder)["program"]["total"]
    check("instructions:u of two guests are the same", counts[USER][0] == counts[USER][1], counts)
    check_callgrind(folder)
    build(folder, extra=1)
    done = gate(folder, "--json", "j.json", "--bmf", "b.json", "--github", "g.json", "--markdown",
                "m.md", "--table", "-", "--", "./program")
    found = read(folder, "j.json")
    change = found["benchmarks"][0]["counts"][USER]["change_per_cent"]
    check(f"{change:.2f} % more in one function fails with status 3, and names the function first",
          done.returncode == 3 and "FAILURE" in done.stdout
          and [f["name"] for f in found["benchmarks"][0]["functions"]][:1] == ["program/alpha"],
          done.stdout, done.stderr)
    check_schema(found)
    check_formats(folder)
    with open(folder + "/m.md", encoding="utf-8") as file:
        check("--markdown says so, too", "**failure**" in file.read())
    build(folder)
    done = gate(folder, "--", "./program")
    check("without it, it passes", done.returncode == 0 and "FAILURE" not in done.stdout,
          done.stdout, done.stderr)
    done = gate(folder, "--", "sh", "-c", "echo said; exit 7")
    check("a command's own failure is status 4, with what it has printed", done.returncode == 4
          and "said" in done.stderr and "exit status 7" in done.stderr, done)


# --- the long one -----------------------------------------------------------------------------

def prepare_all(folder):
    subprocess.run(["gcc", "-O1", "-pthread", "-o", "threads", "threads.c"], cwd=folder, check=True)
    os.mkdir(folder + "/build_me")
    with open(folder + "/build_me/Makefile", "w", encoding="utf-8") as file:
        file.write("OUT = .\nall: $(addprefix $(OUT)/,a.o b.o c.o d.o)\n"
                   "$(OUT)/%.o: ../program.c\n\tgcc -O1 -DEXTRA=0 -DROUNDS=1 -c -o $@ $<\n")
    with open(folder + "/vpmu.toml", "w", encoding="utf-8") as file:
        for name, (command, _) in PROGRAMS.items():
            file.write(f"[benchmark.{name}]\ncommand = {json.dumps(command)}\n")


def spreads(folder):
    for name, found in baseline(folder).items():
        total = found["total"]
        texts = [f"{event} {most:,} varies by {most - least:,}"
                 + (f" ({(most - least) / most:.3%})" if most > least else "")
                 for event, (least, most) in total.items()]
        print(f"# {name}: " + "; ".join(texts))
        if PROGRAMS[name][1]:
            check(f"{name}: {USER} of {found['runs']} guests are the same",
                  total[USER][0] == total[USER][1], total)


def everything(folder):
    prepare_all(folder)
    done = gate(folder, "--save", "--runs", str(RUNS), "--functions", "never", timeout=7200)
    check("a baseline of ten programs", done.returncode == 0, done)
    spreads(folder)
    failed = [done.stdout + done.stderr for done in (
        gate(folder, "--functions", "never", timeout=7200) for _ in range(QUIET_RUNS))
        if done.returncode]
    check(f"{QUIET_RUNS} runs of all without a change do not fail", not failed, *failed)


def main():
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as folder:
        prepare(folder)
        if "--all" in sys.argv[1:]:
            everything(folder)
        else:
            quick(folder)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
