"""What is asked of an export, checked against what is stored: which symbols, with which bounds, under which mark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from stockwatch import __version__, sessions
from stockwatch.errors import UnavailableError, UsageError
from stockwatch.export.rows import Rows, candle_batches, tick_batches
from stockwatch.sessions import Instrument, Market

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = {"csv": "text/csv; charset=utf-8", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
           "parquet": "application/vnd.apache.parquet"}  # fmt: skip
KINDS = ("ticks", "candles")
ALL = "all"  # in small letters: ALL is a share on the NYSE
ROWS_PER_BATCH = 65_536
EARLIEST_MS, LATEST_MS = -(2**31) * 1000, 2**33 * 1000  # before and after everything, and in the store's range of times
# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection"), in full width too.
FORMULA_BEGINS = "=+-@\t\r\n＝＋－＠"


@dataclass(frozen=True)
class Asked:
    """As it came from the command line or the page's address. dash: how its words call an option ("--" or nothing).

    symbol: None or "all" for every symbol of the source. start, end: ISO dates or times, each exchange's own where they name no
    zone; end is not included; None: everything.
    """

    what: str
    source: str
    symbol: str | None = None
    start: str | None = None
    end: str | None = None
    minutes: int = 5
    dash: str = ""

    @property
    def wants_all(self) -> bool:
        """Whether no one symbol is named."""
        return self.symbol is None or self.symbol.strip() in ("", ALL)

    def check(self) -> None:
        """Raise UsageError for what can be seen to be wrong without the store."""
        if self.what not in KINDS:
            raise UsageError(f"{self.dash}what {self.what}: must be {' or '.join(KINDS)}")
        zone = ZoneInfo("UTC") if self.wants_all else sessions.market_of((self.symbol or "").strip().upper()).timezone
        self.bounds(zone)

    def bounds(self, zone: ZoneInfo) -> tuple[int | None, int | None]:
        """[start, end) in ms since the epoch, with `zone` for what names none. Raises UsageError."""
        start, end = self._moment(self.start, "from", zone), self._moment(self.end, "to", zone)
        if start is not None and end is not None and start >= end:
            raise UsageError(
                f"{self.dash}from {self.start} {self.dash}to {self.end}: {self.dash}from must be before {self.dash}to"
            )
        return start, end

    def _moment(self, text: str | None, option: str, zone: ZoneInfo) -> int | None:
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
            aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
            return min(max(round(aware.timestamp() * 1000), EARLIEST_MS), LATEST_MS)
        except (ValueError, OverflowError):
            said = "must be an ISO date or time, such as 2026-11-24 or 2026-11-24T09:15"
            raise UsageError(f"{self.dash}{option} {text}: {said}") from None


class Part(NamedTuple):
    """One symbol, with bounds in ms."""

    told: Instrument
    market: Market
    start: int | None
    end: int | None


@dataclass(frozen=True)
class Plan:
    """What will be written. made_at: when this was asked, UTC."""

    asked: Asked
    parts: tuple[Part, ...]
    made_at: datetime

    @property
    def schema(self) -> pa.Schema:
        """The columns, with about() as their metadata."""
        from stockwatch.export.columns import CANDLES, TICKS

        said = {f"stockwatch.{name}": text for name, text in self.about().items()}
        return (TICKS if self.asked.what == "ticks" else CANDLES).with_metadata(said)

    @property
    def simulated(self) -> bool:
        """Whether any of its prices are made up."""
        return any(part.told.simulated for part in self.parts)

    @property
    def of(self) -> str:
        """Its symbols in words."""
        return self.parts[0].told.symbol if not self.asked.wants_all else f"{len(self.parts)} symbols"

    @property
    def name(self) -> str:
        """A name for the file, without its suffix; any symbol's characters are in it as they are."""
        whose = ALL if self.asked.wants_all else self.parts[0].told.symbol
        return f"{self.asked.source}-{whose}-{self.asked.what}"

    def about(self) -> dict[str, str]:
        """What a reader has to know of the rows: for Excel's sheet "about" and Parquet's metadata."""
        zones = sorted({str(part.market.timezone) for part in self.parts})
        said = {
            "what": self.asked.what,
            "source": self.asked.source,
            "simulated": "SIMULATED: made-up prices" if self.simulated else "no",
            "symbols": ", ".join(part.told.symbol for part in self.parts),
            "from": self.asked.start or "the first stored",
            "to": f"{self.asked.end} (not included)" if self.asked.end else "the last stored",
            "time_utc": "UTC",
            "time_exchange": f"the exchange's clock: {', '.join(zones)}",
            "made": self.made_at.isoformat(timespec="seconds"),
            "made by": f"stockwatch {__version__}",
        }
        return said if self.asked.what == "ticks" else {**said, "minutes": str(self.asked.minutes)}

    def batches(self, store: Rows, rows_per_batch: int = ROWS_PER_BATCH) -> Iterator[pa.RecordBatch]:
        """Every row, by symbol and time."""
        for told, market, start, end in self.parts:
            if self.asked.what == "ticks":
                yield from tick_batches(store, told, market, start, end, rows_per_batch)
            else:
                yield from candle_batches(store, told, market, self.asked.minutes, start, end)


def plan(store: Rows, asked: Asked, form: str) -> Plan:
    """Raises UsageError for what is asked wrongly, UnavailableError for what is not stored or cannot be put into `form`."""
    asked.check()
    known = store.symbols(asked.source)
    if asked.wants_all:
        chosen = known
    else:
        exact = (asked.symbol or "").strip()
        chosen = [exact if exact in known else exact.upper()]  # a recording may be of "es"
    if not known or chosen[0] not in known:
        stored = f"there is nothing of it; stored are {', '.join(store.sources()) or 'none'}"
        said = f"it has {', '.join(known)}" if known else stored
        which = (
            f"{asked.dash}symbol {chosen[0]}: nothing is stored of it"
            if chosen
            else f"{asked.dash}symbol {ALL}: nothing is stored"
        )
        raise UnavailableError(f"{which} from {asked.source}; {said}")
    if form == "csv":
        refuse_formulas([asked.source, *chosen])
    parts = []
    for symbol in chosen:
        brought = store.instrument(asked.source, symbol)
        market = sessions.market_for(asked.source, symbol, brought)
        parts.append(Part(sessions.told_of(asked.source, symbol, brought), market, *asked.bounds(market.timezone)))
    return Plan(asked, tuple(parts), datetime.now(UTC))


def refuse_formulas(texts: list[str]) -> None:
    """Raise UnavailableError for a text that a spreadsheet would run as a formula when it opens a CSV.

    OWASP's other way, to put a ' before it, would change the symbol, and what is read back would not be the table. A cell in
    Excel's own format says that it is text, so there (and in Parquet) such a symbol is exported as it is.
    """
    for text in texts:
        if text.startswith(tuple(FORMULA_BEGINS)):
            raise UnavailableError(f"{text!r} is a formula for a spreadsheet that opens a CSV: export it as xlsx or parquet")
