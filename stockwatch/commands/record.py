"""`python run.py record --out FILE`: what flows, as a recording for `replay`, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path

from stockwatch import sessions
from stockwatch.commands import status
from stockwatch.commands.console import say
from stockwatch.commands.recorder import Recorder
from stockwatch.component import KafkaAddress
from stockwatch.errors import InvalidMessageError, NotRunningError, RetryableError, UnavailableError
from stockwatch.sessions import Instrument
from stockwatch.settings import Settings
from stockwatch.sources import Source, open_source
from stockwatch.supervisor.lock import is_held
from stockwatch.tick import Tick, decode_tick

AGAIN_SECONDS = 5.0  # after a trouble of the source
Tell = Callable[[str, str], Instrument | None]


def run(settings: Settings, out: Path) -> int:
    """Record until Ctrl-C, SIGTERM or SIGHUP; 0. Raises UsageError or UnavailableError before anything is recorded."""
    stopping = _stopping()
    flow, tell = _flow(settings, stopping)
    recorder = Recorder(out, tell)
    begun = False
    try:
        with contextlib.closing(flow):
            for ticks in flow:
                if not begun:
                    begun = True
                    say(f"recording to {out}: Ctrl-C ends it")
                recorder.write(ticks)
    finally:
        recorder.close()
    mark = " (SIMULATED)" if recorder.simulated else ""
    say(f"{recorder.ticks:,} ticks{mark} → {out}" if recorder.ticks else f"no tick came: {out} was not written")
    return 0


def _stopping() -> threading.Event:
    """Set by the first signal; the second one ends at once."""
    stopping = threading.Event()
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP

    def asked(_number: int, _frame: object) -> None:
        stopping.set()
        for name in names:
            signal.signal(getattr(signal, name), signal.default_int_handler)

    for name in names:
        signal.signal(getattr(signal, name), asked)
    return stopping


def _flow(settings: Settings, stopping: threading.Event) -> tuple[Generator[list[Tick]], Tell]:
    """The running instance's ticks, or an external Kafka's; where nothing runs, the source's own. And who tells of symbols."""
    from stockwatch.assembly.places import external_kafka

    address = external_kafka(settings)
    if address is None and is_held(settings.data_dir):
        try:
            address = KafkaAddress((str(status.ask(settings)["kafka"]),), keeps_log=False)
        except (NotRunningError, KeyError) as error:
            raise UnavailableError("an instance has this data folder and does not say where its Kafka is") from error
        return _of_one(_published(settings, address, stopping, embedded=True), ends=True), partial(_stored, settings)
    if address is not None:
        return _of_one(_published(settings, address, stopping, embedded=False), ends=False), partial(_stored, settings)
    source = open_source(settings)
    brought = {(item.source, item.symbol): item for item in source.instruments()}
    return _of_one(_read(source, stopping), ends=True), lambda source, symbol: brought.get((source, symbol))


def _of_one(flow: Generator[list[Tick]], *, ends: bool) -> Generator[list[Tick]]:
    """The ticks of the source that comes first: simulated and real prices never mix in a recording.

    ends: another source has taken its place, so that nothing more of it comes; else the topic is shared with others.
    """
    name, others = "", 0
    with contextlib.closing(flow):
        for ticks in flow:
            name = name or next((tick.source for tick in ticks), "")
            mine = [tick for tick in ticks if tick.source == name]
            others += len(ticks) - len(mine)
            yield mine
            if others and ends:
                now = next(tick.source for tick in ticks if tick.source != name)
                say(f"prices come from {now} now, no longer from {name}: begin another recording for them")
                return
    if others:
        say(f"{others:,} ticks of other sources than {name} are left out")


def _stored(settings: Settings, source: str, symbol: str) -> Instrument | None:
    """What a recording that is played brought: it stands in the store."""
    if not sessions.is_replay(source):
        return None
    from stockwatch.assembly import open_store

    with open_store(settings) as (store, _running):
        return store.instrument(source, symbol)


def _published(settings: Settings, address: KafkaAddress, stopping: threading.Event, *, embedded: bool) -> Generator[list[Tick]]:
    from stockwatch.engines.bare_kafka import follow

    bad = 0
    try:
        for values in follow(address, settings.kafka.topic, stopping):
            ticks = []
            for value in values:
                try:
                    ticks.append(decode_tick(value))
                except InvalidMessageError:
                    bad += 1  # the consumer gives it to the dead letters, with its reason
            yield ticks
            if embedded and not values and not is_held(settings.data_dir):
                say("the instance has stopped")
                break
    except RetryableError as error:
        raise UnavailableError(str(error)) from error
    if bad:
        say(f"{bad:,} messages were no ticks and are left out")


def _read(source: Source, stopping: threading.Event) -> Generator[list[Tick]]:
    """No engine is needed for this; a recording that is played ends by itself."""
    said = ""
    try:
        while not stopping.is_set() and not source.metrics.get("ended"):
            try:
                yield [message for message in source.read(stopping) if isinstance(message, Tick)]
                said = ""
            except RetryableError as error:
                if not said:
                    say(f"{error}; trying again")
                said = str(error)
                yield []
                stopping.wait(error.retry_after or AGAIN_SECONDS)
    finally:
        source.close()
