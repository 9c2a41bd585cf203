"""The streaming source as histories: from socket to polls and back, silence, delays, what it says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from stream_world import AT, TICKERS, World, said

from stockwatch.errors import SourceError
from stockwatch.sources.yahoo_stream import SILENCE_SECONDS, STEADY_SECONDS, tick_of

SATURDAY = AT - 2 * 86_400_000


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_it_polls_at_once_and_streams_as_soon_as_the_socket_speaks(world: World) -> None:
    assert [(tick.symbol, tick.price) for tick in world.read()] == [("RELIANCE.NS", 90.0), ("TCS.NS", 90.0)]
    assert world.stream.detail == "Yahoo's stream is being opened; meanwhile Yahoo is asked every 10 s"
    world.line.open()
    assert world.stream.detail == "Yahoo's stream is open and has told nothing yet; meanwhile Yahoo is asked every 10 s"
    world.line.say(said(price=100.5))
    assert world.read() == [tick_of(said(price=100.5))]
    assert world.stream.detail == "streaming from Yahoo"
    assert world.stream.answered


def test_while_it_streams_it_polls_once_a_minute_and_otherwise_each_ten_seconds(world: World) -> None:
    world.read()
    world.run(25)
    assert len(world.polls) == 3
    world.live()
    before = len(world.polls)
    for minute in range(1, 11):
        world.line.say(said(at=AT + minute))
        world.run(20)
        world.line.say(said(at=AT + minute))
        world.run(20)
        world.line.say(said(at=AT + minute))
        world.run(20)
    assert 9 <= len(world.polls) - before <= 11
    assert len(world.lines) == 1


def test_a_lost_socket_is_replaced_by_polls_at_once_and_comes_back(world: World) -> None:
    world.live()
    world.now += 5
    world.prices["TCS.NS"] = (AT // 1000 + 5, 91.0)
    world.line.ended = "Yahoo closed the stream"
    assert world.stream.detail.startswith("Yahoo's stream is down (Yahoo closed the stream); meanwhile Yahoo is asked")
    assert [(tick.symbol, tick.price) for tick in world.read()] == [("TCS.NS", 91.0)]
    assert world.polls[-1] == world.now
    assert world.stream.detail.startswith("Yahoo's stream is down (Yahoo closed the stream), connecting again in 1 s; meanwhile")
    world.run(1.5)
    assert len(world.lines) == 2
    assert world.stream.detail.startswith("Yahoo's stream is being opened again (Yahoo closed the stream); meanwhile")
    world.line.say(said(at=AT + 9_000))
    assert world.run(0.5)[0].at == AT + 9_000
    assert world.stream.detail == "streaming from Yahoo"


def test_what_came_before_the_end_is_not_lost_with_the_connection(world: World) -> None:
    world.live()
    world.line.say(said(at=AT + 1), said(at=AT + 2))
    world.line.ended = "the stream was cut"
    assert [tick.at for tick in world.read()] == [AT + 1, AT + 2]


@pytest.mark.parametrize(("random", "factor"), [(1.0, 1.0), (0.0, 0.5)])
def test_the_delay_between_connections_grows_with_jitter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random: float, factor: float
) -> None:
    world = World(tmp_path, monkeypatch, random)
    gaps = []
    for number in range(9):
        if number:
            lost = world.now
            while len(world.lines) == number and world.now < lost + 100:
                world.read()
            gaps.append(world.now - lost)
        world.read()
        world.line.say(said(at=AT + number))  # a word alone is no success: it would knock each second
        world.line.ended = "the stream was cut"
        world.read()
    expected = [factor * seconds for seconds in (1, 2, 4, 8, 16, 32, 60, 60)]
    assert gaps == pytest.approx(expected, abs=2.2)  # a read takes about a second
    assert all(gap >= wanted - 1e-6 for gap, wanted in zip(gaps, expected, strict=True))


def test_after_a_connection_that_lasted_the_delay_is_the_first_again(world: World) -> None:
    for _ in range(6):
        world.run(70)
        world.line.ended = "the connection is refused"
        world.read()
    world.run(70)
    for second in range(int(STEADY_SECONDS) + 1):
        world.line.say(said(at=AT + second))
        world.run(1)
    world.line.ended = "the stream was cut"
    world.read()
    assert "connecting again in 1 s" in world.stream.detail or "connecting again now" in world.stream.detail


def test_silence_in_a_session_ends_the_connection_and_polls_take_over(world: World) -> None:
    world.live()
    began = world.now
    world.run(SILENCE_SECONDS - 2)
    assert world.stream.streaming
    dead = world.line
    world.run(4)
    assert not world.stream.streaming
    assert "silent for 30 s in a session" in world.stream.detail
    assert len(world.polls) >= 2
    assert dead.closed.wait(5)
    assert world.polls[-1] - began <= SILENCE_SECONDS + 2


def test_one_that_opens_and_never_says_a_word_is_silent_too(world: World) -> None:
    world.read()
    world.line.open()
    world.line.rubbish = 7
    assert "open and has told nothing yet that is understood (7 messages)" in world.stream.detail
    world.run(SILENCE_SECONDS + 4)
    assert len(world.lines) == 2
    assert world.stream.metrics["rubbish"] == 7


def test_one_that_does_not_come_to_be_open_is_given_up(world: World) -> None:
    world.read()
    world.run(SILENCE_SECONDS + 4)
    assert len(world.lines) == 2
    assert "not open after 30 s" in world.stream.detail


def test_silence_is_right_while_no_market_is_open_and_the_next_session_has_its_whole_time(world: World) -> None:
    world.state = "CLOSED"
    world.live()
    world.run(3 * 3600)
    assert len(world.lines) == 1
    assert world.stream.detail == "streaming from Yahoo, silent while no market is open"
    world.state = "REGULAR"
    asked = len(world.polls)
    while len(world.polls) == asked and world.now < 4 * 3600:
        world.read()
    world.run(SILENCE_SECONDS - 5)
    assert len(world.lines) == 1  # its silence counts from the open
    world.run(10)
    assert len(world.lines) == 2


@pytest.mark.parametrize(("wall", "kept"), [(AT, False), (SATURDAY, True)])
def test_without_yahoos_own_state_the_calendar_says_whether_silence_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wall: int, kept: bool
) -> None:
    world = World(tmp_path, monkeypatch, wall=wall)
    world.state = None
    world.live()
    world.run(SILENCE_SECONDS + 5)
    assert (len(world.lines) == 1) is kept


def test_one_open_market_is_enough_and_an_unknown_ticker_is_none(world: World) -> None:
    del world.prices["TCS.NS"]
    world.state = "CLOSED"
    world.live()
    world.run(SILENCE_SECONDS * 3)
    assert len(world.lines) == 1  # the calendar has TCS.NS open, but Yahoo does not know it


def test_metrics_count_connections_messages_and_rubbish(world: World) -> None:
    world.live()
    world.line.rubbish = 2
    world.line.say(said("TSLA"), said(at=AT + 1))
    world.read()
    told = {name: world.stream.metrics[name] for name in ("streaming", "connections", "messages", "rubbish")}
    assert told == {"streaming": 1, "connections": 1, "messages": 3, "rubbish": 2}
    world.line.ended = "the stream was cut"
    world.run(3)
    world.line.rubbish = 1
    told = {name: world.stream.metrics[name] for name in ("streaming", "connections", "messages", "rubbish")}
    assert told == {"streaming": 0, "connections": 2, "messages": 3, "rubbish": 3}
    assert world.stream.metrics["market_states"] == dict.fromkeys(TICKERS, "REGULAR")


def test_a_stop_is_seen_at_once(world: World) -> None:
    world.live()
    world.then = [(world.now + 0.2, world.stopping.set)]
    began = world.now
    assert world.read() == []
    assert world.now - began == pytest.approx(0.2, abs=0.06)
    world.trouble = SourceError("Yahoo cannot be reached")
    world.line.ended = "the stream was cut"
    began = world.now
    assert world.read() == []  # a stop is no trouble
    assert world.now == began


def test_close_ends_the_connection_and_no_new_one_is_made(world: World) -> None:
    world.stream.close()  # nothing to close yet
    world.stream._closed = False
    world.live()
    world.stream.close()
    assert world.line.closed.is_set()
    world.line.ended = "closed"
    world.run(120)
    assert len(world.lines) == 1
