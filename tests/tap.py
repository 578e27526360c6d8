# SPDX-License-Identifier: BSD-2-Clause
"""Verdicts of a test script, as TAP on stdout."""
import sys

number = 0
failures = 0


def check(sentence, passed, *facts):
    """One verdict; the facts are printed only if it failed."""
    global number, failures
    number += 1
    print(f"{'ok' if passed else 'not ok'} {number} - {sentence}")
    if not passed:
        failures += 1
        for fact in facts:
            print("# " + str(fact).replace("\n", "\n# "))
    sys.stdout.flush()


def skip(sentence, reason):
    """A verdict that cannot be had here."""
    global number
    number += 1
    print(f"ok {number} - {sentence} # SKIP {reason}")
    sys.stdout.flush()


def check_refusal(sentence, done, *said):
    """Of a command: one line on stderr that says all of said, nothing on stdout, status 2."""
    lines = done.stderr.splitlines()
    check(sentence, done.returncode == 2 and not done.stdout and len(lines) == 1
          and lines[0].startswith("vpmu: ") and all(text in lines[0] for text in said),
          f"exit status {done.returncode}", done.stdout + done.stderr)


def finish():
    """Print the plan; the script's exit status."""
    print(f"1..{number}")
    return 1 if failures else 0
