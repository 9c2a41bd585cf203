"""What the page says beside the prices."""

from __future__ import annotations

from datetime import UTC, datetime

from stockwatch.dashboard import notices

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def test_nothing_to_say_is_no_block() -> None:
    assert notices.lines({"unknown": [], "backfill": None, "changed_over": None}, NOW) == []
    assert notices.html([]) == ""


def test_each_unknown_ticker_has_a_line() -> None:
    said = notices.lines({"unknown": ["GONE.NS", "ZOMATO.NS"]}, NOW)
    assert [line.split(":")[0] for line in said] == ["GONE.NS", "ZOMATO.NS"]


def test_a_change_from_simulated_to_real_is_said_for_a_while() -> None:
    changed = {"changed_over": "2026-11-25T11:50:00+00:00"}
    assert notices.lines(changed, NOW) == ["Real prices since 11:50 UTC: Yahoo answers. What was shown before was simulated."]
    assert notices.lines(changed, NOW.replace(hour=13)) == []


def test_a_backfill_is_said_until_it_is_done() -> None:
    assert notices.lines({"backfill": {"done": 1, "of": 7, "bars": 1870}}, NOW) == [
        "Fetching the last days: 1 of 7 tickers, 1,870 bars so far."
    ]
    assert notices.lines({"backfill": {"done": 7, "of": 7, "bars": 13_090}}, NOW) == []


def test_words_from_outside_are_text_not_html() -> None:
    assert "<b>" not in notices.html(notices.lines({"unknown": ["<b>"]}, NOW))
