"""Recordings and their replay: every form of file gives the same ticks; what is broken is counted, and speed changes no data."""

from __future__ import annotations

import gzip
import json
import threading
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from stockwatch.errors import UsageError
from stockwatch.settings import load as load_settings
from stockwatch.sources import open_source
from stockwatch.sources.recording import Recording, load
from stockwatch.sources.replay import BATCH, Replay
from stockwatch.tick import Tick

AT = 1_764_000_000_000  # 2025-11-24 16:00:00 UTC
ROWS = [(AT, 100.5, 3), (AT, 101.0, 2), (AT + 60_000, 100.0, 5)]  # at (ms, UTC), price, volume of the trade


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def csv_of(header: str, zone: str | None = None) -> str:
    def moment(at: int) -> str:
        if zone is None:
            return str(at)
        return datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).replace(tzinfo=None).isoformat(sep=" ")

    return "\n".join([header, *(f"{moment(at)},{price},{volume}" for at, price, volume in ROWS)])


def stopped() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def everything(source: Replay) -> list[Tick]:
    ticks: list[Tick] = []
    while part := source.read(stopped()):
        assert len(part) <= BATCH
        ticks += [tick for tick in part if isinstance(tick, Tick)]
    return ticks


def test_every_form_gives_the_same_ticks(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS, columns=["at", "price", "volume"])
    zoned = frame.assign(at=pd.to_datetime(frame["at"], unit="ms", utc=True).dt.tz_convert("Asia/Tokyo"))
    zoned.rename(columns=str.title).to_parquet(tmp_path / "T.parquet")
    lines = "\n".join(json.dumps({"timestamp": at, "price": price, "volume": volume}) for at, price, volume in ROWS)
    files = [
        written(tmp_path, "T.csv", csv_of("at,price,volume")),
        written(tmp_path, "T.csv.gz", gzip.compress(csv_of("DateTime,Price,Volume", "America/Chicago").encode())),
        written(tmp_path, "T.jsonl", lines),
        tmp_path / "T.parquet",
    ]
    for path in files:
        ticks = everything(Replay(load(path, "America/Chicago"), 0))
        assert [(tick.at, tick.price, tick.day_volume) for tick in ticks] == [
            (AT, 100.5, 3), (AT, 101.0, 5), (AT + 60_000, 100.0, 10),
        ], path  # fmt: skip
        assert {(tick.symbol, tick.source) for tick in ticks} == {("T", "replay:T")}, path


def test_trades_of_one_millisecond_keep_the_files_order(tmp_path: Path) -> None:
    prices = [10.0, 12.0, 9.0, 11.0, 10.0]
    rows = [f"{AT + 1},1,1", *(f"{AT},{price},1" for price in prices)]
    content = load(written(tmp_path, "T.csv", "at,price,volume\n" + "\n".join(rows)), "UTC")
    assert content.price.tolist() == [*prices, 1.0]
    assert content.day_volume.tolist() == [1, 2, 3, 4, 5, 6]


def test_volume_of_trades_starts_again_at_midnight_in_the_recordings_zone(tmp_path: Path) -> None:
    rows = "2025-11-24 23:59:59,1,10\n2025-11-25 00:00:00,1,4\n2025-11-25 12:00:00,1,1\n"
    path = written(tmp_path, "T.csv", "time,price,volume\n" + rows)
    for zone in ("Asia/Kolkata", "America/Chicago"):
        assert load(path, zone).day_volume.tolist() == [10, 4, 5]


def test_volume_is_added_up_for_each_symbol_apart_and_day_volume_is_left_alone(tmp_path: Path) -> None:
    trades = f"at,price,symbol,volume\n{AT},1,A,10\n{AT},1,B,20\n{AT + 1},1,A,1\n"
    assert load(written(tmp_path, "T.csv", trades), "UTC").day_volume.tolist() == [10, 20, 11]
    given = f"at,price,day_volume,volume\n{AT},1,500,10\n{AT + 1},1,480,10\n"
    assert load(written(tmp_path, "T.csv", given), "UTC").day_volume.tolist() == [500, 480]
    assert load(written(tmp_path, "T.csv", f"at,price\n{AT},1\n"), "UTC").day_volume.tolist() == [0]


@pytest.mark.filterwarnings("ignore:Series.values returning:DeprecationWarning")  # exchange_calendars with pandas 3.1
def test_a_calendar_brings_its_exchanges_zone_and_session(tmp_path: Path) -> None:
    content = load(written(tmp_path, "T.csv", f"at,price,calendar,volume\n{AT},1,XNYS,7\n{AT + 1},1,XNYS,1\n"), "UTC")
    (instrument,) = content.instruments
    assert (instrument.symbol, instrument.calendar, instrument.timezone) == ("T", "XNYS", "America/New_York")
    assert content.day_volume.tolist() == [7, 8]


def test_broken_rows_are_skipped_counted_and_the_first_is_named_by_its_line(tmp_path: Path) -> None:
    rows = [f"{AT},1,1", "", f"{AT},nan,1", f"{AT},-1,1", f"{AT},inf,1", f"{AT},1,-5", f"{AT},1", "soon,1,1", f"{AT},2,3"]
    source = Replay(load(written(tmp_path, "T.csv", "at,price,volume\n" + "\n".join(rows)), "UTC"), 0)
    assert source.metrics["broken_lines"] == 6
    assert "6 broken lines skipped: line 4, 5, 6, …" in source.detail
    assert [(tick.price, tick.day_volume) for tick in everything(source)] == [(1, 1), (2, 4)]
    good = f'{{"at": {AT}, "price": 1}}\n'
    assert load(written(tmp_path, "T.jsonl", good + "nonsense\n" + good + f'\n{{"at": {AT}}}\n' + good), "UTC").broken == [2, 5]


def test_a_line_that_is_no_utf_8_is_skipped_and_named_and_the_others_are_played(tmp_path: Path) -> None:
    rows = f"\ufeffat,price,symbol\n{AT},1,A\n{AT},1,\xe9\n{AT},2,\xe9\u2028A\n{AT},3,A\n".encode()
    content = load(written(tmp_path, "T.csv", rows.replace("1,\xe9".encode(), b"1,\xe9")), "UTC")
    assert (content.price.tolist(), content.symbol, content.broken) == ([1, 2, 3], ["A", "\xe9\u2028A", "A"], [3])
    lines = f'{{"at": {AT}, "price": 1, "symbol": "A\u2028"}}\n{{"at": {AT}, "price": 1, "symbol": "\xff"}}\n'.encode()
    content = load(written(tmp_path, "T.jsonl", lines.replace("\xff".encode(), b"\xff") + lines), "UTC")
    assert (content.symbol, content.broken) == (["A", "A", "\xff"], [2])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("T.csv", "", "needs the columns"),
        ("T.csv", f"at;price\n{AT};1\n", "needs the columns"),
        ("T.csv", "at,price\n", "no valid row"),
        ("T.csv", "at,price\n1764000000,1\n", "milliseconds since 1970"),
        ("T.csv", b"\xff\xfea,t\n", "cannot be read: is no text in UTF-8"),
        ("T.csv", b"\x89PNG\r\n\x1a\n\x00\xff\xd8", "cannot be read: is no text in UTF-8"),
        ("T.jsonl", b"\x89PNG\r\n\x1a\n\x00\xff\xd8", "needs the columns"),
        ("T.csv", f"at,price\n{AT},\xff\n".encode("latin-1"), "no valid row"),
        ("T.csv.gz", gzip.compress(csv_of("at,price,volume").encode(), mtime=0)[:-9], "cannot be read"),
        ("T.csv.gz", gzip.compress(csv_of("at,price,volume").encode(), mtime=0)[:14] + b"\xff" * 30, "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_and_the_file_is_named(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(UsageError, match=said) as refused:
        load(path, "UTC")
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["reliance.csv", "RELIANCE.NS.csv", "RELIANCE.NS.csv.gz", "RELIANCE.NS.jsonl"])
def test_without_a_symbol_column_the_symbol_is_the_files_stem_as_it_stands(tmp_path: Path, name: str) -> None:
    text = f'{{"at": {AT}, "price": 1}}\n' if name.endswith("jsonl") else f"at,price\n{AT},1\n"
    content = load(written(tmp_path, name, gzip.compress(text.encode()) if name.endswith("gz") else text), "UTC")
    stem = name.partition(".csv")[0].partition(".jsonl")[0]
    assert (content.symbol, content.source) == ([stem], f"replay:{stem}")


def test_times_no_tick_may_have_are_broken_rows(tmp_path: Path) -> None:
    times = ["inf", "1e30", "1764000000", "99999999999999", "-5", str(AT), ""]
    path = written(tmp_path, "T.csv", "at,price\n" + "\n".join(f"{time},1" for time in times))
    content = load(path, "UTC")
    assert content.broken == [2, 3, 4, 5, 6, 8]
    assert content.at.tolist() == [AT]
    huge = f"at,price,volume\n{AT},1,9223372036854775807\n{AT},1,4\n"
    assert load(written(tmp_path, "T.csv", huge), "UTC").broken == [2]


def test_times_with_and_without_a_zone_and_numbers_may_stand_in_one_file(tmp_path: Path) -> None:
    times = [
        "2025-11-24T21:30:00+05:30",
        "2025-11-24 21:30:01",
        "2025-11-24T16:00:02Z",
        AT + 3_000,
        "2025-11-24T11:00:04.000-0500",
    ]
    path = written(tmp_path, "T.csv", "at,price\n" + "\n".join(f"{time},1" for time in times))
    assert load(path, "Asia/Kolkata").at.tolist() == [AT + second * 1_000 for second in range(5)]


@pytest.fixture
def long(tmp_path: Path) -> Recording:
    rows = "\n".join(f"{AT + number * 10},{1 + number % 7},1" for number in range(5_000))
    return load(written(tmp_path, "T.csv", "at,price,volume\n" + rows), "UTC")


def test_speed_changes_no_data_and_nothing_is_read_twice(long: Recording) -> None:
    """10 ms between the trades; read each 0.7 s at its own pace and ten-fold."""
    at_once = everything(Replay(long, 0))
    assert len(at_once) == 5_000
    for speed in (1.0, 10.0):
        now = [5.0]
        source = Replay(long, speed, lambda: now[0])  # noqa: B023 - read in this turn only
        paced: list[Tick] = []
        while "ended" not in source.detail:
            part = source.read(stopped())
            paced += [tick for tick in part if isinstance(tick, Tick)]
            assert all(tick.at <= AT + (now[0] - 5.0) * 1000 * speed for tick in part if isinstance(tick, Tick))
            now[0] += 0.7
        assert paced == at_once
        assert 49.99 / speed <= now[0] - 5.0 <= 49.99 / speed + 1.4


def test_its_place_outlives_a_life_of_the_producer_and_its_end_is_told(long: Recording) -> None:
    source = Replay(long, 0)
    first = source.read(threading.Event())
    second = source.read(threading.Event())
    assert len(first) == BATCH
    assert isinstance(second[0], Tick)
    assert second[0].at == AT + BATCH * 10
    everything(source)
    assert source.read(stopped()) == []
    assert "recording ended 16:00" in source.detail
    assert source.metrics["played"] == source.metrics["recorded"] == 5_000


def test_open_source_takes_the_settings_file_as_the_place_to_look(tmp_path: Path) -> None:
    written(tmp_path, "T.csv", csv_of("at,price,volume"))
    source = open_source(load_settings(tmp_path / "settings.toml", {"market": {"source": "replay", "replay_file": "T.csv"}}))
    assert (source.name, source.symbols) == ("replay:T", ("T",))
    assert [instrument.calendar for instrument in source.instruments()] == ["24/7"]
    with pytest.raises(UsageError, match=r"none\.csv is no file"):
        open_source(load_settings(tmp_path / "settings.toml", {"market": {"source": "replay", "replay_file": "none.csv"}}))
