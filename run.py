#!/usr/bin/env python3
"""stockwatch from a bare Python: make .venv, install what requirements.lock pins, become `python -m stockwatch.cli`.

Standard library only, and readable by old Pythons, so that they can be told what is missing.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
WINDOWS = os.name == "nt"
PYTHON = os.path.join(VENV, "Scripts", "python.exe") if WINDOWS else os.path.join(VENV, "bin", "python")
NEEDED = (3, 11)
WAIT_SECONDS = 900  # for another start that is installing


class Stop(Exception):
    """One line that says what to do; exit code 1."""


def main(arguments):
    """Install what is missing and hand over. Returns only on Windows and on errors."""
    if sys.version_info < NEEDED:
        raise Stop("Python %d.%d or newer is needed, this is %d.%d: install it from python.org" % (NEEDED + sys.version_info[:2]))
    lists = [os.path.join(ROOT, "requirements.lock")]
    if arguments[:1] == ["test"]:
        lists.append(os.path.join(ROOT, "tests", "requirements.txt"))
    missing = [path for path in lists if not is_installed(path)]
    if missing:
        with Lock():
            for path in lists:
                if not is_installed(path):
                    install(path)
    hand_over(arguments)


def stamp_of(path):
    """Where the hash of an installed list is remembered: written last, so a killed start is seen."""
    return os.path.join(VENV, "stockwatch-" + os.path.basename(path) + ".sha256")


def digest(path):
    """What must be the same for an installation to be still right: the list, the Python, and where it lives."""
    with open(path, "rb") as file:
        parts = [file.read(), repr(sys.version_info[:3]).encode(), ROOT.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def is_installed(path):
    """Whether exactly this list is installed in a whole .venv."""
    try:
        with open(stamp_of(path)) as file:
            return file.read() == digest(path) and os.access(PYTHON, os.X_OK)
    except OSError:
        return False


def install(path):
    """Make .venv when it is missing or broken, install the list into it, remember it."""
    uv = shutil.which("uv")
    if not works():
        say("Making .venv")
        shutil.rmtree(VENV, ignore_errors=True)
        if uv:
            run([uv, "venv", "--quiet", "--python", sys.executable, VENV], "the virtual environment cannot be made")
        else:
            make_venv()
    name = os.path.basename(path)
    say("Installing {} with {} (about 500 MB the first time)".format(name, "uv" if uv else "pip"))
    if uv:
        command = [uv, "pip", "install", "--python", PYTHON, "-r", path]
    else:
        command = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "-r", path]
    run(command, f"{name} cannot be installed", show=True)
    with open(stamp_of(path), "w") as file:
        file.write(digest(path))


def works():
    """Whether .venv has a Python of our version that runs (and its pip, when pip is to be used)."""
    asked = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    if not shutil.which("uv"):
        asked = "import pip; " + asked
    try:
        return subprocess.call([PYTHON, "-c", asked], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def make_venv():
    """By the standard library; Debian ships it apart."""
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        raise Stop(
            "Python's venv module is missing: install it (Debian and Ubuntu: sudo apt install python3-venv), or uv, and start again"
        ) from None
    venv.create(VENV, with_pip=True, clear=True)


def run(command, failure, show=False):
    """Run an installer. Its output is shown as progress; its last telling line becomes the one line on failure."""
    env = dict(os.environ, PYTHONUNBUFFERED="1")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, cwd=ROOT)
    lines = []
    count = 0
    try:
        for raw in iter(process.stdout.readline, b""):
            line = raw.decode("utf-8", "replace").strip()
            if not line:
                continue
            lines.append(line)
            match = re.match(r"(Collecting|Downloading|Installing|Resolved|Prepared|Installed|Building)\b", line)
            if show and match:
                count += 1
                progress("  %3d  %s" % (count, line[:100]))
    except BaseException:
        process.kill()  # nobody is left behind
        raise
    if process.wait():
        raise Stop(f"{failure}: {reason(lines)}")
    if show:
        progress("")


def reason(lines):
    """What to tell from an installer's output, and what to do about it."""
    text = "\n".join(lines)
    if re.search(r"No space left", text):
        return "the disk is full: free about 2 GB and start again"
    network = r"(ConnectionError|NewConnectionError|Connection refused|Failed to fetch|Temporary failure|timed out|dns error|Name or service|error sending request|Could not fetch URL)"
    if re.search(network, text):
        return "no network: the first start has to fetch its packages; connect and start again"
    if re.search(r"Permission denied|Read-only file system", text):
        return f"{ROOT} cannot be written: copy the folder to a place of yours and start again"
    if re.search(r"No matching distribution|Could not find a version", text):
        return "the package index does not give %s: is there a network? Connect and start again" % lines[-1].split()[-1]
    telling = [line for line in lines if re.search(r"error|invalid|corrupt|bad|failed", line, re.IGNORECASE)]
    return (telling or lines or ["no reason given"])[-1][:300] + " (start again; if it stays, delete .venv)"


class Lock:
    """One start installs, others wait for it. Given back by the system however it ends."""

    def __enter__(self):
        self.file = open(os.path.join(ROOT, ".venv.lock"), "a")
        said = False
        until = time.time() + WAIT_SECONDS
        while not self.taken():
            if not said:
                say("Another start is installing; waiting for it")
                said = True
            if time.time() > until:
                raise Stop("another start has been installing for %d minutes: end it and start again" % (WAIT_SECONDS // 60))
            time.sleep(0.2)
        return self

    def taken(self):
        """Try once."""
        try:
            if WINDOWS:
                import msvcrt

                msvcrt.locking(self.file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def __exit__(self, *_error):
        self.file.close()


def hand_over(arguments):
    """Become the program, with the same process id; from any current folder."""
    # From the first moment a signal ends it with 0, also while it is still being loaded.
    early = "import os, signal, sys; [signal.signal(getattr(signal, name), lambda *_: os._exit(0))"
    early += " for name in ('SIGINT', 'SIGTERM', 'SIGHUP') if hasattr(signal, name)]; "
    code = early + f"sys.path.insert(0, {ROOT!r}); from stockwatch.cli import leave; leave()"
    command = [PYTHON, "-P", "-c", code, *arguments]
    if not WINDOWS:
        os.execv(PYTHON, command)
    child = subprocess.Popen(command)
    while True:
        try:
            sys.exit(child.wait())
        except KeyboardInterrupt:
            pass  # the child got it too, and ends in order


def say(text):
    """One line for people."""
    print(text)
    sys.stdout.flush()


def progress(text):
    """One line that replaces itself on a console, and is a line of its own in a log."""
    if sys.stdout.isatty():
        sys.stdout.write("\r\033[K" + text)
    elif text:
        sys.stdout.write(text + "\n")
    sys.stdout.flush()


def was_double_clicked():
    """Whether the console was opened for us alone, and would close with our last line."""
    if WINDOWS:
        import ctypes

        return ctypes.windll.kernel32.GetConsoleProcessList((ctypes.c_uint * 1)(), 1) <= 2
    return sys.stdin.isatty() and "SHLVL" not in os.environ and "CI" not in os.environ


if __name__ == "__main__":
    try:
        for name in ("SIGTERM", "SIGHUP"):  # as Ctrl-C; Windows has no SIGHUP
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.default_int_handler)
        main(sys.argv[1:])
    except Stop as stop:
        failed = str(stop)
    except KeyboardInterrupt:
        say("stopped; the next start goes on")
        sys.exit(0)
    except OSError as error:
        if error.errno in (13, 30):
            failed = f"{ROOT} cannot be written: copy the folder to a place of yours and start again"
        elif error.errno == 28:
            failed = "the disk is full: free about 2 GB and start again"
        else:
            failed = f"{error}"
    sys.stderr.write(f"stockwatch: {failed}\n")
    if was_double_clicked():
        sys.stderr.write("Press Enter to close.\n")
        sys.stdin.readline()
    sys.exit(1)
