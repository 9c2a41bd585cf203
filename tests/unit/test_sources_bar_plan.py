"""When which bars are asked for: the newest first, in pieces as Yahoo keeps them, once a candle, spread out, and gaps."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from stockwatch.sources.bar_plan import AGAIN_MS, LATE_MS, SETTLE_MS, SPREAD_MS, Plan, Request, Span

IST = ZoneInfo("Asia/Kolkata")
SYMBOLS = ["TCS.NS", "INFY.NS", "SBIN.NS", "GONE.NS"]


def at(text: str) -> int:
    """A time of NSE on a day of November 2026; the 24th is a holiday."""
    return int(datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=IST).timestamp() * 1000)


def begun(plan: Plan, now: int, known: Span | None = None, symbols: list[str] | None = None) -> Plan:
    for symbol in symbols or SYMBOLS[:1]:
        plan.begin(symbol, known, now)
    return plan


def drained(plan: Plan, now: int, skip: list[str] | None = None) -> list[Request]:
    """Every request that is due, each answered as whole as can be."""
    found = []
    while (request := plan.next(now, skip or ())) is not None:
        found.append(request)
        end = request.end if request.end is not None else now // 60_000 * 60_000
        plan.answered(request, end, now)
    return found


def test_a_backfill_is_the_last_sessions_over_weekends_and_holidays() -> None:
    plan = begun(Plan(SYMBOLS[:1], 5, 3), at("25 10:00"))
    assert drained(plan, at("25 10:00")) == [Request("TCS.NS", at("20 09:15"), None, 1)]  # Friday, Monday, Wednesday
    assert plan.backfilled() == (1, 1)


def test_on_a_sunday_the_last_session_is_fridays() -> None:
    plan = begun(Plan(SYMBOLS[:1], 5, 1), at("22 12:00"))
    assert drained(plan, at("22 12:00")) == [Request("TCS.NS", at("20 09:15"), None, 1)]


def test_what_is_older_than_a_week_comes_in_five_minutes_where_the_candles_take_them() -> None:
    now = at("25 10:00")
    newest, oldest = drained(begun(Plan(SYMBOLS[:1], 5, 15), now), now)
    assert (newest.minutes, newest.older, newest.end) == (1, False, None)  # the newest first: the page shows it
    assert (oldest.minutes, oldest.older, oldest.end) == (5, True, newest.start)
    assert newest.start == at("19 09:15")  # a session is of one kind
    assert [request.minutes for request in drained(begun(Plan(SYMBOLS[:1], 2, 15), now), now)] == [1]


def test_a_second_start_asks_only_for_what_is_missing() -> None:
    now, known = at("25 10:00"), Span(at("23 09:15"), at("25 09:40"))
    plan = begun(Plan(SYMBOLS[:1], 5, 3), now, known)
    assert drained(plan, now) == [
        Request("TCS.NS", at("25 09:40"), None, 1),
        Request("TCS.NS", at("20 09:15"), at("23 09:15"), 1, older=True),
    ]
    nothing = begun(Plan(SYMBOLS[:1], 5, 2), at("24 12:00"), Span(at("20 09:15"), at("23 15:40")))
    assert (drained(nothing, at("24 12:00")), nothing.backfilled()) == ([], (0, 0))


def test_what_is_known_and_too_old_to_be_joined_to_is_forgotten() -> None:
    now = at("25 10:00")
    plan = begun(Plan(SYMBOLS[:1], 5, 1), now, Span(at("18 09:15"), at("19 15:30")))
    assert drained(plan, now) == [Request("TCS.NS", at("25 09:15"), None, 1)]


def test_no_days_of_backfill_ask_only_for_the_candle_that_forms() -> None:
    plan = begun(Plan(SYMBOLS[:1], 5, 0), at("25 10:03"))
    assert drained(plan, at("25 10:03")) == [Request("TCS.NS", at("25 10:00"), None, 1)]


def test_after_each_close_every_ticker_is_asked_once_spread_out_within_the_promise() -> None:
    plan = begun(Plan(SYMBOLS, 5, 1), at("25 10:02"), symbols=SYMBOLS)
    drained(plan, at("25 10:02"))
    asked: dict[str, int] = {}
    bursts = 0
    for now in range(at("25 10:02"), at("25 10:08"), 1000):
        found = drained(plan, now)
        bursts = max(bursts, len(found))
        for request in found:
            assert request.symbol not in asked
            assert (request.start, request.end) == (at("25 09:15"), None)  # the session so far: corrections come with it
            asked[request.symbol] = now - at("25 10:05")
    assert bursts == 1
    assert sorted(asked) == sorted(SYMBOLS)
    assert min(asked.values()) >= SETTLE_MS
    assert max(asked.values()) < SETTLE_MS + SPREAD_MS < 120_000


@pytest.mark.parametrize(("candle_minutes", "apart"), [(1, 1), (2, 1), (5, 5), (15, 5), (60, 5)])
def test_the_other_candles_that_the_page_offers_are_within_the_promise_too(candle_minutes: int, apart: int) -> None:
    plan = begun(Plan(SYMBOLS[:1], candle_minutes, 1), at("25 10:02"))
    drained(plan, at("25 10:02"))
    times = [now for now in range(at("25 10:02"), at("25 10:47"), 1_000) if drained(plan, now)]
    steps = {later - now for now, later in pairwise(times)}
    assert steps == {apart * 60_000}
    assert {(now - SETTLE_MS - at("25 09:15")) % (apart * 60_000) for now in times} == {0}  # counted from the open


def test_candles_of_a_quarter_hour_take_five_minutes_of_more_than_a_week_ago_and_those_of_two_do_not() -> None:
    now = at("25 10:00")
    kinds = [[request.minutes for request in drained(begun(Plan(SYMBOLS[:1], n, 15), now), now)] for n in (1, 2, 15, 60)]
    assert kinds == [[1], [1], [1, 5], [1, 5]]


def test_a_gap_of_more_than_a_week_that_begins_within_five_minutes_is_asked_from_their_start() -> None:
    now, known = at("25 10:00"), Span(at("09 09:15"), at("11 10:48"))
    coarse, _fine = drained(begun(Plan(SYMBOLS[:1], 5, 15), now, known), now)[:2]
    assert (coarse.minutes, coarse.start) == (5, at("11 10:45"))


def test_a_closed_minute_that_is_not_in_the_answer_is_asked_for_once_more_soon() -> None:
    plan = begun(Plan(SYMBOLS[:1], 5, 1), at("25 10:01"))
    drained(plan, at("25 10:01"))
    now = at("25 10:05") + SETTLE_MS + 1
    request = plan.next(now)
    assert request is not None
    plan.answered(request, at("25 10:03"), now)  # Yahoo is late
    assert plan.next(now + AGAIN_MS - 1) is None
    again = plan.next(now + AGAIN_MS)
    assert again is not None
    plan.answered(again, at("25 10:03"), now + AGAIN_MS)  # nobody traded: not for ever
    assert plan.wait_ms(now + AGAIN_MS) > 120_000


def test_a_gap_is_found_by_the_session_calendar() -> None:
    plan = begun(Plan(SYMBOLS[:1], 5, 1), at("20 14:00"))
    drained(plan, at("20 14:00"))
    woken = drained(plan, at("25 11:00"))  # a laptop that slept over the weekend, a session and a holiday
    assert woken == [Request("TCS.NS", at("20 14:00"), None, 1)]


def test_after_the_close_it_is_quiet_but_for_one_late_look() -> None:
    plan = begun(Plan(SYMBOLS[:1], 5, 1), at("25 15:41"))
    times = [now for now in range(at("25 15:41"), at("26 09:00"), 5_000) if drained(plan, now)]
    assert [round((now - at("25 15:40")) / 60_000) for now in times] == [1, LATE_MS // 60_000]


def test_delayed_data_is_waited_for() -> None:
    plan = begun(Plan(SYMBOLS[:1], 5, 1, lambda _symbol: 900_000), at("25 10:01"))
    drained(plan, at("25 10:01"))
    times = [now for now in range(at("25 10:01"), at("25 10:12"), 1_000) if drained(plan, now)]
    due = [(moment - 900_000 - SETTLE_MS - at("25 09:45")) / 1000 for moment in times]
    assert due == pytest.approx([5 * 60 * n for n in range(1, len(due) + 1)], abs=1)
    assert len(due) >= 2


def test_an_unknown_ticker_and_one_that_is_put_off_hold_up_no_other() -> None:
    now = at("25 10:01")
    plan = begun(Plan(SYMBOLS, 5, 1), now, symbols=SYMBOLS)
    plan.postpone("TCS.NS", now + 5_000)
    assert [request.symbol for request in drained(plan, now, ["GONE.NS"])] == ["INFY.NS", "SBIN.NS"]
    assert plan.backfilled(["GONE.NS"]) == (2, 3)
    assert [request.symbol for request in drained(plan, now + 5_000, ["GONE.NS"])] == ["TCS.NS"]
    assert plan.backfilled(["GONE.NS"]) == (3, 3)
