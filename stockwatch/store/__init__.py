"""The store: the only user of clickhouse-connect. Schema, inserts and range reads.

Times are int64 ms since the epoch, UTC. Every method may be called from any thread. Trouble that may pass is StoreError;
a store that can never serve is UnavailableError.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from operator import attrgetter, itemgetter
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import pandas as pd
from clickhouse_connect.driver.client import Client

from stockwatch.component import StoreAddress
from stockwatch.sessions import Instrument
from stockwatch.settings import is_loopback
from stockwatch.store import schema
from stockwatch.store.trouble import named_trouble
from stockwatch.tick import Bar, Tick

TICK_FIELDS = tuple(Tick.__struct_fields__)
BAR_FIELDS = tuple(Bar.__struct_fields__)
ORIGIN = ("kafka_partition", "kafka_offset")
# What the rows are sent as; the table's own types are the schema's. Named, clickhouse-connect need not ask for them at each
# insert, and need not make a dictionary where the table has LowCardinality: half of an insert's Python.
_OPTIONAL_PRICE = dict.fromkeys(("bid", "ask", "previous_close", "day_open", "day_high", "day_low"), "Nullable(Float64)")
SENT_AS = {
    "source": "String", "symbol": "String", "at": "DateTime64(3, 'UTC')", "start": "DateTime64(3, 'UTC')", "price": "Float64",
    "day_volume": "UInt64", **_OPTIONAL_PRICE, "currency": "Nullable(String)", "minutes": "UInt8", "open": "Float64",
    "high": "Float64", "low": "Float64", "close": "Float64", "volume": "UInt64", "kafka_partition": "Int32",
    "kafka_offset": "Int64",
}  # fmt: skip
DEAD_LETTER_FIELDS = ("topic", *ORIGIN, "reason", "key", "value")
OPTIONAL = ("bid", "ask", "previous_close", "day_open", "day_high", "day_low", "currency")
FOREVER = (-(2**31) * 1000, 2**33 * 1000)  # ms: before 1902 and after 2242, in DateTime64's range
_RENAMED = {"at_ms": "at", "volume": "day_volume", "start_ms": "start", "symbol_": "symbol", "minutes_": "minutes"} | {
    f"{name}_": name for name in OPTIONAL
}
_TICK_TYPES = {"at": "int64", "price": "float64", "day_volume": "int64"} | dict.fromkeys(OPTIONAL[:-1], "float64")
_BAR_TYPES = {"start": "int64", "minutes": "int64"} | dict.fromkeys(("open", "high", "low", "close"), "float64")
_EMPTY = {  # clickhouse-connect gives no columns without rows
    "ticks": pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in {**_TICK_TYPES, "currency": "object"}.items()}),
    "bars": pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in {**_BAR_TYPES, "volume_": "int64"}.items()}),
}
_EMPTY["prices"] = _EMPTY["ticks"][["at", "price", "day_volume"]]
_EMPTY["latest_tick"] = _EMPTY["ticks"]


class Store:
    """A ClickHouse by address. Connects at the first use."""

    def __init__(self, address: StoreAddress, timeout: float = 10.0) -> None:
        self.address = address
        self._timeout = timeout
        self._lock = threading.Lock()
        self._client: Client | None = None

    def prepare(self) -> None:
        """Make the database and bring its schema to this version; safe to repeat. UnavailableError for a newer one."""
        with named_trouble(self.address.url):
            client = self._connect(database="")
            schema.prepare(client, self.address)
            client.database = self.address.database

    def ping(self) -> None:
        """Ask for one row. Raises StoreError or UnavailableError."""
        with named_trouble(self.address.url):
            self._client_().command("SELECT 1")

    def insert_ticks(self, rows: Sequence[tuple[Tick, int, int]]) -> None:
        """Store (tick, partition, offset)s in one insert; returns when they are durable."""
        self._insert("ticks", TICK_FIELDS, rows)

    def insert_bars(self, rows: Sequence[tuple[Bar, int, int]]) -> None:
        """Store (bar, partition, offset)s in one insert."""
        self._insert("bars", BAR_FIELDS, rows)

    def insert_dead_letters(self, rows: Sequence[tuple[str, int, int, str, bytes, bytes]]) -> None:
        """Store (topic, partition, offset, reason, key, value)s; bytes are kept as they are."""
        self.insert_rows("dead_letters", rows, DEAD_LETTER_FIELDS)

    def save_instruments(self, instruments: Sequence[Instrument]) -> None:
        """Store what a recording brought."""
        if instruments:
            rows = [dataclasses.astuple(item) for item in instruments]
            self.insert_rows("instruments", rows, [field.name for field in dataclasses.fields(Instrument)])

    def insert_rows(self, table: str, rows: Sequence[Sequence[Any]], names: Sequence[str]) -> None:
        """Store rows of these columns, types as the table has them; slower than the inserts of ticks and bars."""
        with named_trouble(self.address.url):
            self._client_().insert(table, rows, column_names=names)

    def _insert(self, table: str, fields: tuple[str, ...], rows: Sequence[tuple[Any, int, int]]) -> None:
        if not rows:
            return
        messages, partitions, offsets = (list(map(itemgetter(place), rows)) for place in range(3))
        columns = [list(map(attrgetter(name), messages)) for name in fields]  # by column: 20,000 tuples keep the collector busy
        names = (*fields, *ORIGIN)
        types = [SENT_AS[name] for name in names]
        with named_trouble(self.address.url):
            self._client_().insert(
                table, [*columns, partitions, offsets], column_names=names, column_type_names=types, column_oriented=True
            )

    def ticks(self, source: str, symbol: str, start_ms: int | None = None, end_ms: int | None = None) -> pd.DataFrame:
        """Ticks in [start, end) by time: at int64 ms, price, day_volume int64, optional fields (NaN or '' if absent)."""
        return self._frame("ticks", source, symbol, start_ms, end_ms)

    def prices(self, source: str, symbol: str, start_ms: int | None = None, end_ms: int | None = None) -> pd.DataFrame:
        """What candles need: ticks() with at, price and day_volume alone."""
        return self._frame("prices", source, symbol, start_ms, end_ms)

    def line(self, source: str, symbol: str, start_ms: int, end_ms: int, step_ms: int) -> pd.DataFrame:
        """The last price of each `step_ms` in [start, end): at int64 ms, price."""
        parameters = {**self._parameters(source, symbol, start_ms, end_ms), "step": step_ms}
        with named_trouble(self.address.url):
            frame = self._client_().query_df(_query("line"), parameters=parameters)
        return frame.rename(columns={"at_ms": "at", "price_": "price"}) if len(frame) else _EMPTY["prices"][["at", "price"]]

    def bars(self, source: str, symbol: str, start_ms: int | None = None, end_ms: int | None = None) -> pd.DataFrame:
        """Bars that start in [start, end), by time: start int64 ms, minutes, open, high, low, close, volume int64."""
        frame = self._frame("bars", source, symbol, start_ms, end_ms)
        return frame.rename(columns={"volume_": "volume"})

    def baseline_volume(self, source: str, symbol: str, start_ms: int, end_ms: int) -> tuple[int, int] | None:
        """The largest day_volume in [start, end), and when the last tick in there was (ms); None without rows."""
        volume, at = self._rows("baseline_volume", source, symbol, start_ms, end_ms)[0]
        return None if volume is None else (int(volume), int(at))

    def latest_ticks(self, source: str, symbols: Sequence[str] | None = None, end_ms: int | None = None) -> pd.DataFrame:
        """The newest tick before `end` of each symbol (all of the source's by default): symbol and the columns of ticks()."""
        wanted = self.symbols(source) if symbols is None else symbols
        frames = [self._frame("latest_tick", source, symbol, None, end_ms).assign(symbol=symbol) for symbol in wanted]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["symbol", *TICK_FIELDS[1:]])

    def latest_at(self, source: str, symbol: str, end_ms: int | None = None) -> int | None:
        """When the newest tick or bar that began before `end` ends (ms); None without any."""
        return self._number("newest", source, symbol, None, end_ms)

    def earliest_at(self, source: str, symbol: str) -> int | None:
        """When the oldest tick or bar begins (ms); None without any."""
        return self._number("oldest", source, symbol)

    def bar_span(self, source: str, symbol: str) -> tuple[int, int] | None:
        """The first bar's start and the last bar's end (ms); None without bars."""
        first, last = self._rows("bar_span", source, symbol)[0]
        return None if first is None else (int(first), int(last))

    def tick_counts(self, source: str) -> dict[str, tuple[int, int, int]]:
        """Of each symbol: how many ticks, each identity once; how many before the newest one's time; that time (ms)."""
        return {symbol: (count, before, newest) for symbol, count, before, newest in self._rows("tick_counts", source)}

    def symbols(self, source: str) -> list[str]:
        """The symbols that a source has written, sorted."""
        return [row[0] for row in self._rows("symbols", source)]

    def sources(self) -> list[str]:
        """Every source that has written, sorted."""
        return [row[0] for row in self._rows("sources", "")]

    def instrument(self, source: str, symbol: str) -> Instrument | None:
        """The calendar that a recording brought, or None."""
        rows = self._rows("instrument", source, symbol)
        return Instrument(source, symbol, *rows[0]) if rows else None

    def iter_ticks(
        self, source: str, symbol: str | None, start_ms: int | None, end_ms: int | None, rows_per_frame: int = 65_536
    ) -> Iterator[pd.DataFrame]:
        """Stream ticks() with a symbol column, by symbol and time, in frames of about `rows_per_frame` rows."""
        parameters = self._parameters(source, symbol or "", start_ms, end_ms)
        with named_trouble(self.address.url):
            stream = self._client_().query_df_stream(
                _query("export_ticks"), parameters=parameters, settings={"max_block_size": rows_per_frame}
            )
            with stream:
                for frame in stream:
                    yield frame.rename(columns=_RENAMED)

    def command(self, sql: str, parameters: dict[str, Any] | None = None) -> Any:
        """One statement's single value, for `bench` and tests."""
        with named_trouble(self.address.url):
            return self._client_().command(sql, parameters=parameters)

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _frame(self, name: str, source: str, symbol: str, start: int | None = None, end: int | None = None) -> pd.DataFrame:
        with named_trouble(self.address.url):
            frame = self._client_().query_df(_query(name), parameters=self._parameters(source, symbol, start, end))
        return frame.rename(columns=_RENAMED) if len(frame) else _EMPTY[name].copy()

    def _rows(
        self, name: str, source: str, symbol: str = "", start: int | None = None, end: int | None = None
    ) -> Sequence[Sequence[Any]]:
        with named_trouble(self.address.url):
            return self._client_().query(_query(name), parameters=self._parameters(source, symbol, start, end)).result_rows

    def _number(self, name: str, source: str, symbol: str, start: int | None = None, end: int | None = None) -> int | None:
        number = self._rows(name, source, symbol, start, end)[0][0]
        return None if number is None else int(number)

    @staticmethod
    def _parameters(source: str, symbol: str, start: int | None = None, end: int | None = None) -> dict[str, Any]:
        first, last = FOREVER
        return {
            "source": source,
            "symbol": symbol,
            "start": first if start is None else start,
            "end": last if end is None else end,
        }

    def _client_(self) -> Client:
        return self._client or self._connect(self.address.database)

    def _connect(self, database: str) -> Client:
        with self._lock:
            if self._client is None:
                parts = urlsplit(self.address.url)
                client = clickhouse_connect.get_client(
                    host=parts.hostname,
                    port=parts.port or (8443 if parts.scheme == "https" else 8123),
                    secure=parts.scheme == "https",
                    username=self.address.user,
                    password=self.address.secret(),
                    database=database or "default",
                    connect_timeout=min(self._timeout, 5),
                    send_receive_timeout=self._timeout,
                    compress=not is_loopback(parts.hostname or ""),  # costs more than it saves where no wire is
                    autogenerate_session_id=False,  # one client, many threads: a session admits one query at a time
                )
                schema.settle(client, self.address)
                self._client = client
            return self._client


@cache
def _query(name: str) -> str:
    return files("stockwatch").joinpath(f"sql/queries/{name}.sql").read_text(encoding="utf-8")
