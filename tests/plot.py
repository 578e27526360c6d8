#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench/figures/plot: what it draws of a benchmark's JSON."""
import json
import subprocess
import sys

import drawing
from tap import check, finish

COLUMNS = [{"key": "name", "title": "name", "decimals": 0},
           {"key": "cost", "title": "costs < \u00e4 $1 & $2", "decimals": 1},
           {"key": "none", "title": "drawn nowhere", "decimals": 1}]


def result(benchmark, table, values, cpu="a < b & c\u0001"):
    rows = [{"name": f"row {number}", "cost": value, "none": None}
            for number, value in enumerate(values)]
    return json.dumps({"benchmark": benchmark, "machine": {"cpu": cpu},
                       "tables": {table: {"columns": COLUMNS, "rows": rows}}})


def plot(text, *words):
    return subprocess.run([drawing.PLOT, *words], input=text, capture_output=True, text=True,
                          timeout=300)


def drawn(benchmark, table, values):
    done = plot(result(benchmark, table, values))
    check(f"{benchmark} is drawn of {values}", done.returncode == 0 and not done.stderr, done)
    return drawing.parse(done.stdout)


def linear():
    values = [12.25, None, -0.01, -7]
    picture = drawn("exit", "exit_plot", values)
    check("each number has a bar, and an absent one none",
          picture.bars == ["bar-0-cost", "bar-2-cost", "bar-3-cost"], picture.bars)
    check("numbers stand behind their bars with the column's decimals, and absent ones say so",
          {"12.2", "absent", "0.0", "-7.0"} <= set(picture.texts), picture.texts)
    check("texts are what they were, control characters apart",
          {"costs < \u00e4 $1 & $2", "a < b & c "} <= set(picture.texts), picture.texts)
    check("rows have their labels, and a column without a number has no place in the legend",
          {"row 0", "row 3"} <= set(picture.texts) and "drawn nowhere" not in picture.texts,
          picture.texts)
    text = result("exit", "exit_plot", values)
    check("the same figures are the same file", plot(text).stdout == plot(text).stdout)


def logarithmic():
    picture = drawn("guest", "guest", [0, 1, 10, 100])
    check("on a logarithmic axis zero has no bar", picture.bars
          == ["bar-1-cost", "bar-2-cost", "bar-3-cost"] and "0.0" in picture.texts, picture.bars)
    check("its marks begin below the smallest number",
          {"0.5", "1", "10", "100"} <= set(picture.texts), picture.texts)


def empty():
    for benchmark, table in (("pmi", "pmi_plot"), ("guest", "guest")):
        for values in ([], [None], [0]):
            picture = drawn(benchmark, table, values)
            check("and nothing in it is no number",
                  not {"nan", "inf", "-inf"} & set(picture.texts),
                  picture.texts)


def main():
    reason = drawing.why_not()
    if reason:
        print(f"1..0 # SKIP {reason}")
        return 0
    linear()
    logarithmic()
    empty()
    done = plot("", "--fly")
    check("an unknown option is refused", done.returncode != 0 and "usage:" in done.stderr
          and not done.stdout, done)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
