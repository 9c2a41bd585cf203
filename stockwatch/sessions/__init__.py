"""Symbol → exchange, and an exchange's sessions: open, close, lunch, holidays. Times are int64 ms since the epoch, UTC.

Hours and holidays come from exchange_calendars; data/exchanges.toml has what it lacks. Past a calendar's end weekdays
are sessions with the last known hours, and `holidays_known` is False.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from stockwatch.sessions.calendars import calendar_year, exchanges, local_ms
from stockwatch.sessions.places import DAY_MS, Segments

__all__ = [
    "DAY_MS", "ROUND_THE_CLOCK", "SIMULATOR", "Instrument", "Market", "Segments", "SessionStatus", "begun", "calendar_timezone",
    "is_calendar", "is_replay", "market_for", "market_of", "next_close", "replay_source", "segments", "status", "told_of",
    "window_start",
]  # fmt: skip

ROUND_THE_CLOCK = "24/7"
REPLAY = "replay:"
SIMULATOR = "simulator"  # the source whose prices are made up


@dataclass(frozen=True)
class Market:
    """An exchange as a symbol sees it. calendar None: round the clock, each day from local midnight to midnight."""

    code: str
    calendar: str | None
    timezone: ZoneInfo
    currency: str


@dataclass(frozen=True)
class Instrument:
    """What a recording brings for a symbol: the calendar, "24/7" or a name of exchange_calendars, and what to know of it.

    simulated: its prices were made up. joins_late: its first tick's day_volume holds what was traded before it.
    """

    source: str
    symbol: str
    calendar: str
    timezone: str
    simulated: bool = False
    joins_late: bool = False


@dataclass(frozen=True)
class SessionStatus:
    """Whether trading goes on, until when (ms), and when it begins next (ms); None where not known."""

    is_open: bool
    opens_at: int | None
    closes_at: int | None
    holidays_known: bool


def market_of(symbol: str) -> Market:
    """The exchange of a symbol by Yahoo's rules: suffix, -USD crypto, =X currencies, =F futures, ^ indices, else the US.

    The US too for a suffix or an index that data/exchanges.toml does not have.
    """
    data = exchanges()
    if symbol.endswith("=X"):  # EURUSD=X is in USD, JPY=X (what a dollar costs) in JPY
        return _market({**data["kind"]["fx"], "currency": symbol[:-2][-3:]})
    if symbol.endswith("=F"):
        return _market(data["kind"]["future"])
    stem, dash, quote = symbol.rpartition("-")
    if dash and stem and len(quote) == 3 and quote.isalpha():  # BTC-USD; BRK-B is a share class
        return _market({**data["kind"]["crypto"], "currency": quote})
    suffix = data["index"].get(symbol) or (symbol.rpartition(".")[2] if "." in symbol else "")
    return _market(data["suffix"].get(suffix, data["suffix"][""]))


def is_replay(source: str) -> bool:
    """Whether a source is a recording that is played: "replay:<the file's stem>"."""
    return source.startswith(REPLAY)


def replay_source(path: Path) -> str:
    """What a recording is named as a source: "replay:" and its name without .gz and without the suffix before that."""
    return f"{REPLAY}{Path(path.stem if path.suffix.lower() == '.gz' else path.name).stem}"


def market_for(source: str, symbol: str, instrument: Instrument | None = None) -> Market:
    """The market of a symbol as one source trades it: the simulator round the clock, a recording by its own calendar."""
    own = market_of(symbol)
    if source == SIMULATOR:
        return Market(own.code, None, own.timezone, own.currency)
    if is_replay(source):
        if instrument is None:
            return Market("Recording", None, ZoneInfo("UTC"), "")
        calendar = None if instrument.calendar == ROUND_THE_CLOCK else instrument.calendar
        return Market("Recording", calendar, ZoneInfo(instrument.timezone), "")
    return own


def told_of(source: str, symbol: str, instrument: Instrument | None = None) -> Instrument:
    """What is to be known of a symbol's prices: what its recording told, else what its source implies."""
    if instrument is not None:
        return instrument
    market = market_for(source, symbol)
    zone = str(market.timezone)
    return Instrument(source, symbol, market.calendar or ROUND_THE_CLOCK, zone, source == SIMULATOR, source == "yahoo")


def is_calendar(name: str) -> bool:
    """Whether exchange_calendars (or we) know this calendar, and can make it: a few of its rules fail with pandas 3."""
    import exchange_calendars

    if name == ROUND_THE_CLOCK:
        return True
    if name not in exchanges()["calendar"] and name not in exchange_calendars.get_calendar_names(include_aliases=True):
        return False
    try:
        calendar_year(name, 2024)
    except (NotImplementedError, ValueError):
        return False
    return True


def calendar_timezone(name: str) -> str | None:
    """The zone of a calendar's exchange; None for "24/7"."""
    return None if name == ROUND_THE_CLOCK else str(calendar_year(name, 2024).timezone)


def segments(market: Market, start_ms: int, end_ms: int) -> Segments:
    """Every stretch of trading of the sessions that touch [start, end]."""
    zone = market.timezone
    first = _date(start_ms, zone) - timedelta(days=1)  # a session may open on the evening before its date
    last = _date(end_ms, zone) + timedelta(days=1)
    if market.calendar is None:
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        midnights = np.array([local_ms(day, zone) for day in [*days, last + timedelta(days=1)]], np.int64)
        found = Segments(midnights[:-1], midnights[1:], midnights[:-1])
    else:
        rows = [row for year in range(first.year, last.year + 1) for row in calendar_year(market.calendar, year).rows]
        rows = [row for row in rows if first <= row[0] <= last]
        found = Segments(
            np.array([row[1] for row in rows], np.int64),
            np.array([row[2] for row in rows], np.int64),
            np.array([local_ms(row[0], zone) for row in rows], np.int64),
        )
    touches = (found.close > start_ms) & (found.open <= end_ms)
    dates = np.isin(found.session, found.session[touches])
    return Segments(found.open[dates], found.close[dates], found.session[dates])


def status(market: Market, at_ms: int) -> SessionStatus:
    """Open or closed at a moment. A holiday next week is seen; ten days ahead are looked at."""
    near = segments(market, at_ms - 2 * DAY_MS, at_ms + 10 * DAY_MS)
    known = market.calendar is None or calendar_year(market.calendar, _date(at_ms, market.timezone).year).known(at_ms)
    if market.calendar is None:
        return SessionStatus(True, None, None, True)
    now = (near.open <= at_ms) & (at_ms < near.close)
    later = near.open[near.open > at_ms]
    opens_at = int(later[0]) if len(later) else None
    if now.any():
        return SessionStatus(True, opens_at, int(near.close[now][0]), known)
    return SessionStatus(False, opens_at, None, known)


def window_start(market: Market, end_ms: int, minutes: int, count: int) -> int:
    """The start (ms) of the count-th last candle of `minutes` before `end_ms`, walked back over trading time."""
    width = minutes * 60_000
    days = max(2, count * minutes // 300)
    while True:
        near = segments(market, end_ms - days * DAY_MS, end_ms)
        left = count
        for opened, closed in zip(near.open[::-1].tolist(), near.close[::-1].tolist(), strict=True):
            bins = max(-(-(min(closed, end_ms) - opened) // width), 0)
            if bins >= left:
                return int(opened + (bins - left) * width)
            left -= bins
        if days > 400:
            return int(near.open[0]) if len(near.open) else end_ms - days * DAY_MS
        days *= 2


def next_close(market: Market, after_ms: int, minutes: int) -> int | None:
    """The end (ms) of the first candle of `minutes` that closes after a moment; None where no session is known."""
    width = minutes * 60_000
    near = segments(market, after_ms + 1, after_ms + 10 * DAY_MS)
    for opened, closed in zip(near.open.tolist(), near.close.tolist(), strict=True):
        if closed > after_ms:
            return int(min(opened + (max(after_ms - opened, 0) // width + 1) * width, closed))
    return None


def begun(market: Market, at_ms: int, count: int) -> Segments:
    """The last `count` sessions that have begun by a moment, today's too; fewer where fewer are known."""
    near = segments(market, at_ms - (count * 2 + 14) * DAY_MS, at_ms)
    had = near.open <= at_ms
    dates = np.isin(near.session, np.unique(near.session[had])[-count:])
    return Segments(near.open[dates & had], near.close[dates & had], near.session[dates & had])


def _date(at_ms: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at_ms / 1000, tz=zone).date()


def _market(entry: dict[str, str]) -> Market:
    return Market(entry["code"], entry.get("calendar"), ZoneInfo(entry["timezone"]), entry["currency"])
