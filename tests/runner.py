#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What tests/run makes of tests that pass, fail, are skipped, hang on each other or end badly."""
import os
import shutil
import subprocess
import sys
import tempfile

from tap import check, finish

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Each is a test of its own; the runner finds them by their names.
TESTS = {
    "good": "echo '1..2'; echo 'ok 1 - one'; echo 'ok 2 - two # of three'",
    "bad": "echo '1..2'; echo 'ok 1 - one'; echo 'not ok 2 - two'; echo '# because'; exit 1",
    "some": "echo '1..3'; echo 'ok 1 - one # SKIP no paper'; echo '# no ink'\n"
            "echo 'not ok 2 # SKIP two'; echo 'ok 3 - three'",
    "none": "echo '1..0 # SKIP no pen'",
    "todo": "echo '1..1'; echo 'not ok 1 - one # TODO later'",
    "short": "echo '1..2'; echo 'ok 1 - one'",
    "silent": "exit 0",
    "killed": "echo '1..1'; echo 'ok 1 - one'; kill -KILL $$",
    # These two wait for each other.
    "meets": "touch a; while [ ! -e b ]; do sleep 0.05; done; echo '1..1'; echo 'ok 1 - met'",
    "other": "touch b; while [ ! -e a ]; do sleep 0.05; done; echo '1..1'; echo 'ok 1 - met'",
}


def run(folder, *words, **variables):
    environment = {key: value for key, value in os.environ.items() if key != "VPMU_NO_SKIPS"}
    return subprocess.run([folder + "/tests/run", *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60,
                          env={**environment, **variables})


def check_run(sentence, folder, words, status, last, *said, **variables):
    names = [f"e2e_{word}.py" if word in TESTS else word for word in words]
    done = run(folder, *names, **variables)
    lines = done.stdout.splitlines()
    check(sentence, done.returncode == status and lines and lines[-1] == last
          and all(text in done.stdout for text in said), done.stdout, done.stderr)
    return lines


def script(folder, path, text):
    with open(f"{folder}/{path}", "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n" + text + "\n")
    os.chmod(f"{folder}/{path}", 0o755)


def main():
    with tempfile.TemporaryDirectory(prefix="vpmu-runner-") as folder:
        for below in "tests", "build/tests":
            os.makedirs(f"{folder}/{below}")
        shutil.copy(ROOT + "/tests/run", folder + "/tests/run")
        for name, text in TESTS.items():
            script(folder, f"tests/e2e_{name}.py", text)
        script(folder, "build/tests/property", "echo \"# VPMU_SEED=$VPMU_SEED\"; echo '1..1'\n"
               "[ \"$VPMU_SEED\" != 7 ] || printf 'not '; echo 'ok 1 - drawn'")
        check_run("what passes passes", folder, ["good"], 0, "2 passed, 0 failed, 0 skipped")
        check_run("what fails is named at the end", folder, ["bad", "good"], 1,
                  "3 passed, 1 failed, 0 skipped", "# because",
                  "\nnot ok - tests/e2e_bad.py: two\n")
        check_run("what is skipped is told with its reason", folder, ["some", "none"], 0,
                  "1 passed, 0 failed, 3 skipped", "1 skipped: no paper", "1 skipped: no ink",
                  "1 skipped: no pen")
        check_run("with VPMU_NO_SKIPS it has failed", folder, ["some", "none"], 1,
                  "1 passed, 3 failed, 0 skipped", "one (skipped: no paper)",
                  "two (skipped: no ink)", "all of it (skipped: no pen)", VPMU_NO_SKIPS="1")
        check_run("what does not hold yet has neither passed nor failed", folder, ["todo"], 0,
                  "0 passed, 0 failed, 1 skipped")
        check_run("a test that ends early, says nothing or is killed has failed", folder,
                  ["short", "silent", "killed"], 1, "2 passed, 3 failed, 0 skipped",
                  "2 tests planned, 1 run", "no plan", "signal 9")
        lines = check_run("two tests run side by side", folder, ["-j", "2", "meets", "other"], 0,
                          "2 passed, 0 failed, 0 skipped")
        check("and are told in order, a line each", [line.split()[0] for line in lines[:-1]]
              == ["tests/e2e_meets.py", "tests/e2e_other.py"], lines)
        check_run("what is random runs once more with the seed that is asked for", folder,
                  ["--seed", "7", "property"], 1, "1 passed, 1 failed, 0 skipped",
                  "VPMU_SEED=7 build/tests/property: drawn")
        done = run(folder, "--seed", "random", "property")
        seed = done.stdout.splitlines()[0].partition("VPMU_SEED=")[2].partition(":")[0]
        check("or with one that is drawn and printed", seed.isdigit() and done.returncode == 0
              and f"VPMU_SEED={seed} build/tests/property ..." in done.stdout, done)
        done = run(folder, "nosuch")
        check("a test that is not there is refused, with those that are", done.returncode == 2
              and "nosuch" in done.stderr and "tests/e2e_good.py" in done.stderr, done)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
