"""The cache on a real Redis: what it says is what the store has, or it says nothing; killed, frozen, emptied, full of rubbish."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from program import until
from redis_server import NAME, RedisServer, Sides, needed, tick

from stockwatch.cache import KEEP_MS, QuoteWriter, quote_key, word_key
from stockwatch.tick import Tick, encode, now_ms

pytestmark = needed


def test_the_newest_by_the_exchanges_time_stays(sides: Sides) -> None:
    writer, now = sides.writer(), now_ms()
    newest, same_time, older = (Tick("TCS.NS", now - 1_000, 2.0, 5, "simulator", bid=1.9, currency="INR"),
                                Tick("TCS.NS", now - 1_000, 1.0, 4, "simulator"), Tick("TCS.NS", now - 9_000, 3.0, 9, "simulator"))  # fmt: skip
    writer.offer([(newest, 1, 1), (older, 1, 2), (same_time, 1, 3)], {1})
    until(lambda: sides.price() == 2.0, 10, "written")
    for number, late in enumerate((older, same_time)):  # in writes of their own too
        before = writer.metrics()["cached_quotes"]
        writer.offer([(late, 1, 4 + number)], {1})
        until(lambda before=before: writer.metrics()["cached_quotes"] != before, 10, "written")  # type: ignore[misc]
        assert sides.price() == 2.0
    quote = sides.quotes("simulator", ["TCS.NS"])["TCS.NS"]
    assert (quote["at"], quote["day_volume"], quote["bid"], quote["ask"], quote["currency"]) == (now - 1_000, 5, 1.9, None, "INR")
    assert 0 < sides.server.client.pttl(quote_key(NAME, "simulator", "TCS.NS")) <= KEEP_MS


def test_sources_and_stores_never_mix(sides: Sides) -> None:
    writer, other = sides.writer(), QuoteWriter(sides.server.url, "stockwatch:other:0")
    sides.writers.append(other)
    writer.offer([(tick(1.0), 0, 1), (tick(2.0, source="yahoo"), 0, 2), (tick(3.0, source="replay:class"), 0, 3)], {0})
    other.offer([(tick(9.0, at=50_000), 0, 1)], {0})
    until(lambda: sides.price(source="replay:class") == 3.0 and other.metrics()["cached_quotes"], 10, "written")
    assert (sides.price(source="simulator"), sides.price(source="yahoo")) == (1.0, 2.0)
    # a value of another source under a key is not taken either
    client = sides.server.client
    client.set(quote_key(NAME, "yahoo", "TCS.NS"), client.get(quote_key(NAME, "simulator", "TCS.NS")))
    assert sides.price(source="yahoo") is None


def test_what_an_earlier_owner_left_behind_is_no_quote(sides: Sides) -> None:
    first = sides.writer()
    first.offer([(tick(1.0), 0, 1), (tick(5.0, symbol="QUIET"), 0, 2)], {0})
    until(lambda: sides.price("QUIET") == 5.0, 10, "written")
    first.close()
    second = sides.writer()  # QUIET may have moved in between; only the store knows
    second.offer([(tick(2.0, at=1_000), 0, 3)], {0})
    until(lambda: sides.price() == 2.0, 10, "written")
    assert sides.price("QUIET") is None


def test_a_partition_that_was_away_has_no_quotes_until_they_come_again(sides: Sides) -> None:
    writer = sides.writer()
    writer.offer([(tick(1.0), 0, 1), (tick(5.0, symbol="OTHER"), 1, 1)], {0, 1})
    until(lambda: sides.price() == 1.0, 10, "written")
    writer.offer([], {1})
    writer.offer([(tick(6.0, at=1, symbol="OTHER"), 1, 2)], {0, 1})
    until(lambda: sides.price("OTHER") == 6.0, 10, "written")
    assert sides.price() is None


def test_without_a_living_owner_nothing_counts(sides: Sides) -> None:
    writer = sides.writer()
    writer.offer([(tick(1.0), 0, 1)], {0})
    until(lambda: sides.price() == 1.0, 10, "written")
    assert sides.quotes("simulator", ["TCS.NS"], now_ms() + 6_000) == {}
    assert 0 < sides.server.client.pttl(word_key(NAME, 0)) <= 5_000


def test_rubbish_under_our_keys_is_ignored_and_replaced(sides: Sides) -> None:
    client, writer = sides.server.client, sides.writer()
    ahead = Tick("AHEAD", now_ms() + 10**9, 7.0, 1, "simulator")
    client.set(quote_key(NAME, "simulator", "TEXT"), b"\xff\x00 no quote")
    client.set(quote_key(NAME, "simulator", "LARGE"), b"9" * 1_000_000)
    client.set(quote_key(NAME, "simulator", "AHEAD"), f"{ahead.at:015d}{1:020d}|word|".encode() + encode(ahead))
    client.rpush(quote_key(NAME, "simulator", "LIST"), "no", "quote")
    client.set(word_key(NAME, 1), b"word|rubbish")
    client.rpush(word_key(NAME, 2), "word")
    names = ["TEXT", "LARGE", "AHEAD", "LIST"]
    assert sides.quotes("simulator", names) == {}
    writer.offer([(tick(float(number), symbol=name), 0, number) for number, name in enumerate(names, 1)], {0, 1, 2})
    found = until(lambda: sides.quotes("simulator", names), 10, "replaced")
    assert [found[name]["price"] for name in names] == [1.0, 2.0, 3.0, 4.0]


def test_an_emptied_one_says_nothing_until_the_next_tick(sides: Sides) -> None:
    writer = sides.writer()
    writer.offer([(tick(1.0), 0, 1)], {0})
    until(lambda: sides.price() == 1.0, 10, "written")
    sides.server.client.flushall()
    assert sides.price() is None
    writer.offer([(tick(2.0, at=1), 0, 2)], {0})
    until(lambda: sides.price() == 2.0, 10, "written")


def test_a_killed_one_is_gone_and_comes_back_with_what_came_meanwhile(sides: Sides) -> None:
    writer = sides.writer()
    writer.offer([(tick(1.0), 0, 1)], {0})
    until(lambda: sides.price() == 1.0, 10, "written")
    sides.server.kill()
    writer.offer([(tick(2.0, at=1), 0, 2)], {0})
    until(lambda: str(writer.metrics()["cache"]).startswith("Redis does not answer"), 10, "it is said")
    assert sides.price_at_once() is None
    sides.server.start()

    def back() -> bool:
        writer.offer([], {0})
        return sides.price() == 2.0

    until(back, 20, "written again")
    assert writer.metrics()["cache"] == "current"


def test_a_frozen_one_never_shows_the_older_price_afterwards(sides: Sides) -> None:
    writer = sides.writer()
    writer.offer([(tick(1.0), 0, 1)], {0})
    until(lambda: sides.price() == 1.0, 10, "written")
    sides.server.signal(signal.SIGSTOP)
    try:
        writer.offer([(tick(2.0, at=1), 0, 2)], {0})  # lies in its socket until it goes on
        until(lambda: writer.metrics()["cache"] != "current", 10, "it is said")
        assert sides.price_at_once() is None
        writer.offer([(tick(3.0, at=2), 0, 3)], {0})
        left = now_ms() + 5_500
        until(lambda: now_ms() > left, 10, "longer than what was said before counts")
    finally:
        sides.server.signal(signal.SIGCONT)
    seen = set()

    def caught_up() -> bool:
        writer.offer([], {0})
        seen.add(sides.price())
        return 3.0 in seen

    until(caught_up, 20, "the newest is there")
    assert seen <= {None, 3.0}


def test_a_password_is_used_and_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = RedisServer(tmp_path, "hidden-word")
    sides = Sides(server)
    try:
        writer = sides.writer()
        writer.offer([(tick(1.0), 0, 1)], {0})
        until(lambda: sides.price() == 1.0, 10, "written")
        wrong = QuoteWriter(server.url.replace("hidden-word", "other-hidden-word"), NAME)
        sides.writers.append(wrong)
        wrong.offer([(tick(1.0), 0, 1)], {0})
        said = until(lambda: wrong.metrics()["cache"] != "current" and wrong.metrics()["cache"], 10, "refused")
        assert said == "Redis refuses: AuthenticationError"
        assert "hidden-word" not in caplog.text
    finally:
        for writer in sides.writers:
            writer.close()
        sides.reader.close()
        server.end()
