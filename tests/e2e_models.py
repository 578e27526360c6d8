#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a Debian guest's perf counts of the models (docs/models.md), by their generic names.

The program is tests/programs/walk.S. The kernel has its share of caches and
predictor, so a count is near what the program alone would have, not equal.
"""
import os
import subprocess
import sys

from tap import check, finish

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VPMU = ROOT + "/build/vpmu"
WALK = ROOT + "/build/tests/programs/walk"
LOOPS = 25 * 65536
MISSES = 24 * 65536  # the first time the kernel has just cleared each page, line by line
RANDOM = 1_000_000
TIMEOUT = 900  # only what hangs takes longer, however busy the machine is

# perf's names, and what the program should have of each.
EVENTS = [
    [("branch-misses", RANDOM / 2), ("branches", LOOPS + 2 * RANDOM),
     ("L1-dcache-load-misses", MISSES), ("cache-references", MISSES)],
    [("LLC-loads", MISSES), ("LLC-load-misses", 0), ("cache-misses", 0),
     ("L1-icache-load-misses", 0)],
]
FEW = 65536 / 2  # of what should be 0: less than half of the lines


def perf(*words):
    return subprocess.run([VPMU, "perf", *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=TIMEOUT, errors="replace")


def stat(group):
    return "perf stat -x, -e " + ",".join(name + ":u" for name, _ in group) + " " + WALK


def rows(text):
    return [line.split(",") for line in text.splitlines() if line.count(",") > 4]


def holds(value, expected):
    if expected == 0:
        return value < FEW
    return abs(value - expected) <= 0.01 * expected


def check_counts():
    script = "exec 2>&1\n" + "\n".join(stat(group) for group in EVENTS for _ in range(2))
    done = perf("--models", "on", "stat", "-e", "task-clock", "-o", "/dev/null", "--",
                "sh", "-c", script)
    values = [int(row[0]) if row[0].isdigit() else None for row in rows(done.stdout)]
    if len(values) != 16 or None in values:
        check("perf counts all of the models' events", False, done.stdout, done.stderr)
        return
    for number, group in enumerate(EVENTS):
        for i, (name, expected) in enumerate(group):
            first, second = values[8 * number + i], values[8 * number + 4 + i]
            check(f"{name} is what the model has for the program, to within 1 %, twice",
                  holds(first, expected) and holds(second, expected),
                  f"{first} and {second}, expected {expected:.0f}")
    check("all that was asked for is counted", "not counted" not in done.stderr, done.stderr)


def check_off():
    done = perf("stat", "-x,", "-e", "branch-misses,cache-misses,cache-references", "--",
                "true")
    check("without --models on perf says <not supported>",
          [row[0] for row in rows(done.stderr)] == ["<not supported>"] * 3, done.stderr)


def main():
    check_counts()
    check_off()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
