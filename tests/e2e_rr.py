#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""rr records and replays in a guest: a count, its overflow and the registers agree.

rr stops a thread at a number of conditional branches and finds the same moment again by
that number and the registers. Where a page fault leaves a block in the middle, a count that
is ahead by one is an error of rr's.
"""
import os
import re
import shutil
import subprocess
import sys

from tap import check, finish, skip

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VPMU = ROOT + "/build/vpmu"
PAGES = ROOT + "/build/tests/programs/pages"
TIMEOUT = 900  # only what hangs takes longer, however busy the machine is
TIMES = 3
MOST_AROUND = 10  # conditional branches of the program around its loop, at either side

SIGNALS = f"""
for pages in there fresh; do
	echo signals $pages: $({PAGES} signals $pages)
done
"""

RECORD = f"""
export HOME=/tmp _RR_TRACE_DIR=/tmp/rr
for time in $(seq {TIMES}); do
	rm -rf /tmp/rr
	rr record -c 97 {PAGES} threads fresh >/tmp/out 2>&1
	echo recorded $time: $?
	rr replay -a </dev/null >/tmp/out 2>&1
	echo replayed $time: $?
	grep -a -m 1 -i 'overshot\\|FATAL' /tmp/out
done
"""


def in_guest(script, *options):
    done = subprocess.run([VPMU, "perf", *options, "stat", "-e", "task-clock", "-o", "/dev/null",
                           "--", "/bin/sh", "-c", script], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=TIMEOUT, errors="replace")
    return done.stdout, done.stderr


def check_signals():
    output, error = in_guest(SIGNALS)
    found = dict(re.findall(r"signals (\w+): (.*)", output))
    for pages, where in (("there", "that are there"), ("fresh", "that come by page faults")):
        words = [int(word) for word in re.findall(r"\d+", found.get(pages, ""))] + [0] * 3
        before, count, *left = words
        # Between a read of the counter and the loop there are a few branches, too.
        wanted = [5000 - 1000 * n + before for n in range(1, 6)]
        check(f"over pages {where}, each 1000th conditional branch has its signal in its turn",
              0 <= left[0] - wanted[0] <= MOST_AROUND and
              [turn - left[0] for turn in left[:5]] == [turn - wanted[0] for turn in wanted],
              output, error)
        check(f"over pages {where}, 5000 turns are 5000 conditional branches",
              0 <= count - 5000 <= MOST_AROUND, output, error)
    check("page faults change neither counts nor signals",
          len(found) == 2 and len(set(found.values())) == 1, output, error)


def check_rr():
    sentence = "rr replays what it recorded over pages that come by page faults"
    if not shutil.which("rr"):
        skip(sentence, "there is no rr: tools/setup packages brings it")
        return
    for cpus in (1, 2):
        output, error = in_guest(RECORD, "--cpus", str(cpus))
        recorded = re.findall(r"recorded \d+: 0", output)
        replayed = re.findall(r"replayed \d+: 0", output)
        check(f"{sentence}, with {cpus} CPUs, {TIMES} times",
              len(recorded) == TIMES and len(replayed) == TIMES, output, error)


def main():
    check_signals()
    check_rr()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
