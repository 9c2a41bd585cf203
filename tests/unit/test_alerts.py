"""Which ticks are alerts: the rules one by one, then anything that may come, against a slow reference that keeps everything."""

from __future__ import annotations

import logging
import random
from itertools import pairwise
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from alert_reference import MINUTE, T0, Memory, Row, expected, rows_of, series
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import stockwatch.alerts
from stockwatch.alerts import AlertJudge, AlertStore, describe
from stockwatch.errors import StoreError
from stockwatch.settings.sections import AlertRule, Alerts
from stockwatch.store.alerts import Alert
from stockwatch.tick import Tick

PLAIN = Alerts()  # 1 % in 5 min, then 15 min of silence
LEVELS = Alerts(move_percent=100, rules=(AlertRule(above=300), AlertRule(symbol="aapl", below=250)))


def judge_of(memory: Memory, settings: Alerts = PLAIN) -> AlertJudge:
    return AlertJudge(settings, cast(AlertStore, memory))


def stored(ticks: list[Tick], settings: Alerts = PLAIN, memory: Memory | None = None) -> list[Alert]:
    """Judge all in one batch; every alert that the store has then, by time."""
    memory = memory or Memory()
    rows = rows_of(ticks)
    judge_of(memory, settings).judge(rows)
    memory.insert_ticks(rows)
    return sorted(memory.rows, key=lambda alert: (alert.at, alert.rule))


def moments(alerts: list[Alert]) -> list[float]:
    return [(alert.at - T0) / MINUTE for alert in alerts]


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        ([(0, 100), (4, 101)], [4]),
        ([(0, 100), (4, 99)], [4]),
        ([(0, 100), (4, 100.99)], []),
        ([(0, 100), (4, 99.01)], []),
        ([(0, 70), (1, 70.7)], [1]),  # 1 %, which floating point has as a little less
        ([(0, 100), (5, 101)], [5]),  # the window's edge belongs to it
        ([(0, 100), (5 + 1 / MINUTE, 101)], []),
        ([(0, 100), (1, 100.4), (5.5, 101.3)], []),  # 1.3 %, but in 5.5 minutes
        ([(0, 100), (1020, 110), (1021, 110.5)], []),  # over a night
        ([(0, 100), (1, 101), (15.9, 100), (15.99, 102)], [1]),  # within the silence
        ([(0, 100), (1, 101), (15.9, 100), (16, 102)], [1, 16]),
        ([(0, 101), (1, 100), (2, 101)], [2]),  # 0.99 % down, then 1 % up
        ([(0, 100)], []),
    ],
)
def test_a_move_within_the_window(prices: list[tuple[float, float]], told: list[float]) -> None:
    assert moments(stored(series(prices))) == told


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        ([(0, 299), (1, 300), (2, 300.01), (3, 301), (4, 299.5)], [(2, "above 300")]),  # at the level is not above it
        ([(0, 310), (1, 311)], []),  # it never crossed
        ([(0, 251), (1, 249), (2, 260), (3, 240)], [(1, "below 250")]),  # the second time in the silence
        ([(0, 251), (1, 249), (15.5, 251), (16, 249)], [(1, "below 250"), (16, "below 250")]),
        ([(0, 251), (1, 249), (2, 251), (3, 249), (20, 248)], [(1, "below 250")]),  # below for long is no new crossing
        ([(0, 299), (1020, 305)], [(1020, "above 300")]),  # a level may be crossed over a night
        ([(0, 310), (1, 240)], [(1, "below 250")]),
    ],
)
def test_a_level_is_told_when_it_is_crossed(prices: list[tuple[float, float]], told: list[tuple[float, str]]) -> None:
    found = stored(series(prices), LEVELS)
    assert [((alert.at - T0) / MINUTE, alert.rule) for alert in found] == told


def test_an_alert_says_from_where_and_since_when() -> None:
    [alert] = stored(series([(0, 100), (1, 99.8), (2, 99.8), (5.5, 100.9)]))
    assert (alert.from_price, alert.to_price, alert.percent) == (99.8, 100.9, 1.102204)
    assert (alert.from_at, alert.rule) == (T0 + 2 * MINUTE, "move 1% in 5 min")
    assert len(alert.key) == 32
    assert alert.key != Alert(*[getattr(alert, n) for n in ("source", "symbol", "at")], "above 1", 99.8, 100.9, 1.102204, 0).key


def test_a_symbols_own_move_takes_the_place_of_the_general_one() -> None:
    settings = Alerts(rules=(AlertRule(symbol="AAPL", move_percent=3), AlertRule(move_percent=5)))
    two, six = [(0, 100.0), (1, 102.0)], [(0, 100.0), (1, 106.0)]
    assert stored(series(two), settings) == []
    assert [alert.rule for alert in stored(series(two, "TCS.NS"), settings)] == ["move 1% in 5 min"]
    assert [alert.rule for alert in stored(series(six), settings)] == ["move 3% in 5 min", "move 5% in 5 min"]


def test_a_late_tick_is_history_and_no_alert() -> None:
    ticks = series([(0, 100), (3, 100.5), (2, 99.5), (4, 100.2), (4.5, 100.6)])
    assert moments(stored(ticks)) == [4.5]  # 1.1 % from the late one, which itself is none
    assert stored(series([(0, 100), (20, 100), (1, 90), (21, 100.5)])) == []  # too late to be history


def test_real_and_simulated_prices_never_meet() -> None:
    real, made_up = series([(0, 100), (2, 100)]), series([(1, 110), (3, 110)], source="simulator")
    assert stored(sorted([*real, *made_up], key=lambda tick: tick.at)) == []


def test_a_moment_far_ahead_does_not_silence_its_symbol_for_long() -> None:
    memory = Memory()
    wrong = series([(1440, 100)])
    found = stored([*wrong, *series([(number / 10, 100) for number in range(40)]), *series([(5, 102)])], memory=memory)
    assert moments(found) == [5]


def test_a_store_that_refuses_gets_the_batch_again(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    judge = judge_of(memory)
    rows = rows_of(series([(0, 100), (1, 102)]))
    with monkeypatch.context() as away:
        away.setattr(memory, "insert_alerts", lambda alerts: (_ for _ in ()).throw(StoreError("away")))
        with pytest.raises(StoreError):
            judge.judge(rows)
    assert judge.metrics() == {"alerts": 0}
    judge.judge(rows)
    rows += rows_of(series([(17, 110), (18, 112)]), 2)  # the ticks were refused, and more was polled
    judge.judge(rows)
    assert moments(sorted(memory.rows, key=lambda alert: alert.at)) == [1, 18]
    assert judge.metrics() == {"alerts": 2}


def test_it_is_said_in_the_log_and_never_without_end(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "stockwatch.alerts"):
        stored(series([(0, 100), (4, 101.3)]))
    assert caplog.messages == ["alert: AAPL moved +1.3 % in 4 min (100.00 → 101.30) at 11:04 EST"]
    caplog.clear()
    stored([tick for number in range(40) for tick in series([(0, 100), (1, 90)], f"S{number}")])
    assert len(caplog.messages) == 21
    assert caplog.messages[-1] == "alert: and 20 more; they are in the table alerts"


@pytest.mark.parametrize(
    ("rule", "before", "after", "percent", "seconds", "text"),
    [
        ("move 1% in 5 min", 0.5, 0.4912, -1.76, 40, "X moved −1.8 % in 40 s (0.5 → 0.4912) at 15:32 IST"),
        ("above 300", 299.5, 1300.2, 334.1, 60, "X rose above 300 (299.50 → 1,300.20) at 15:32 IST"),
        ("below 90", 91, 89, -2.2, 60, "X fell below 90 (91.00 → 89.00) at 15:32 IST"),
        ("move 2% in 600 min", 100, 102, 2, 18_000, "X moved +2.0 % in 5 h (100.00 → 102.00) at 15:32 IST"),
    ],
)
def test_an_alert_in_words(rule: str, before: float, after: float, percent: float, seconds: int, text: str) -> None:
    at = 1_764_064_920_000
    alert = Alert("yahoo", "X", at, rule, before, after, percent, at - seconds * 1000)
    assert describe(alert, ZoneInfo("Asia/Kolkata")) == text


# --- anything that may come ---

MANY = Alerts(move_percent=2, cooldown_minutes=7, rules=(AlertRule(above=101.5), AlertRule(below=99), AlertRule(move_percent=3)))
PRICE = st.integers(96, 105).map(float) | st.sampled_from([100.5, 101.5, 98.75])


@st.composite
def logs(draw: st.DrawFn, late: bool) -> list[Tick]:
    """Two symbols; with late and repeated ticks, or (a recording) by time and with many in one moment."""
    source = "yahoo" if late else "replay:x"
    steps = st.sampled_from([30_000, 60_000, 240_000, 299_999, 300_001, 900_000, *([] if late else [0, 0, 0])])
    found: dict[str, list[Tick]] = {"AAPL": [], "TCS.NS": []}
    log, at = [], T0
    for number in range(draw(st.integers(1, 20))):
        at += draw(steps)
        behind = draw(st.sampled_from([0, 0, 0, 1_001, 100_001, 290_001, 400_001])) if late else 0
        symbol = draw(st.sampled_from(sorted(found)))
        tick = Tick(symbol, at - behind + (number if late else 0), draw(PRICE), draw(st.integers(0, 3)), source)
        if late and found[symbol] and draw(st.integers(0, 5)) == 0:
            tick = draw(st.sampled_from(found[symbol]))
        found[symbol].append(tick)
        log.append(tick)
    return log


def batches(draw: Any, log: list[Row]) -> list[list[Row]]:
    cuts = sorted(draw(st.sets(st.integers(0, len(log)), max_size=6)) | {0, len(log)})
    return [log[first:after] for first, after in pairwise(cuts)]


@given(st.booleans().flatmap(logs), st.data())
@hypothesis_settings(max_examples=150, deadline=None)
def test_batches_kills_and_repeats_change_nothing(log: list[Tick], data: st.DataObject) -> None:
    """The end comes anywhere: before anything is stored, between alerts and ticks, before the commit; then from that commit on."""
    memory, rows, committed = Memory(), rows_of(log), 0
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(stockwatch.alerts, "CHUNK", data.draw(st.sampled_from([1, 3, 256])))
        for _life in range(data.draw(st.integers(1, 4))):
            judge, last = judge_of(memory, MANY), False
            for batch in batches(data.draw, rows[committed:]):
                end = data.draw(st.sampled_from(["", "", "", "alerts", "ticks", "moved"]))
                if end == "moved":
                    judge.forget()
                judge.judge(batch)
                if end == "alerts":
                    break
                memory.insert_ticks(batch)
                if end == "ticks":
                    break
                committed += len(batch)
            else:
                last = True
            if last:
                break
        final = rows[committed:]
        judge_of(memory, MANY).judge(final)
        memory.insert_ticks(final)
    assert memory.rows == expected(log, MANY)


@given(logs(False), st.data())
@hypothesis_settings(max_examples=60, deadline=None)
def test_a_recording_played_again_gives_the_same_alerts_and_other_rules_theirs(log: list[Tick], data: st.DataObject) -> None:
    log = [Tick(symbol, T0 - 60 * MINUTE, 100, 0, "replay:x") for symbol in ("AAPL", "TCS.NS")] + log  # a moment of its own
    memory = Memory()
    first = data.draw(st.integers(0, len(log)))
    for part in (log[:first], log, log[first:], log):  # cut, anew, from the middle, in one life or many
        judge_of(memory).judge(rows_of(part))
        memory.insert_ticks(rows_of(part))
    assert memory.rows == expected(log, PLAIN)
    judge = judge_of(memory, MANY)
    for tick in log:
        judge.judge(rows_of([tick]))
    assert memory.rows == expected(log, PLAIN) | expected(log, MANY)


def test_a_long_day_in_any_batches_is_the_same_as_the_reference() -> None:
    chance, price, at, log = random.Random(5), 100.0, T0, []
    for _ in range(1_500):
        at += chance.choice([0, 200, 1_000, 5_000, 60_000])
        price = round(price * (1 + chance.gauss(0, 0.002)), 2)
        log.append(Tick("AAPL", at, price, chance.randint(0, 9), "simulator"))
    wanted = expected(log, MANY)
    assert len(wanted) > 20
    for size in (1, 7, 300, 1_500):
        memory = Memory()
        judge = judge_of(memory, MANY)
        for first in range(0, len(log), size):
            judge.judge(rows_of(log[first : first + size]))
        assert memory.rows == wanted, size
        assert memory.questions == 1
