"""When which of Yahoo's bars are to be asked for. Pure: moments come in, requests go out. Times are ms since the epoch, UTC.

First what is missing of the last sessions (backfill), then, soon after each candle's close, the session so far: its bars
win over ticks, and what Yahoo corrected afterwards comes with them. What is known of a symbol is one stretch without holes,
because it only grows at its ends; so a gap is what lies between its end and now, against the session calendar.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from stockwatch import sessions
from stockwatch.sessions import DAY_MS, Market

SETTLE_MS = 30_000  # Yahoo's bar of a minute is whole a moment after its end
SPREAD_MS = 60_000  # one close's requests are spread over this; both together stay below the promised 2 minutes
AGAIN_MS = 25_000  # once more when the closed minute was not in the answer
LATE_MS = 20 * 60_000  # once more after a session's end: the auction's bars, late corrections
FIVE_MS = 5 * 60_000
FINE_MS = 7 * DAY_MS - 3_600_000  # how far back Yahoo keeps one-minute bars, less an hour …
COARSE_MS = 60 * DAY_MS - 3_600_000  # … and five-minute bars


class Span(NamedTuple):
    """What was asked and answered of one symbol: every bar in [start, end)."""

    start: int
    end: int


@dataclass(frozen=True)
class Request:
    """Bars of `minutes` that start in [start, end); end None: until now. older: goes before what is known."""

    symbol: str
    start: int
    end: int | None
    minutes: int
    older: bool = False


@dataclass
class _Line:
    """What is planned for one symbol."""

    market: Market
    spread: int
    known: Span | None = None
    due: int = 0
    queue: deque[Request] = field(default_factory=deque)
    had_gap: bool = False  # at the start
    backfilling: bool = False
    again: bool = False


class Plan:
    """All symbols. delay: by how many ms Yahoo's data of a symbol is late; one thread owns it."""

    def __init__(
        self, symbols: Sequence[str], candle_minutes: int, backfill_days: int, delay: Callable[[str], int] = lambda _symbol: 0
    ) -> None:
        self._minutes, self._days, self._delay = candle_minutes, backfill_days, delay
        # The page also draws candles of 5 minutes, and others that end where one of these does.
        self._looks = 5 if candle_minutes % 5 == 0 else 1
        self._lines = {
            symbol: _Line(sessions.market_of(symbol), SPREAD_MS * number // max(len(symbols), 1))
            for number, symbol in enumerate(symbols)
        }

    def begin(self, symbol: str, known: Span | None, now: int) -> None:
        """Plan a symbol's backfill: the last backfill_days sessions, less what is known."""
        line = self._lines[symbol]
        window = self._window(line.market, now)
        if known is not None and known.end < window:
            known = None  # too old to be joined to
        line.known = known
        if known is None:
            newest = self._pieces(symbol, window, None, now)  # the newest first: the page shows it
            line.queue.extend(newest[-1:] + [replace(piece, older=True) for piece in newest[-2::-1]])
        else:
            if self._traded(line.market, known.end, now - self._delay(symbol)):
                line.queue.extend(self._pieces(symbol, known.end, None, now))
            line.queue.extend(replace(piece, older=True) for piece in self._pieces(symbol, window, known.start, now)[::-1])
        line.backfilling = line.had_gap = bool(line.queue)
        line.due = now if line.queue else self._next_due(symbol, now)

    def next(self, now: int, skip: Container[str] = ()) -> Request | None:
        """What is to be asked now: one-minute bars first, then who has waited longest."""
        ready = [symbol for symbol, line in self._lines.items() if line.due <= now and symbol not in skip]
        for symbol in ready:
            line = self._lines[symbol]
            if not line.queue:
                start = self.session_open(symbol, now)  # the session so far, and what is missing before it
                line.queue.extend(self._pieces(symbol, min(start, line.known.end) if line.known else start, None, now))
        return min(
            (self._lines[symbol].queue[0] for symbol in ready if self._lines[symbol].queue),
            key=lambda request: (request.minutes, self._lines[request.symbol].due),
            default=None,
        )

    def wait_ms(self, now: int, skip: Container[str] = ()) -> int:
        """How long nothing is due."""
        return max(min((line.due for symbol, line in self._lines.items() if symbol not in skip), default=now + DAY_MS) - now, 0)

    def answered(self, request: Request, last_end: int | None, now: int) -> Span:
        """A request is done, and its last closed bar ended at `last_end`. What is known now; also when the next is due."""
        line = self._lines[request.symbol]
        line.queue.popleft()
        seen = now - self._delay(request.symbol)
        closed = self._last_close(line.market, seen)
        end = request.end if request.end is not None else (last_end or request.start)
        settled = closed is not None and seen >= closed + LATE_MS and not sessions.status(line.market, seen).is_open
        if request.end is None and settled:
            end = max(end, seen)  # the session is over: what it has not by now will not come
        known = line.known or Span(request.start, request.start)
        line.known = Span(min(known.start, request.start), max(known.end, end))
        if line.queue:
            return line.known
        line.backfilling = False
        due = sessions.next_close(line.market, seen - SETTLE_MS - SPREAD_MS, self._looks)
        missing = last_end is None or (due is not None and last_end < due <= seen - SETTLE_MS)
        line.again = missing and not line.again and self._traded(line.market, end, seen)
        line.due = now + AGAIN_MS if line.again else self._next_due(request.symbol, now)
        return line.known

    def postpone(self, symbol: str, until: int) -> None:
        """A request was not answered: the same one again, not before `until`; other symbols go on."""
        self._lines[symbol].due = until

    def backfilled(self, skip: Container[str] = ()) -> tuple[int, int]:
        """How many symbols are filled, of how many that had something to be filled at the start; `skip` counts in neither."""
        begun = [line.backfilling for symbol, line in self._lines.items() if line.had_gap and symbol not in skip]
        return begun.count(False), len(begun)

    def session_open(self, symbol: str, now: int) -> int:
        """The open (ms) of the session that last began; now where none is known."""
        opened = sessions.begun(self._lines[symbol].market, now, 1).open[:1]
        return int(opened[0]) if len(opened) else now

    def _window(self, market: Market, now: int) -> int:
        """Where the backfill begins: the open of the backfill_days-th last session; 0 days: only the candle that forms."""
        if self._days:
            opened = sessions.begun(market, now, self._days).open[:1]
            return max(int(opened[0]), now - COARSE_MS) if len(opened) else now
        return now // (self._minutes * 60_000) * self._minutes * 60_000

    def _pieces(self, symbol: str, start: int, end: int | None, now: int) -> list[Request]:
        """[start, end) by time, cut where Yahoo's one-minute bars end; before that five-minute bars, if the candles take them."""
        fine = now - FINE_MS
        if start < fine:  # a session is of one kind
            later = sessions.segments(self._lines[symbol].market, fine, now).open
            fine = int(later[later >= fine][0]) if (later >= fine).any() else now
        stop = now if end is None else end
        found = []
        if start < min(fine, stop) and self._minutes % 5 == 0:
            first = _five_minutes(self._lines[symbol].market, max(start, now - COARSE_MS))
            found.append(Request(symbol, first, min(fine, stop), 5))
        if max(start, fine) < stop:
            found.append(Request(symbol, max(start, fine), end, 1))
        return found

    def _next_due(self, symbol: str, now: int) -> int:
        line, delay = self._lines[symbol], self._delay(symbol)
        closed = self._last_close(line.market, now - delay)
        late = closed + LATE_MS + delay + line.spread if closed is not None else 0
        wait = delay + SETTLE_MS + line.spread
        after = sessions.next_close(line.market, now - wait, self._looks)
        due = after + wait if after is not None else now + DAY_MS
        return min(late, due) if late > now else due

    @staticmethod
    def _last_close(market: Market, at: int) -> int | None:
        """The end of the last stretch of trading that is over; None round the clock."""
        if market.calendar is None:
            return None
        closes = sessions.segments(market, at - 7 * DAY_MS, at).close
        return int(closes[closes <= at][-1]) if (closes <= at).any() else None

    @staticmethod
    def _traded(market: Market, start: int, end: int) -> bool:
        """Whether a whole minute of trading lies in [start, end)."""
        near = sessions.segments(market, start, end)
        overlap = [min(closed, end) - max(opened, start) for opened, closed in zip(near.open, near.close, strict=True)]
        return max(overlap, default=0) >= 60_000


def _five_minutes(market: Market, at: int) -> int:
    """The start of the five minutes, counted from the open, that a moment of trading lies in: Yahoo's bar is of all of them."""
    near = sessions.segments(market, at, at)
    opened = near.open[near.open <= at][-1:]
    return at - (at - int(opened[0])) % FIVE_MS if len(opened) else at
