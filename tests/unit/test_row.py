"""The supervisor's decisions, played as histories: no threads, no clock."""

from __future__ import annotations

from stockwatch.component import Backoff, Component
from stockwatch.supervisor.row import FAILURES, FINISH_SECONDS, RETRY_SECONDS, Finish, Part, Phase, Row, Start, Stop


def never() -> Component:
    raise AssertionError("decisions make nothing")


def a_row() -> Row:
    parts = [
        Part("kafka", never, essential=True),
        Part("clickhouse", never, essential=True),
        Part("producer", never, ("kafka",)),
        Part("consumer", never, ("kafka", "clickhouse")),
        Part("dashboard", never),
    ]
    return Row(parts, lambda: Backoff(random=lambda: 1.0))


def running_row(now: float = 0.0) -> Row:
    row = a_row()
    while starts := row.due(now):
        for start in starts:
            assert row.ready(start.name, start.life, now)
    return row


def test_parts_start_when_what_they_need_runs() -> None:
    row = a_row()
    assert row.due(0) == [Start("kafka", 1), Start("clickhouse", 1), Start("dashboard", 1)]
    assert row.due(0) == []
    row.ready("kafka", 1, 1)
    assert row.due(1) == [Start("producer", 1)]
    row.ready("clickhouse", 1, 2)
    assert row.due(2) == [Start("consumer", 1)]


def test_nothing_is_due_by_time_alone_while_a_need_is_missing() -> None:
    row = a_row()
    row.due(0)
    assert row.next_due() is None


def test_rest_for_one_stops_dependents_first_in_reverse_and_gives_all_new_lives() -> None:
    row = running_row()
    assert row.failed("kafka", 1, 10) == [Stop("consumer"), Stop("producer"), Stop("kafka")]
    assert row.phase("dashboard") is Phase.RUNNING
    assert row.due(10) == []  # the delay of the first failure
    assert row.next_due() == 10.5
    assert row.due(10.5) == [Start("kafka", 2)]
    row.ready("kafka", 2, 11)
    assert row.due(11) == [Start("producer", 2), Start("consumer", 2)]


def test_an_old_life_decides_nothing() -> None:
    row = running_row()
    row.failed("consumer", 1, 1)
    row.due(2)
    assert row.failed("consumer", 1, 3) == []
    assert not row.ready("consumer", 1, 3)
    assert row.ready("consumer", 2, 3)


def test_five_failures_in_a_minute_are_failed_and_one_more_try_each_minute() -> None:
    row = running_row()
    now, delays = 0.0, []
    for _ in range(FAILURES):
        row.failed("consumer", row.life("consumer"), now)
        due = row.next_due()
        assert due is not None
        delays.append(due - now)
        now = due
        row.due(now)
    assert delays == [0.5, 1.0, 2.0, 4.0, RETRY_SECONDS]
    assert row.has_failed("consumer")
    assert row.phase("kafka") is Phase.RUNNING
    row.ready("consumer", row.life("consumer"), now)
    assert not row.has_failed("consumer")


def test_a_trouble_after_a_long_good_time_starts_with_the_first_delay() -> None:
    row = running_row()
    row.failed("producer", 1, 0)
    row.due(1)
    row.ready("producer", 2, 1)
    row.failed("producer", 2, 100)
    assert row.next_due() == 100.5


def test_stopping_goes_from_the_data_to_the_engines() -> None:
    row = running_row()
    assert [stop.name for stop in row.stop_all()] == ["producer", "consumer", "dashboard", "clickhouse", "kafka"]
    assert row.stop_all() == []


def test_parts_left_out_are_not_waited_for() -> None:
    row = Row([Part("consumer", never, ("kafka", "clickhouse"))])
    assert row.due(0) == [Start("consumer", 1)]


def renewable_row(may_renew: bool = True) -> Row:
    parts = [
        Part("kafka", never, essential=True, may_renew=lambda urgent: may_renew or urgent),
        Part("clickhouse", never, essential=True),
        Part("producer", never, ("kafka",)),
        Part("consumer", never, ("kafka", "clickhouse"), drains=True),
        Part("dashboard", never),
    ]
    row = Row(parts, lambda: Backoff(random=lambda: 1.0))
    while starts := row.due(0):
        for start in starts:
            assert row.ready(start.name, 1, 0)
    return row


def test_a_renewal_stops_the_producer_drains_the_consumer_and_starts_anew_at_once() -> None:
    row = renewable_row()
    assert row.renew("kafka", 1, False, 10) == [Stop("producer"), Finish("consumer")]
    assert row.due(10) == []  # nothing may start on the broker that is about to go
    assert row.renew("kafka", 1, False, 11) == []  # it asks again each second
    assert row.next_due() == 10 + FINISH_SECONDS
    row.finished("consumer", 1)
    assert row.due(11) == [Stop("consumer"), Stop("kafka"), Start("kafka", 2)]
    row.ready("kafka", 2, 12)
    assert row.due(12) == [Start("producer", 2), Start("consumer", 2)]
    row.ready("producer", 2, 12)
    assert row.renewed(12) is None
    row.ready("consumer", 2, 12.5)
    assert row.renewed(12.5) == ("kafka", 2.5)
    assert row.renewed(13) is None  # told once
    assert row.renew("kafka", 2, False, 20) == [Stop("producer"), Finish("consumer")]


def test_a_consumer_that_cannot_finish_is_stopped_at_the_deadline() -> None:
    row = renewable_row()
    row.renew("kafka", 1, False, 10)
    assert row.due(10 + FINISH_SECONDS) == [Stop("consumer"), Stop("kafka"), Start("kafka", 2)]


def test_a_consumer_or_a_store_that_fails_meanwhile_does_not_hold_it_up() -> None:
    row = renewable_row()
    row.renew("kafka", 1, False, 10)
    assert row.failed("consumer", 1, 10.5) == []
    assert row.due(10.5) == [Stop("consumer"), Stop("kafka"), Start("kafka", 2)]
    row = renewable_row()
    row.renew("kafka", 1, False, 10)
    assert row.failed("clickhouse", 1, 10.5) == [Stop("consumer"), Stop("clickhouse")]
    assert row.due(10.5) == [Stop("kafka"), Start("kafka", 2)]


def test_a_broker_that_fails_meanwhile_is_an_ordinary_failure() -> None:
    row = renewable_row()
    row.renew("kafka", 1, False, 10)
    assert row.failed("kafka", 1, 10.5) == [Stop("consumer"), Stop("kafka")]
    assert row.due(10.5) == []
    assert row.due(11) == [Start("kafka", 2)]
    assert row.renewed(11) is None


def test_it_waits_until_all_is_well_unless_it_is_urgent() -> None:
    row = renewable_row(may_renew=False)
    assert row.renew("kafka", 1, False, 10) == []
    row.failed("producer", 1, 10)
    assert row.renew("kafka", 1, True, 10) == []  # the producer has no life: first that
    row.ready("producer", row.due(11)[0].life, 11)  # type: ignore[union-attr]
    assert row.renew("kafka", 1, True, 11) == [Stop("producer"), Finish("consumer")]


def test_a_stop_in_the_middle_of_a_renewal_stops_what_still_lives() -> None:
    row = renewable_row()
    row.renew("kafka", 1, False, 10)
    assert [stop.name for stop in row.stop_all()] == ["consumer", "dashboard", "clickhouse", "kafka"]
