"""Where moments lie among segments of trading, vectorised. Times are int64 ms since the epoch, UTC."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
MINUTE_MS, DAY_MS = 60_000, 86_400_000


class Segments(NamedTuple):
    """Stretches of trading, sorted, each [open, close) in ms; lunch splits a session in two.

    session: the local midnight (ms, UTC) of the session's date.
    """

    open: Int64s
    close: Int64s
    session: Int64s


def segment_of(at: Int64s, segments: Segments) -> Int64s:
    """The segment that each moment belongs to; -1 where there are none at all.

    A moment outside of trading goes to the session of its own date (before the open), else to the one before it.
    """
    if not len(segments.open):
        return np.full(len(at), -1, np.int64)
    place = np.searchsorted(segments.open, at, "right") - 1
    after = np.minimum(place + 1, len(segments.open) - 1)
    held = np.maximum(place, 0)
    past = at >= segments.close[held]
    early = past & (at >= segments.session[after]) & (segments.session[after] > segments.session[held])
    found: Int64s = np.where(early, after, held)
    return found


def session_of(at: Int64s, segments: Segments) -> Int64s:
    """The session (local midnight of its date, ms) that each moment belongs to."""
    return bounds_of(at, segment_of(at, segments), segments)[2]


def session_open(session: Int64s, segments: Segments) -> Int64s:
    """When each session begins to trade; its first moment where none is known."""
    if not len(segments.open):
        return session
    opened: Int64s = segments.open[np.searchsorted(segments.session, session)]
    return opened


def bounds_of(at: Int64s, place: Int64s, segments: Segments) -> tuple[Int64s, Int64s, Int64s]:
    """Open, close and session of each moment's segment; the UTC day where no session is known."""
    if not len(segments.open):
        day = at // DAY_MS * DAY_MS
        return day, day + DAY_MS, day
    return segments.open[place], segments.close[place], segments.session[place]


def is_trading(at: Int64s, segments: Segments) -> Bools:
    """Which moments are of the trading that candles show.

    Not those beside the hours of a session on its own date: a closing print, an auction before the open, extended hours. On a
    date without a session all are: the exchange may well trade on a day of which the calendar does not know.
    """
    opened, closed, session = bounds_of(at, segment_of(at, segments), segments)
    beside = ((at < opened) | (at >= closed)) & (at >= session) & (at < session + DAY_MS)
    trading: Bools = ~beside
    return trading
