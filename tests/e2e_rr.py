#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""rr records and replays in a guest: a count, its overflow and the registers agree.

rr stops a thread at a number of conditional branches and finds the same moment again by
that number and the registers. Where a page fault leaves a block in the middle, a count that
is ahead by one is an error of rr's.
"""
import re
import shutil
import sys

from linux_guest import PROGRAMS, boot
from tap import check, finish, skip

PAGES = PROGRAMS + "/pages"
MOST_AROUND = 10  # conditional branches of the program around its loop, at either side

SIGNALS = f"""
for pages in there fresh; do
	echo signals $pages: $({PAGES} signals $pages $CONDITIONAL)
done
"""

RECORD = f"""
export HOME=/tmp _RR_TRACE_DIR=/tmp/rr
[ -z "$AS" ] || rr record true 2>&1
for time in $(seq $TIMES); do
	rm -rf /tmp/rr
	rr $AS record -c 97 {PAGES} threads fresh >/tmp/out 2>&1
	echo recorded $time: $?
	grep -a -m 1 FATAL /tmp/out
	rr $AS replay -a </dev/null >/tmp/out 2>&1
	echo replayed $time: $?
	grep -a -m 1 -i 'overshot\\|FATAL' /tmp/out
done
"""

# CPU model, CPUs, times, what rr 5.6 is told that it is, and why: what it says otherwise. It counts
# conditional branches: C4H/01H on Skylake, C4H/11H on Ice Lake and later, D1H on Zen. Zen's
# SpecLockMap, for which rr may refuse, it looks for by an event that counts nothing here.
MACHINES = (
    ("Skylake-Server", 1, 3, "", ""), ("Skylake-Server", 2, 3, "", ""),
    ("Icelake-Server-v5", 2, 1, "", ""),
    ("SapphireRapids", 2, 1, "--microarch=Icelake", "Intel CPU type 0x806f0 unknown"),
    ("EPYC-Milan", 2, 1, "", ""),
)


def judge_signals(output):
    """Sentences, and whether they hold."""
    found = dict(re.findall(r"signals (\w+): (.*)", output))
    for pages, where in (("there", "that are there"), ("fresh", "that come by page faults")):
        words = [int(word) for word in re.findall(r"\d+", found.get(pages, ""))] + [0] * 3
        before, count, *left = words
        # Between a read of the counter and the loop there are a few branches, too.
        wanted = [5000 - 1000 * n + before for n in range(1, 6)]
        yield (f"over pages {where}, each 1000th conditional branch has its signal in its turn",
               0 <= left[0] - wanted[0] <= MOST_AROUND and
               [turn - left[0] for turn in left[:5]] == [turn - wanted[0] for turn in wanted])
        yield (f"over pages {where}, 5000 turns are 5000 conditional branches",
               0 <= count - 5000 <= MOST_AROUND)
    yield ("page faults change neither counts nor signals",
           len(found) == 2 and len(set(found.values())) == 1)


def check_signals():
    done = boot(SIGNALS, CONDITIONAL="1c4")  # Skylake's
    for sentence, holds in judge_signals(done.stdout):
        check(sentence, holds, done.stdout, done.stderr)


def replays(output, times):
    return all(len(re.findall(rf"^{what} \d+: 0$", output, re.M)) == times
               for what in ("recorded", "replayed"))


def check_machine(model, cpus, times, told, says):
    machine = f"{model}, {cpus} CPU{'s' if cpus > 1 else ''}"
    done = boot(RECORD, "--cpu", model, "--cpus", str(cpus), AS=told, TIMES=str(times))
    if says:
        check(f"{machine}: rr knows the processor, or says that it does not",
              says in done.stdout or "FATAL" not in done.stdout, done.stdout, done.stderr)
    check(f"{machine}: rr {told + ' ' if told else ''}replays what it recorded over pages that come"
          f" by page faults{f', {times} times' if times > 1 else ''}",
          replays(done.stdout, times), done.stdout, done.stderr)


def check_rr():
    if not shutil.which("rr"):
        skip("rr records and replays", "there is no rr: tools/setup packages brings it")
        return
    for machine in MACHINES:
        check_machine(*machine)


def main():
    check_signals()
    check_rr()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
