"""The lock in the data folder: one owner of the embedded engines, and where it runs."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import IO, Any

from stockwatch.errors import AlreadyRunningError, UnavailableError

try:
    import fcntl
except ImportError:  # Windows, where the engines live in Docker and nothing here needs the lock
    fcntl = None  # type: ignore[assignment]


class Lock:
    """Held while the file is open: the system gives it back however the process ends, so it is never stale."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "lock"
        self._file: IO[str] | None = None

    def take(self) -> None:
        """AlreadyRunningError says where the owner runs; UnavailableError: the folder cannot be written."""
        try:
            self._file = open(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise UnavailableError(f"{self._path.parent}: cannot be written: {error.strerror}") from error
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            facts = read_facts(self._path.parent)
            self._file.close()
            where = f" at {facts['dashboard_url']}" if facts.get("dashboard_url") else ""
            process = f" (process {facts['pid']})" if facts.get("pid") else ""
            raise AlreadyRunningError(f"already running{where}{process} on {self._path.parent}") from None

    def say(self, **facts: Any) -> None:
        """Write where this instance runs, for `status` and for a second start."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            json.dump({"pid": os.getpid(), **facts}, self._file)
            self._file.flush()

    def give_back(self) -> None:
        """Let the next one in. The file stays: removing it would let two hold it."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            self._file.close()
            self._file = None


def is_held(data_dir: Path) -> bool:
    """Whether an instance owns this data folder."""
    if fcntl is None:
        return False
    try:
        with (data_dir / "lock").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no file, no folder: nobody is there
        return False
    return False


def read_facts(data_dir: Path) -> dict[str, Any]:
    """What the owner said of itself: pid, health_url, dashboard_url, clickhouse_url; empty when nobody did."""
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads((data_dir / "lock").read_text(encoding="utf-8"))
        if isinstance(facts, dict):
            return facts
    return {}
