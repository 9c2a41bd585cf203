"""Who owns a data folder: only a lock that is held says that somebody is there."""

from __future__ import annotations

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
