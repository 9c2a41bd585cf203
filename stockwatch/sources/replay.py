"""Replay: a recording at its own pace, faster, or as fast as it can. Speed never changes data."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from stockwatch.errors import UsageError
from stockwatch.health import Metric
from stockwatch.sessions import Instrument
from stockwatch.settings import Settings
from stockwatch.sources import recording
from stockwatch.sources.recording import Recording
from stockwatch.tick import Bar, Tick

BATCH = 2_000
WAIT_SECONDS = 1.0


class Replay:
    """A Source. Its place in the recording outlives the producer's lives; what was read is never read again."""

    def __init__(self, content: Recording, speed: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._content, self._speed, self._clock = content, speed, clock
        self._next = 0
        self._began: float | None = None

    @classmethod
    def open(cls, settings: Settings) -> Replay:
        """The recording of the settings. Raises UsageError before anything starts."""
        chosen = settings.market
        if not chosen.replay_file:
            raise UsageError('market.replay_file: must name a recording when market.source is "replay"')
        path = settings.resolve(chosen.replay_file)
        if not Path(path).is_file():
            raise UsageError(f"market.replay_file: {path} is no file")
        return cls(recording.load(path, chosen.replay_timezone), chosen.replay_speed)

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
        last = int(self._content.at[max(self._next - 1, 0)]) / 1000
        clock = f"{datetime.fromtimestamp(last, zone):%H:%M}"
        said = f"recording ended {clock}" if self._ended() else f"replaying {self.name[7:]} at {clock}"
        if broken := self._content.broken:
            said += f"; {len(broken)} broken lines skipped, the first is line {broken[0]}"
        return said

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """How many rows are played, of how many."""
        return {"played": self._next, "recorded": len(self._content.at), "broken_lines": len(self._content.broken)}

    def instruments(self) -> list[Instrument]:
        """The calendars of its symbols."""
        return self._content.instruments

    def close(self) -> None:
        """Nothing to give back."""

    def read(self, stopping: threading.Event) -> list[Tick | Bar]:
        """The ticks that are due; at the end it only waits."""
        if self._ended():
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

    def _ended(self) -> bool:
        return self._next >= len(self._content.at)
