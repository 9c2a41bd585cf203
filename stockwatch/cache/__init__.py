"""The optional Redis: the newest quote of each symbol, written by the consumer after the store. Never the truth.

A quote counts only while the consumer that has its partition says, at most CURRENT_SECONDS ago, that all it has stored is here:
so what a dead, cut-off or frozen one left behind is no quote, and the page asks the store. What a partition's owner says carries
a word that is new each time it gets the partition, and so do its quotes. Simulated and real prices have keys of their own.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import socket
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from stockwatch.cache.connection import Redis
from stockwatch.errors import InvalidMessageError
from stockwatch.health import Metric
from stockwatch.settings import EMBEDDED, Settings
from stockwatch.tick import MAX_AHEAD_MS, Tick, decode_tick, encode, now_ms

log = logging.getLogger(__name__)

READ_SECONDS = 0.1  # the page waits no longer
WRITE_SECONDS = 0.5  # nobody waits for the writer's thread
SAY_SECONDS = 1.0  # how often "all is here" is said again while nothing new comes
CURRENT_SECONDS = 5.0
KEEP_MS = 3_600_000  # then Redis forgets a quote
MOST_PENDING = 10_000  # symbols; past that none of them counts, rather than memory without end
# An older tick never replaces a newer one, whoever writes; what is no quote of ours, or lies past the ceiling, is replaced.
# KEYS: quotes, then partitions. ARGV: how many quotes, ceiling, ms to keep a quote, ms to keep a word, then a value for each key.
SCRIPT = """
local quotes = tonumber(ARGV[1])
for i = 1, quotes do
  local new, old = ARGV[4 + i], redis.pcall('GET', KEYS[i])
  local place = type(old) == 'string' and string.match(old, '^(%d+)|')
  if not place or #place ~= 35 or place <= string.sub(new, 1, 35) or place > ARGV[2] then
    redis.call('SET', KEYS[i], new, 'PX', ARGV[3])
  end
end
for i = quotes + 1, #KEYS do redis.call('SET', KEYS[i], ARGV[4 + i], 'PX', ARGV[4]) end
"""


def prefix_of(settings: Settings) -> str:
    """What the keys of one store begin with: its database, and which store it is; several may share one Redis."""
    url = urlsplit(settings.clickhouse.url)
    embedded = settings.clickhouse.url == EMBEDDED
    place = f"{socket.gethostname()}{settings.data_dir}" if embedded else f"{url.hostname}:{url.port}"
    return f"stockwatch:{settings.clickhouse.database}:{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def _place(tick: Tick) -> str:
    """35 digits that sort as ticks do: by time, then by the day's volume."""
    return f"{tick.at:015d}{tick.day_volume:020d}"


class Quotes(Protocol):
    """Where the consumer puts what it has stored."""

    def offer(self, rows: Sequence[tuple[Tick, int, int]], owned: Collection[int]) -> None:
        """(tick, partition, offset)s that are stored now, and the partitions that are this consumer's. Never waits."""

    def metrics(self) -> dict[str, Metric]:
        """For the consumer's health."""

    def close(self) -> None:
        """The life is over: nothing of it counts any more."""


class NoQuotes:
    """Without a redis_url, or for a consumer that is measured by itself."""

    def offer(self, rows: Sequence[tuple[Tick, int, int]], owned: Collection[int]) -> None:
        """Nothing is kept."""

    def metrics(self) -> dict[str, Metric]:
        """None."""
        return {}

    def close(self) -> None:
        """Nothing to end."""


class QuoteWriter:
    """The consumer's side, for one of its lives. A thread of its own writes, so that no Redis slows the consumer."""

    def __init__(self, url: str, prefix: str) -> None:
        self._redis, self._prefix = Redis(url, WRITE_SECONDS), prefix
        self._lock = threading.Lock()
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._pending: dict[tuple[str, str], tuple[Tick, int, int]] = {}  # (source, symbol) → tick, partition, offset
        self._words: dict[int, str] = {}  # partition → what its owner says
        self._heard = 0.0
        self._written = 0
        self._surprise: str | None = None
        self._thread: threading.Thread | None = None

    def offer(self, rows: Sequence[tuple[Tick, int, int]], owned: Collection[int]) -> None:
        """See Quotes."""
        if self._thread is None:  # not before the life does something: one that never starts leaves none behind
            self._thread = threading.Thread(target=self._work, name="quotes", daemon=True)
            self._thread.start()
        newest: dict[tuple[str, str], tuple[Tick, int, int]] = {}
        _keep_newest(newest, rows)
        with self._lock:
            self._heard = time.monotonic()
            if self._words.keys() != set(owned):
                self._words = {number: self._words.get(number) or secrets.token_hex(6) for number in owned}
            _keep_newest(self._pending, newest.values())
            if len(self._pending) > MOST_PENDING:
                self._pending.clear()
                self._words = {number: secrets.token_hex(6) for number in self._words}
        if rows:
            self._wake.set()

    def metrics(self) -> dict[str, Metric]:
        """See Quotes. `cache`: what is wrong, or "current"."""
        return {"cache": self._surprise or self._redis.error or "current", "cached_quotes": self._written}

    def close(self) -> None:
        """See Quotes."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(0.3)  # it is left behind otherwise: what it says last is soon too old to count

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._wake.wait(SAY_SECONDS)
                self._wake.clear()
                self._write()
                if self._redis.error:
                    self._stopping.wait(SAY_SECONDS / 4)  # what comes meanwhile is one write
            self._redis.close()
        except Exception as error:  # a surprise ends the cache, not the consumer; it is said in its health
            log.exception("the cache ended by a surprise")
            self._surprise = f"ended by a surprise: {type(error).__name__}"

    def _write(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, {}
            words = dict(self._words)
            silent = time.monotonic() - self._heard > CURRENT_SECONDS / 2
        items = [item for item in pending.values() if item[1] in words]
        keys = [quote_key(self._prefix, tick.source, tick.symbol) for tick, _partition, _offset in items]
        values: list[str | bytes] = [
            f"{_place(tick)}|{words[number]}|".encode() + encode(tick) for tick, number, _offset in items
        ]
        now = now_ms()
        if not silent:  # a consumer that hangs cannot say that all is here
            keys += [word_key(self._prefix, number) for number in words]
            values += [f"{word}|{now}" for word in words.values()]
        if not keys:
            return
        ceiling = f"{now + MAX_AHEAD_MS:015d}{'9' * 20}"
        fixed = (len(items), ceiling, KEEP_MS, int(CURRENT_SECONDS * 1000))
        done = self._redis.ask(
            lambda r: r.eval(SCRIPT, len(keys), *keys, *fixed, *values) or True, stopping=self._stopping.is_set
        )
        with self._lock:
            if done:
                self._written += len(items)
            else:
                _keep_newest(self._pending, items)


def _keep_newest(held: dict[tuple[str, str], tuple[Tick, int, int]], rows: Iterable[tuple[Tick, int, int]]) -> None:
    """Put each row into `held`, by source and symbol, where it is not older."""
    for row in rows:
        tick = row[0]
        key = (tick.source, tick.symbol)
        old = held.get(key)
        if old is None or (old[0].at, old[0].day_volume) <= (tick.at, tick.day_volume):
            held[key] = row


class QuoteReader:
    """The page's side; one for all viewers."""

    def __init__(self, url: str, prefix: str, partitions: int) -> None:
        self._redis, self._prefix, self._partitions = Redis(url, READ_SECONDS), prefix, partitions

    def quotes(self, source: str, symbols: Sequence[str], now: int | None = None) -> dict[str, dict[str, Any]]:
        """Symbol → a tick's fields, of those that are here and current; absent optional fields are None. Never raises."""
        keys = [quote_key(self._prefix, source, symbol) for symbol in symbols]
        keys += [word_key(self._prefix, number) for number in range(self._partitions)]
        answer = self._redis.ask(lambda client: client.mget(keys))
        if not answer:
            return {}
        moment = now_ms() if now is None else now
        words = set(filter(None, (_current(said, moment) for said in answer[len(symbols) :])))
        found = {}
        for symbol, value in zip(symbols, answer, strict=False):
            tick = _quote(value, words, moment)
            if tick is not None and (tick.source, tick.symbol) == (source, symbol):
                found[symbol] = msgspec.structs.asdict(tick)
        return found

    def close(self) -> None:
        """Give the connection back."""
        self._redis.close()


def quote_key(prefix: str, source: str, symbol: str) -> str:
    """Where the newest quote of a symbol from a source is."""
    return f"{prefix}:quote:{source}:{symbol}"


def word_key(prefix: str, partition: int) -> str:
    """Where the owner of a partition says that all is here."""
    return f"{prefix}:current:{partition}"


def _current(said: bytes | None, now: int) -> bytes | None:
    """The word, if it was said lately by this clock; a write that a frozen Redis carried out late says an old time."""
    word, _, moment = (said or b"").partition(b"|")
    lately = moment.isdigit() and len(moment) < 20 and abs(now - int(moment)) <= CURRENT_SECONDS * 1000
    return word if lately else None


def _quote(value: bytes | None, words: set[bytes], now: int) -> Tick | None:
    _place, _, rest = (value or b"").partition(b"|")
    word, _, body = rest.partition(b"|")
    if word not in words:
        return None
    try:
        return decode_tick(body, now)
    except InvalidMessageError:
        return None  # not ours: the store knows
