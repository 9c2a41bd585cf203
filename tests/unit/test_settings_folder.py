"""The data folder is this user's alone; one that holds other things is left as it is; one for everybody is refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from stockwatch.errors import UnavailableError, UsageError
from stockwatch.settings.folder import make_data_dir


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_and_what_is_written_in_it_are_this_user_s_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "data"
    make_data_dir(folder)
    (folder / "clickhouse.password").write_text("x")
    assert (mode(folder), mode(folder / "clickhouse.password")) == (0o700, 0o600)


@pytest.mark.parametrize("left", [(), ("lock",), ("stockwatch.log", "notes.txt"), ("clickhouse.password",)])
def test_our_own_folder_that_was_open_to_others_is_closed(tmp_path: Path, left: tuple[str, ...]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o777)
    for name in left:
        (folder / name).write_text("x")
    make_data_dir(folder)
    assert mode(folder) == 0o700
    assert all(mode(path) == 0o600 for path in folder.iterdir())


@pytest.mark.parametrize("open_to", [0o755, 0o775, 0o700])
def test_a_folder_that_holds_other_things_is_left_as_it_is(tmp_path: Path, open_to: int) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    folder.chmod(open_to)
    (folder / "letter.txt").write_text("mine")
    before = {path: (path.stat().st_mode, path.stat().st_mtime_ns) for path in (folder, folder / "letter.txt")}
    make_data_dir(folder)
    assert {path: (path.stat().st_mode, path.stat().st_mtime_ns) for path in before} == before
    (folder / "clickhouse.password").write_text("x")
    assert mode(folder / "clickhouse.password") == 0o600


def test_one_that_everybody_may_write_in_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"supervisor\.data_dir: .*home is a folder in which everybody may write") as caught:
        make_data_dir(folder)
    assert "\n" not in str(caught.value)
    assert mode(folder) == 0o777
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


def test_a_folder_for_many_is_refused_whatever_of_ours_lies_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    (folder / "stockwatch.log").write_text("")
    with pytest.raises(UsageError):
        make_data_dir(folder)
    assert mode(folder) == 0o1777


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match=r"supervisor\.data_dir"):
        make_data_dir(tmp_path / "file" / "below")
