"""The simulator: what it says is a function of seed, symbol and time; ticks and bars as an exchange would give them."""

from __future__ import annotations

import itertools
import math
import threading
from datetime import datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from stockwatch.candles import build
from stockwatch.sessions import market_for, segments
from stockwatch.sessions.places import MINUTE_MS
from stockwatch.sources.simulator import CATCH_UP_MS, MAX_HISTORY_MINUTES, Simulator
from stockwatch.tick import Bar, Tick, decode_bar, decode_tick, encode

IST = ZoneInfo("Asia/Kolkata")
SYMBOLS = ("RELIANCE.NS", "AAPL")


def ms(hour: int, minute: int, second: int = 0, day: int = 24) -> int:
    return int(datetime(2025, 11, day, hour, minute, second, tzinfo=IST).timestamp() * 1000)


class Clock:
    """A wall clock that the test moves; stopping is set in these tests, so read() never waits."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def stopped() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def made(clock: Clock, symbols: tuple[str, ...] = SYMBOLS, rate: float = 1, seed: int = 7, history: int = 255) -> Simulator:
    return Simulator(symbols, seed, rate, history, clock)


def ticks_of(messages: list[Tick | Bar], symbol: str = "RELIANCE.NS") -> list[Tick]:
    return [message for message in messages if isinstance(message, Tick) and message.symbol == symbol]


def bars_of(messages: list[Tick | Bar], symbol: str = "RELIANCE.NS") -> list[Bar]:
    return [message for message in messages if isinstance(message, Bar) and message.symbol == symbol]


def live(start: int, end: int, step_ms: int, rate: float = 1, symbols: tuple[str, ...] = SYMBOLS) -> list[Tick | Bar]:
    """What it gives in (start, end] when it is read each step_ms, the history apart."""
    clock, stopping = Clock(start), stopped()
    source, messages = made(clock, symbols, rate), []
    while source.read(stopping):
        pass
    while clock.now < end:
        clock.now = min(clock.now + step_ms, end)
        messages += source.read(stopping)
    return messages


def candles_of(messages: list[Tick | Bar], minutes: int, symbol: str = "RELIANCE.NS") -> pd.DataFrame:
    """As the page makes them of what the tables hold: each message once."""
    ticks = pd.DataFrame([(tick.at, tick.price, tick.day_volume) for tick in ticks_of(messages, symbol)])
    names = ["start", "minutes", "open", "high", "low", "close", "volume"]
    bars = pd.DataFrame([[getattr(bar, name) for name in names] for bar in bars_of(messages, symbol)], columns=names)
    ticks = ticks.set_axis(["at", "price", "day_volume"], axis=1).drop_duplicates()
    first, last = (min(ticks["at"].min(), bars["start"].min()), ticks["at"].max())
    return build(ticks, bars.drop_duplicates(), segments(market_for("simulator", symbol), int(first), int(last)), minutes)


def test_a_restart_goes_on_along_the_same_path() -> None:
    start = ms(11, 0)
    once = ticks_of(live(start, start + 120_000, 1_000))
    later = ticks_of(live(start + 60_300, start + 120_000, 7_000))
    assert len(later) > 55
    assert [tick for tick in once if tick.at > start + 60_300][:50] == later[:50]


def test_the_price_of_a_moment_does_not_depend_on_the_tick_rate() -> None:
    start = ms(11, 0)
    slow = {tick.at: tick for tick in live(start, start + 20_000, 1_000) if isinstance(tick, Tick) and tick.symbol == "AAPL"}
    fast = {tick.at: tick for tick in live(start, start + 20_000, 500, 10) if isinstance(tick, Tick) and tick.symbol == "AAPL"}
    common = slow.keys() & fast.keys()
    assert len(common) >= 19
    assert len(fast) >= 9 * len(slow)
    assert [slow[at] for at in sorted(common)] == [fast[at] for at in sorted(common)]


@pytest.mark.parametrize("rate", [1, 3, 1000])
def test_each_tick_of_the_grid_comes_once_however_it_is_read(rate: float) -> None:
    start, end = ms(11, 0), ms(11, 0, 10)
    expected = [start + math.ceil(number * 1000 / rate) for number in range(1, round(10 * rate) + 1)]
    for step in (300, 1_700):
        assert [tick.at for tick in ticks_of(live(start, end, step, rate))] == expected


def test_every_message_is_valid_and_whole() -> None:
    clock = Clock(ms(11, 0, 30))
    source = made(clock)
    messages = [*source.read(stopped()), *source.read(stopped()), *source.read(stopped())]
    for message in messages:
        if isinstance(message, Bar):
            decode_bar(encode(message), clock.now)
            continue
        decode_tick(encode(message), clock.now)
        assert message.currency == {"RELIANCE.NS": "INR", "AAPL": "USD"}[message.symbol]
        assert message.day_low is not None
        assert message.day_low <= message.price <= (message.day_high or 0)
        assert (message.bid or 0) < message.price < (message.ask or 0)
        assert message.previous_close
        assert message.day_open


def test_the_first_read_has_history_for_the_page_and_the_whole_forming_minute() -> None:
    now = ms(11, 0, 30) + 400
    first = made(Clock(now)).read(stopped())
    for symbol in SYMBOLS:
        starts = [bar.start for bar in bars_of(first, symbol)]
        assert starts == list(range(ms(11, 0) - 255 * MINUTE_MS, ms(11, 0), MINUTE_MS))
        moments = [tick.at for tick in ticks_of(first, symbol)]
        assert moments[-31:] == list(range(ms(11, 0), now, 1_000))
        assert all(moment >= ms(10, 59, 58) for moment in moments)


def test_the_rest_of_the_day_follows_up_to_midnight_and_no_volume_is_lost() -> None:
    source = made(Clock(ms(11, 0)), ("RELIANCE.NS",))
    first = source.read(stopped())
    shown, rest = bars_of(first), bars_of(source.read(stopped()))
    assert rest[0].start == ms(0, 0)
    assert rest[-1].start + MINUTE_MS == shown[0].start
    last = [tick.day_volume for tick in ticks_of(first) if tick.at < ms(11, 0)][-1]
    assert sum(bar.volume for bar in [*rest, *shown]) == last  # no second is lost between them


@pytest.mark.parametrize("rate", [1, 2])
def test_a_bar_is_what_the_ticks_of_its_minute_add_up_to(rate: float) -> None:
    """Over a local midnight, where the volume starts again."""
    start, end = ms(23, 50), ms(0, 10, day=25)
    ticks = ticks_of(live(start - 2_000, end, 10_000, rate))
    bars = {bar.start: bar for bar in bars_of(made(Clock(end), ("RELIANCE.NS",)).read(stopped())) if start <= bar.start}
    assert len(bars) == 20
    volume = {tick.at: tick.day_volume for tick in ticks}
    for minute, group in itertools.groupby((tick for tick in ticks if start <= tick.at < end), lambda tick: tick.at // MINUTE_MS):
        inside, bar = list(group), bars[minute * MINUTE_MS]
        price = [tick.price for tick in inside]
        assert (bar.open, bar.high, bar.low, bar.close) == (price[0], max(price), min(price), price[-1])
    seconds = {at: seen for at, seen in volume.items() if at % 1_000 == 0}
    for bar in bars.values():
        before = 0 if bar.start == ms(0, 0, day=25) else seconds[bar.start - 1_000]
        assert bar.volume == seconds[bar.start + 59_000] - before


def test_after_a_short_pause_the_missed_ticks_come_after_a_long_one_bars() -> None:
    clock = Clock(ms(11, 0, 30))
    source = made(clock, ("RELIANCE.NS",))
    while source.read(stopped()):
        pass
    clock.now += CATCH_UP_MS
    assert len(ticks_of(source.read(stopped()))) == CATCH_UP_MS // 1_000
    clock.now += 2 * CATCH_UP_MS
    caught_up = source.read(stopped())
    assert [bar.start for bar in bars_of(caught_up)] == list(range(ms(11, 10), ms(11, 30), MINUTE_MS))
    assert [tick.at for tick in ticks_of(caught_up)][-31:] == list(range(ms(11, 30), ms(11, 30, 31), 1_000))


def test_history_is_bounded() -> None:
    source = made(Clock(ms(11, 0)), ("AAPL",), history=60_000)
    assert len(bars_of(source.read(stopped()), "AAPL")) == MAX_HISTORY_MINUTES


def test_a_minute_comes_as_a_bar_once_when_it_is_closed_never_while_it_forms() -> None:
    clock, stopping = Clock(ms(11, 0, 30)), stopped()
    source = made(clock)
    while source.read(stopping):
        pass
    given: list[tuple[str, int]] = []
    for now in range(clock.now, ms(11, 5, 2), 700):
        clock.now = now
        closed = [message for message in source.read(stopping) if isinstance(message, Bar)]
        assert all(bar.start + MINUTE_MS <= now for bar in closed)
        assert all(bar.start + MINUTE_MS > now - 700 for bar in closed)  # with the first read after its close
        given += [(bar.symbol, bar.start) for bar in closed]
    assert sorted(given) == sorted((symbol, ms(11, minute)) for symbol in SYMBOLS for minute in range(5))


@pytest.mark.parametrize("minutes", [1, 5])
def test_candles_are_the_same_at_every_rate_and_after_restarts(minutes: int) -> None:
    """Over a local midnight; each rate is also stopped in mid-minute, and taken up again at another one."""
    start, end = ms(23, 41, 10), ms(0, 10, 20, day=25)
    told = [*made(Clock(end), ("RELIANCE.NS",), history=30).read(stopped())]
    forming = end // MINUTE_MS // minutes * minutes * MINUTE_MS
    expected = candles_of(told, minutes)
    expected = expected[expected["start"] < forming].reset_index(drop=True)
    assert len(expected) == 30 // minutes
    for rate, later in ((0.2, 1), (1, 20), (20, 0.2)):
        first = live(start, ms(23, 52, 33), 4_000, rate, ("RELIANCE.NS",))
        again = made(clock := Clock(ms(23, 58, 7)), ("RELIANCE.NS",), later, history=7)
        rest = again.read(stopped())
        while clock.now < end:
            clock.now = min(clock.now + 4_000, end)
            rest += again.read(stopped())
        once = live(start, end, 4_000, rate, ("RELIANCE.NS",))
        for messages in (once, [*first, *rest]):
            made_of = candles_of(messages, minutes)
            whole = made_of[(made_of["start"] > start) & (made_of["start"] < forming)].reset_index(drop=True)
            same = expected[expected["start"] > start].reset_index(drop=True)
            pd.testing.assert_frame_equal(whole, same)


def test_at_one_tick_a_second_volume_adds_up_exactly_with_the_forming_minute() -> None:
    clock = Clock(ms(11, 0, 30))
    source = made(clock, ("RELIANCE.NS",))
    messages = [*source.read(stopped()), *source.read(stopped())]
    for _ in range(20):
        clock.now += 9_000
        messages += source.read(stopped())
        assert candles_of(messages, 5)["volume"].sum() == ticks_of(messages)[-1].day_volume


def test_the_days_range_and_its_last_close_agree_with_the_bars() -> None:
    clock = Clock(ms(11, 0, 30))
    source = made(clock, ("AAPL",))
    messages = [*source.read(stopped()), *source.read(stopped())]
    tick, bars = ticks_of(messages, "AAPL")[-1], bars_of(messages, "AAPL")
    midnight = int(datetime(2025, 11, 24, tzinfo=ZoneInfo("America/New_York")).timestamp() * 1000)
    today = [bar for bar in bars if bar.start >= midnight]
    assert today[0].start == midnight
    forming = [tick.price for tick in ticks_of(messages, "AAPL") if tick.at >= ms(11, 0)]
    assert tick.day_open == today[0].open
    assert tick.day_high == max([bar.high for bar in today] + forming)
    assert tick.day_low == min([bar.low for bar in today] + forming)
    assert tick.previous_close == [bar.close for bar in bars if bar.start < midnight][-1]
