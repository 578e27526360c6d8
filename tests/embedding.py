#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""docs/embedding.md as typed: its commands install the library and build its example, and
the example says what the page says that it says. TAP on stdout."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from tap import check, finish, skip

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What is built with -Dlibrary_only=true.
PARTS = ("meson.build", "meson_options.txt", "include", "core", "sources", "docs")
LINES = 100
STRICT = ["-Wall", "-Wpedantic", "-Werror", "-fsyntax-only"]


def run(words, folder, **options):
    # None of the settings with which this test itself may have been started.
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("PKG_CONFIG", "LD_LIBRARY"))}
    return subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=240, check=False,
                          env=dict(environment, HOME=folder), **options)


def blocks(page, language):
    return re.findall(rf"(?s)^```{language}\n(.*?)^```$", page, flags=re.M)


def files(page):
    """The example's files, by name."""
    return dict(re.findall(r"(?sm)^`(\w+\.[ch])`:\n\n```c\n(.*?)^```$", page))


def main():
    with open(ROOT + "/docs/embedding.md", encoding="utf-8") as file:
        page = file.read()
    example = files(page)
    said = blocks(page, "text")[0]
    first, second = blocks(page, "sh")
    if not shutil.which("c++"):
        second = "".join(re.findall(r"(?m)^(?!.*\+\+).*\n", second))
    check(f"the example's host has fewer than {LINES} lines",
          0 < len(example["host.c"].splitlines()) < LINES)
    work = os.path.realpath(tempfile.mkdtemp(prefix="vpmu-embedding-"))
    try:
        for part in PARTS:
            copy = shutil.copytree if os.path.isdir(f"{ROOT}/{part}") else shutil.copy
            copy(f"{ROOT}/{part}", f"{work}/{part}")
        for name, text in example.items():
            with open(f"{work}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        done = run(["sh", "-euc", "\n".join([first, "echo ---", second])], work)
        check("the page's commands succeed, as typed", done.returncode == 0,
              done.stdout, done.stderr)
        output = done.stdout.split("---\n", 1)[-1]
        programs = second.count("\n./")
        check("each of the example's programs says what the page says",
              programs >= 2 and output == said * programs, output)
        for words in (["cc", "-std=c11"], ["c++", "-std=c++11", "-xc++"]):
            sentence = f"{' '.join(words)} has nothing to say about the example"
            if not shutil.which(words[0]):
                skip(sentence, f"there is no {words[0]}")
                continue
            done = run([*words, *STRICT, "-Iinclude", "host.c"], work)
            check(sentence, done.returncode == 0, done.stderr)
    finally:
        shutil.rmtree(work)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
