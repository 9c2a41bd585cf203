"""A program on a terminal, as a person sees it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

SECONDS = 40


def on_a_console(
    command: Sequence[str], typed: bytes = b"", *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> tuple[int, str]:
    """The exit code and what was said; `typed` is typed once it asks for Enter, and not before."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, env=env, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    said, until = b"", time.monotonic() + SECONDS
    while time.monotonic() < until:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                said += os.read(ours, 65536)
            except OSError:  # nobody has the other end any more
                break
        if typed and b"Press Enter" in said:
            assert process.poll() is None
            os.write(ours, typed)
            typed = b""
    os.close(ours)
    return process.wait(10), said.decode()
