"""Messages that must not be stored as ticks: each of them is invalid by its making, whatever the random part is."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import msgspec

from stockwatch.tick import MAX_AHEAD_MS, now_ms

MANY = 10_000
GOOD = {"symbol": "AAPL", "at": 1_764_000_000_000, "price": 1.5, "day_volume": 1, "source": "feed"}
# Values that are valid and look as if they were not: they must be stored as they are.
ODD_SYMBOLS = (
    "'; DROP TABLE ticks; --",
    "{symbol:String}",
    "%(symbol)s",
    "\\x00\\'\"`",
    "a\tb\nc",
    "\u202egnp.exe",
    "😀😀",
    "<script>",
    "../..",
)


def _with(**changed: object) -> bytes:
    return json.dumps({**GOOD, **changed}).encode()


def _without(name: str) -> bytes:
    return json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()


def _text(rng: random.Random) -> str:
    return "".join(chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x80, 0xD800)))) for _ in range(rng.randrange(1, 40)))


_MAKERS: tuple[Callable[[random.Random], bytes | None], ...] = (
    lambda rng: b"\xff" + rng.randbytes(rng.randrange(400)),  # no UTF-8, no JSON
    lambda rng: rng.randbytes(rng.randrange(60)) + b"\x00",
    lambda rng: None,  # a tombstone
    lambda rng: b" " * rng.randrange(4),
    lambda rng: _with()[: rng.randrange(len(_with()) - 1)],  # cut off
    lambda rng: _with() + b"}",
    lambda rng: b"[" * rng.randrange(1, MANY),  # deep
    lambda rng: b'{"symbol":' * rng.randrange(1, 2_000),
    lambda rng: json.dumps(_text(rng)).encode(),
    lambda rng: str(rng.random()).encode(),
    lambda rng: b"[%b]" % _with(),
    lambda rng: _with(symbol=""),
    lambda rng: _with(symbol=_text(rng) + "x" * 33),
    lambda rng: _with(symbol=rng.choice((None, 1, [], {}, True))),
    lambda rng: _with(at=rng.choice((0, -1, 946_684_800_000, 2**63 - 1, -(2**63), 1.5, "1764000000000", None))),
    lambda rng: _with(at=now_ms() + MAX_AHEAD_MS + 3_600_000 + rng.randrange(10**9)),
    lambda rng: _with(price=rng.choice((0, -0.0, -1.5, "1", None, [1], True))),
    lambda rng: _with().replace(b"1.5", rng.choice((b"NaN", b"Infinity", b"-Infinity", b"1e999", b"01", b"0x1", b".5", b"+1"))),
    lambda rng: _with(day_volume=rng.choice((-1, 2**63, 2**200, 1.5, "1", None))),
    lambda rng: _with(source=""),
    lambda rng: _with(bid=rng.choice(("1", [], {}, True))),
    lambda rng: _with(currency=rng.choice((1, [], {}))),
    lambda rng: _without(rng.choice(list(GOOD))),
    lambda rng: _with(symbol="x").replace(b'"x"', b'"\\ud800"'),  # half a character
    lambda rng: b'{"symbol": "A", "at": 1e400, "price": 1, "day_volume": 0, "source": "feed"}',
    lambda rng: b"\xef\xbb\xbf" + _with(),  # a byte order mark
    lambda rng: _with().decode().encode("utf-16"),
    lambda rng: b"DROP TABLE stockwatch.ticks" + rng.randbytes(8),
)  # fmt: skip


def hostile(rng: random.Random) -> bytes | None:
    """One of them."""
    return rng.choice(_MAKERS)(rng)


def odd(rng: random.Random, number: int) -> bytes:
    """A valid tick of source `odd` that looks hostile; its day_volume is `number`."""
    return msgspec.json.encode(
        {**GOOD, "symbol": rng.choice(ODD_SYMBOLS), "day_volume": number, "source": "odd", "more": _text(rng)}
    )
