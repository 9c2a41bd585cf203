#!/usr/bin/env python3
"""stockwatch from a bare Python: make .venv, install what requirements.lock pins, become `python -m stockwatch.cli`.

Standard library only, and readable by old Pythons, so that they can be told what is missing.
"""

import contextlib
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
LISTS = [os.path.join(ROOT, "requirements.lock"), os.path.join(ROOT, "tests", "requirements.txt")]
NEEDED = (3, 11)
BEGUN = "installing"
WAIT_SECONDS = 900  # for another start that is installing
NO_NETWORK = (
    "Connection ?(Error|refused)|(Failed to|Could not) fetch|Temporary failure|timed out|dns error|Name or serv|error send"
)
FULL = "the disk is full: free about 2 GB and start again"
READ_ONLY = f"{ROOT} cannot be written: copy the folder to a place of yours and start again"


class Stop(Exception):
    """One line that says what to do; exit code 1."""

    has_changed = True  # False: an installer could not fetch its packages, and did nothing


def main(arguments):
    """Install what is missing and hand over. Returns only on Windows and on errors."""
    if sys.version_info < NEEDED:
        raise Stop("Python %d.%d or newer is needed, this is %d.%d: install it from python.org" % (NEEDED + sys.version_info[:2]))
    options = "(--(settings|source|only)\0[^\0]*\0|-[^\0]*\0)*"
    lists = LISTS if re.match(options + "test(\0|$)", "\0".join(arguments)) else LISTS[:1]
    if not all(map(is_installed, lists)):
        with locked() as lock:
            for path in lists:
                if not is_installed(path):  # by now another start may have done it
                    install(path, lock)
    hand_over(arguments)


def stamp(path, text=None):
    """What was installed of a list: its digest, BEGUN from before that to its end, empty for never. text: remember this."""
    name = os.path.join(VENV, "stockwatch-" + os.path.basename(path) + ".sha256")
    if text is None and not os.path.isfile(name):
        return ""
    with open(name, "r" if text is None else "w") as file:
        return file.read() if text is None else file.write(text)


def digest(path):
    """What must be the same for an installation to be still right: the list, the Python, and where it lives."""
    with open(path, "rb") as file:
        parts = [file.read(), repr(sys.version_info[:3]).encode(), ROOT.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def is_installed(path):
    """Whether exactly this list is installed in a whole .venv."""
    return os.access(PYTHON, os.X_OK) and stamp(path) == digest(path)


def install(path, lock):
    """Make .venv when it is missing or broken, install the list into it, remember it."""
    uv, name = shutil.which("uv"), os.path.basename(path)
    if not works(uv):
        make_venv(uv, lock)
        if path != LISTS[0]:
            install(LISTS[0], lock)
    say(f"Installing {name} with {'uv' if uv else 'pip'} (about 500 MB the first time)")
    pip = [uv, "pip", "install", "--python", PYTHON] if uv else [PYTHON, "-m", "pip", "install", "--disable-pip-version-check"]
    before = stamp(path)
    stamp(path, BEGUN)
    try:
        run([*pip, "-r", path], f"{name} cannot be installed", lock, show=True)
    except Stop as stop:
        stamp(path, BEGUN if stop.has_changed else before)
        raise
    stamp(path, digest(path))


def works(uv):
    """Whether .venv has a Python of our version that runs (and its pip, when it is to be used), and no installation was cut short.

    After one that was, an installer takes a package for installed of which half the files are missing.
    """
    if not stamp(LISTS[0]) or BEGUN in map(stamp, LISTS):
        return False
    asked = "import sys{}; sys.exit(sys.version_info[:2] != {!r})".format("" if uv else ", pip", sys.version_info[:2])
    try:
        return subprocess.call([PYTHON, "-c", asked], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def make_venv(uv, lock):
    """A new .venv, with uv or by the standard library, of which Debian ships a part apart."""
    say("Making .venv")
    shutil.rmtree(VENV, ignore_errors=True)
    commands = [[uv, "venv", "--quiet", "--python", sys.executable, VENV]]
    if not uv:
        commands = [[sys.executable, "-m", "venv", "--without-pip", VENV], [PYTHON, "-Im", "ensurepip", "--default-pip"]]
        try:
            import ensurepip  # noqa: F401
        except ImportError:
            todo = "install it (Debian and Ubuntu: sudo apt install python3-venv), or uv, and start again"
            raise Stop("Python's venv module is missing: " + todo) from None
    for command in commands:
        run(command, "the virtual environment cannot be made", lock)


def run(command, failure, lock, show=False):
    """Run an installer. Its output is shown as progress; its last telling line becomes the one line on failure.

    It holds the lock too: should we be killed, the next start waits for what we have left behind.
    """
    held = {} if WINDOWS else {"pass_fds": [lock.fileno()], "start_new_session": True}
    held.update(cwd=ROOT, env=dict(os.environ, PYTHONUNBUFFERED="1"), stdin=subprocess.DEVNULL)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **held)
    lines = []
    try:
        for raw in iter(process.stdout.readline, b""):
            line = raw.decode("utf-8", "replace").strip()
            lines += [line] if line else []
            if show and re.match(r"(Collecting|Downloading|Installing|Resolved|Prepared|Installed|Building)\b", line):
                say("  %3d  %s" % (len(lines), line[:100]), over=True)
    except BaseException:
        process.kill() if WINDOWS else os.killpg(process.pid, signal.SIGKILL)  # with its children: nobody is left behind
        raise
    if process.wait():
        raise trouble(failure, lines)
    if show:
        say("", over=True)


def trouble(failure, lines):
    """What to raise for an installer's output: what happened, and what to do about it."""
    text, lacking = "\n".join(lines), " ".join(lines).split(" ")[-1]
    telling = [line for line in lines if re.search("(?i)error|invalid|corrupt|bad|failed", line)] or lines or ["no reason given"]
    told = (  # what the output says, what we say, whether it comes before anything is changed
        ("No space left|Disk quota exceeded", FULL, False),
        (NO_NETWORK, "no network: the first start has to fetch its packages; connect and start again", True),
        ("Permission denied|Read-only file system", READ_ONLY, False),
        ("No matching distr|Could not find a vers", f"the package index does not give {lacking}: is there a network?", True),
        ("", f"{telling[-1][:300]} (start again; if it stays, delete .venv)", False),
    )
    said, is_fetching = next((said, early) for sign, said, early in told if re.search(sign, text))
    stop = Stop(f"{failure}: {said}")
    stop.has_changed = not is_fetching or bool(re.search("(?m)^(Installing collected|Prepared)", text))
    return stop


@contextlib.contextmanager
def locked():
    """One start installs, others wait for it. Given back by the system however it ends."""
    with open(os.path.join(ROOT, ".venv.lock"), "a") as file:
        until = 0.0
        while not is_taken(file):
            if not until:
                until = time.time() + WAIT_SECONDS
                say("Another start is installing; waiting for it")
            if time.time() > until:
                raise Stop("another start has been installing for %d minutes: end it and start again" % (WAIT_SECONDS // 60))
            time.sleep(0.2)
        yield file


def is_taken(file):
    """Whether the lock is ours now. Windows, whose engines are in Docker, has none: first starts at once are not kept apart."""
    with contextlib.suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            todo = "copy the folder to a local disk and start again"
            raise Stop(f"{ROOT} cannot be locked ({error.strerror}): {todo}") from None
    return True


def hand_over(arguments):
    """Become the program, with the same process id; from any current folder."""
    # From the first moment a signal ends it with 0, also while it is still being loaded.
    early = "import os, signal, sys; [signal.signal(getattr(signal, name), lambda *_: os._exit(0))"
    early += " for name in ('SIGINT', 'SIGTERM', 'SIGHUP') if hasattr(signal, name)]; "
    code = early + "sys.path.insert(0, %r); from stockwatch.cli import leave; leave(%r)" % (ROOT, was_double_clicked())
    command = [PYTHON, "-P", "-c", code, *arguments]
    if not WINDOWS:
        os.execv(PYTHON, command)
    child = subprocess.Popen(command)
    while True:
        try:
            sys.exit(child.wait())
        except KeyboardInterrupt:
            pass  # the child got it too, and ends in order


def say(text, over=False):
    """One line for people. over: on a console it takes the place of the one before."""
    if over and sys.stdout.isatty():
        sys.stdout.write("\r\033[K" + text)
    elif text:
        sys.stdout.write(text + "\n")
    sys.stdout.flush()


def was_double_clicked():
    """Whether the console was opened for us alone, and would close with our last line."""
    if WINDOWS:
        import ctypes

        return ctypes.windll.kernel32.GetConsoleProcessList((ctypes.c_uint * 1)(), 1) <= 2
    return sys.stdin is not None and sys.stdin.isatty() and "SHLVL" not in os.environ and "CI" not in os.environ


def start():
    """The one line about what failed; None if nothing did."""
    for name in ("SIGTERM", "SIGHUP"):  # as Ctrl-C; Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        return main(sys.argv[1:])
    except KeyboardInterrupt:
        return say("stopped; the next start goes on")
    except Stop as stop:
        return str(stop)
    except OSError as error:
        return {13: READ_ONLY, 30: READ_ONLY, 28: FULL, 122: FULL}.get(error.errno, str(error))


if __name__ == "__main__":
    failed = start()
    if failed:
        sys.stderr.write("stockwatch: {}\n".format(failed))
        if was_double_clicked():
            sys.stderr.write("Press Enter to close.\n")
            sys.stdin.readline()
    sys.exit(1 if failed else 0)
