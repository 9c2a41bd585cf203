"""What the page knows of one ticker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stockwatch import sessions
from stockwatch.sessions import Market, SessionStatus


@dataclass(frozen=True)
class Facts:
    """What is known of one ticker now. Times are ms since the epoch, UTC."""

    source: str
    symbol: str
    market: Market
    simulated: bool
    joins_late: bool
    now: int
    newest: int  # where the newest tick or bar ends
    price: float  # the newest
    session: tuple[int, int]  # open and close of the session that is shown
    quote: dict[str, Any]
    status: SessionStatus

    @property
    def is_replay(self) -> bool:
        """Whether it is a recording, whose now is its own."""
        return sessions.is_replay(self.source)

    @property
    def at(self) -> int:
        """When the newest price was made."""
        return int(self.quote["at"]) if self.quote else self.newest
