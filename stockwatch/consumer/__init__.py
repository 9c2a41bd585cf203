"""The consumer: topic → batch → store → commit. What cannot be decoded goes to the dead letters; the stream goes on.

Store, then commit: a crash between the two brings messages again, and identity in the tables makes them one row.
While more is waiting than one batch, a batch is stored in a thread of its own and the next one is polled meanwhile.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from stockwatch.alerts import Judge, NoAlerts
from stockwatch.cache import NoQuotes, Quotes
from stockwatch.component import Deadlines, KafkaAddress, Worker
from stockwatch.component.call import Call
from stockwatch.component.rate import Rate
from stockwatch.consumer.letters import Letters
from stockwatch.consumer.member import POLL_RECORDS, POLL_SECONDS, Member
from stockwatch.errors import InvalidMessageError, RetryableError, StoreError
from stockwatch.health import Reporter
from stockwatch.outbox import Outbox
from stockwatch.store import Store
from stockwatch.tick import Bar, Tick, decode_bar, decode_tick, now_ms

BATCH_ROWS = 20_000  # one insert at most
BATCH_SECONDS = 0.2  # and at the latest
FEW_ROWS = 32  # in an insert: then waiting for more makes them fewer inserts; beyond, it would only make them later
LONGEST_PAUSE_SECONDS = 4.0  # while the store or Kafka is away: so soon fresh rows flow again (DESIGN.md: within 15 s)
LAST_SECONDS, LAST_TRIES = 1.0, 3  # at the end, for what is published and not stored: so long, and polls without a message


@dataclass
class Batch:
    """What was polled and is not stored yet: rows with partition and offset, and each partition's last offset."""

    ticks: list[tuple[Tick, int, int]] = field(default_factory=list)
    bars: list[tuple[Bar, int, int]] = field(default_factory=list)
    dead: list[tuple[ConsumerRecord, str]] = field(default_factory=list)
    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    began: float = 0.0

    def __len__(self) -> int:
        return len(self.ticks) + len(self.bars) + len(self.dead)

    def extend(self, later: Batch) -> None:
        """With what was polled after it; in the same lists, for the judge goes on in them where it was."""
        self.ticks += later.ticks
        self.bars += later.bars
        self.dead += later.dead
        self.offsets |= later.offsets


class Consumer(Worker):
    """One life: one member of the consumer group."""

    name = "consumer"

    def __init__(
        self,
        address: KafkaAddress,
        topic: str,
        group_id: str,
        store: Store,
        outbox: Outbox,
        reporter: Reporter,
        quotes: Quotes | None = None,
        judge: Judge | None = None,
    ) -> None:
        super().__init__(reporter)
        self.deadlines = Deadlines(ready=45.0, beat=45.0, stop=2.0)
        self._address, self._topic, self._group_id = address, topic, group_id
        self._store, self._outbox, self._quotes, self._judge = store, outbox, quotes or NoQuotes(), judge or NoAlerts()
        self._letters = Letters(address, f"{topic}.dead-letter", store)
        self._member: Member | None = None
        self._batch = Batch()
        self._writing: tuple[Batch, Call[None]] | None = None  # the batch before it, on its way into the store
        self._finishing = threading.Event()
        self._rows, self._dead, self._rate = 0, 0, Rate()
        self._stored: dict[str, str] = {}  # when rows were last taken by the store
        self._rested = 0.0  # until then (monotonic) what has come waits for more

    def open(self) -> None:
        """Join the group. The first poll gets the partitions."""
        topics = (self._topic, f"{self._topic}.bars")
        self._member = Member(self._address, topics, self._group_id, self._revoked)

    def step(self) -> None:
        """Poll, decode, and store once the batch is full or old, or the log's end is reached and the store has had its rest.

        Only while more is waiting the next batch is polled before this one is in: at the log's end that would gain nothing.

        An insert of one tick costs the store nearly as much as one of a thousand. So after a few rows the store rests as long as
        they took: ticks that come one by one take at most half of its time, and half of a core, on a slow machine too.
        """
        if self._member is None:
            return
        if len(self._batch) and time.monotonic() - self._batch.began > BATCH_SECONDS:
            self._store_batch()  # again, after the store refused: nothing more is polled before it is in
        polled = self._poll(self._member, self._patience(self._member))
        if not self._batch.offsets or (self._writing is not None and self._writing[1].wait(0, lambda: True)):
            self._settle()
        if not self._batch.offsets:
            self._report(self._member)
            if self._finishing.is_set() and self._member.is_at_end():
                self.stopping.set()
            return
        now = time.monotonic()
        if polled < POLL_RECORDS and now >= self._rested and self._member.lag() < POLL_RECORDS:
            self._store_batch()
        elif len(self._batch) >= BATCH_ROWS or now - self._batch.began >= BATCH_SECONDS:
            self._settle()
            batch, self._batch = self._batch, Batch()
            self._writing = batch, Call(partial(self._write, batch), "consumer's insert")
        else:
            return
        self._report(self._member)

    def _patience(self, member: Member) -> float:
        """How long a poll may wait (s). Not a busy look for what is known to come: the client's own thread needs Python, too."""
        if not len(self._batch):
            return POLL_SECONDS
        until = self._batch.began + BATCH_SECONDS if member.lag() >= POLL_RECORDS else self._rested
        return max(min(until - time.monotonic(), POLL_SECONDS), 0.0)

    def _poll(self, member: Member, wait: float) -> int:
        polled = member.poll(wait)
        now, batch = now_ms(), self._batch
        if polled and not batch.offsets:
            batch.began = time.monotonic()
        for partition, records in polled.items():
            bars, number = partition.topic != self._topic, partition.partition
            for record in records:
                try:
                    if bars:
                        batch.bars.append((decode_bar(record.value, now), number, record.offset))
                    else:
                        batch.ticks.append((decode_tick(record.value, now), number, record.offset))
                except InvalidMessageError as error:
                    batch.dead.append((record, str(error)))
            batch.offsets[partition] = records[-1].offset
        return sum(map(len, polled.values()))

    def _store_batch(self) -> None:
        self._settle()
        batch, began = self._batch, time.monotonic()
        self._write(batch)
        self._batch = Batch()
        now = time.monotonic()
        self._rested = now + (now - began if len(batch) < FEW_ROWS else 0.0)
        self._confirm(batch)

    def _settle(self) -> None:
        """Wait for the batch that is on its way into the store. Refused, it is this life's batch again, with what came since."""
        if self._writing is None:
            return
        batch, call = self._writing
        if not call.wait(self.deadlines.beat, lambda: False):
            raise StoreError("an insert has not ended")
        self._writing = None
        try:
            call.result()
        except RetryableError:
            batch.extend(self._batch)
            self._batch = batch
            raise
        self._confirm(batch)

    def _write(self, batch: Batch) -> None:
        """One batch at a time, in the order of the log. Raises StoreError or BrokerError; then all of it is written again."""
        self._judge.judge(batch.ticks)  # first: so a tick in the table has been judged, wherever a kill comes between
        self._store.insert_ticks(batch.ticks)
        self._store.insert_bars(batch.bars)
        if batch.dead:
            self._letters.bury(batch.dead)

    def _confirm(self, batch: Batch) -> None:
        """All of it is stored: tell everyone who waits for that."""
        rows = len(batch.ticks) + len(batch.bars)
        self._quotes.offer(batch.ticks, self._owned())
        self._rows, self._dead = self._rows + rows, self._dead + len(batch.dead)
        self._rate.add(rows)
        if rows:
            self._stored = {"last_stored": datetime.now(UTC).isoformat(timespec="milliseconds")}
        if self._member is not None and not self._member.commit(batch.offsets):
            self.report.beat(rebalances=1)
        if not self.abandoned:  # a life left behind may speak of offsets of a broker that is gone
            for partition, offset in batch.offsets.items():
                self._outbox.stored(partition.topic, partition.partition, offset)

    def _revoked(self) -> None:
        """Within a poll. Whoever has the partitions next begins with what the tables hold, so what is on its way goes first."""
        if self._writing is not None:
            self._writing[1].wait(self.deadlines.beat, lambda: False)
        self._judge.forget()

    def _pause(self, seconds: float) -> None:
        """As a worker's, and never long: both engines stand asking well, and what waits grows meanwhile."""
        self.report.beat(rows_per_second=self._rate.per_second())  # it falls to 0 in sight
        super()._pause(min(seconds, LONGEST_PAUSE_SECONDS))

    def ready(self) -> bool:
        """True once it is a member of the group: before, nothing is stored."""
        return super().ready() and self._member is not None and self._member.joined.is_set()

    def finish(self) -> None:
        """End as soon as everything that is in the log is stored."""
        self._finishing.set()

    def _report(self, member: Member) -> None:
        if not member.joined.is_set():
            return  # still starting, or the reason why not stays
        self.report.running(
            "stores ticks as they come" if member.partitions else "waits: the other members of its group have all partitions",
            lag=member.lag(),
            rows=self._rows,
            partitions=len(self._owned()),
            dead_letters=self._dead,
            rows_per_second=self._rate.per_second(),
            **self._stored,
            **(self._quotes.metrics() | self._judge.metrics()),
        )
        self._quotes.offer((), self._owned())

    def _owned(self) -> set[int]:
        """The partitions of the ticks' topic that this member has."""
        mine = self._member.partitions if self._member is not None else ()
        return {partition.partition for partition in mine if partition.topic == self._topic}

    def close(self) -> None:
        """Store what is polled, and, where the log dies with the broker, what is published too; commit, leave the group."""
        with contextlib.suppress(RetryableError):  # then it is tried once more, with what came since
            self._settle()
        until, tries = time.monotonic() + LAST_SECONDS, 0
        with contextlib.suppress(RetryableError):  # not committed, so it comes again
            while self._batch.offsets or (len(self._outbox) and tries < LAST_TRIES and time.monotonic() < until):
                if self._batch.offsets:
                    self._store_batch()
                elif self._member is None or not self._poll(self._member, POLL_SECONDS):
                    tries += 1
        self._quotes.close()
        self._letters.close()
        if self._member is not None:
            self._member.close()
