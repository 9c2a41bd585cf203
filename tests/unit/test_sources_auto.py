"""auto: Yahoo when it answers, the simulator until then, and back to neither: what it changed to, it stays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from program import until

from stockwatch.errors import SourceError
from stockwatch.health import Metric
from stockwatch.sessions import Instrument
from stockwatch.settings import Settings, load
from stockwatch.sources import Held
from stockwatch.sources.auto import AGAIN_SECONDS, Auto
from stockwatch.tick import Bar, Tick

FIRST = Tick("AAPL", 1_763_955_900_000, 268.0, 1, "yahoo")


class Yahoo:
    """A source that answers once `answers` is set; each question is counted. `waits`: it hangs until then."""

    name, symbols, detail = "yahoo", ("AAPL",), "streaming from Yahoo"
    metrics: dict[str, Metric] = {"requests": 1}  # noqa: RUF012 - nobody changes it

    def __init__(self, *, waits: bool = False) -> None:
        self.answers, self.answered, self.waits = threading.Event(), False, waits
        self.times = threading.Semaphore(0)
        self.closed = False

    def __call__(self, _settings: Settings, _held: Callable[[], Held] | None) -> Yahoo:
        return self

    def read(self, stopping: threading.Event) -> list[Tick | Bar]:
        self.times.release()
        if self.waits:
            self.answers.wait(30)
        if not self.answers.is_set():
            raise SourceError("Yahoo cannot be reached")
        self.answered = True
        return [FIRST]

    def instruments(self) -> list[Instrument]:
        return []

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(tmp_path / "settings.toml", {"market": {"source": "auto", "tickers": ["AAPL"]}})


def test_it_is_yahoo_from_the_first_read_when_yahoo_answers_in_time(settings: Settings) -> None:
    yahoo = Yahoo()
    yahoo.answers.set()
    auto = Auto(settings, None, yahoo, lambda: 0.0)
    assert auto.read(threading.Event()) == [FIRST]
    assert (auto.name, auto.detail) == ("yahoo", "streaming from Yahoo")
    assert auto.metrics == {"requests": 1, "changed_over": None}  # nothing else was ever shown
    auto.close()
    assert yahoo.closed


def test_a_stop_does_not_wait_for_the_first_answer(settings: Settings) -> None:
    yahoo, stopping = Yahoo(waits=True), threading.Event()
    auto = Auto(settings, None, yahoo, lambda: 0.0)  # its clock stands still: only a stop ends the wait
    reading = threading.Thread(target=auto.read, args=(stopping,))
    reading.start()
    stopping.set()
    reading.join(5)
    yahoo.answers.set()
    assert not reading.is_alive()


def test_yahoo_is_asked_again_after_a_minute_not_before_and_the_change_is_said(settings: Settings) -> None:
    now, stopping, yahoo = [0.0], threading.Event(), Yahoo()
    stopping.set()
    auto = Auto(settings, None, yahoo, lambda: now[0])
    assert auto.detail == "Yahoo is being asked for prices"
    assert yahoo.times.acquire(timeout=5)
    assert {message.source for message in auto.read(stopping)} == {"simulator"}
    assert "Yahoo does not answer: simulated prices" in auto.detail
    now[0] = AGAIN_SECONDS - 1
    auto.read(stopping)
    assert not yahoo.times.acquire(timeout=0.2)
    yahoo.answers.set()
    now[0] = AGAIN_SECONDS + 1
    until(lambda: auto.read(stopping) == [FIRST], 10, "Yahoo's first tick")
    assert auto.name == "yahoo"
    assert auto.detail.startswith("streaming from Yahoo; Yahoo answers since ")
    assert auto.metrics["changed_over"] is not None
