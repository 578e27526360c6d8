#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Where tools/setup has packages from, by what apt's sources say. Nothing is fetched."""
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

from tap import check, finish

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

KEY = """Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEYCQjIxYJKwYBBAHaRw8BAQdAD
 -----END PGP PUBLIC KEY BLOCK-----"""

# Name of the sources' file, what is in it, where packages come from, what they are trusted by.
SOURCES = [
    ("one line", "a.list", "deb http://a.invalid/debian bookworm main\n",
     "http://a.invalid/debian/", ""),
    ("one line with options", "a.list", "# a comment\n"
     "deb [ arch=amd64 signed-by=/k/a.gpg,/k/b.gpg ]  http://a.invalid/d  bookworm main contrib\n",
     "http://a.invalid/d/", "Signed-By: /k/a.gpg /k/b.gpg"),
    ("one line that is trusted", "a.list", "deb [trusted=yes] file:/srv/debian trixie main\n",
     "file:/srv/debian/", "Trusted: yes"),
    ("other archives before it", "a.list", "deb http://a.invalid/security forky-security main\n"
     "deb http://a.invalid/ppa jammy main\ndeb http://a.invalid/x bookworm contrib\n"
     "deb http://b.invalid/debian stable main\n", "http://b.invalid/debian/", ""),
    ("stanzas", "a.sources", "# a comment\n\nTypes: deb\nURIs: http://a.invalid/debian\n"
     "Suites: bookworm bookworm-updates\nComponents: main\nsigned-by: /k/a.gpg\n /k/b.gpg\n\n"
     "Types: deb\nURIs: http://b.invalid/debian\nSuites: trixie\nComponents: main\n",
     "http://a.invalid/debian/", "signed-by: /k/a.gpg\n /k/b.gpg"),
    ("stanzas of which one is switched off", "a.sources", "# a comment\nTypes: deb\nEnabled: no\n"
     "URIs: http://a.invalid/debian\nSuites: bookworm\nComponents: main\nSigned-By: /k/a.gpg\n\n"
     "# another\n\nTypes: deb\nURIs: mirror+file:/etc/mirrors\nSuites: forky\n"
     f"Components: main\n# inside\n{KEY}\n", "mirror+file:/etc/mirrors/", KEY),
]


class Place:
    """A copy of tools/setup, which works beside itself, and an apt of its own."""

    def __init__(self, folder, name, sources):
        self.folder = folder
        for each in "tools", "lists/partial":
            os.makedirs(f"{folder}/{each}", exist_ok=True)
        shutil.copy(ROOT + "/tools/setup", folder + "/tools/setup")
        with open(f"{folder}/{name}", "w", encoding="ascii") as file:
            file.write(sources)
        with open(folder + "/apt.conf", "w", encoding="ascii") as file:
            file.write(f'Dir::Etc::sourcelist "{folder}/{name}";\n'
                       f'Dir::Etc::sourceparts "/dev/null";\nDir::State::lists "{folder}/lists";\n')

    def setup(self, *words, **variables):
        environment = {**os.environ, "APT_CONFIG": self.folder + "/apt.conf", "LC_ALL": "C",
                       **variables}
        if "VPMU_DEBIAN_MIRROR" not in variables:
            environment.pop("VPMU_DEBIAN_MIRROR", None)
        return subprocess.run([self.folder + "/tools/setup", *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120, env=environment)


def place(name, sources):
    return Place(tempfile.mkdtemp(dir=WORK), name, sources)


def origins(output):
    """URI, suites and the rest of each stanza."""
    return [re.fullmatch(r"Types: deb\nURIs: (\S+)\nSuites: ([a-z -]+)\nComponents: main\n"
                         r"Architectures: [a-z0-9 ]+\n?(.*)", stanza.strip("\n"), re.S).groups()
            for stanza in output.strip("\n").split("\n\n") if stanza.strip()]


def mirror(uri, trust):
    return [(uri, "forky trixie trixie-backports", trust), (uri, "bookworm", trust)]


def check_security():
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "none") + "-security"
    there = place("a.list", f"deb http://a.invalid/debian {suite[:-9]} main\n"
                  f"deb [signed-by=/k/s.gpg] http://a.invalid/security {suite} main\n")
    done = there.setup("sources")
    check("the system's own security archive is one more source, with its keys",
          not done.stderr and origins(done.stdout) == mirror("http://a.invalid/debian/", "")
          + [("http://a.invalid/security/", suite, "Signed-By: /k/s.gpg")], done)
    done = there.setup("sources", VPMU_DEBIAN_MIRROR="http://mine.invalid/debian")
    check("... but not beside VPMU_DEBIAN_MIRROR", "security" not in done.stdout, done)


def check_sources():
    for what, name, sources, uri, trust in SOURCES:
        done = place(name, sources).setup("sources")
        check(f"of {what} the mirror and its keys are taken",
              not done.stderr and origins(done.stdout) == mirror(uri, trust), done)
    done = place("a.list", SOURCES[0][2]).setup("sources",
                                               VPMU_DEBIAN_MIRROR="http://mine.invalid/debian")
    check("VPMU_DEBIAN_MIRROR comes before them, checked by Debian's keys",
          {(uri, trust) for uri, _, trust in origins(done.stdout)}
          == {("http://mine.invalid/debian",
               "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg")}, done)


def one_line(done, *said):
    lines = done.stderr.splitlines()
    return done.returncode == 1 and len(lines) == 1 and all(text in lines[0] for text in said)


def check_refusals():
    for what, sources in (("no sources", ""), ("another distribution's",
                                              "deb http://a.invalid/u jammy main\n")):
        done = place("a.list", sources).setup("sources")
        check(f"{what} are told in one line", one_line(done, "no Debian archive",
                                                       "VPMU_DEBIAN_MIRROR"), done)
    for options, what in ("", "a mirror"), (" [trusted=yes]", "and one that is not checked"):
        there = place("a.list", "")
        with open(there.folder + "/a.list", "w", encoding="ascii") as file:
            file.write(f"deb{options} file:{there.folder}/mirror bookworm main\n")
        os.makedirs(there.folder + "/mirror/dists")
        done = there.setup("kernels")
        check(f"{what} without the suites is told in one line", one_line(
            done, f"file:{there.folder}/mirror/", "bookworm forky trixie trixie-backports", "VPMU_DEBIAN_MIRROR"),
            done)


def check_names():
    done = subprocess.run(["git", "-C", ROOT, "grep", "-nIE", r"deb\.debian|[a-z]+\.debian\.(org|net)"],
                          capture_output=True, text=True, timeout=60)
    found = [line for line in done.stdout.splitlines() if not line.startswith("tests/setup.py:")]
    check("no file names a package registry's host", not found, *found)


def main():
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        print("1..0 # SKIP there is no apt")
        return 0
    check_sources()
    check_security()
    check_refusals()
    check_names()
    return finish()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="vpmu-setup-") as WORK:
        sys.exit(main())
