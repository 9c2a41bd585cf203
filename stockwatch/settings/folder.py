"""The data folder: for this user alone, and what is somebody else's in it is left alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stockwatch.errors import UnavailableError, UsageError

OURS = {"stockwatch.log", "clickhouse.password"}  # every start writes the one or the other
FIRST = {"lock"}  # what a start that was killed at once leaves


def make_data_dir(data_dir: Path) -> None:
    """Make the data folder, for this user alone, also what was in it while it was open to others.

    One that holds other things too stays as it is: what we write in it is for this user alone all the same. Raises UsageError
    for one in which everybody may write (they could put our files there before us), UnavailableError when it cannot be made.
    """
    os.umask(0o077)  # whatever is written from now on, by libraries too; a log file is made anew when it rotates
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if refused := refusal(data_dir):
            raise UsageError(refused)
        if not is_ours(data_dir) or not data_dir.stat().st_mode & 0o077:
            return
        data_dir.chmod(0o700)
        for path in data_dir.iterdir():
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o700)
    except OSError as error:
        raise UnavailableError(f"supervisor.data_dir: {data_dir} cannot be made: {error.strerror}") from error


def is_ours(data_dir: Path) -> bool:
    """Whether this folder is empty or was made by a start. Raises OSError."""
    names = {path.name for path in data_dir.iterdir()}
    return names <= FIRST or bool(names & OURS)


def refusal(data_dir: Path) -> str:
    """What is wrong with this folder as the data folder; empty where nothing is. Raises OSError."""
    mode = data_dir.stat().st_mode
    if mode & stat.S_ISVTX or (mode & stat.S_IWOTH and not is_ours(data_dir)):
        return f"supervisor.data_dir: {data_dir} is a folder in which everybody may write: name one of its own in it"
    return ""
