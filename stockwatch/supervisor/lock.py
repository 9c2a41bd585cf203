"""The lock in the data folder: one owner of the embedded engines, where it runs, and how it is."""

from __future__ import annotations

import contextlib
import json
import os
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from io import FileIO
from pathlib import Path
from typing import Any

from stockwatch.errors import AlreadyRunningError, UnavailableError
from stockwatch.settings import Settings

try:
    import fcntl
except ImportError:  # Windows, where the engines live in Docker and nothing here needs the lock
    fcntl = None  # type: ignore[assignment]


PASSING_SECONDS = 0.5  # who looks whether it is held holds it for a moment, together with others who look
AGAIN_SECONDS = 0.01
ANSWER_SECONDS = 3.0
ANSWER_BYTES = 1 << 20


class Lock:
    """Held while the file is open: the system gives it back however the process ends, so it is never stale."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "lock"
        self._file: FileIO | None = None

    def take(self) -> None:
        """AlreadyRunningError says where the owner runs; UnavailableError: the folder cannot be written or locked."""
        try:
            file = FileIO(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        except OSError as error:
            raise UnavailableError(f"{self._path.parent}: cannot be written: {error.strerror}") from error
        try:
            taken = self._try_to_take(file)
        except OSError as error:
            file.close()
            raise UnavailableError(
                f"{self._path}: cannot be locked ({error.strerror}): supervisor.data_dir must be on a disk that can lock files"
            ) from error
        if not taken:
            file.close()
            facts = read_facts(self._path.parent)
            where = f" at {facts['dashboard_url']}" if facts.get("dashboard_url") else ""
            raise AlreadyRunningError(f"already running{where}{process_of(facts)} on {self._path.parent}")
        self._file = file
        self.say()  # what an owner that was killed had said is true no more

    def _try_to_take(self, file: FileIO) -> bool:
        """False when an instance has it. Those who only look, or are giving it back, are waited for. OSError: no locks there."""
        if fcntl is None:
            return True
        until = time.monotonic() + PASSING_SECONDS
        while not _try(file, fcntl.LOCK_EX):
            is_owned = not _try(file, fcntl.LOCK_SH)
            if (is_owned and read_facts(self._path.parent)) or time.monotonic() > until:
                return False
            fcntl.flock(file, fcntl.LOCK_UN)
            time.sleep(AGAIN_SECONDS)  # tried again until the deadline
        return True

    def say(self, **facts: Any) -> None:
        """Write where this instance runs, for `status` and for a second start."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            with contextlib.suppress(OSError):  # a full disk: then nobody is told, and all else goes on
                self._file.write(json.dumps({"pid": os.getpid(), **facts}).encode())

    def give_back(self) -> None:
        """Let the next one in. The file stays: removing it would let two hold it."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            self._file.close()
            self._file = None


def _try(file: FileIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(data_dir: Path) -> bool:
    """Whether an instance owns this data folder."""
    if fcntl is None:
        return False
    try:
        with FileIO(data_dir / "lock", "r+") as file:
            return not _try(file, fcntl.LOCK_SH)
    except OSError:  # no file, no folder, no locks: nobody is there
        return False


def read_facts(data_dir: Path) -> dict[str, Any]:
    """What the owner said of itself: pid, health_url, dashboard_url, clickhouse_url; empty when nobody did."""
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads((data_dir / "lock").read_text(encoding="utf-8"))
        if isinstance(facts, dict):
            return facts
    return {}


def process_of(facts: dict[str, Any]) -> str:
    """The owner's process, to be put behind a word; empty when it did not say."""
    return f" (process {facts['pid']})" if facts.get("pid") else ""


def health_at(url: str) -> dict[str, Any] | None:
    """The body of an instance's GET /health, also of one where not all is well (503). None: something else answers.

    Raises OSError when nobody does.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine: no proxy may answer for it
    try:
        with opener.open(url, timeout=ANSWER_SECONDS) as answer:
            body = answer.read(ANSWER_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            body = error.read(ANSWER_BYTES)
    except HTTPException:
        return None
    with contextlib.suppress(ValueError):
        health = json.loads(body)
        if isinstance(health, dict) and isinstance(health.get("components"), list):
            return health
    return None


def configured_health_url(settings: Settings) -> str:
    """Where an instance of these settings answers unless it took another port and its lock says which."""
    return f"http://127.0.0.1:{settings.supervisor.health_port}/health"
