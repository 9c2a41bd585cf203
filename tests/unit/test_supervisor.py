"""The supervisor itself, over parts that do as they are told: surprises are seen, signals are safe, the exit code is true."""

from __future__ import annotations

import os
import signal
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from stockwatch import supervisor as module
from stockwatch.component import Backoff, Deadlines, Renewal
from stockwatch.errors import StockwatchError, UnavailableError
from stockwatch.health import HealthRegistry, State
from stockwatch.supervisor import Supervisor
from stockwatch.supervisor.row import Part

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Told:
    """A component that calls what it is given; by default all is well."""

    def __init__(self, name: str = "part", **does: Callable[[], object]) -> None:
        self.name, self.deadlines, self._does = name, Deadlines(ready=2.0), does
        self.stopped = False

    def start(self) -> None:
        self._do("start")

    def ready(self) -> bool:
        self._do("ready")
        return True

    def beat(self) -> Renewal | None:
        self._do("beat")
        return None

    def stop(self) -> None:
        self.stopped = True
        self._do("stop")

    def _do(self, what: str) -> None:
        self._does.get(what, bool)()


def surprise() -> None:
    struct.unpack(">i", b"")


def in_turn(*lives: Told) -> Callable[[], Told]:
    left = list(lives)
    return lambda: left.pop(0)


def stop_at(name: str, life: int) -> Callable[[str], None]:
    """As a user who presses Ctrl-C once this life of this part is ready; the later ones of the others do not count."""
    seen = [0]

    def on_ready(ready: str) -> None:
        seen[0] += ready == name
        if seen[0] == life:
            os.kill(os.getpid(), signal.SIGTERM)

    return on_ready


@pytest.fixture(autouse=True)
def _handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = {name: signal.getsignal(getattr(signal, name)) for name in NAMES}
    numbers = {name: getattr(signal, name) for name in NAMES}
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(Backoff, "next_delay", lambda _self: 0.01)
    yield
    for name, handler in before.items():
        signal.signal(numbers[name], handler)


@pytest.fixture
def registry() -> HealthRegistry:
    return HealthRegistry(["part", "other"])


@pytest.mark.parametrize("where", ["start", "ready"])
def test_a_surprise_of_an_essential_part_ends_the_program_with_its_name(
    registry: HealthRegistry, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    part = Told(**{where: surprise})
    with pytest.raises(StockwatchError, match=r"part met a surprise, struct\.error") as caught:
        Supervisor([Part("part", lambda: part, essential=True)], registry).run()
    assert "\n" not in str(caught.value)
    assert part.stopped
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("where", ["start", "ready", "beat"])
def test_a_surprise_ends_that_life_and_another_one_follows(registry: HealthRegistry, where: str) -> None:
    first, second = Told(**{where: surprise}), Told()
    said: list[str | None] = []
    registry.listen(lambda: said.append(registry.get("part").error))
    Supervisor([Part("part", in_turn(first, second))], registry, stop_at("part", 2 if where == "beat" else 1)).run()
    assert first.stopped
    assert "part met a surprise, struct.error: stockwatch.log says where. Starting it again." in said
    assert registry.get("part").state is State.STOPPED


def test_a_surprise_while_one_part_stops_keeps_no_other_from_being_stopped(registry: HealthRegistry) -> None:
    part, other = Told(stop=surprise), Told("other")
    row = [Part("part", lambda: part, ("other",)), Part("other", lambda: other, essential=True)]
    Supervisor(row, registry, stop_at("part", 1)).run()
    assert part.stopped
    assert other.stopped


def test_a_signal_never_waits_for_a_lock_that_the_interrupted_thread_holds(registry: HealthRegistry) -> None:
    made = Supervisor([], registry)

    def interrupted() -> None:
        with made._stopping._cond:  # as the main thread holds it within set()
            made._on_signal(signal.SIGTERM, None)

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_it_runs_and_stops_where_signals_are_missing_as_on_windows(
    registry: HealthRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = Told()
    monkeypatch.delattr(signal, "SIGHUP")
    monkeypatch.delattr(signal, "SIGKILL")
    Supervisor([Part("part", lambda: part)], registry, stop_at("part", 1)).run()
    assert part.stopped


@pytest.mark.parametrize(
    ("failing", "code", "line"),
    [(None, 0, ""), (UnavailableError("the engine is away"), 1, "stockwatch: the engine is away\n")],
    ids=["a stop", "a failure"],
)
def test_what_hangs_at_the_deadline_is_left_behind_with_the_exit_code_that_is_true(
    registry: HealthRegistry,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failing: StockwatchError | None,
    code: int,
    line: str,
) -> None:
    left, codes = threading.Event(), list[int]()

    def leave(number: int) -> None:
        codes.append(number)
        left.set()

    def fail() -> None:
        if failing is not None:
            raise failing

    monkeypatch.setattr(module, "STOP_SECONDS", 0.2)
    monkeypatch.setattr(os, "_exit", leave)
    part = Told(ready=fail, stop=lambda: left.wait(10))
    made = Supervisor([Part("part", lambda: part, essential=True)], registry, stop_at("part", 1))
    if failing is None:
        made.run()
    else:
        with pytest.raises(StockwatchError):
            made.run()
    assert (codes, capsys.readouterr().err) == ([code], line)
