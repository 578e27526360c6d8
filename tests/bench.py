#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vpmu bench exit: what it prints, what it refuses. No figure is judged here."""
import json
import os
import re
import subprocess
import sys
import tempfile

import drawing
from tap import check, check_refusal, finish, skip

# VPMU_BUILD: the build folder (default: build).
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VPMU = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build")) + "/vpmu"
CANDIDATES = ["walk", "guard", "mask", "ours", "ours_service"]
STATES = ["PMU off", "idle, GLOBAL_CTRL 0", "idle", "cycles", "instructions", "instructions:u"]


def vpmu(*words, **more):
    return subprocess.run([VPMU, *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120, **more)


def refused(sentence, words, *said):
    check_refusal(sentence, vpmu("bench", *words), *said)


def refusals(work):
    refused("bench without a benchmark is refused", [], "exit, pmi, guest and vmexit")
    refused("an unknown benchmark is refused", ["fly"], "`fly'", "exit, pmi, guest and vmexit")
    refused("an option before the benchmark is refused", ["--quick", "exit"], "exit, pmi, guest and vmexit")
    refused("an unknown option is refused", ["exit", "--fly"], "`--fly'", "--json", "--plot")
    refused("an argument too many is refused", ["exit", "exit"], "`exit'")
    refused("bench exit has no --trace", ["exit", "--trace", "x"], "`--trace'")
    for words in (["--cpu", "x"], ["--cpu=-1"], ["--repeat", "0"], ["--repeat=1000001"],
                  ["--seconds", "0"], ["--seconds", "1s"]):
        refused(f"{' '.join(words)} is refused", ["exit", *words], words[0].split("=")[0],
                "a number from")
    for option in ("--cpu", "--repeat", "--seconds", "--plot"):
        refused(f"{option} without its value is refused", ["exit", option], option)
    refused("a CPU that is not there is refused", ["exit", "--cpu", "60000"], "CPU 60000")
    refused("a plot that cannot be written is refused before anything is measured",
            ["exit", "--plot", work + "/none/x.svg"], "/none/x.svg", "No such file")
    os.mkdir(work + "/broken")
    with open(work + "/broken/matplotlib.py", "w", encoding="utf-8") as file:
        file.write("raise ImportError('it is broken')\n")
    check_refusal("a plot that cannot be drawn is refused before anything is measured",
                  vpmu("bench", "exit", "--plot", work + "/x.svg",
                       env=dict(os.environ, PYTHONPATH=work + "/broken")),
                  "--plot", "python3-matplotlib")


def tables(work):
    plot = work + "/exit.svg"
    reason = drawing.why_not()
    done = vpmu("bench", "exit", "--quick", "--json", *([] if reason else ["--plot", plot]))
    check("bench exit --quick --json succeeds and prints nothing on stderr",
          done.returncode == 0 and not done.stderr, done.stderr)
    result = json.loads(done.stdout)
    check("it says of what, of what machine, and how to repeat it",
          result["benchmark"] == "exit" and re.match(r"vpmu bench exit --cpu \d+ --quick$",
                                                     result["command"])
          and all(result["machine"][key] for key in ("cpu", "tsc_hz", "kernel", "virtualised",
                                                     "mitigations", "governor", "counters",
                                                     "compiler")),
          result["command"], result["machine"])
    return result, plot, reason


def summaries(result):
    for key, title in (("exit", "back to back"), ("exit_apart", "apart"),
                       ("exit_thunks", "with thunks"),
                       ("exit_thunks_apart", "with thunks, apart")):
        table = result["tables"].get(key)
        if "thunks" in key and not table:
            notes = str(result["tables"]["exit_apart"]["notes"])
            check(f"there is no table {title}, and it says why", "No build" in notes, notes)
            continue
        rows = table["rows"]
        states = {without: [row["state"] for row in rows
                            if row["without"] == without and row["level"] == "kernel"]
                  for without in ("", "no global control", "no global control, AMD")}
        with_control = [row for row in rows if not row["without"]]
        without = [row for row in rows if row["without"]]
        check(f"{title}: all states, with global control and without, Intel's and AMD's",
              list(states.values()) == [STATES, STATES[2:], STATES[2:]], rows)
        check(f"{title}: a figure for every candidate with global control",
              all(isinstance(row[name], (int, float)) for row in with_control
                  for name in CANDIDATES), with_control)
        check(f"{title}: a figure for every candidate without global control",
              all(isinstance(row[name], (int, float)) for row in without for name in CANDIDATES),
              without)


def details(result):
    rows = result["tables"]["exit_figures"]["rows"]
    builds = {row["build"] for row in rows}
    check("the details have every state, level, candidate, loop and build",
          len(rows) == 14 * 2 * 6 * 2 * len(builds)
          and {row["level"] for row in rows} == {"kernel", "user"}
          and {row["loop"] for row in rows} == {"back to back", "apart"}, len(rows))
    there = [row for row in rows if row["median"] is not None]
    check("a figure has its minimum, median and 99th percentile, in this order",
          all(0 < row["minimum"] <= row["median"] <= row["p99"] for row in there))
    check("a floor is nothing over itself",
          all(row["over_floor"] == 0 for row in there if row["candidate"] == "floor"))
    counters = result["machine"]["counters"]
    counted = [row for row in there if row["instructions"] is not None]
    check("instructions are counted where the machine has counters, and absent elsewhere",
          len(counted) == (0 if counters.startswith("none") else len(there))
          or counters.startswith("only"), counters, len(counted))


def check_drawing(result, plot, reason):
    sentence = "the plot is an SVG that names every candidate and has all of their bars"
    if reason:
        skip(sentence, reason)
        return
    picture = drawing.read(plot)
    numbers = [row[name] for row in result["tables"]["exit_plot"]["rows"] for name in CANDIDATES
               if row[name] is not None]
    check(sentence, picture.is_svg and len(picture.bars) == len(numbers) > 5 * 4
          and all(any(name in text for text in picture.texts)
                  for name in ("walk", "guard", "mask", "vpmu", "cycles")), picture.texts)


def in_text(result):
    done = vpmu("bench", "exit", "--quick")
    lines = done.stdout.splitlines()
    check("the text has every row of the summaries",
          done.returncode == 0 and not done.stderr
          and all(sum(line.strip().startswith(state) for line in lines) >= 2 for state in STATES),
          done.stdout + done.stderr)
    check("the text ends with the command that repeats it",
          re.match(r"Again: vpmu bench exit --cpu \d+ --quick$", lines[-1]), lines[-1])
    done = vpmu("bench", "exit", "--quick", "--details", "--repeat", "3", "--cpu",
                result["command"].split()[4])
    check("--details prints every figure", done.returncode == 0
          and done.stdout.count("\n") > len(result["tables"]["exit_figures"]["rows"]),
          done.stdout + done.stderr)
    check("what was asked for is in the command that repeats it",
          done.stdout.rstrip().endswith("--quick --repeat 3"), done.stdout[-200:])


def main():
    done = vpmu("bench", "--help")
    check("bench --help says how it is used", done.returncode == 0 and not done.stderr
          and done.stdout.startswith("usage: vpmu bench"), done)
    with tempfile.TemporaryDirectory() as work:
        refusals(work)
        result, plot, reason = tables(work)
        summaries(result)
        details(result)
        check_drawing(result, plot, reason)
        in_text(result)
    return finish()


sys.exit(main())
