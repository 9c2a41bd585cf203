"""A replay that is started again: it goes on where it was cut off, begins anew after its end, and has a time of its own."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stockwatch.errors import StoreError
from stockwatch.sources.recording import Recording, load
from stockwatch.sources.replay import Replay
from stockwatch.tick import Tick

AT = 1_764_000_000_000


def everything(source: Replay) -> list[Tick]:
    stopping, ticks = threading.Event(), []
    stopping.set()
    while not source.ended:
        ticks += [tick for tick in source.read(stopping) if isinstance(tick, Tick)]
    return ticks


class Store:
    """What is stored of a recording, as the store counts it."""

    def __init__(self) -> None:
        self.rows: set[tuple[str, int, int, float]] = set()
        self.away = 0

    def keep(self, ticks: list[Tick]) -> None:
        self.rows |= {(tick.symbol, tick.at, tick.day_volume, tick.price) for tick in ticks}

    def bar_span(self, source: str, symbol: str) -> tuple[int, int] | None:
        return None

    def tick_counts(self, source: str) -> dict[str, tuple[int, int, int]]:
        if self.away:
            self.away -= 1
            raise StoreError("ClickHouse cannot be reached")
        found = {}
        for symbol in {row[0] for row in self.rows}:
            times = [row[1] for row in self.rows if row[0] == symbol]
            found[symbol] = (len(times), len([at for at in times if at < max(times)]), max(times))
        return found


def two_symbols(folder: Path) -> Recording:
    rows = [f"{AT + n // 3 * 1000},{n + 1},{'AB'[n % 5 == 0]},{n}" for n in range(40)]  # ties, of one symbol and of both
    path = folder / "T.csv"
    path.write_text("at,price,symbol,volume\n" + "\n".join(rows))
    return load(path, "UTC")


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 17, 39])
def test_a_replay_that_was_cut_off_goes_on_where_the_store_ends(tmp_path: Path, cut: int) -> None:
    content, store = two_symbols(tmp_path), Store()
    whole = everything(Replay(content, 0))
    store.keep(whole[:cut])
    again = Replay(content, 0, held=lambda: store)
    rest = everything(again)
    assert len(rest) <= len(whole) - cut + 2  # ties of the last moment may come again
    store.keep(rest)
    assert len(store.rows) == len(whole)
    assert again.metrics["played"] == again.metrics["recorded"] == len(whole)


def test_one_that_had_ended_begins_anew_for_the_next_class(tmp_path: Path) -> None:
    content, store = two_symbols(tmp_path), Store()
    whole = everything(Replay(content, 0))
    store.keep(whole)
    again = Replay(content, 0, held=lambda: store)
    assert everything(again) == whole


def test_a_table_that_does_not_fit_is_played_over(tmp_path: Path) -> None:
    content, store = two_symbols(tmp_path), Store()
    whole = everything(Replay(content, 0))
    store.keep(whole[:7] + whole[8:20])  # a hole
    store.rows.add(("OTHER", AT, 1, 1.0))
    symbol = whole[7].symbol
    rest = everything(Replay(content, 0, held=lambda: store))
    assert [tick for tick in rest if tick.symbol == symbol] == [tick for tick in whole if tick.symbol == symbol]


def test_the_store_is_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    content, store, now = two_symbols(tmp_path), Store(), [0.0]
    store.away = 2
    source = Replay(content, 0, lambda: now[0], lambda: store)
    stopping = threading.Event()
    stopping.set()
    assert [source.read(stopping), source.read(stopping)] == [[], []]
    assert len(source.read(stopping)) == 40
    store.away = 1_000
    late = Replay(content, 0, lambda: now[0], lambda: store)
    assert late.read(stopping) == []
    now[0] = 21.0
    assert len(late.read(stopping)) == 40


def test_its_now_is_the_recordings(tmp_path: Path) -> None:
    now = [0.0]
    source = Replay(two_symbols(tmp_path), 10, lambda: now[0])
    stopping = threading.Event()
    stopping.set()
    source.read(stopping)
    now[0] = 0.5
    source.read(stopping)
    assert (source.metrics["now"], source.metrics["ended"]) == (AT + 5_000, 0)
    now[0] = 60
    source.read(stopping)
    assert (source.metrics["now"], source.metrics["ended"]) == (AT + 13_000, 1)
