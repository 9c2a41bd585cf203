"""Bytes of ticks and bars, and what makes one invalid."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stockwatch.errors import InvalidMessageError
from stockwatch.tick import Bar, Tick, decode_bar, decode_tick, encode

NOW = 1_764_000_000_000
TICK: dict[str, Any] = {"symbol": "RELIANCE.NS", "at": NOW - 5, "price": 2500.1, "day_volume": 7, "source": "yahoo"}
BAR: dict[str, Any] = {
    "symbol": "A", "start": NOW - 60_000, "minutes": 1, "open": 2.0, "high": 3.0, "low": 1.0, "close": 2.5,
    "volume": 9, "source": "yahoo",
}  # fmt: skip


def test_a_tick_survives_its_bytes_and_absent_fields_stay_absent() -> None:
    tick = Tick("RELIANCE.NS", NOW, 2500.1, 1234567, "yahoo", bid=2500.0, currency="INR")
    assert decode_tick(encode(tick), NOW) == tick
    assert set(json.loads(encode(tick))) == {*TICK, "bid", "currency"}


def test_a_bar_survives_its_bytes() -> None:
    bar = Bar(**BAR)
    assert decode_bar(encode(bar), NOW) == bar


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"symbol": ""}, "length >= 1 - at `\\$.symbol`"),
        ({"symbol": "X" * 33}, "length <= 32 - at `\\$.symbol`"),
        ({"source": ""}, "length >= 1 - at `\\$.source`"),
        ({"at": 946_684_800_000}, "after 2000"),
        ({"at": NOW + 86_400_001}, "a day ahead"),
        ({"at": "2026-01-01"}, "Expected `int`"),
        ({"price": 0}, "> 0.0 - at `\\$.price`"),
        ({"price": -1.5}, "price"),
        ({"price": None}, "price"),
        ({"day_volume": -1}, "day_volume"),
        ({"day_volume": 2**63}, "day_volume"),
        ({"day_volume": 1.5}, "day_volume"),
        ({"bid": "high"}, "bid"),
    ],
)
def test_an_invalid_tick_is_refused_with_its_reason(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidMessageError, match=reason):
        decode_tick(json.dumps({**TICK, **change}).encode(), NOW)


@pytest.mark.parametrize("value", [None, b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"symbol":"A"}', b"NaN", b"9" * 5000])
def test_rubbish_is_no_tick(value: bytes | None) -> None:
    with pytest.raises(InvalidMessageError, match="not a tick"):
        decode_tick(value, NOW)


def test_not_a_number_and_infinity_are_no_prices() -> None:
    for price in ("NaN", "Infinity", "1e999"):
        with pytest.raises(InvalidMessageError):
            decode_tick(json.dumps(TICK).replace("2500.1", price).encode(), NOW)


def test_the_edges_are_valid_and_no_tick_is_refused_for_its_hour() -> None:
    for at in (946_684_800_001, NOW + 86_400_000):
        assert decode_tick(json.dumps({**TICK, "at": at, "symbol": "X" * 32}).encode(), NOW).at == at


@pytest.mark.parametrize("change", [{"minutes": 2}, {"low": 2.2}, {"high": 2.2}, {"low": 0.0}, {"volume": -1}, {"open": 99.0}])
def test_an_invalid_bar_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessageError):
        decode_bar(json.dumps({**BAR, **change}).encode(), NOW)
