"""Replay: a recording at its own pace, faster, or as fast as it can. Speed never changes data."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from stockwatch.errors import StoreError, UnavailableError, UsageError
from stockwatch.health import Metric
from stockwatch.sessions import Instrument
from stockwatch.settings import Settings
from stockwatch.sources import Held, recording
from stockwatch.sources.recording import Recording
from stockwatch.tick import Bar, Tick

BATCH = 2_000
WAIT_SECONDS = 1.0
STORE_SECONDS = 20.0  # how long the store is asked what it holds; then it begins at the start, and identity hides repeats
ASK_SECONDS = 0.2
NAMED_LINES = 3


class Replay:
    """A Source. Its place in the recording outlives the producer's lives; what was read is never read again.

    A start goes on where the last one was cut off. One that had reached the end begins anew: the next class sees it too.
    """

    def __init__(
        self,
        content: Recording,
        speed: float,
        clock: Callable[[], float] = time.monotonic,
        held: Callable[[], Held] | None = None,
    ) -> None:
        self._content, self._speed, self._held, self._clock = content, speed, held, clock
        self._next = 0
        self._played = 0  # rows that an earlier start has played
        self._began: float | None = None
        self._asked: float | None = None  # since when the store is asked

    @classmethod
    def open(cls, settings: Settings, held: Callable[[], Held] | None = None) -> Replay:
        """The recording of the settings. Raises UsageError before anything starts."""
        chosen = settings.market
        if not chosen.replay_file:
            raise UsageError('market.replay_file: must name a recording when market.source is "replay"')
        path = settings.resolve(chosen.replay_file)
        if not Path(path).is_file():
            raise UsageError(f"market.replay_file: {path} is no file")
        return cls(recording.load(path, chosen.replay_timezone), chosen.replay_speed, held=held)

    @property
    def name(self) -> str:
        """replay:<the file's stem>."""
        return self._content.source

    @property
    def symbols(self) -> tuple[str, ...]:
        """The recording's."""
        return tuple(instrument.symbol for instrument in self._content.instruments)

    @property
    def detail(self) -> str:
        """How far it is, and which lines were skipped."""
        zone = ZoneInfo(self._content.instruments[0].timezone)
        clock = f"{datetime.fromtimestamp(self._reached() / 1000, zone):%H:%M}"
        said = f"recording ended {clock}" if self.ended else f"replaying {self.name[7:]} at {clock}"
        if broken := self._content.broken:
            lines = ", ".join(map(str, broken[:NAMED_LINES])) + (", …" if len(broken) > NAMED_LINES else "")
            said += f"; {len(broken)} broken {'lines' if len(broken) > 1 else 'line'} skipped: line {lines}"
        return said

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """How many rows are played, of how many; now: the recording's time (ms) that it has reached; ended (0, 1)."""
        played = {"played": self._played + self._next, "recorded": self._played + len(self._content.at)}
        return {**played, "broken_lines": len(self._content.broken), "now": self._reached(), "ended": int(self.ended)}

    @property
    def ended(self) -> bool:
        """Whether every row is played."""
        return self._next >= len(self._content.at)

    def instruments(self) -> list[Instrument]:
        """The calendars of its symbols."""
        return self._content.instruments

    def close(self) -> None:
        """Nothing to give back."""

    def read(self, stopping: threading.Event) -> list[Tick | Bar]:
        """The ticks that are due; at the end it only waits."""
        if self._held is not None and not self._take_up(self._held):
            stopping.wait(ASK_SECONDS)
            return []
        if self.ended:
            stopping.wait(WAIT_SECONDS)
            return []
        if self._speed == 0:
            return self._take(min(self._next + BATCH, len(self._content.at)))
        now = self._clock()
        if self._began is None:
            self._began = now
        due = self._content.at[0] + (now - self._began) * 1000 * self._speed
        upto = min(int(np.searchsorted(self._content.at, due, "right")), self._next + BATCH)
        if upto > self._next:
            return self._take(upto)
        ahead = (self._content.at[self._next] - due) / 1000 / self._speed
        stopping.wait(min(max(ahead, 0.005), WAIT_SECONDS))
        return []

    def _take_up(self, held: Callable[[], Held]) -> bool:
        """Once: leave out what the store holds of each symbol. False while the store cannot be asked yet."""
        if self._asked is None:
            self._asked = self._clock()
        try:
            counts = held().tick_counts(self.name)
        except StoreError:
            if self._clock() - self._asked < STORE_SECONDS:
                return False
            counts = {}
        except UnavailableError:  # it will never say
            counts = {}
        self._held = None
        left = self._content.after(counts)
        if len(left.at):  # else all of it is there: it begins anew
            self._played = len(self._content.at) - len(left.at)
            self._content = left
        return True

    def _reached(self) -> int:
        return int(self._content.at[max(self._next - 1, 0)])

    def _take(self, upto: int) -> list[Tick | Bar]:
        part = slice(self._next, upto)
        self._next = upto
        content = self._content
        columns = (
            content.symbol[part],
            content.at[part].tolist(),
            content.price[part].tolist(),
            content.day_volume[part].tolist(),
        )
        return [Tick(symbol, at, price, volume, content.source) for symbol, at, price, volume in zip(*columns, strict=True)]
