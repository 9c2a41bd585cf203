"""How fast passwords may be guessed: a growing wait for each client, a wait for all while many guess, bounded memory.

One guesser never locks the others out: the wait of a client is its own, and what all share only delays.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0  # seconds after the first wrong password of a client, doubled with each, up to
FORGET_SECONDS = 900.0
MOST_CLIENTS = 2048
CALM_FAILURES = 20  # wrong passwords of all clients that are no storm; they fade with FADE_SECONDS
FADE_SECONDS = 60.0
STORM_WAIT = 2.0  # seconds of delay of each attempt in a full storm


@dataclass
class _Client:
    failures: int
    next_at: float
    last_at: float


class Throttle:
    """Not locked: it belongs to the page's event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._storm, self._storm_at = 0.0, clock()

    def wait(self, client: str) -> float:
        """Seconds until this client's next attempt is looked at; 0: now."""
        found = self._of(client)
        return max(found.next_at - self._clock(), 0.0) if found else 0.0

    def delay(self) -> float:
        """Seconds that each attempt is held now, because many fail."""
        over = self._faded() - CALM_FAILURES
        return min(max(over / CALM_FAILURES, 0.0), 1.0) * STORM_WAIT

    def failed(self, client: str) -> float:
        """A wrong password; the seconds until this client's next attempt."""
        now = self._clock()
        failures = (found.failures if (found := self._of(client)) else 0) + 1
        seconds = min(FIRST_WAIT * 2.0 ** min(failures - 1, 16), LONGEST_WAIT)
        self._clients[group(client)] = _Client(failures, now + seconds, now)
        self._clients.move_to_end(group(client))
        while len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        self._storm, self._storm_at = self._faded() + 1, now
        return seconds

    def passed(self, client: str) -> None:
        """The right password: this client starts anew."""
        self._clients.pop(group(client), None)

    def _faded(self) -> float:
        past = self._clock() - self._storm_at
        return self._storm * math.pow(0.5, past / FADE_SECONDS)

    def _of(self, client: str) -> _Client | None:
        found = self._clients.get(group(client))
        if found is not None and self._clock() - found.last_at > FORGET_SECONDS:
            del self._clients[group(client)]
            return None
        return found


def group(client: str) -> str:
    """One guesser: an IPv4 address, or the /64 of an IPv6 one, which one machine may use whole."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
