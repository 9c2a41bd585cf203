"""The outbox: messages that are not safe yet. It outlives the producer's lives; a new life publishes it first.

Safe means: acknowledged by a broker that keeps its log, or, where the log dies with the broker, reported stored by the
consumer (receipts by partition and offset). Identity in the tables makes a message published twice one row. Of what is stored
the newest is published again too: others read the topic beside the consumer (`record`) and may not have come so far.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

LIMIT_BYTES = 64 * 1024 * 1024  # DESIGN.md: past this the producer waits
TAIL_BYTES = 2 * 1024 * 1024  # of what is stored: some seconds at 1,000 ticks a second
_OVERHEAD = 200  # bytes of Python around one entry, so that the limit means memory


@dataclass(slots=True, eq=False)  # not frozen: there are many, and frozen ones take twice as long to make
class Entry:
    """One message on its way: topic, key and value as bytes."""

    topic: str
    key: bytes
    value: bytes

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return len(self.key) + len(self.value) + _OVERHEAD


class Outbox:
    """Every method may be called from any thread."""

    def __init__(self, keeps_log: bool, limit_bytes: int = LIMIT_BYTES, tail_bytes: int = TAIL_BYTES) -> None:
        self._keeps_log = keeps_log
        self._limit, self._tail_limit = limit_bytes, tail_bytes
        self._room = threading.Condition()
        self._bytes = 0
        self._unacknowledged: dict[int, Entry] = {}  # by id, in the order of add()
        self._unstored: dict[tuple[str, int], deque[tuple[int, Entry]]] = {}  # by partition, in the order of offsets
        self._tail: deque[Entry] = deque()  # stored, the newest last; not counted in _bytes
        self._tail_bytes = 0

    def __len__(self) -> int:
        with self._room:
            return len(self._unacknowledged) + sum(map(len, self._unstored.values()))

    def unacknowledged(self) -> int:
        """How many messages the broker has not acknowledged."""
        with self._room:
            return len(self._unacknowledged)

    def add(self, messages: Iterable[tuple[str, bytes, bytes]]) -> list[Entry]:
        """Keep messages (topic, key, value) before they are published."""
        entries = [Entry(*message) for message in messages]
        with self._room:
            self._unacknowledged.update((id(entry), entry) for entry in entries)
            self._bytes += sum(entry.size for entry in entries)
        return entries

    def wait_for_room(self, seconds: float) -> bool:
        """Wait until it is below its limit; False when it still is not."""
        with self._room:
            return self._room.wait_for(lambda: self._bytes < self._limit, seconds)

    def acknowledged(self, entry: Entry, partition: int, offset: int) -> None:
        """The broker has it at this place."""
        with self._room:
            if self._unacknowledged.pop(id(entry), None) is None:
                return  # an old life's acknowledgement of what a new life has taken over and finished
            if self._keeps_log:
                self._release(entry)
            else:
                self._unstored.setdefault((entry.topic, partition), deque()).append((offset, entry))

    def stored(self, topic: str, partition: int, offset: int) -> None:
        """Everything of this partition up to `offset` is in the store."""
        with self._room:
            waiting = self._unstored.get((topic, partition))
            while waiting and waiting[0][0] <= offset:
                entry = waiting.popleft()[1]
                self._release(entry)
                self._tail.append(entry)
                self._tail_bytes += entry.size
            while self._tail_bytes > self._tail_limit:
                self._tail_bytes -= self._tail.popleft().size

    def take_over(self) -> list[Entry]:
        """What a new life of the producer must publish first, oldest first; all of it is unacknowledged again."""
        with self._room:
            again = [*self._tail, *(entry for waiting in self._unstored.values() for _offset, entry in waiting)]
            self._unstored.clear()
            self._bytes += self._tail_bytes
            self._tail.clear()
            self._tail_bytes = 0
            self._unacknowledged = {id(entry): entry for entry in [*again, *self._unacknowledged.values()]}
            return list(self._unacknowledged.values())

    def _release(self, entry: Entry) -> None:
        self._bytes -= entry.size
        self._room.notify_all()
