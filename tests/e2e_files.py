#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""This machine's files in a guest of vpmu exec: they are the same there, and stay what they are
here; and what the guest can do with its own copy of them.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import linux_guest
from linux_guest import VPMU, boot, has_kernel, title
from tap import check, check_refusal, finish, skip

FILES = 400
MANY_FILES = 4000  # so many that what differs at the start of a program is little

# What lstat() tells of all that is below a folder, and its content. Of folders the number is the
# layer's own.
TELL = """
import hashlib, os, stat, sys
for folder, folders, files in os.walk(sys.argv[1]):
    folders.sort()
    for name in sorted(folders + files):
        path = folder + "/" + name
        st = os.lstat(path)
        content = ""
        if stat.S_ISLNK(st.st_mode):
            content = ascii(os.readlink(path))
        elif stat.S_ISREG(st.st_mode):
            content = hashlib.md5(open(path, "rb").read()).hexdigest()
        number = 0 if stat.S_ISDIR(st.st_mode) else st.st_ino
        links = 0 if stat.S_ISDIR(st.st_mode) else st.st_nlink
        print(ascii(path), number, links, oct(st.st_mode), st.st_uid, st.st_gid, st.st_size,
              st.st_mtime_ns, st.st_ctime_ns, content)
"""

LAYER = """
import os, socket, sys, threading
def attempt(name, what):
    try:
        print(name, what())
    except OSError as error:
        print(name, error)
def rename():
    os.rename("tree", "renamed")
    with open("renamed/new", "w") as file:
        file.write("new")
    return sorted(os.listdir("renamed"))[:2]
def unnamed():
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR)
    return os.write(fd, b"x")
def attribute():
    open("attributed", "w").close()
    os.setxattr("attributed", "user.a", b"1")
    return os.getxattr("attributed", "user.a")
def loop(family, address):
    with socket.create_server((address, 0), family=family) as server:
        with socket.create_connection(server.getsockname()[:2]) as client:
            client.sendall(b"over it")
            return server.accept()[0].recv(100)
def room():
    size = 0
    with open("big", "wb") as file:
        while size < 700 << 20:
            size += file.write(bytes([size >> 20 & 255]) * (1 << 20))
    with open("big", "rb") as file:
        for i in range(0, 700, 50):
            file.seek(i << 20)
            if file.read(1 << 20) != bytes([i & 255]) * (1 << 20):
                return False
    return True
attempt("rename", rename)
attempt("unnamed", unnamed)
attempt("attribute", attribute)
attempt("IPv4", lambda: loop(socket.AF_INET, "127.0.0.1"))
attempt("IPv6", lambda: loop(socket.AF_INET6, "::1"))
if len(sys.argv) > 1:
    attempt("room", room)
"""


def fill(folder, files=FILES):
    """All kinds of files, with times that have parts of a second."""
    tree = folder + "/tree"
    os.makedirs(tree + "/deep/" + "/".join("abcdefgh"))
    os.mkdir(tree + "/many")
    for i in range(files):
        with open(f"{tree}/many/file{i}", "w", encoding="ascii") as file:
            file.write("x" * (i % 1000))
    with open(tree + "/large", "wb") as file:
        file.write(os.urandom(3_000_001))
    with open(tree + "/with holes", "wb") as file:
        file.seek(1 << 22)
        file.write(b"end")
    for name in "empty", "deep/a/b/c/d/e/f/g/h/bottom", "two\nlines", "ä" * 100, "deep/private":
        open(f"{tree}/{name}", "wb").close()
    os.chmod(tree + "/deep/private", 0o4700)
    os.symlink("../large", tree + "/deep/link")
    os.symlink("nowhere/" * 50, tree + "/broken")
    os.link(tree + "/large", tree + "/deep/same")
    os.mkfifo(tree + "/pipe")
    return tree


def check_same(folder, tree, kernel, cpus, files):
    guest = title(files, kernel, cpus)
    memory = "512" if cpus == 1 else "1g"  # in both of QEMU's ways
    here = subprocess.run([sys.executable, "-c", TELL, tree], capture_output=True, text=True)
    done = boot(f'cd {folder}; python3 -c "$TELL" {tree}; exit 3', "--kernel", kernel,
                f"--cpus={cpus}", "--files", files, "--memory", memory, TELL=TELL)
    there = done.stdout.splitlines()
    lines = here.stdout.splitlines()
    if files == "9p":  # it makes numbers of its own
        there, lines = ([re.sub(r" \d+", " ", line, count=1) for line in all] for all in
                        (there, lines))
    differ = [pair for pair in zip(lines, there) if pair[0] != pair[1]]
    check(f"{guest}: each file is what it is here: numbers, times, owners, modes, content",
          done.returncode == 3 and len(lines) > FILES and lines == there, *differ[:5],
          len(lines), len(there), done.stderr)


def check_layer(folder, kernel, room):
    os.makedirs(folder, exist_ok=True)
    tree = folder + "/tree"
    os.makedirs(tree + "/below")
    for name in "old", "below/deep":
        with open(f"{tree}/{name}", "w", encoding="ascii") as file:
            file.write(name)
    done = subprocess.run([VPMU, "exec", "--kernel", kernel, "--memory", "512M", "--bring-out",
                           "renamed", "--",
                           sys.executable, "-c", LAYER, *room], cwd=folder, capture_output=True,
                          text=True, timeout=linux_guest.TIMEOUT)
    out = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    brought = {name: open(f"{folder}/renamed/{name}", encoding="ascii").read()
               for name in ("old", "below/deep", "new")
               if os.path.exists(f"{folder}/renamed/{name}")}
    check(f"Linux {kernel}: a folder of this machine's can be renamed",
          out.get("rename") == "['below', 'new']" and os.path.exists(tree), done)
    check("and is brought out whole", brought == {"old": "old", "below/deep": "below/deep",
                                                  "new": "new"}, brought, done)
    if kernel != "6.1":  # whose overlayfs and tmpfs have neither
        check("a file without a name can be made", out.get("unnamed") == "1", done)
        check("files can have attributes", out.get("attribute") == "b'1'", done)
    check("127.0.0.1 and ::1 work", out.get("IPv4") == out.get("IPv6") == "b'over it'", done)
    if room:
        check("more can be written than the guest has memory", out.get("room") == "True", done)


def check_shared_memory():
    with tempfile.TemporaryDirectory(prefix="vpmu-test-", dir="/dev/shm") as folder:
        with open(folder + "/here", "w", encoding="ascii") as file:
            file.write("from here\n")
        done = subprocess.run([VPMU, "exec", "--bring-out", "there", "--", "sh", "-c",
                               "cat here; echo from there >there; echo x >here; stat -c %a .."],
                              cwd=folder, capture_output=True, text=True, timeout=600)
        out = [open(f"{folder}/{name}", encoding="ascii").read()
               for name in ("here", "there") if os.path.exists(f"{folder}/{name}")]
    check("a working directory in /dev/shm is there, and brought out of as any",
          done.stdout == "from here\n1777\n" and out == ["from here\n", "from there\n"], out, done)


ATTACK = """
cd {folder}
mkdir /again
mount -t virtiofs root /again 2>&1
mount -o remount,rw /again 2>&1
for root in "" /again /proc/1/root/lower; do
	for file in kept new; do
		echo evil >$root{folder}/$file
		chmod 777 $root{folder}/$file
		rm -f $root{folder}/$file
		mkdir $root{folder}/made.$file
		ln $root{folder}/kept $root{folder}/linked
		mv $root{folder}/kept $root{folder}/moved
	done
done 2>/dev/null
ls /again/proc /again/sys | grep -v :
cat /again{folder}/kept
echo done
"""


def check_attack(folder):
    with open(folder + "/kept", "w", encoding="ascii") as file:
        file.write("kept\n")
    os.chmod(folder + "/kept", 0o600)
    before = os.stat(folder + "/kept")
    # Its root, whoever it runs for.
    done = boot("true; " + ATTACK.format(folder=folder), "--kernel", "6.12")
    after = os.stat(folder + "/kept")
    check("the guest's root writes, makes, renames and removes no file of this machine",
          os.listdir(folder) == ["kept"] and open(folder + "/kept").read() == "kept\n"
          and (before.st_mode, before.st_mtime_ns, before.st_nlink, before.st_ctime_ns)
          == (after.st_mode, after.st_mtime_ns, after.st_nlink, after.st_ctime_ns)
          and done.stdout.endswith("done\n"), done, os.listdir(folder))
    if os.geteuid() == 0:
        check("nor does it see this machine's /proc and /sys", done.stdout.split() == ["kept", "done"], done)


def processes(mark):
    """Those whose command line has it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if mark in file.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


def check_end(folder, what, end):
    with subprocess.Popen([VPMU, "exec", "--append", folder, "--", "sh", "-c",
                           "echo on; exec sleep 1000"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env=dict(os.environ, TMPDIR=folder)) as process:
        process.stdout.readline()
        running = processes(folder.encode())
        end(process, running)
        process.wait(timeout=60)
    for _ in range(100):
        left = processes(folder.encode())
        if not left:
            break
        time.sleep(0.1)
    check(f"{what} ends what serves the files, too", len(running) == 3 and not left, running, left)


def end_qemu(process, running):
    """The process that is neither vpmu nor its fork."""
    for pid in running:
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            if file.read().strip() != "vpmu":
                os.kill(pid, signal.SIGKILL)


def check_ends(folder):
    check_end(folder, "an interrupt", lambda process, _: process.send_signal(signal.SIGINT))
    check("and leaves no file", os.listdir(folder) == [], os.listdir(folder))
    check_end(folder, "the end of QEMU", end_qemu)
    check_end(folder, "SIGKILL", lambda process, _: process.kill())


def cached(cache):
    """The files of the cache, with their modes."""
    folder = cache + "/vpmu/files"
    return {folder + "/" + name: os.stat(folder + "/" + name).st_mode & 0o777
            for name in (os.listdir(folder) if os.path.exists(folder) else [])}


def check_again(folder):
    """What is read before the command starts, since the run before has read it, is no older."""
    tree = fill(folder + "/work")
    cache = folder + "/cache"
    words = ["sh", "-c", f'cd {tree}; cat many/* | cksum; cat more 2>&1; ls deep; readlink deep/link']

    def again(*options):
        here = subprocess.run(words, capture_output=True, text=True).stdout
        done = subprocess.run([VPMU, "exec", *options, "--", *words], capture_output=True,
                              text=True, timeout=600, env=dict(os.environ, XDG_CACHE_HOME=cache))
        return here == done.stdout, done

    same, done = again("--deterministic")
    check("of a --deterministic run nothing is kept", same and not cached(cache), cached(cache),
          done)
    same, done = again()
    files = cached(cache)
    check("what a command has read is kept for the user alone", same and
          list(files.values()) == [0o600], files, done)
    path = next(iter(files), None)
    with open(path, "rb") as file:
        kept = file.read().split(b"\0")
    check("each file that it has read, and what was not there",
          sum(text.startswith(f"r{tree}/many/".encode()) for text in kept) >= FILES - 1
          and f"n{tree}/more".encode() in kept, kept[:100])
    with open(tree + "/more", "w", encoding="ascii") as file:
        file.write("more\n")
    with open(tree + "/many/file7", "w", encoding="ascii") as file:
        file.write("changed\n")
    os.remove(tree + "/many/file8")
    same, done = again()
    check("the next run sees what has changed since", same, done)
    with open(path, "wb") as file:
        file.write(kept[0] + b"\0d/nowhere\0q\0\0r\0r/dev/kmsg\0" + b"1 " * 99 + b"\0rx\0z/\0")
    same, done = again()
    check("nonsense in its place does no harm", same, done)


def git(folder, *words):
    return subprocess.run(["git", "-C", folder, "-c", "user.name=n", "-c", "user.email=e",
                           *words], check=True, capture_output=True, text=True)


def check_git(folder):
    sentence = "git status costs in the guest what callgrind counts, within 2 %"
    missing = [name for name in ("git", "valgrind", "perf") if not shutil.which(name)]
    if missing:
        skip(sentence, f"there is no {missing[0]}")
        return
    fill(folder, MANY_FILES)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "all")
    time.sleep(1.1)
    git(folder, "status")  # its index is not as young as its files
    words = ["git", "--no-optional-locks", "-c", "core.preloadIndex=false", "status"]
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                           *words], cwd=folder, capture_output=True, text=True,
                          timeout=600)
    callgrind = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    done = subprocess.run([VPMU, "perf", "stat", "-x,", "-e", "instructions:u", "--", *words],
                          cwd=folder, capture_output=True, text=True, timeout=600)
    count = re.search(r"^(\d+),,instructions:u", done.stderr, re.M)
    check(sentence, callgrind and count and
          abs(int(count[1]) / int(callgrind[1]) - 1) < 0.02, callgrind, done)
    print(f"# {count and count[1]}, callgrind: {callgrind and callgrind[1]}")


def in_folder(function, *words):
    with tempfile.TemporaryDirectory(prefix="vpmu-test-") as folder:
        function(folder, *words)


def check_all_same(folder):
    tree = fill(folder)
    for kernel, cpus, files in (("6.1", 1, "virtiofs"), ("6.12", 4, "virtiofs"),
                                ("7.3", 2, "auto"), ("6.1", 1, "9p")):
        if has_kernel(kernel):
            check_same(folder, tree, kernel, cpus, files)


def main():
    done = subprocess.run([VPMU, "exec", "--files", "nfs", "true"], capture_output=True, text=True)
    check_refusal("another --files is refused, and those there are named", done, "auto",
                  "virtiofs", "9p", "nfs")
    in_folder(check_all_same)
    in_folder(check_layer, "6.1", ["room"])
    in_folder(check_layer, "6.12", [])
    check_shared_memory()
    in_folder(check_attack)
    in_folder(check_ends)
    in_folder(check_again)
    in_folder(check_git)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
