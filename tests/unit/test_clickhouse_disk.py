"""The disk under the embedded store: what may be acknowledged, and what is told when it is full. The engine itself is scripted."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from stockwatch.engines.clickhouse_disk import NEEDED, Disk
from stockwatch.engines.clickhouse_request import BadRequestError
from stockwatch.errors import StoreError
from stockwatch.store.trouble import named_trouble

Free = Callable[[int], None]


class Counter:
    """chDB's count of writes that failed."""

    def __init__(self) -> None:
        self.failed, self.asked = 3, 0

    def __call__(self) -> SimpleNamespace:
        self.asked += 1
        answer = SimpleNamespace(bytes=lambda: f"{self.failed}\n".encode())
        return SimpleNamespace(query=lambda _sql, _format: answer, close=lambda: None)


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def disk(counter: Counter, free: Free) -> Disk:
    free(NEEDED)
    made = Disk(Path("/store"), counter)
    made.opened()
    return made


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Free:
    def set_to(count: int) -> None:
        monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(f_bavail=count, f_frsize=1))

    return set_to


def test_a_write_that_failed_before_this_life_is_not_its_own(disk: Disk) -> None:
    with disk.writing("INSERT"):
        pass
    assert not disk.is_damaged()


def test_a_write_that_fails_meanwhile_is_not_acknowledged_nor_any_after_it(disk: Disk, counter: Counter) -> None:
    with pytest.raises(BadRequestError, match=r"243.*what was written is not safe"), disk.writing("INSERT"):
        counter.failed += 1
    assert disk.is_damaged()
    with pytest.raises(BadRequestError), disk.writing("INSERT"):
        pass


@pytest.mark.parametrize("word", ["INSERT", "CREATE", "ALTER", "OPTIMIZE"])
def test_nothing_begins_without_room(disk: Disk, free: Free, word: str) -> None:
    free(NEEDED - 1)
    with pytest.raises(BadRequestError, match=r"the disk under /store is full \(64 MB free, 65 MB needed\)"), disk.writing(word):
        pytest.fail("it has begun")


@pytest.mark.parametrize("word", ["DROP", "KILL"])
def test_a_full_disk_can_be_emptied(disk: Disk, free: Free, word: str) -> None:
    free(0)
    with disk.writing(word):
        pass


def test_the_engines_words_for_no_room_become_ours(disk: Disk, free: Free) -> None:
    def insert(left: int, text: str) -> None:
        free(NEEDED)
        with disk.writing("INSERT"):
            free(left)
            raise RuntimeError(text)

    no_room = "Code: 1001. DB::Exception: std::exception. filesystem error: No space left on device"
    with pytest.raises(BadRequestError, match="is full"):
        insert(0, no_room)
    for left, text in ((0, "Code: 62. DB::Exception: Syntax error"), (NEEDED, no_room)):
        with pytest.raises(RuntimeError, match=re.escape(text)):
            insert(left, text)


def test_a_store_that_closes_is_not_opened_again_by_a_look(disk: Disk, counter: Counter) -> None:
    disk.close()
    asked = counter.asked
    assert disk.is_damaged()
    assert counter.asked == asked


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("the disk under /my data/clickhouse is full (3 MB free, 65 MB needed).", "the disk under /my data/clickhouse is full (3 MB free, 65 MB needed)"),
        ("Cannot reserve 1.00 MiB, not enough space.", "the disk of ClickHouse at http://h:1 is full"),
    ],
)  # fmt: skip
def test_health_says_which_disk_and_what_to_do(text: str, told: str) -> None:
    with pytest.raises(StoreError) as caught, named_trouble("http://h:1"):
        raise DatabaseError(
            f"HTTP driver received error code 243, server response: Code: 243. DB::Exception: {text} (NOT_ENOUGH_SPACE)"
        )
    assert str(caught.value) == f"{told}: free some space, nothing is lost meanwhile"
