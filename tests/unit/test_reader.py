"""What of the table the page shows: of a replay only what it has played in this start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stockwatch.component import StoreAddress
from stockwatch.dashboard import header
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.reader import Reader
from stockwatch.sessions import Instrument
from stockwatch.settings import load
from stockwatch.store.news import NewTick

AT = 1_764_000_000_000  # 2025-11-24 16:00 UTC
MINUTE = 60_000


class Table:
    """A recording of 30 minutes, stored as a whole by an earlier start: a tick each 10 s."""

    rows = pd.DataFrame({"at": range(AT, AT + 30 * MINUTE, 10_000)}).assign(
        price=lambda f: (f["at"] - AT) / 1e6 + 1, day_volume=1
    )

    def __init__(self, simulated: bool = False) -> None:
        self.told = Instrument("replay:class", "A", "24/7", "UTC", simulated=simulated)

    def instrument(self, source: str, symbol: str) -> Instrument:
        return self.told

    def symbols(self, source: str) -> list[str]:
        return ["A"]

    def _until(self, end: int | None) -> pd.DataFrame:
        return self.rows[self.rows["at"] < end] if end is not None else self.rows

    def latest_at(self, source: str, symbol: str, end_ms: int | None = None) -> int | None:
        seen = self._until(end_ms)
        return int(seen["at"].iloc[-1]) if len(seen) else None

    def earliest_at(self, source: str, symbol: str) -> int:
        return AT

    def latest_ticks(self, source: str, symbols: list[str], end_ms: int | None = None) -> pd.DataFrame:
        return self._until(end_ms).tail(1)

    def news(self, source: str, symbols: list[str], start_ms: int, end_ms: int) -> dict[str, dict[str, Any]]:
        newest = self._until(end_ms)[lambda f: f["at"] >= start_ms].tail(1)
        return {"A": {"ingested": 0} | {name: newest[name].iloc[0].item() for name in newest}} if len(newest) else {}

    def new_ticks(self, source: str, symbols: list[str], start_ms: int, stored_since: int) -> dict[str, list[NewTick]]:
        rows = self.rows[self.rows["at"] >= start_ms]
        return {"A": [NewTick(at, volume, 0, price) for at, price, volume in rows.itertuples(index=False)]}

    def prices(self, source: str, symbol: str, start_ms: int, end_ms: int) -> pd.DataFrame:
        return self._until(end_ms)[lambda f: f["at"] >= start_ms]

    def line(self, source: str, symbol: str, start_ms: int, end_ms: int, step_ms: int) -> pd.DataFrame:
        return self.prices(source, symbol, start_ms, end_ms)[["at", "price"]]

    def bars(self, source: str, symbol: str, start_ms: int, end_ms: int) -> pd.DataFrame:
        return pd.DataFrame(columns=["start", "minutes", "open", "high", "low", "close", "volume"])

    def baseline_volume(self, source: str, symbol: str, start_ms: int, end_ms: int) -> tuple[int, int] | None:
        seen = self.rows[(self.rows["at"] >= start_ms) & (self.rows["at"] < end_ms)]
        return (int(seen["day_volume"].max()), int(seen["at"].max())) if len(seen) else None

    def bars_stored(self, source: str, symbol: str) -> int:
        return 0


def reader(folder: Path, monkeypatch: pytest.MonkeyPatch, components: list[dict[str, Any]], *, simulated: bool = False) -> Reader:
    settings = load(folder / "settings.toml", {"market": {"source": "replay", "replay_file": "class.csv"}})
    made = Reader(Connection(settings, StoreAddress("http://127.0.0.1:9"), "http://127.0.0.1:9/health"))
    monkeypatch.setattr(made, "_store", Table(simulated))
    monkeypatch.setattr(made, "_ask_health", lambda: {"source": "replay:class", "components": components})
    return made


def playing(**metrics: int) -> list[dict[str, Any]]:
    return [{"name": "producer", "metrics": metrics}]


def test_a_recording_that_is_played_again_shows_what_it_has_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = reader(tmp_path, monkeypatch, playing(now=AT + 12 * MINUTE))
    facts = shown.facts("A")
    assert facts is not None
    assert facts.now == AT + 12 * MINUTE == facts.quote["at"] == int(shown.line_of(facts)["at"].iloc[-1])
    assert shown.candles_of(facts, 5, 50)["start"].tolist() == [AT, AT + 5 * MINUTE, AT + 10 * MINUTE]


def test_one_that_has_not_begun_shows_nothing_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reader(tmp_path, monkeypatch, playing()).facts("A") is None


def test_a_page_without_a_producer_shows_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = reader(tmp_path, monkeypatch, []).facts("A")
    assert facts is not None
    assert facts.now == AT + 30 * MINUTE - 10_000


@pytest.mark.parametrize("simulated", [False, True])
def test_a_recording_says_that_it_is_one_and_whether_its_prices_were_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulated: bool
) -> None:
    facts = reader(tmp_path, monkeypatch, playing(now=AT + 12 * MINUTE), simulated=simulated).facts("A")
    assert facts is not None
    mark = header.mark(facts, {})
    assert (mark.word, mark.tag) == ("REPLAY", "REPLAY")
    assert mark.said == "Mon 24 Nov 2025" + (" · simulated, not market prices" if simulated else "")
    assert facts.simulated is simulated


def test_the_end_of_a_recording_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = playing(now=AT + 30 * MINUTE, ended=1)
    facts = reader(tmp_path, monkeypatch, ended).facts("A")
    assert facts is not None
    assert "recording ended</b> 16:29 UTC" in header.first_row(facts, {"components": ended})


@pytest.mark.parametrize("minutes", [1, 5])
def test_a_candle_that_grows_is_what_a_whole_reading_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """Between two whole readings only the newest candle is read; over its bounds, with late ticks and gaps."""
    random = np.random.default_rng(7)
    at = np.sort(AT + random.choice(30 * 60, 400, replace=False) * 1_000)
    at = at[(at < AT + 11 * MINUTE) | (at > AT + 14 * MINUTE)]  # nothing is traded for a while
    volume = np.cumsum(random.integers(0, 9, len(at)))
    monkeypatch.setattr(
        Table, "rows", pd.DataFrame({"at": at, "price": 100 + random.normal(0, 1, len(at)).round(2), "day_volume": volume})
    )
    health = playing(now=int(at[0]))
    shown = reader(tmp_path, monkeypatch, health)
    read = []
    again = shown.read_candles
    monkeypatch.setattr(shown, "read_candles", lambda *args, **kwargs: read.append(1) or again(*args, **kwargs))
    steps = 0
    for now in at[5::7].tolist():
        health[0]["metrics"]["now"] = now
        monkeypatch.setattr("stockwatch.dashboard.reader.HEALTH_SECONDS", 0)
        facts = shown.facts("A", fresh=0)
        assert facts is not None
        grown = shown.candles_of(facts, minutes, 5)
        whole = Reader._candles(shown, facts, minutes, 5)
        pd.testing.assert_frame_equal(grown.reset_index(drop=True), whole)
        steps += 1
    assert steps > 40


class Growing(Table):
    """A live market's table: rows are stored one after the other, some late, some twice, in no order of their time."""

    def __init__(self, rows: pd.DataFrame) -> None:
        super().__init__()
        self.all, self.asked = rows, 0
        self.store(60)

    def store(self, count: int) -> None:
        self.raw = self.all.head(count)
        self.rows = self.raw.drop_duplicates(["at", "day_volume", "price"], keep="last").sort_values(
            ["at", "day_volume", "offset"]
        )

    def prices(self, *args: Any) -> pd.DataFrame:
        self.asked += 1
        return super().prices(*args)

    def line(self, source: str, symbol: str, start_ms: int, end_ms: int, step_ms: int) -> pd.DataFrame:
        found = self.prices(source, symbol, start_ms, end_ms)[["at", "price"]]
        return found.groupby(found["at"] // step_ms).last().reset_index(drop=True)

    def new_ticks(self, source: str, symbols: list[str], start_ms: int, stored_since: int) -> dict[str, list[NewTick]]:
        found = self.raw[(self.raw["at"] >= start_ms) & (self.raw["ingested"] >= stored_since)]
        return {
            "A": [NewTick(*row) for row in found[["at", "day_volume", "offset", "price", "ingested"]].itertuples(index=False)]
        }


def test_what_grows_by_what_is_new_is_what_a_whole_reading_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Candles and line of a live market; between two whole readings the ticks are not read again."""
    random = np.random.default_rng(11)
    at = np.sort(AT + random.integers(0, 20 * MINUTE, 1_500))
    price = 100 + random.normal(0, 1, len(at)).round(2)
    rows = pd.DataFrame({"at": at, "price": price, "day_volume": np.arange(len(at)) * 10})
    rows = pd.concat([rows, rows.sample(200, random_state=7)])  # a repeat comes with another offset
    rows["ingested"] = rows["at"] + 40 + (random.random(len(rows)) < 0.1) * random.integers(0, 2_000, len(rows))
    in_sight = np.argsort(rows["ingested"].to_numpy() + random.integers(0, 400, len(rows)), kind="stable")
    table = Growing(rows.iloc[in_sight].reset_index(drop=True).assign(offset=range(len(rows))))
    settings = load(tmp_path / "settings.toml", {"market": {"source": "simulator", "tickers": ["A"]}})
    shown = Reader(Connection(settings, StoreAddress("http://127.0.0.1:9"), "http://127.0.0.1:9/health"))
    monkeypatch.setattr(shown, "_store", table)
    monkeypatch.setattr(shown, "_ask_health", lambda: {"source": "simulator", "components": []})
    monkeypatch.setattr("stockwatch.dashboard.prices.LINE_STEPS", (1_000,))
    clock = [AT / 1000]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    read = steps = 0
    for count in range(60, 450, 3):
        table.store(count)
        newest = int(table.rows["at"].iloc[-1])
        clock[0] = newest / 1000
        monkeypatch.setattr("stockwatch.dashboard.reader.now_ms", lambda newest=newest: newest)
        facts = shown.facts("A", fresh=0)
        assert facts is not None
        before = table.asked
        grown, line = shown.candles_of(facts, 5, 3), shown.line_of(facts)
        read += table.asked - before
        steps += 1
        whole = Reader._candles(shown, facts, 5, 3)
        pd.testing.assert_frame_equal(grown.tail(1).reset_index(drop=True), whole.tail(1).reset_index(drop=True))
        pd.testing.assert_frame_equal(line, Reader._line(shown, facts, facts.session[0], 1_000))
    assert steps == 130
    assert read < steps
