"""The disk under the embedded store, which must never run out while chDB writes.

chDB takes a write that the disk refuses for done: ClickHouse's own exception is commented out in its
src/IO/WriteBufferFromFileDescriptor.cpp (26.9.0), and a counter is all that tells. So on a full disk an acknowledged INSERT, a
merge of good parts and a table's definition can all be empty files. Three fences:

1. `KEPT_FREE` in the engine's configuration: inserts, merges and mutations that would go below it are refused (243), as the
   engine reserves their space first. The gateway refuses what reserves nothing (CREATE, ALTER).
2. The counter, read before each acknowledgement: a statement during which any write failed is not acknowledged.
3. The counter, read at each beat: the store gets a new life, which drops what is broken and takes back the parts that a broken
   merge came from; they are kept for `old_parts_lifetime`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stockwatch.engines.clickhouse_request import BadRequestError

# More than anything else writes within one insert: the fence is passed only where this much goes between its look at the disk
# and its last byte.
KEPT_FREE = 64 << 20
NEEDED = KEPT_FREE + (1 << 20)  # the engine reserves 1 MB for the smallest insert
CONFIGURATION = f"""<storage_configuration><disks><default>
    <keep_free_space_bytes>{KEPT_FREE}</keep_free_space_bytes>
  </default></disks></storage_configuration>"""
_FAILED = "SELECT sum(value) FROM system.events WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'"
_NO_ROOM = ("NOT_ENOUGH_SPACE", "No space left", "std::exception")
_MAKES_ROOM = {"DROP", "KILL", "SET", "USE"}  # writes nothing, so that a full disk can be emptied


class Disk:
    """What is left under `folder`, and whether the engine's writes arrive. One life of the store."""

    def __init__(self, folder: Path, connect: Callable[[], Any]) -> None:
        self._folder, self._connect = folder, connect
        self._lock = threading.Lock()
        self._handle: Any = None  # of its own: a session's settings may change what an answer is
        self._closed = False
        self._failed_before = 0

    def opened(self) -> None:
        """The store is open: what failed until now was another life's, and is not in what this one has loaded."""
        with self._lock:
            self._failed_before = self._failed()

    def close(self) -> None:
        """The store is about to close: from now on nothing is safe, and no look at the counter opens it again."""
        with self._lock:
            self._closed = True
            if self._handle is not None:
                self._handle.close()

    def shortage(self) -> str:
        """What to tell while there is too little room to write; empty while there is enough."""
        found = os.statvfs(self._folder)
        free = found.f_bavail * found.f_frsize
        if free >= NEEDED:
            return ""
        return f"the disk under {self._folder} is full ({free >> 20} MB free, {NEEDED >> 20} MB needed)"

    def is_damaged(self) -> bool:
        """Whether a write has failed in this life: what the engine holds for written may not be on the disk."""
        with self._lock:
            return self._closed or self._failed() != self._failed_before

    @contextmanager
    def writing(self, word: str) -> Iterator[None]:
        """Around a statement that writes; `word` is its first. Raises BadRequestError (243) where nothing may be acknowledged."""
        if word not in _MAKES_ROOM and (short := self.shortage()):
            raise BadRequestError(243, "NOT_ENOUGH_SPACE", short)
        try:
            yield
        except RuntimeError as error:  # chDB's: it could not reserve, make a folder or open a file, each in words of its own
            if any(sign in str(error) for sign in _NO_ROOM) and (short := self.shortage()):
                raise BadRequestError(243, "NOT_ENOUGH_SPACE", short) from error
            raise
        if self.is_damaged():
            text = f"the disk under {self._folder} is full, or fails: what was written is not safe"
            raise BadRequestError(243, "NOT_ENOUGH_SPACE", text)

    def _failed(self) -> int:
        self._handle = self._handle or self._connect()  # kept: this is asked at each insert
        return int(self._handle.query(_FAILED, "TSV").bytes())
