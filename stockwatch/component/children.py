"""Child processes that cannot outlive their parent: own session, ended as a group, killed when the parent dies.

Linux: PR_SET_PDEATHSIG, which fires when the *thread* that spawned the child ends: call spawn() on the main thread.
Elsewhere: a small guard process (this file, run) holds a pipe whose end it notices.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import psutil

_ROOT = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def spawn(args: list[str], log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a child in its own session, its output appended to `log`. Raises OSError when it cannot be started.

    It finds the package from any current folder. env: set beside ours. Our settings are left out: they hold secrets, and a
    child is told what it needs by file.
    """
    ours = {name: value for name, value in os.environ.items() if not name.upper().startswith("STOCKWATCH_")}
    path = os.pathsep.join(filter(None, [str(_ROOT), ours.get("PYTHONPATH", "")]))
    environment = {**ours, "PYTHONPATH": path, **(env or {})}
    parent, libc = os.getpid(), _libc

    def die_with_parent() -> None:  # runs in the child between fork and exec
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the call above
            os._exit(1)

    with log.open("ab", buffering=0) as output:
        log.chmod(0o600)
        if libc is not None:
            return subprocess.Popen(
                args,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        return subprocess.Popen(
            [sys.executable, "-P", __file__, *args],  # -P: what lies beside this file is no module of its own
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows: a Ctrl-C is for the parent alone
        )


def end(process: subprocess.Popen[bytes], seconds: float, first: signal.Signals = signal.SIGTERM) -> int:
    """Ask with `first`, wait, then kill the whole group; the exit code. Safe on a process that is gone."""
    if process.poll() is None:
        _signal_group(process.pid, first)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        _signal_group(process.pid, None)
    code = process.wait(2.0)
    if process.stdin is not None:
        process.stdin.close()
    return code


def memory_mb(process: subprocess.Popen[bytes]) -> int:
    """How much memory the child has (resident): where a guard stands between, that of what it guards. 0 once it is gone."""
    try:
        child = psutil.Process(process.pid)
        guarded = process.stdin is not None  # the pipe is the guard's
        return round(sum(one.memory_info().rss for one in (child.children() if guarded else [child])) / 2**20)
    except psutil.NoSuchProcess:
        return 0


def _signal_group(leader: int, number: signal.Signals | None) -> None:
    """Signal a process and all that it started; None: kill. Windows has no groups and no signals: there they are ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):  # it has ended meanwhile
        if hasattr(os, "killpg"):
            os.killpg(leader, signal.SIGKILL if number is None else number)
            return
        process = psutil.Process(leader)
        for one in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.terminate()  # on Windows that is a kill


def _guard(args: list[str]) -> int:
    """Run a child until it ends or until stdin, the parent's end of a pipe, closes."""
    child = subprocess.Popen(args, stdin=subprocess.DEVNULL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: child.send_signal(received))

    def watch() -> None:
        os.read(0, 1)  # not by sys.stdin: the interpreter aborts when it ends while a thread reads there
        _signal_group(os.getpid(), None)  # spawn() made it the leader

    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code  # ended by a signal: as a shell says it


if __name__ == "__main__":
    sys.exit(_guard(sys.argv[1:]))
