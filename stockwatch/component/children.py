"""Child processes that cannot outlive their parent: own session, ended as a group, killed when the parent dies.

Linux: PR_SET_PDEATHSIG, which fires when the *thread* that spawned the child ends: call spawn() on the main thread.
Elsewhere: a small guard process (`python -m stockwatch.component.children`) holds a pipe whose end it notices.
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

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def spawn(args: list[str], log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a child in its own session, its output appended to `log`. Raises OSError when it cannot be started.

    env: set beside ours. Our settings are left out: they hold secrets, and a child is told what it needs by file.
    """
    ours = {name: value for name, value in os.environ.items() if not name.upper().startswith("STOCKWATCH_")}
    environment = {**ours, **(env or {})}
    parent, libc = os.getpid(), _libc

    def die_with_parent() -> None:  # runs in the child between fork and exec
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the call above
            os._exit(1)

    with log.open("ab", buffering=0) as output:
        os.fchmod(output.fileno(), 0o600)
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
            [sys.executable, "-m", "stockwatch.component.children", *args],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes], seconds: float, first: signal.Signals = signal.SIGTERM) -> int:
    """Ask with `first`, wait, then SIGKILL the whole group; the exit code. Safe on a process that is gone."""
    _signal_group(process, first)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
    code = process.wait(2.0)
    if process.stdin is not None:
        process.stdin.close()
    return code


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it ended between the look and the signal
            os.killpg(process.pid, number)


def _guard(args: list[str]) -> int:
    """Run a child until it ends or until stdin, the parent's end of a pipe, closes."""
    child = subprocess.Popen(args, stdin=subprocess.DEVNULL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: child.send_signal(received))

    def watch() -> None:
        sys.stdin.buffer.read()
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(_guard(sys.argv[1:]))
