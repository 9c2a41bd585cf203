"""Which ticks the streaming source gives: of messages, of quotes beside them, and while polls, the stream or both fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from stream_world import AT, World, said

from stockwatch.errors import SourceError
from stockwatch.sources.yahoo_pricing import tick_of
from stockwatch.tick import Tick


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_a_trouble_of_the_polls_does_not_hurt_the_stream(world: World) -> None:
    world.live()
    world.trouble = SourceError("rate limited by Yahoo (429)", retry_after=30)
    ticks = []
    for second in range(1, 200):
        world.line.say(said(at=AT + second))
        ticks += world.run(1)
    assert [tick.at for tick in ticks] == [AT + second for second in range(1, 200)]
    assert world.stream.detail == "streaming from Yahoo; polls fail: rate limited by Yahoo (429)"
    world.trouble = None
    for second in range(200, 300):
        world.line.say(said(at=AT + second))
        world.run(1)
    assert world.stream.detail == "streaming from Yahoo"  # answered, although it had no news


def test_both_down_is_a_trouble_that_names_both(world: World) -> None:
    world.trouble = SourceError("Yahoo cannot be reached")
    world.then = [(0.5, lambda: setattr(world.line, "ended", "the connection is refused"))]
    with pytest.raises(SourceError) as caught:
        world.read()
    assert str(caught.value) == (
        "Yahoo cannot be reached; Yahoo's stream is down (the connection is refused), connecting again in 1 s"
    )
    assert caught.value.retry_after == pytest.approx(1.0)
    assert "polls fail: Yahoo cannot be reached" in world.stream.detail
    assert not world.stream.answered


def test_polls_that_were_told_to_keep_away_do_not_hold_back_the_stream(world: World) -> None:
    world.trouble = SourceError("rate limited by Yahoo (429)", retry_after=300)
    with pytest.raises(SourceError):
        world.read()
    world.line.ended = "the stream was cut"
    with pytest.raises(SourceError) as caught:
        world.read()
    assert caught.value.retry_after is not None
    assert caught.value.retry_after <= 1.0  # the producer may not sleep for 300 s: the stream comes back sooner
    world.now += caught.value.retry_after
    world.then = [(world.now + 0.3, lambda: world.line.say(said(at=AT + 7)))]
    assert [tick.at for tick in world.read()] == [AT + 7]
    assert len(world.polls) == 1  # and Yahoo was left alone
    assert world.stream.detail == "streaming from Yahoo; polls fail: rate limited by Yahoo (429)"


def test_polls_that_were_told_to_keep_away_are_asked_at_once_when_a_stream_goes_that_had_come_meanwhile(world: World) -> None:
    world.trouble = SourceError("rate limited by Yahoo (429)", retry_after=300)
    with pytest.raises(SourceError):
        world.read()
    world.line.say(said(at=AT + 1))
    world.trouble = None
    assert world.run(5)
    world.prices["TCS.NS"] = (AT // 1000 + 9, 93.0)
    world.line.ended = "the stream was cut"
    assert [tick.price for tick in world.read()] == [93.0]


def test_a_trouble_lasts_until_there_are_ticks_again(world: World) -> None:
    """While both are down every read fails: one that gave nothing would be shown as running."""
    world.trouble = SourceError("Yahoo cannot be reached")
    for _ in range(20):
        with pytest.raises(SourceError) as caught:
            world.read()
        world.line.ended = world.line.ended or "the connection is refused"
        world.now += caught.value.retry_after or 0.5
    world.trouble = None
    world.now += 60
    assert world.read()


def test_a_poll_that_is_left_for_a_new_connection_does_not_end_the_trouble(world: World) -> None:
    world.trouble = SourceError("Yahoo answers with an error (500)")
    world.then = [(0.5, lambda: setattr(world.line, "ended", "the connection is refused"))]
    with pytest.raises(SourceError):
        world.read()
    world.hanging = True
    world.now += 9.5
    for _ in range(4):  # meanwhile connections come and go
        world.then = [(world.now + 1.5, lambda: setattr(world.line, "ended", "the connection is refused"))]
        with pytest.raises(SourceError, match="error \\(500\\); Yahoo's stream is"):
            world.read()
    assert len(world.lines) >= 3
    world.hanging, world.trouble = False, None
    assert world.run(20)


def test_a_poll_that_hangs_holds_back_neither_the_stream_nor_a_new_connection(world: World) -> None:
    world.live()
    world.hanging = True
    world.line.ended = "the stream was cut"
    world.run(1.2)
    assert len(world.lines) == 2
    world.then = [(world.now + 0.3, lambda: world.line.say(said(at=AT + 3)))]
    began = world.now
    while not (ticks := world.read()) and world.now < began + 30:
        pass
    assert ticks[0].at == AT + 3
    assert world.now - began < 1
    assert len(world.polls) == 2  # no second one is sent before it is done
    world.line.ended = "the stream was cut"
    world.now += 30
    with pytest.raises(SourceError, match="has not answered the last request yet; Yahoo's stream is down"):
        world.run(60)
    world.now += 10
    world.then = [(world.now + 3, lambda: world.line.say(said(at=AT + 4)))]
    began = world.now
    ticks = []
    while not ticks and world.now < began + 30:
        try:
            ticks = world.read()
            assert ticks  # a read that gave nothing would be shown as running
        except SourceError:
            world.pass_time(0.1)
    assert world.now - began < 6


def test_symbols_that_the_stream_does_not_tell_of_come_by_the_slow_poll(world: World) -> None:
    world.live()
    world.prices = {"RELIANCE.NS": (AT // 1000, 100.0), "TCS.NS": (AT // 1000 + 30, 95.0)}
    ticks = []
    for second in range(1, 70):
        world.line.say(said(at=AT + second * 1000 + 345))
        ticks += world.run(1)
    assert [(tick.symbol, tick.price) for tick in ticks if tick.symbol == "TCS.NS"] == [("TCS.NS", 95.0)]
    assert len(ticks) == 70  # RELIANCE.NS only as the stream told it
    world.prices["RELIANCE.NS"] = (AT // 1000 + 200, 102.0)  # the stream still speaks, but not of this any more
    for second in range(70, 140):
        world.line.say(said("TCS.NS", at=AT + second * 1000))
        ticks += world.run(1)
    assert [tick.at for tick in ticks if tick.price == 102.0] == [AT + 200_000]


def test_a_quote_of_the_same_trade_is_no_second_tick_when_polls_take_over(world: World) -> None:
    world.live()
    world.line.say(said(at=AT + 5_345, price=101.0))
    world.read()
    world.prices = {"RELIANCE.NS": (AT // 1000 + 5, 101.0)}  # in whole seconds
    world.line.ended = "the stream was cut"
    assert world.run(15) == []
    world.prices = {"RELIANCE.NS": (AT // 1000 + 16, 101.5)}
    assert [tick.price for tick in world.run(15)] == [101.5]


def test_a_time_in_the_future_does_not_silence_the_polls(world: World) -> None:
    world.live()
    world.line.say(said(at=AT * 2))
    world.read()
    world.line.ended = "the stream was cut"
    world.read()
    world.prices = {"RELIANCE.NS": (3_000_000_000, 103.0)}  # later than now, earlier than that
    assert [tick.price for tick in world.run(15)] == [103.0]


@pytest.mark.parametrize(
    ("hours", "state", "counts"),
    [
        (1, "REGULAR", True),
        (1, "PRE", True),  # the state is a minute old, the message is not
        (2, "REGULAR", False),
        (3, "REGULAR", False),
        (2, "POST", False),
        (None, "PRE", False),  # zero, before the session: left out by protobuf
        (None, "CLOSED", False),
        (None, "REGULAR", True),
    ],
)
def test_extended_hours_are_no_part_of_the_session(world: World, hours: int | None, state: str, counts: bool) -> None:
    world.state = state
    world.read()
    world.line.say(said(at=AT + 1, hours=hours))
    assert bool(world.read()) is counts
    assert world.stream.streaming  # a word is a word: the connection is alive


def test_symbols_that_nobody_asked_for_and_messages_without_a_price_are_no_ticks(world: World) -> None:
    world.live()
    world.line.say(said("TSLA"), said(price=0.0), said(price=-37.0), said(at=0), said(at=AT + 3))
    assert [(tick.symbol, tick.at) for tick in world.read()] == [("RELIANCE.NS", AT + 3)]


def test_a_message_becomes_a_tick_with_what_yahoo_tells() -> None:
    more = {"bid": 99.5, "ask": 100.5, "previous_close": 98.0, "open_price": 97.0, "day_high": 101.0, "day_low": 96.0}
    tick = tick_of(said(day_volume="9007199254740993", currency="INR", **more))
    assert tick is not None
    assert (tick.symbol, tick.at, tick.price, tick.day_volume) == ("RELIANCE.NS", AT, 100.0, 9_007_199_254_740_993)
    assert (tick.source, tick.bid, tick.ask, tick.previous_close) == ("yahoo", 99.5, 100.5, 98.0)
    assert (tick.day_open, tick.day_high, tick.day_low, tick.currency) == (97.0, 101.0, 96.0, "INR")
    bare = tick_of({"id": "^NSEI", "time": str(AT), "price": 25_000.5})
    assert bare == Tick("^NSEI", AT, 25_000.5, 0, "yahoo")
    assert tick_of(said(price="NaN")) is None  # as MessageToDict writes it
    assert tick_of(said(bid="Infinity")) == tick_of(said())
    assert tick_of({"id": "^NSEI", "time": "soon", "price": 1.0}) is None
