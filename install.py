"""What run.py installs, and how: .venv beside it, with uv when it is on PATH, else venv and pip. Standard library only.

A killed installation is seen by the next start, which begins with a new .venv; two starts do not install at once.
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
LISTS = (os.path.join(ROOT, "requirements.lock"), os.path.join(ROOT, "tests", "requirements.txt"))
BEGUN = "installing"
NO_NETWORK = (
    "ConnectionError|Connection refused|Failed to fetch|Temporary failure|timed out|dns error|Name or service"
    "|error sending request|Could not fetch URL"
)
WAIT_SECONDS = 900  # for another start that is installing
FULL = "the disk is full: free about 2 GB and start again"
READ_ONLY = f"{ROOT} cannot be written: copy the folder to a place of yours and start again"


class Stop(Exception):
    """One line that says what to do; exit code 1."""


class NotFetched(Stop):
    """An installer could not fetch its packages: it has changed nothing."""


def install_what_is_missing(tools):
    """With tools: those of the tests too. Raises Stop."""
    lists = LISTS if tools else LISTS[:1]
    try:
        if not are_installed(lists):
            with Lock() as lock:
                if not are_installed(lists):  # by now another start may have done it
                    install_all(lists, lock)
    except OSError as error:
        why = READ_ONLY if error.errno in (13, 30) else FULL if error.errno in (28, 122) else str(error)
        raise Stop(why) from error


def install_all(lists, lock):
    """Install what is missing of them, into a new .venv where there is no whole one."""
    if not is_whole():
        make_venv(lock)
    for path in lists:
        if not are_installed([path]):
            install_list(path, lock)


def stamp_of(path):
    """Where it stands what of a list is installed."""
    return os.path.join(VENV, f"stockwatch-{os.path.basename(path)}.sha256")


def recorded(path):
    """The digest of what was installed of a list, BEGUN from before its installation to its end, None for never."""
    try:
        with open(stamp_of(path)) as file:
            return file.read()
    except OSError:
        return None


def record(path, text):
    """Remember it, or with None forget it."""
    if text is None:
        os.remove(stamp_of(path))
        return
    with open(stamp_of(path), "w") as file:
        file.write(text)


def digest(path):
    """What must be the same for an installation to be still right: the list, the Python, and where it lives."""
    with open(path, "rb") as file:
        parts = [file.read(), repr(sys.version_info[:3]).encode(), ROOT.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def are_installed(lists):
    """Whether exactly these lists are installed."""
    return os.access(PYTHON, os.X_OK) and all(recorded(path) == digest(path) for path in lists)


def is_whole():
    """Whether .venv has a Python of our version that runs (and pip, when it is to be used), and no installation was cut short.

    After one that was, an installer takes a package for installed of which half the files are missing.
    """
    if not recorded(LISTS[0]) or BEGUN in map(recorded, LISTS):
        return False
    asked = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    if not shutil.which("uv"):
        asked = "import pip; " + asked
    try:
        return subprocess.call([PYTHON, "-c", asked], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def make_venv(lock):
    """A new .venv, with uv or by the standard library; Debian ships a part of that apart."""
    say("Making .venv")
    shutil.rmtree(VENV, ignore_errors=True)
    failure = "the virtual environment cannot be made"
    uv = shutil.which("uv")
    if uv:
        run([uv, "venv", "--quiet", "--python", sys.executable, VENV], failure, lock)
        return
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        todo = "install it (Debian and Ubuntu: sudo apt install python3-venv), or uv, and start again"
        raise Stop(f"Python's venv module is missing: {todo}") from None
    run([sys.executable, "-m", "venv", "--without-pip", VENV], failure, lock)
    run([PYTHON, "-Im", "ensurepip", "--default-pip"], failure, lock)  # apart: venv would hide what it says


def install_list(path, lock):
    """Install one list into .venv and remember it."""
    uv, name = shutil.which("uv"), os.path.basename(path)
    say(f"Installing {name} with {'uv' if uv else 'pip'} (about 500 MB the first time)")
    if uv:
        command = [uv, "pip", "install", "--python", PYTHON, "-r", path]
    else:
        command = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "-r", path]
    before = recorded(path)
    record(path, BEGUN)
    try:
        run(command, f"{name} cannot be installed", lock, show=True)
    except NotFetched:
        record(path, before)
        raise
    record(path, digest(path))


def run(command, failure, lock, show=False):
    """Run an installer. Its output is shown as progress; its last telling line becomes the one line on failure.

    It holds the lock too: should we be killed, the next start waits for what we have left behind.
    """
    process = subprocess.Popen(
        command, cwd=ROOT, env=dict(os.environ, PYTHONUNBUFFERED="1"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        pass_fds=() if WINDOWS else (lock.file.fileno(),), start_new_session=not WINDOWS,
    )  # fmt: skip
    lines, count = [], 0
    try:
        for raw in iter(process.stdout.readline, b""):
            line = raw.decode("utf-8", "replace").strip()
            if not line:
                continue
            lines.append(line)
            match = re.match(r"(Collecting|Downloading|Installing|Resolved|Prepared|Installed|Building)\b", line)
            if show and match:
                count += 1
                progress(f"  {count:3}  {line[:100]}")
    except BaseException:
        if WINDOWS:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)  # with its own children: nobody is left behind
        raise
    if process.wait():
        raise trouble(failure, lines)
    if show:
        progress("")


def trouble(failure, lines):
    """What to raise for an installer's output: what happened, and what to do about it."""
    text = "\n".join(lines)
    fetching = Stop if re.search(r"^(Installing collected|Prepared)", text, re.MULTILINE) else NotFetched
    if re.search(r"No space left|Disk quota exceeded", text):
        return Stop(f"{failure}: {FULL}")
    if re.search(NO_NETWORK, text):
        return fetching(f"{failure}: no network: the first start has to fetch its packages; connect and start again")
    if re.search(r"Permission denied|Read-only file system", text):
        return Stop(f"{failure}: {READ_ONLY}")
    if re.search(r"No matching distribution|Could not find a version", text):
        lacking = lines[-1].split()[-1]
        return fetching(f"{failure}: the package index does not give {lacking}: is there a network? Connect and start again")
    telling = [line for line in lines if re.search(r"error|invalid|corrupt|bad|failed", line, re.IGNORECASE)]
    said = (telling or lines or ["no reason given"])[-1][:300]
    return Stop(f"{failure}: {said} (start again; if it stays, delete .venv)")


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
                raise Stop(f"another start has been installing for {WAIT_SECONDS // 60} minutes: end it and start again")
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
        except (BlockingIOError, PermissionError):  # the second is Windows' way to say the same
            return False
        except OSError as error:
            raise Stop(f"{ROOT} cannot be locked ({error.strerror}): copy the folder to a local disk and start again") from error
        return True

    def __exit__(self, *_error):
        self.file.close()


def say(text):
    """One line for people."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def progress(text):
    """One line that replaces itself on a console, and is a line of its own in a log."""
    if sys.stdout.isatty():
        sys.stdout.write("\r\033[K" + text)
    elif text:
        sys.stdout.write(text + "\n")
    sys.stdout.flush()
