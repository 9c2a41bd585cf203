"""`python run.py export`: ticks or candles into a file, beside a running instance or without one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from stockwatch import sessions
from stockwatch.errors import UnavailableError, UsageError
from stockwatch.settings import Settings

if TYPE_CHECKING:
    from stockwatch.export import Row
    from stockwatch.store import Store

FORMATS = ("csv", "xlsx", "parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--symbol", required=True, metavar="S")
    parser.add_argument(
        "--source", metavar="NAME", help="yahoo, simulator or replay:<file's stem>; default: the running or configured"
    )
    parser.add_argument("--from", dest="start", metavar="TIME", help="ISO date or time, the exchange's where it names no zone")
    parser.add_argument("--to", dest="end", metavar="TIME", help="likewise; not included")
    parser.add_argument("--what", choices=("ticks", "candles"), default="candles")
    parser.add_argument("--format", choices=FORMATS, required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")


def run(settings: Settings, asked: argparse.Namespace) -> int:
    """Write the file; 0. Raises UsageError for bad arguments, UnavailableError for what is not there."""
    if asked.format != "csv":
        raise UsageError(f"--format {asked.format}: comes with a later version; csv is there")
    symbol = asked.symbol.strip().upper()
    market = sessions.market_of(symbol)
    bounds = [_moment(text, option, market.timezone) for text, option in ((asked.start, "--from"), (asked.end, "--to"))]
    if all(bounds) and bounds[0] >= bounds[1]:  # type: ignore[operator]
        raise UsageError(f"--from {asked.start} --to {asked.end}: --from must be before --to")
    if not asked.out.absolute().parent.is_dir():
        raise UnavailableError(f"--out: {asked.out.absolute().parent} is no folder")
    if asked.out.is_dir():
        raise UnavailableError(f"--out: {asked.out} is a folder")
    from stockwatch import assembly  # its libraries take a second to load; the other commands' arguments pass here too

    with assembly.open_store(settings) as (store, running_source):
        source = asked.source or running_source
        return _write(settings, asked, store, source, symbol, bounds)


def _write(
    settings: Settings, asked: argparse.Namespace, store: Store, source: str, symbol: str, bounds: list[int | None]
) -> int:
    known = store.symbols(source)
    symbol = asked.symbol.strip() if asked.symbol.strip() in known else symbol  # a recording may be of "es"
    if symbol not in known:
        said = (
            f"it has {', '.join(known)}"
            if known
            else f"there is nothing of it; stored are {', '.join(store.sources()) or 'none'}"
        )
        raise UnavailableError(f"--symbol {symbol}: nothing is stored of it from {source}; {said}")
    from stockwatch import export

    instrument = store.instrument(source, symbol)
    market, told = sessions.market_for(source, symbol, instrument), sessions.told_of(source, symbol, instrument)
    if market.timezone != sessions.market_of(symbol).timezone:  # a recording's own zone
        bounds = [_moment(text, option, market.timezone) for text, option in ((asked.start, "--from"), (asked.end, "--to"))]
    if asked.what == "candles":
        minutes = settings.dashboard.candle_minutes
        rows: Iterator[Row] = export.candle_rows(store, told, market, minutes, *bounds)
        count = export.write_csv(asked.out, export.CANDLE_COLUMNS, rows)
    else:
        count = export.write_csv(asked.out, export.TICK_COLUMNS, export.tick_rows(store, told, market, *bounds))
    mark = ", SIMULATED" if told.simulated else ""
    print(f"{count:,} {asked.what} of {symbol} ({source}{mark}) → {asked.out}")
    return 0


def _moment(text: str | None, option: str, zone: ZoneInfo) -> int | None:
    """ms since the epoch of an ISO date or time, in `zone` where it names none."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text}: must be an ISO date or time, such as 2026-11-24 or 2026-11-24T09:15") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return int(aware.timestamp() * 1000)
