"""A recording as columns: CSV (also .gz), Parquet or JSON lines → times, prices, cumulative volumes, by time.

Columns, in any case: at (or time, timestamp, datetime), price; optional: symbol, day_volume or volume (of the trade), calendar.
`record` also writes timezone (of 24/7), simulated and joins_late (see Instrument); the first row of a symbol says its
calendar and timezone for all of its rows; one row that is simulated or joins late says that for all.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from stockwatch import sessions
from stockwatch.errors import UsageError
from stockwatch.sessions import Instrument
from stockwatch.sessions.places import session_of
from stockwatch.tick import EARLIEST_MS, MAX_AHEAD_MS, MAX_SYMBOL_LENGTH, now_ms

TIME_NAMES = ("at", "time", "timestamp", "datetime")
ZONED = r":\d\d(?:\.\d+)?\s*(?:[zZ]|[+-]\d\d(?::?\d\d)?)$"  # text that names its zone
YES = ("true", "1", "1.0", "yes")
TOLD = {"calendar": sessions.ROUND_THE_CLOCK, "timezone": "", "simulated": False, "joins_late": False}  # of a symbol
NAMES = (*TIME_NAMES, "price", "symbol", "day_volume", "volume", *TOLD)


@dataclass(frozen=True)
class Recording:
    """Valid rows by time, ties in the file's order. at: int64 ms UTC; day_volume: cumulative in its session's day."""

    source: str
    at: npt.NDArray[np.int64]
    price: npt.NDArray[np.float64]
    day_volume: npt.NDArray[np.int64]
    symbol: list[str]
    instruments: list[Instrument]
    broken: list[int]  # numbers of the lines that were skipped, from 1, with the header

    def after(self, held: dict[str, tuple[int, int, int]]) -> Recording:
        """Without what a store holds (see Held.tick_counts), as far as it is there without a hole."""
        symbols = np.array(self.symbol)
        kept = np.ones(len(self.at), np.bool_)
        for symbol, (count, count_before, newest) in held.items():
            mine = np.flatnonzero((symbols == symbol) & (self.at <= newest))
            identities = pd.DataFrame({"at": self.at[mine], "volume": self.day_volume[mine], "price": self.price[mine]})
            earlier = identities["at"].to_numpy() < newest
            if count_before == len(identities[earlier].drop_duplicates()):
                whole = count == len(identities.drop_duplicates())  # else some of the newest moment's are missing
                kept[mine if whole else mine[earlier]] = False
        chosen = [name for name, keep in zip(self.symbol, kept.tolist(), strict=True) if keep]
        return replace(self, at=self.at[kept], price=self.price[kept], day_volume=self.day_volume[kept], symbol=chosen)


def load(path: Path, timezone: str) -> Recording:
    """Read a recording; `timezone`: the zone of times without one. Raises UsageError, naming the file and what is allowed."""
    where = f"market.replay_file: {path}"
    try:
        raw, lines = _columns(path)
    except (OSError, EOFError, zlib.error, csv.Error, msgspec.DecodeError, ValueError) as error:
        raise UsageError(f"{where}: cannot be read: {str(error)[:200]}") from None
    table = {name.strip().lower(): values for name, values in raw.items() if name.strip().lower() in NAMES}
    time_name = next((name for name in TIME_NAMES if name in table), None)
    if time_name is None or "price" not in table:
        raise UsageError(
            f"{where}: needs the columns at (or time, timestamp, datetime) and price; it has {', '.join(raw) or 'none'}"
        )
    source = sessions.replay_source(path)
    stem = source.partition(":")[2]
    frame = pd.DataFrame({"at": _moments(table[time_name], timezone), "price": pd.to_numeric(table["price"], errors="coerce")})
    name = "day_volume" if "day_volume" in table else "volume"
    volume = pd.to_numeric(table[name], errors="coerce") if name in table else pd.Series(0.0, index=frame.index)
    frame["volume"] = volume.to_numpy(np.float64)
    frame["symbol"] = table["symbol"].astype(str).str.strip() if "symbol" in table else stem[:MAX_SYMBOL_LENGTH]
    for told, default in TOLD.items():
        frame[told] = str(default)
        if told in table:  # a cell that is empty says nothing
            cells = table[told].astype(str).str.strip()
            frame[told] = cells.where(table[told].notna() & (cells != ""), str(default))
    good = (
        frame["at"].between(EARLIEST_MS, now_ms() + MAX_AHEAD_MS, inclusive="right")
        & frame["price"].between(0, np.inf, inclusive="neither")
        & frame["volume"].between(0, 2.0**63, inclusive="left")
        & frame["symbol"].str.len().between(1, MAX_SYMBOL_LENGTH)
    )  # fmt: skip
    broken = [lines[row] for row in np.flatnonzero(~good.to_numpy())]
    frame = frame[good].sort_values("at", kind="stable")
    if frame.empty:
        raise UsageError(f"{where}: has no valid row (a number in {time_name} is milliseconds since 1970)")
    instruments = _instruments(frame, source, timezone, where)
    at = frame["at"].to_numpy(np.int64)
    volumes = frame["volume"].to_numpy(np.int64)
    if name == "volume":
        volumes = _accumulated(frame, at, volumes, instruments)
    return Recording(source, at, frame["price"].to_numpy(np.float64), volumes, frame["symbol"].tolist(), instruments, broken)


def _columns(path: Path) -> tuple[dict[str, pd.Series[Any]], list[int]]:
    """The file's columns as they stand, and each row's line number."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".parquet"]:
        frame = pd.read_parquet(path)
        return {str(name): frame[name] for name in frame.columns}, list(range(1, len(frame) + 1))
    data = path.read_bytes()
    if suffixes[-1:] == [".gz"]:
        data = gzip.decompress(data)
        suffixes.pop()
    data = data.removeprefix(codecs.BOM_UTF8)
    if suffixes[-1:] in ([".jsonl"], [".ndjson"], [".json"]):
        rows = [(number, _json_row(line)) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
        names = list(dict.fromkeys(name for _number, row in rows for name in row))
        return {name: pd.Series([row.get(name) for _number, row in rows]) for name in names}, [number for number, _row in rows]
    if suffixes[-1:] != [".csv"]:
        raise ValueError("must be .csv, .csv.gz, .parquet or .jsonl")
    reader = csv.reader(io.StringIO(data.decode(errors="surrogateescape")))  # a byte that is no UTF-8 breaks its own line only
    header = next(reader, [])
    if not _is_text(header):
        raise ValueError("is no text in UTF-8")
    values: list[list[str | None]] = [[] for _name in header]
    lines = []
    for row in reader:
        if not row:
            continue
        whole = len(row) == len(header) and _is_text(row)
        for place, column in enumerate(values):
            column.append(row[place] if whole else None)
        lines.append(reader.line_num)
    return {name: pd.Series(column, dtype="object") for name, column in zip(header, values, strict=True)}, lines


def _is_text(cells: list[str]) -> bool:
    """Whether they were UTF-8: what was not stands in them as surrogates."""
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def _json_row(line: bytes) -> dict[str, Any]:
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}  # counted as broken: it has no time
    return row if isinstance(row, dict) else {}


def _moments(values: pd.Series[Any], timezone: str) -> pd.Series[Any]:
    """ms since the epoch; NaN for what is no time. Numbers are ms; text is ISO, in `timezone` where it names no zone."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return _ms(values, timezone)
    numeric = pd.to_numeric(values, errors="coerce").astype("float64")
    text = values[numeric.isna()].astype(str)
    zoned = text.str.contains(ZONED, regex=True, na=False)
    moments = [numeric[numeric.notna()]]
    for part, utc in ((text[zoned], True), (text[~zoned], False)):
        if len(part):
            moments.append(_ms(pd.to_datetime(part, format="ISO8601", errors="coerce", utc=utc), timezone))
    return pd.concat(moments).sort_index()


def _ms(parsed: pd.Series[Any], timezone: str) -> pd.Series[Any]:
    if parsed.dt.tz is None:
        # The hour that a clock goes through twice is taken as the first; the one that it skips is moved on.
        parsed = parsed.dt.tz_localize(ZoneInfo(timezone), ambiguous=np.ones(len(parsed), bool), nonexistent="shift_forward")
    in_ms = parsed.dt.tz_convert("UTC").dt.as_unit("ms")
    moments: pd.Series[Any] = in_ms.astype("int64").where(in_ms.notna())
    return moments


def _instruments(frame: pd.DataFrame, source: str, timezone: str, where: str) -> list[Instrument]:
    found = []
    marked = {name: set(frame["symbol"][frame[name].str.lower().isin(YES)]) for name in ("simulated", "joins_late")}
    for symbol, calendar, zone in frame.drop_duplicates("symbol")[["symbol", "calendar", "timezone"]].itertuples(index=False):
        if not sessions.is_calendar(calendar):
            raise UsageError(f"{where}: {calendar!r} is no calendar; use 24/7 or a name of exchange_calendars such as XNYS")
        if zone and zone not in available_timezones():
            raise UsageError(f"{where}: {zone!r} is no time zone; use a name like Asia/Kolkata")
        simulated, joins_late = (symbol in symbols for symbols in marked.values())
        own = sessions.calendar_timezone(calendar) or zone or timezone
        found.append(Instrument(source, symbol, calendar, own, simulated, joins_late))
    return found


def _accumulated(
    frame: pd.DataFrame, at: npt.NDArray[np.int64], volumes: npt.NDArray[np.int64], instruments: list[Instrument]
) -> npt.NDArray[np.int64]:
    """Each trade's volume added up from 0 in each day of its symbol."""
    total = volumes.copy()
    for instrument in instruments:
        mine = np.flatnonzero((frame["symbol"] == instrument.symbol).to_numpy())
        market = sessions.market_for(instrument.source, instrument.symbol, instrument)
        days = session_of(at[mine], sessions.segments(market, int(at[mine[0]]), int(at[mine[-1]])))
        total[mine] = pd.Series(volumes[mine]).groupby(days).cumsum().to_numpy()
    return total
