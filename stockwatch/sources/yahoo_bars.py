"""Yahoo's own bars while live ticks already flow: a thread of its own asks what the Plan says, one request after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import pandas as pd

from stockwatch.component import Backoff
from stockwatch.errors import RetryableError, StoreError
from stockwatch.health import Metric
from stockwatch.sessions.places import MINUTE_MS
from stockwatch.settings import Settings
from stockwatch.sources import Held
from stockwatch.sources.bar_plan import SETTLE_MS, Plan, Request, Span
from stockwatch.tick import Bar, now_ms

NAME = "yahoo"
PAUSE_SECONDS = 0.1  # between two requests: never a burst
AGAIN_SECONDS, LONGEST_AGAIN_SECONDS = 5.0, 30.0  # after a trouble with one symbol, where the gate names no time
LONGEST_WAIT_SECONDS = 5.0  # then the wall clock is looked at again: a laptop may have slept
COLUMNS = ("Open", "High", "Low", "Close")


class Asks(Protocol):
    """What it asks of Yahoo (see YahooSession)."""

    def bars(self, symbol: str, start_ms: int, end_ms: int | None, minutes: int) -> pd.DataFrame: ...


class Answered(msgspec.Struct, frozen=True):
    """Kept from start to start, so that a second one asks only for what is missing: minutes without a trade have no bar.

    [start, end) was asked; first and last: the start of the first and the end of the last bar that came, if the table has them.
    """

    start: int
    end: int
    first: int
    last: int


class YahooBars:
    """Backfill and reconciling. begin(), take() and the properties are for the source's reader; the rest is the thread's.

    held: the store, asked at the first turn; None where this start knows none, then everything is asked for again.
    delay: by how many ms Yahoo's data of a symbol is late. unknown: the symbols that Yahoo does not know.
    """

    def __init__(
        self,
        settings: Settings,
        session: Asks,
        held: Callable[[], Held] | None,
        delay: Callable[[str], int],
        unknown: Callable[[], list[str]],
        clock: Callable[[], int] = now_ms,
    ) -> None:
        market = settings.market
        self._symbols, self._session, self._held, self._unknown, self._clock = market.tickers, session, held, unknown, clock
        self._delay = delay
        self._plan = Plan(market.tickers, settings.dashboard.candle_minutes, market.backfill_days, delay)
        self._file = settings.data_dir / "yahoo-bars.json"
        self._answered: dict[str, Answered] = {}
        self._told: dict[str, dict[int, Bar]] = {}  # this session's bars as they were last given on
        self._lock = threading.Lock()
        self._ready: list[Bar] = []
        self._count = 0
        self._planned = 0
        self._troubles: dict[str, tuple[str, Backoff]] = {}  # by symbol: the last reason, and how long to wait
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def begin(self) -> None:
        """Start the thread; safe to repeat. A surprise in it is raised here, and the next call starts it again."""
        if self._failure is not None:
            failure, self._failure, self._thread = self._failure, None, None
            raise failure
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(target=self._run, name="yahoo bars", daemon=True)
            self._thread.start()

    def take(self) -> list[Bar]:
        """What has come since the last call."""
        with self._lock:
            ready, self._ready = self._ready, []
        return ready

    def close(self) -> None:
        """The thread ends after its request."""
        self._closed.set()

    @property
    def detail(self) -> str:
        """The backfill's progress, or why bars cannot be had; empty when all is well."""
        done, whole = self._plan.backfilled(self._unknown())
        if troubles := dict(self._troubles):
            names = ", ".join([*troubles][:3]) + (" and others" if len(troubles) > 3 else "")
            return f"no bars of {names} now, so closed candles are from ticks: {next(iter(troubles.values()))[0]}"
        return f"backfill {done} of {whole} tickers" if done < whole else ""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """backfill: done and of (tickers), bars (given so far)."""
        done, whole = self._plan.backfilled(self._unknown())
        backfill = {"done": done, "of": whole, "bars": self._count}
        return {"backfill": backfill if self._planned == len(self._symbols) else None}

    def _run(self) -> None:
        try:
            while not self._closed.wait(self.turn()):
                pass
        except Exception as error:  # noqa: BLE001 - begin() raises it in the producer's life, which ends visibly
            self._failure = error

    def turn(self) -> float:
        """Ask at most once; how many seconds to wait then."""
        try:
            while self._planned < len(self._symbols):
                self._begin(self._symbols[self._planned])
                self._planned += 1
            request = self._plan.next(self._clock(), self._unknown())
            if request is None:
                return min(self._plan.wait_ms(self._clock(), self._unknown()) / 1000 + 0.01, LONGEST_WAIT_SECONDS)
        except StoreError:
            return 1.0  # not up yet, or away: what it holds decides what is asked
        try:
            self._ask(request)
        except RetryableError as error:
            backoff = self._troubles.get(request.symbol, ("", Backoff(AGAIN_SECONDS, LONGEST_AGAIN_SECONDS)))[1]
            self._troubles[request.symbol] = (str(error), backoff)
            wait = error.retry_after or backoff.next_delay()
            self._plan.postpone(request.symbol, self._clock() + int(wait * 1000))
            return min(error.retry_after or PAUSE_SECONDS, LONGEST_WAIT_SECONDS)
        self._troubles.pop(request.symbol, None)
        return PAUSE_SECONDS

    def _begin(self, symbol: str) -> None:
        if not self._answered and self._file.is_file():
            self._answered = _load(self._file)
        held = self._held().bar_span(NAME, symbol) if self._held else None
        known = None if held is None else Span(*held)
        said = self._answered.pop(symbol, None)
        if said is not None and held is not None and held[0] <= said.first and said.last <= held[1]:
            self._answered[symbol] = said
            known = Span(said.start, said.end)
        self._plan.begin(symbol, known, self._clock())

    def _ask(self, request: Request) -> None:
        frame = self._session.bars(request.symbol, request.start, request.end, request.minutes)
        now = self._clock()
        bars = bars_of(frame, request.symbol, request.minutes, now - self._delay(request.symbol) - SETTLE_MS)
        bars = [bar for bar in bars if bar.start >= request.start and (request.end is None or bar.start < request.end)]
        last_end = bars[-1].start + request.minutes * MINUTE_MS if bars else None
        told = self._told.get(request.symbol, {})
        new = [bar for bar in bars if told.get(bar.start) != bar]
        if not request.older:
            opened = self._plan.session_open(request.symbol, now)
            self._told[request.symbol] = {bar.start: bar for bar in bars if bar.start >= opened}
        with self._lock:
            # Older ones backwards: a kill in between leaves a stretch without holes.
            self._ready += new[::-1] if request.older else new
            self._count += len(new)
        self._remember(request, bars, self._plan.answered(request, last_end, now))

    def _remember(self, request: Request, bars: list[Bar], known: Span) -> None:
        said = self._answered.get(request.symbol)
        if bars or said:
            firsts = [bars[0].start] if bars else []
            lasts = [bars[-1].start + request.minutes * MINUTE_MS] if bars else []
            if said:
                firsts.append(said.first)
                lasts.append(said.last)
            self._answered[request.symbol] = Answered(known.start, known.end, min(firsts), max(lasts))
            _save(self._file, self._answered)


def bars_of(frame: pd.DataFrame, symbol: str, minutes: int, closed_ms: int) -> list[Bar]:
    """Ticker.history's rows as Bars by time: only whole minutes that have closed by `closed_ms`, and only with prices.

    Yahoo's last row is the forming minute, at times with the last trade's second as its time.
    """
    if frame.empty:
        return []
    starts = pd.DatetimeIndex(frame.index).tz_convert("UTC").as_unit("ms").asi8
    prices = frame[list(COLUMNS)].to_numpy(np.float64)
    volumes = np.nan_to_num(frame["Volume"].to_numpy(np.float64), nan=0.0)
    width = minutes * MINUTE_MS
    good = (starts % MINUTE_MS == 0) & (starts + width <= closed_ms) & np.isfinite(prices).all(axis=1) & (prices > 0).all(axis=1)
    prices = prices[good]
    highest, lowest = prices.max(axis=1, initial=0.0), prices.min(axis=1, initial=np.inf)  # Yahoo's rounding may differ by a hair
    columns = (
        starts[good].tolist(), prices[:, 0].tolist(), highest.tolist(), lowest.tolist(), prices[:, 3].tolist(),
        np.maximum(volumes[good], 0).astype(np.int64).tolist(),
    )  # fmt: skip
    found = {}
    for start, opened, high, low, close, volume in zip(*columns, strict=True):
        found[start] = Bar(symbol, start, minutes, opened, high, low, close, volume, NAME)
    return [found[start] for start in sorted(found)]


def _load(file: Path) -> dict[str, Answered]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Answered])
    except (OSError, msgspec.MsgspecError):
        return {}  # then the table alone says what is there


def _save(file: Path, answered: dict[str, Answered]) -> None:
    part = file.with_suffix(".part")
    try:
        part.write_bytes(msgspec.json.encode(answered))
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)  # a full disk: the next start asks for more than it must
