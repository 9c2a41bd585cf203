"""Symbol → exchange, and an exchange's sessions: open, close, lunch, holidays. Times are int64 ms since the epoch, UTC.

Hours and holidays come from exchange_calendars; data/exchanges.toml has what it lacks. Past a calendar's end weekdays
are sessions with the last known hours, and `holidays_known` is False.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
DAY_MS = 86_400_000
ROUND_THE_CLOCK = "24/7"


@dataclass(frozen=True)
class Market:
    """An exchange as a symbol sees it. calendar None: round the clock, each day from local midnight to midnight."""

    code: str
    calendar: str | None
    timezone: ZoneInfo
    currency: str


@dataclass(frozen=True)
class Instrument:
    """The calendar that a recording brings for a symbol: "24/7" or a name of exchange_calendars."""

    source: str
    symbol: str
    calendar: str
    timezone: str


class Segments(NamedTuple):
    """Stretches of trading, sorted, each [open, close) in ms; lunch splits a session in two.

    session: the local midnight (ms, UTC) of the session's date.
    """

    open: Int64s
    close: Int64s
    session: Int64s


@dataclass(frozen=True)
class SessionStatus:
    """Whether trading goes on, until when (ms), and when it begins next (ms); None where not known."""

    is_open: bool
    opens_at: int | None
    closes_at: int | None
    holidays_known: bool


def market_of(symbol: str) -> Market:
    """The exchange of a symbol by Yahoo's rules: suffix, -USD crypto, =X currencies, =F futures, else the US."""
    data = _data()
    if symbol.endswith("=X"):
        return _market(data["kind"]["fx"])
    if symbol.endswith("=F"):
        return _market(data["kind"]["future"])
    stem, dash, quote = symbol.rpartition("-")
    if dash and stem and len(quote) == 3 and quote.isalpha():  # BTC-USD; BRK-B is a share class
        return _market({**data["kind"]["crypto"], "currency": quote})
    suffix = symbol.rpartition(".")[2] if "." in symbol else ""
    return _market(data["suffix"].get(suffix, data["suffix"][""]))


def market_for(source: str, symbol: str, instrument: Instrument | None = None) -> Market:
    """The market of a symbol as one source trades it: the simulator round the clock, a recording by its own calendar."""
    own = market_of(symbol)
    if source == "simulator":
        return Market(own.code, None, own.timezone, own.currency)
    if source.startswith("replay:"):
        if instrument is None:
            return Market("Recording", None, ZoneInfo("UTC"), "")
        calendar = None if instrument.calendar == ROUND_THE_CLOCK else instrument.calendar
        return Market("Recording", calendar, ZoneInfo(instrument.timezone), "")
    return own


def is_calendar(name: str) -> bool:
    """Whether exchange_calendars (or we) know this calendar."""
    import exchange_calendars

    return name == ROUND_THE_CLOCK or name in exchange_calendars.get_calendar_names(include_aliases=True)


def calendar_timezone(name: str) -> str | None:
    """The zone of a calendar's exchange; None for "24/7"."""
    return None if name == ROUND_THE_CLOCK else str(_year(name, 2024).timezone)


def segments(market: Market, start_ms: int, end_ms: int) -> Segments:
    """Every stretch of trading of the sessions that touch [start, end]."""
    zone = market.timezone
    first = _date(start_ms, zone) - timedelta(days=1)  # a session may open on the evening before its date
    last = _date(end_ms, zone) + timedelta(days=1)
    if market.calendar is None:
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        midnights = np.array([_ms(day, zone) for day in [*days, last + timedelta(days=1)]], np.int64)
        found = Segments(midnights[:-1], midnights[1:], midnights[:-1])
    else:
        rows = [row for year in range(first.year, last.year + 1) for row in _year(market.calendar, year).rows]
        rows = [row for row in rows if first <= row[0] <= last]
        found = Segments(
            np.array([row[1] for row in rows], np.int64),
            np.array([row[2] for row in rows], np.int64),
            np.array([_ms(row[0], zone) for row in rows], np.int64),
        )
    touches = (found.close > start_ms) & (found.open <= end_ms)
    dates = np.isin(found.session, found.session[touches])
    return Segments(found.open[dates], found.close[dates], found.session[dates])


def status(market: Market, at_ms: int) -> SessionStatus:
    """Open or closed at a moment. A holiday next week is seen; ten days ahead are looked at."""
    near = segments(market, at_ms - 2 * DAY_MS, at_ms + 10 * DAY_MS)
    known = market.calendar is None or _year(market.calendar, _date(at_ms, market.timezone).year).known(at_ms)
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


@dataclass(frozen=True)
class _Year:
    """One calendar's year: (date, open ms, close ms) rows, and until when (ms) its holidays are known."""

    rows: tuple[tuple[date, int, int], ...]
    known_until: int
    timezone: ZoneInfo

    def known(self, at_ms: int) -> bool:
        return at_ms < self.known_until


@cache
def _year(calendar: str, year: int) -> _Year:
    """Made once a year of a calendar: exchange_calendars takes 40 to 140 ms for it."""
    import exchange_calendars
    import pandas as pd

    january = exchange_calendars.get_calendar(calendar, start="2024-01-02", end="2024-01-31")
    kind, zone = type(january), ZoneInfo(str(january.tz))
    first, last = pd.Timestamp(year, 1, 1), pd.Timestamp(year, 12, 31)
    lowest, highest = kind.bound_min(), kind.bound_max()
    begin = first if lowest is None else max(first, lowest)
    end = last if highest is None else min(last, highest)
    rows: list[tuple[date, int, int]] = []
    if begin < end:
        schedule = exchange_calendars.get_calendar(calendar, start=begin, end=end).schedule
        for label, opened, pause, resumed, closed in schedule.itertuples():
            stretches = [(opened, closed)] if pd.isna(pause) else [(opened, pause), (resumed, closed)]
            rows += [(label.date(), _stamp(a), _stamp(b)) for a, b in stretches]
    if end < last:  # past its end: weekdays, with the hours of the last session that is known
        latest = highest.year if highest is not None else year
        sample = rows[-1:] if begin < end else list(_year(calendar, latest).rows[-1:])
        day = max(end + pd.Timedelta(days=1), first).date()
        while sample and day <= last.date():
            if day.weekday() < 5:
                shift = _ms(day, zone) - _ms(sample[0][0], zone)
                rows += [(day, a + shift, b + shift) for _day, a, b in sample]
            day += timedelta(days=1)
    for extra in _data()["extra_session"]:
        if extra["calendar"] == calendar and extra["date"].year == year:
            rows = [row for row in rows if row[0] != extra["date"]]
            rows.append((extra["date"], *(_ms(extra["date"], zone, extra[key]) for key in ("open", "close"))))
    known_until = 2**62 if highest is None else _ms(highest.date() + timedelta(days=1), zone)
    return _Year(tuple(sorted(rows)), known_until, zone)


def _stamp(moment: Any) -> int:
    return int(moment.value // 1_000_000)


def _ms(day: date, zone: ZoneInfo, at: time = time()) -> int:
    """The moment (ms) of a local time of a day; right on both DST changes."""
    return int(datetime.combine(day, at, tzinfo=zone).timestamp() * 1000)


def _date(at_ms: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at_ms / 1000, tz=zone).date()


def _market(entry: dict[str, str]) -> Market:
    return Market(entry["code"], entry.get("calendar"), ZoneInfo(entry["timezone"]), entry["currency"])


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(files("stockwatch").joinpath("data/exchanges.toml").read_text(encoding="utf-8"))
