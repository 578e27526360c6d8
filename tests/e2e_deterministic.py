#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vpmu perf --deterministic: the same command counts the same, to the last instruction.

A compiler, an interpreter and a compressor, each once in a guest of its own, three times. The
environment that vpmu perf is called with is another each time.
"""
import os
import re
import subprocess
import sys
import tempfile

from tap import check, finish

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VPMU = os.path.join(os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build")), "vpmu")
RUNS = 3
HOME = "/somewhere"
TIMEOUT = 900  # only what hangs takes longer, however busy the machine is

SOURCE = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct item { int key; char name[16]; };
static int by_key(const void *a, const void *b)
{ return ((const struct item *)a)->key - ((const struct item *)b)->key; }
int main(int argc, char **argv)
{
	struct item *v = calloc(100, sizeof *v);
	for (int i = 0; i < 100; i++) { v[i].key = i * 37 % 101; sprintf(v[i].name, "n%d", i); }
	qsort(v, 100, sizeof *v, by_key);
	return argc == strlen(v[42].name) + strlen(argv[0]);
}
"""
SCRIPT = """
cat
count() {
	name=$1
	shift
	perf stat -x, -e instructions:u,branches:u -o /tmp/count "$@" >/dev/null || exit 1
	echo "count $name" $(grep -o '^[0-9]*,' /tmp/count)
}
count compiler gcc -O2 -c small.c -o /tmp/small.o
count interpreter perl -e '%h = map { $_ => 1 } 1 .. 2000; print join ",", keys %h, rand, time'
count compressor gzip -9c /usr/include/stdio.h
clock() { perl -MTime::HiRes=clock_gettime,CLOCK_MONOTONIC,sleep -e "$@"; }
clock 'printf "monotonic %.9f %.9f\\n", clock_gettime(CLOCK_MONOTONIC), clock_gettime(CLOCK_MONOTONIC)'
clock '$a = clock_gettime(CLOCK_MONOTONIC); sleep 0.2; $b = clock_gettime(CLOCK_MONOTONIC); sleep 0.2;
printf "slept %s\\n", $b - $a >= 0.2 && clock_gettime(CLOCK_MONOTONIC) - $b >= 0.2'
LC_ALL=C perf stat -e dummy -- sleep 1 2>&1 | sed -n 's/ *\\([0-9.]*\\) seconds time elapsed/elapsed \\1/p'
set -- $(od -An -N8 -tx1 /dev/urandom) $$ $(date +%s.%N) $(env | wc -c) $(mktemp -u)
echo "fixed $*"
echo "home $HOME"
exit 7
"""


def run(folder, number):
    environment = dict(os.environ, HOME=HOME, **{"NOISE_" + "X" * number: "x" * 100 * number})
    done = subprocess.run([VPMU, "perf", "--deterministic", "stat", "-o", "/dev/null", "-e",
                           "task-clock", "--", "/bin/sh", "-c", SCRIPT],
                          input="from the host\n", capture_output=True, text=True, cwd=folder,
                          env=environment, timeout=TIMEOUT, errors="replace")
    return done


def found(done, name):
    match = re.search(rf"^{name} (.*)$", done.stdout, re.M)
    return match.group(1) if match else None


def main():
    done = subprocess.run([VPMU, "perf", "--deterministic", "--cpus", "2", "stat"],
                          capture_output=True, text=True)
    check("with more than one CPU it is refused", done.returncode == 2 and
          "--deterministic" in done.stderr and done.stderr.count("\n") == 1, done)
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as folder:
        with open(folder + "/small.c", "w", encoding="utf-8") as file:
            file.write(SOURCE)
        runs = [run(folder, number) for number in range(RUNS)]
    check("input, output and exit status are the command's own", all(
        done.stdout.startswith("from the host\n") and done.returncode == 7 for done in runs),
          *((done.returncode, done.stderr) for done in runs))
    for name, what in (("count compiler", "a compiler"), ("count interpreter", "an interpreter"),
                       ("count compressor", "a compressor"),
                       ("fixed", "what is random or a matter of time elsewhere"),
                       ("monotonic", "a monotonic clock")):
        values = [found(done, name) for done in runs]
        sentence = (f"instructions:u and branches:u of {what} are the same three times"
                    if name.startswith("count") else f"{what} is the same three times")
        check(sentence, values[0] and len(set(values)) == 1, *values,
              *(done.stderr for done in runs if done.returncode != 7))
        print(f"# {name}: {values[0]}")
    check("HOME is the caller's", all(found(done, "home") == HOME for done in runs), *runs)
    check("who waits for time sees it pass", all(found(done, "slept") == "1" for done in runs),
          *runs)
    check("perf's own time is what passes", all(float(found(done, "elapsed") or 0) >= 1
                                                for done in runs), *runs)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
