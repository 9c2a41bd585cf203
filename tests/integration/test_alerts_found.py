"""A scripted recording has 12 moves and many that are almost one: the real program finds the 12, cut by a kill -9 too."""

from __future__ import annotations

import csv
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from engine import Engine
from program import Program, until

from stockwatch.component import StoreAddress
from stockwatch.store.alerts import Alert, AlertStore
from stockwatch.tick import Tick

T0, SECOND, MINUTE, HOUR, NIGHT = 1_764_000_000_000, 1_000, 60_000, 3_600_000, 54_000_000
RULE = "move 1% in 5 min"
BASES = {"CALM.NS": 100.0, "WILD": 2500.0}
# Each hour has one: (ms since its beginning, % of the base price)s, and which of them is a move, counted from 0.
EPISODES = [
    ([(0, 0), (4 * MINUTE, 1.0), (10 * MINUTE, 0)], 1),  # back again it is 0.99 %
    ([(0, 0), (4 * MINUTE, 0.99)], None),
    ([(0, 0), (2 * MINUTE, -1.3), (4 * MINUTE, 0), (14 * MINUTE, 2)], 1),  # what follows is in its silence
    ([(0, 0), (5 * MINUTE, 1.0), (8 * MINUTE, 0.5)], 1),  # the window's edge
    ([(0, 0), (5 * MINUTE + 1, 1.5)], None),  # just outside
    ([(0, 0), (MINUTE, 0.4), (2 * MINUTE, 0.8), (3 * MINUTE, 1.1), (4 * MINUTE, 1.6)], 3),
    ([(0, 0), (3 * MINUTE, -0.7), (6 * MINUTE, -1.4), (9 * MINUTE, -2.1), (12 * MINUTE, -2.8)], None),  # each step too small
    ([(0, 0), (MINUTE, 0.6), (2 * MINUTE, -0.6)], 2),  # from the highest
    ([(0, 0), (MINUTE, -0.7), (2 * MINUTE, 0.5)], 2),  # from the lowest
]
SPAN = len(EPISODES) * HOUR + NIGHT
FROM = {0: 0, 2: 0, 3: 0, 5: 0, 7: 1, 8: 1}  # which point a move is compared with


def scripted(path: Path) -> set[tuple[object, ...]]:
    """Write the recording; the 12 alerts that it holds, as rows. Overnight the base price changes by 7 %."""
    ticks, alerts = [], set()
    for symbol, base in BASES.items():
        for number, (points, move) in enumerate(EPISODES):
            night = NIGHT if number >= 4 else 0
            price = round(base * (1.07 if night else 1), 2)
            begin = T0 + number * HOUR + night
            ticks += [(begin + at, symbol, price) for at in range(0, 20 * MINUTE, 2 * SECOND)]
            made = [(begin + 25 * MINUTE + at, symbol, round(price * (1 + percent / 100), 4)) for at, percent in points]
            ticks += made
            ticks += [(begin + at, symbol, price) for at in range(46 * MINUTE, HOUR, 700)]
            if move is not None:
                (at, _, to), (from_at, _, origin) = made[move], made[FROM[number]]
                alerts.add((symbol, at, RULE, origin, to, round((to - origin) / origin * 100, 6), from_at))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["at", "symbol", "price"])
        writer.writerows(sorted(ticks))
    assert len(alerts) == 12
    return alerts


ROWS = (
    "SELECT symbol, toUnixTimestamp64Milli(at), rule, `from`, `to`, percent, toUnixTimestamp64Milli(from_at)"
    " FROM alerts FINAL WHERE source = 'replay:script'"
)


def count(client: Client, table: str) -> int:
    return int(str(client.command(f"SELECT count() FROM {table} FINAL")))


def test_twelve_moves_are_twelve_alerts_after_a_kill_9_and_when_played_again(program: Program) -> None:
    wanted = scripted(program.folder / "script.csv")
    length = len((program.folder / "script.csv").read_text().splitlines()) - 1
    market = {"source": "replay", "replay_file": "script.csv"}
    program.write(market={**market, "replay_speed": SPAN / 10_000})  # in 10 s, so that the kill finds the middle
    program.start("--only", "kafka,clickhouse,consumer,producer")
    client = program.store()
    # Alerts are stored before their ticks: with the first batch of a slow start there could be no tick yet to go on from.
    until(lambda: count(client, "alerts") >= 6 and count(client, "ticks"), 30, "some alerts")
    assert program.process is not None
    program.process.send_signal(signal.SIGKILL)
    program.process.wait(5)
    program.write(market={**market, "replay_speed": 0})
    program.start("--only", "kafka,clickhouse,consumer,producer")
    client = program.store()
    until(lambda: count(client, "ticks") == length, 30, "the rest of it")
    assert 0 < program.component("producer")["metrics"]["ticks"] < length  # it was cut in the middle
    assert {tuple(row) for row in client.query(ROWS).result_rows} == wanted
    until(lambda: program.component("consumer")["metrics"].get("lag") == 0, 10, "all is said")
    assert 0 < program.component("consumer")["metrics"]["alerts"] <= 12
    assert program.stop() == 0
    assert (
        " alert: WILD moved +1.0 % in 5 min (2,500.00 → 2,525.00) at 19:30 UTC"
        in (program.data_dir / "stockwatch.log").read_text()
    )
    program.start("--only", "kafka,clickhouse,consumer,producer")  # it begins anew
    client = program.store()
    until(lambda: program.component("consumer")["metrics"].get("rows") == length, 30, "all of it again")
    assert program.component("consumer")["metrics"]["alerts"] == 12
    assert {tuple(row) for row in client.query(ROWS).result_rows} == wanted


@pytest.fixture
def store(engine: Engine) -> Iterator[AlertStore]:
    password = engine.folder / "clickhouse.password"
    made = AlertStore(StoreAddress(f"http://127.0.0.1:{engine.port}", "stockwatch", "stockwatch", password_file=password))
    made.prepare()
    yield made
    made.close()


def test_an_alert_stored_twice_is_one_row_and_sources_do_not_mix(store: AlertStore) -> None:
    first = Alert("yahoo", "AAPL", T0, RULE, 100.0, 101.3, 1.3, T0 - MINUTE)
    second = Alert("yahoo", "TCS.NS", T0 + 1, "above 300", 299.5, 300.1, 0.200334, T0)
    store.insert_alerts([first, second])
    store.insert_alerts([first])
    store.insert_alerts([])
    store.insert_alerts([Alert("simulator", "AAPL", T0 + 2, RULE, 1.0, 2.0, 100.0, T0)])
    found = store.alerts("yahoo")
    assert found == [second, first]  # the newest first
    assert [alert.key for alert in found] == [second.key, first.key]
    assert store.alerts("yahoo", "AAPL") == [first]
    assert store.alerts("yahoo", start_ms=T0 + 1) == store.alerts("yahoo", limit=1) == [second]
    assert store.alerts("yahoo", end_ms=T0 + 1) == [first]
    last = max(alert.told_at for alert in found)
    assert store.alerts("yahoo", told_after=last) == []
    assert store.alerts("yahoo", told_after=last - 1) == [alert for alert in found if alert.told_at == last]


def test_what_is_known_of_the_newest_tick(store: AlertStore) -> None:
    assert store.known("yahoo", "NEW", 5 * MINUTE) == (None, 0.0, set(), [])
    ticks = [
        Tick("NEW", T0 + at, price, volume, "yahoo")
        for at, price, volume in [
            (-5 * MINUTE - 1, 90.0, 1), (-5 * MINUTE, 100.0, 2), (-MINUTE, 101.0, 4), (-2 * MINUTE, 101.0, 3), (0, 102.0, 5),
            (0, 99.0, 5), (0, 101.0, 5),
        ]
    ]  # fmt: skip
    rows = [(tick, 0, offset) for offset, tick in enumerate(ticks)]
    random.Random(1).shuffle(rows)
    store.insert_ticks(rows[:3])
    store.insert_ticks(rows)
    known = store.known("yahoo", "NEW", 5 * MINUTE)
    assert (known.head, known.last, known.at_head) == (T0, 101.0, {(5, 102.0), (5, 99.0), (5, 101.0)})
    assert known.prices == [(T0 - 5 * MINUTE, 100.0), (T0, 102.0), (T0, 99.0), (T0, 101.0)]
    known = store.known("yahoo", "NEW", MINUTE, T0 - 1)
    assert known == (T0 - MINUTE, 101.0, {(4, 101.0)}, [(T0 - MINUTE, 101.0)])
    assert store.known("simulator", "NEW", MINUTE).head is None
