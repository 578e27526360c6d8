#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What of the caller reaches a guest's program: signals, a terminal, limits, the umask; and what
is left of a run that is killed.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

from tap import check, finish

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VPMU = os.path.join(os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build")), "vpmu")
TIMEOUT = 600  # only what hangs takes longer, however busy the machine is


class Terminal:
    """A command on a terminal of its own, as a shell has it in its foreground."""

    def __init__(self, words, **environment):
        self.ours, self.theirs = pty.openpty()
        self.resize(30, 100)
        self.before = termios.tcgetattr(self.theirs)
        self.shown = ""
        self.process = subprocess.Popen(
            words, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs,
            start_new_session=True, env={**os.environ, **environment},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, rows, columns):
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def read(self, until):
        """What is shown until it matches."""
        end = time.monotonic() + TIMEOUT
        while not re.search(until, self.shown) and time.monotonic() < end:
            if select.select([self.ours], [], [], 1)[0]:
                self.shown += os.read(self.ours, 65536).decode(errors="replace")
            elif self.process.poll() is not None:
                break
        found = re.search(until, self.shown)
        self.shown = self.shown[found.end():] if found else self.shown
        return found

    def type(self, text):
        os.write(self.ours, text.encode())

    def end(self):
        """Its exit status, and whether the terminal is as it was."""
        end = time.monotonic() + TIMEOUT
        while self.process.poll() is None and time.monotonic() < end:
            self.read("$^")
        self.process.kill()
        status = self.process.wait()
        restored = termios.tcgetattr(self.theirs) == self.before
        os.close(self.ours)
        os.close(self.theirs)
        return status, restored


DIALOGUE = """
trap 'echo interrupted' INT
trap 'echo resized $(stty size)' WINCH
tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all
echo ready; read line; echo "got $line"
while ! [ -e /tmp/go ]; do sleep 0.1; [ -n "$(stty size | grep ^40)" ] && touch /tmp/go; done
echo "now $(stty size)"
sh -c 'trap : INT; sleep 1000; exit 0'
echo after; exit 5
"""


def check_terminal():
    terminal = Terminal([VPMU, "exec", "--", "sh", "-c", DIALOGUE])
    found = terminal.read(r"/dev/pts/\d+\r\n30 100\r\nall\r\nready\r\n")
    check("a terminal reaches the command, with its size", found, terminal.shown)
    terminal.type("hello\n")
    check("and what is typed", terminal.read(r"got hello\r\n"), terminal.shown)
    terminal.resize(40, 120)
    terminal.process.send_signal(signal.SIGWINCH)
    check("and another size", terminal.read(r"now 40 120\r\n"), terminal.shown)
    time.sleep(1)
    terminal.type("\x03")
    check("Ctrl-C interrupts what is in the foreground", terminal.read(r"interrupted\r\nafter"),
          terminal.shown)
    status, restored = terminal.end()
    check("the command's exit status is the command's", status == 5, status)
    check("and the terminal is as it was", restored)


def check_terminal_that_hangs():
    terminal = Terminal([VPMU, "exec", "--", "sh", "-c",
                         "trap '' INT; stty -echo; echo deaf; while :; do :; done"])
    terminal.read("deaf")
    terminal.type("\x03\x03")
    time.sleep(0.2)
    terminal.type("\x03")
    status, restored = terminal.end()
    check("three of them within a second end it all", status == 130 and restored, status, restored)
    terminal = Terminal([VPMU, "exec", "--", "sh", "-c", "echo on; sleep 1000"])
    terminal.read("on")
    terminal.process.send_signal(signal.SIGHUP)
    status, restored = terminal.end()
    check("a signal restores the terminal, too", status == 129 and restored, status, restored)


def interrupted(words, number, cwd):
    """Sent one signal when the command runs."""
    with subprocess.Popen([VPMU, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, cwd=cwd) as process:
        process.stdout.readline()
        time.sleep(1)
        process.send_signal(number)
        try:
            out, errors = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            out, errors = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, out, errors)


def check_signals(folder):
    loop = ["--", "sh", "-c", "echo on; while :; do :; done"]
    for number in signal.SIGINT, signal.SIGTERM:
        done = interrupted(["perf", "stat", "-e", "instructions:u", *loop], number, folder)
        check(f"perf stat that {number.name} ends has counted",
              done.returncode == 128 + number and re.search(r"\d\d,?\d+ +instructions:u",
                                                            done.stderr), done)
    done = interrupted(["perf", "record", "-e", "cycles:u", "-o", "data", *loop], signal.SIGINT,
                       folder)
    check("perf record that SIGINT ends has recorded, and its file is brought out",
          done.returncode == 130 and os.path.getsize(folder + "/data") > 1000, done)
    done = interrupted(["exec", "--deterministic", "--bring-out", "said", "--", "sh", "-c",
                        "trap 'echo ended >said; exit 3' TERM; echo on; while :; do :; done"],
                       signal.SIGTERM, folder)
    check("a command ends as it likes", done.returncode == 3
          and os.path.isfile(folder + "/said"), done)


def check_second_signal(folder):
    with subprocess.Popen([VPMU, "exec", "--", "sh", "-c",
                           "trap 'echo no' INT; echo on; while :; do :; done"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          cwd=folder) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        answer = process.stdout.readline()
        check("one signal twice at once, as timeout sends it, is one", answer == "no\n"
              and process.poll() is None, answer)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
        check("the second signal ends it", process.wait() == 130, process.returncode)


def check_limits():
    def set_limits():
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (2345, 3456))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 4096))
        os.umask(0o027)
    done = subprocess.run([VPMU, "exec", "--", "sh", "-c",
                           "ulimit -Sn; ulimit -Hn; ulimit -Sc; umask"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=TIMEOUT, preexec_fn=set_limits)
    check("limits and the umask are the caller's",
          done.stdout.split() == ["2345", "3456", "0", "0027"], done)


def guests(mark):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if mark.encode() in file.read():
                    found.append(pid)
        except OSError:
            pass
    return found


def holds(folder, text):
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                if text.encode() in file.read():
                    return True
    return False


def check_killed(folder):
    environment = {**os.environ, "TMPDIR": folder, "VPMU_SECRET": "the-sesame-opens"}
    mark = folder + "/vpmu-"
    os.mkdir(mark + "abcdef")  # the user's own
    with subprocess.Popen([VPMU, "exec", "--", "sh", "-c", "echo $VPMU_SECRET; sleep 1000"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          env=environment) as process:
        line = process.stdout.readline()
        running = guests(mark)
        left = os.listdir(folder)
        done = subprocess.run([VPMU, "exec", "--memory", "100M", "--qemu", "/bin/false", "true"],
                              env=environment, stdin=subprocess.DEVNULL, capture_output=True)
        check("the environment is in no file", line == "the-sesame-opens\n" and len(left) == 2
              and not holds(folder, "sesame"), line, left)
        check("another run leaves a living one's folder", sorted(os.listdir(folder))
              == sorted(left), done)
        process.kill()
        process.wait()
    time.sleep(1)
    check("the guest of a run that is killed ends", len(running) == 1 and not guests(mark))
    done = subprocess.run([VPMU, "exec", "true"], env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=TIMEOUT)
    check("and the next run removes what it has left, and nothing else", done.returncode == 0
          and os.listdir(folder) == ["vpmu-abcdef"], os.listdir(folder), done)


def main():
    check_terminal()
    check_terminal_that_hangs()
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as folder:
        check_signals(folder)
        check_second_signal(folder)
    check_limits()
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as folder:
        check_killed(folder)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
