"""The simulated price and its day: pure, and shaped as the symbol's own exchange trades."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from stockwatch.sessions import market_of
from stockwatch.sessions.places import MINUTE_MS
from stockwatch.sources.day_shape import Floats, by_minute, hours
from stockwatch.sources.price_path import JUMP_ODDS, Day, PricePath

IST = ZoneInfo("Asia/Kolkata")
EXCHANGES = [("RELIANCE.NS", (9, 15), (15, 30)), ("AAPL", (9, 30), (16, 0)), ("7203.T", (9, 0), (15, 30))]  # open, close


def ms(hour: int, minute: int, second: int = 0, day: int = 24, zone: ZoneInfo = IST) -> int:
    return int(datetime(2025, 11, day, hour, minute, second, tzinfo=zone).timestamp() * 1000)


def day_at(path: PricePath, day: int) -> Day:
    """A day of November 2025 without a change of the clock: 3 to 28; 8, 9, 15, 16, 22 and 23 are no weekdays."""
    return path.day_of(ms(12, 0, day=day, zone=path.zone))


def half_hour(day: Day, hour: int, minute: int) -> float:
    """Its volume from a local time on."""
    first = hour * 60 + minute
    return float(day.minute_volume[first + 30] - day.minute_volume[first])


def minute_returns(path: PricePath, days: range) -> Floats:
    """One row a day: the logarithm of the price from minute to minute."""
    return np.array([np.diff(np.log(day_at(path, day).price[::60])) for day in days])


def test_seed_and_symbol_each_make_another_path() -> None:
    at = np.arange(ms(11, 0), ms(12, 0), 1_000)
    path = PricePath(7, "RELIANCE.NS").price(at)
    assert (path == PricePath(7, "RELIANCE.NS").price(at)).all()
    assert (path != PricePath(8, "RELIANCE.NS").price(at)).mean() > 0.9
    one, other = PricePath(7, "AAAA").price(at), PricePath(7, "BBBB").price(at)
    assert not np.allclose(one / one[0], other / other[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("symbol", "zone"), [("RELIANCE.NS", "Asia/Kolkata"), ("AAPL", "America/New_York"), ("7203.T", "Asia/Tokyo")]
)
def test_volume_never_falls_in_a_day_and_starts_again_at_the_exchanges_midnight(symbol: str, zone: str) -> None:
    path = PricePath(7, symbol)
    midnight = int(datetime(2025, 11, 25, tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    before, after = path.day_of(midnight - 1), path.day_of(midnight)
    assert before.end == after.start == midnight
    assert (np.diff(path.volume(np.arange(before.start, before.end, 1_000), before)) >= 0).all()
    assert int(path.volume(np.array([midnight - 1]), before)[0]) > 100_000
    assert int(path.volume(np.array([midnight]), after)[0]) == 0
    assert after.previous_close == path.price(np.array([midnight - 1_000]))[0]
    assert after.open == path.price(np.array([midnight]))[0]


def test_prices_lie_on_the_exchanges_tick_sizes() -> None:
    moments = np.arange(ms(0, 0), ms(0, 0, day=29), 30_000)
    for symbol, step in (("TCS.NS", 0.10), ("INFY.NS", 0.10), ("AAPL", 0.01), ("7203.T", 1.0)):
        price = PricePath(7, symbol).price(moments)
        assert np.allclose(price / step, np.round(price / step), atol=1e-6), symbol
        assert len(np.unique(price)) > 5, symbol
    path = PricePath(7, "SBIN.NS")
    assert path.tick_size(np.array([100.0, 600.0, 3_000.0, 7_000.0, 15_000.0, 30_000.0])).tolist() == [
        0.01, 0.05, 0.10, 0.50, 1.0, 5.0,
    ]  # fmt: skip


def test_a_moment_has_one_price_however_it_is_asked_for() -> None:
    for symbol in ("RELIANCE.NS", "AAPL", "BTC-USD"):
        path = PricePath(7, symbol)
        day = day_at(path, 24)
        seconds = np.arange(day.start, day.end, 1_000)
        assert (path.price(seconds) == day.price).all()
        sparse = np.sort(np.random.default_rng(3).choice(len(seconds), 60, replace=False))
        assert (path.price(seconds[sparse] + 250) == day.price[sparse]).all()
        assert [PricePath(7, symbol).price(seconds[one : one + 1])[0] for one in sparse] == day.price[sparse].tolist()
        far = np.array([0, 40 * 86_400_000, 400 * 86_400_000]) + day.start  # other months, another year
        assert path.price(far)[0] == day.price[0]
        assert path.price(far[1:]).tolist() == [path.price(far[at : at + 1])[0] for at in (1, 2)]


@pytest.mark.parametrize(("symbol", "opens", "closes"), EXCHANGES)
def test_volume_has_the_exchanges_own_u_on_every_day(symbol: str, opens: tuple[int, int], closes: tuple[int, int]) -> None:
    path = PricePath(7, symbol)
    assert (hours(market_of(symbol), 2025, 11)[0][0], hours(market_of(symbol), 2025, 11)[-1][1]) == (
        opens[0] * 60 + opens[1],
        closes[0] * 60 + closes[1],
    )
    last = divmod(closes[0] * 60 + closes[1] - 30, 60)
    for number in range(3, 29):
        day = day_at(path, number)
        assert half_hour(day, *opens) > 1.5 * half_hour(day, 12, 0)
        assert half_hour(day, *last) > 1.5 * half_hour(day, 12, 0)
        halves = [half_hour(day, hour, minute) for hour in range(24) for minute in (0, 15, 30) if (hour, minute) < (23, 31)]
        assert half_hour(day, *opens) >= 0.99 * max(halves)
        assert half_hour(day, 3, 0) < half_hour(day, 12, 0) * (1.5 if symbol == "7203.T" else 0.5)


def test_tokyo_rests_at_lunch_and_markets_round_the_clock_have_a_mild_wave() -> None:
    day = day_at(PricePath(7, "7203.T"), 20)
    assert half_hour(day, 11, 45) < 0.3 * min(half_hour(day, 11, 0), half_hour(day, 12, 30))
    for symbol in ("BTC-USD", "EURUSD=X", "ES=F"):
        assert hours(market_of(symbol), 2025, 11) == ()
        shape = by_minute(market_of(symbol), np.arange(ms(0, 0), ms(0, 0, day=25), MINUTE_MS))
        assert 1.1 < shape.volume.max() / shape.volume.min() < 2
        assert 1.1 < shape.moves.max() / shape.moves.min() < 2


@pytest.mark.parametrize(("symbol", "opens", "closes"), EXCHANGES)
def test_the_price_moves_most_after_the_open_less_at_noon_least_by_night(
    symbol: str, opens: tuple[int, int], closes: tuple[int, int]
) -> None:
    returns = minute_returns(PricePath(7, symbol), range(3, 29))
    first, last = (hour * 60 + minute for hour, minute in (opens, closes))
    noon = 12 * 60 + 40  # Tokyo is back from lunch

    def size(begin: int, minutes: int) -> float:
        moves = returns[:, begin : begin + minutes]
        return float(np.sqrt(np.mean(moves[np.abs(moves) < 0.0035] ** 2)))  # jumps apart

    assert size(first, 30) > 1.6 * size(noon, 60)
    assert size(last - 30, 30) > 1.2 * size(noon, 60)
    assert size(noon, 60) > 1.3 * size(60, 240)


def test_tickers_of_one_exchange_move_together_and_a_little_with_the_world() -> None:
    symbols = ("RELIANCE.NS", "TCS.NS", "INFY.NS", "SBIN.NS", "AAPL", "MSFT", "NVDA")
    moments = np.arange(ms(0, 0, day=10), ms(0, 0, day=22), MINUTE_MS)
    together = np.corrcoef([np.diff(np.log(PricePath(7, symbol).price(moments))) for symbol in symbols])
    within = [together[a, b] for a in range(7) for b in range(a) if (a < 4) == (b < 4)]
    across = together[:4, 4:]
    assert 0.2 < min(within) <= max(within) < 0.8
    assert 0.02 < across.mean() < 0.2
    assert across.max() < min(within)


def test_jumps_exist_and_are_rare() -> None:
    for symbol in ("RELIANCE.NS", "AAPL"):
        path = PricePath(7, symbol)
        leaps = [int((np.abs(np.diff(np.log(day_at(path, day).price))) > 0.0035).sum()) for day in range(3, 29)]
        expected = JUMP_ODDS * 16 * len(leaps)
        assert 0.4 * expected < sum(leaps) < 1.8 * expected
        assert max(leaps) <= 6


@pytest.mark.parametrize(("month", "day", "length"), [(3, 8, 23), (11, 1, 25)])
def test_a_day_on_which_the_clock_changes_has_its_burst_at_the_local_open(month: int, day: int, length: int) -> None:
    path, zone = PricePath(7, "AAPL"), ZoneInfo("America/New_York")
    made = path.day_of(int(datetime(2026, month, day, 12, tzinfo=zone).timestamp() * 1000))
    assert made.end - made.start == length * 3_600_000
    assert (len(made.price), len(made.minute_volume)) == (length * 3_600, length * 60 + 1)
    opens = (int(datetime(2026, month, day, 9, 30, tzinfo=zone).timestamp() * 1000) - made.start) // MINUTE_MS
    minute = np.diff(made.minute_volume)
    assert minute[opens : opens + 30].sum() > 10 * minute[opens - 31 : opens - 1].sum()
    seconds = np.arange(made.start, made.end, 1_000)
    assert (np.diff(path.volume(seconds, made)) >= 0).all()
    change = slice(90 * 60, 210 * 60)  # both 2:00 and what comes after it
    assert np.abs(np.diff(np.log(made.price[change]))).max() < 0.002
    assert path.day_of(made.end).previous_close == made.price[-1]


def test_the_spread_is_wider_at_the_open() -> None:
    day = day_at(PricePath(7, "RELIANCE.NS"), 24)
    assert day.spread[9 * 60 + 17] >= 3
    assert day.spread[12 * 60] == day.spread[2 * 60] == 1
