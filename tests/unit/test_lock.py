"""Who owns a data folder: only a lock that is held says that somebody is there."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from stockwatch.errors import AlreadyRunningError, UnavailableError
from stockwatch.supervisor.lock import Lock, is_held, read_facts


def test_one_holds_it_and_the_next_is_told_where(tmp_path: Path) -> None:
    first, second = Lock(tmp_path), Lock(tmp_path)
    assert not is_held(tmp_path)
    first.take()
    first.say(dashboard_url="http://127.0.0.1:1")
    assert is_held(tmp_path)
    with pytest.raises(AlreadyRunningError, match=r"already running at http://127\.0\.0\.1:1 \(process \d+\)"):
        second.take()
    assert read_facts(tmp_path)["dashboard_url"] == "http://127.0.0.1:1"
    first.give_back()
    assert not is_held(tmp_path)
    second.take()
    second.give_back()


def test_a_folder_that_is_none_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not is_held(tmp_path / "file")
    assert not is_held(tmp_path / "nothing")
    with pytest.raises(UnavailableError, match="cannot be written"):
        Lock(tmp_path / "file").take()


def test_facts_that_are_broken_are_none(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("[1")
    assert read_facts(tmp_path) == {}


def test_those_who_only_look_do_not_keep_a_start_out(tmp_path: Path) -> None:
    """Two look all the time, each for a moment, while it is taken again and again."""
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            is_held(tmp_path)

    looking = [threading.Thread(target=look) for _ in range(2)]
    for thread in looking:
        thread.start()
    try:
        for _ in range(200):
            lock = Lock(tmp_path)
            lock.take()
            lock.give_back()
    finally:
        over.set()
        for thread in looking:
            thread.join()


def test_one_who_looks_for_a_moment_is_waited_for_also_with_the_facts_of_a_killed_owner(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text('{"pid": 1, "dashboard_url": "http://127.0.0.1:1"}')
    looker = path.open("r+")
    fcntl.flock(looker, fcntl.LOCK_SH)
    timer = threading.Timer(0.1, looker.close)
    timer.start()
    lock = Lock(tmp_path)
    lock.take()
    timer.join()
    assert read_facts(tmp_path) == {"pid": os.getpid()}
    lock.give_back()
    assert read_facts(tmp_path) == {}


def test_an_owner_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Lock(tmp_path)
    first.take()
    monkeypatch.setattr("stockwatch.supervisor.lock.time.sleep", lambda _seconds: pytest.fail("waited"))
    with pytest.raises(AlreadyRunningError, match=rf"already running \(process {os.getpid()}\)"):
        Lock(tmp_path).take()
    first.give_back()


def test_a_disk_without_locks_is_not_another_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_file: object, _kind: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(UnavailableError, match=r"cannot be locked \(No locks available\).*supervisor\.data_dir"):
        Lock(tmp_path).take()
    assert not is_held(tmp_path)
