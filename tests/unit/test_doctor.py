"""`doctor`: one line a finding, exit 1 where it cannot run; real sockets and folders."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from program import free_port

from stockwatch.commands import doctor
from stockwatch.settings import load


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Yahoo is not asked for in a test."""
    monkeypatch.setattr(doctor, "YAHOO", ("127.0.0.1", free_port()))


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def told(folder: Path, text: str = "") -> dict[str, tuple[bool, bool]]:
    """Each line, and whether it is good and whether it stops."""
    settings = folder / "settings.toml"
    settings.write_text(text)
    return {finding.text: (finding.good, finding.stops) for finding in doctor.examine(load(settings))}


GOOD, NOTE, STOPS = (True, False), (False, False), (False, True)


def test_a_new_folder_can_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(tmp_path)
    assert [text for text, (_good, stops) in found.items() if stops] == []
    assert found["Yahoo cannot be reached: prices will be simulated unless a proxy is set"] == NOTE
    assert found["time zones"] == GOOD
    assert not (tmp_path / ".stockwatch").exists()  # it only looks
    assert doctor.run(load(tmp_path / "settings.toml")) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(found)


def test_a_port_that_is_taken_stops_only_where_it_was_chosen(tmp_path: Path, taken: int) -> None:
    assert told(tmp_path, f"[dashboard]\nport = {taken}\n")[f"dashboard.port {taken} is taken: choose another"] == STOPS
    assert doctor.run(load(tmp_path / "settings.toml")) == 1


def test_engines_by_address(tmp_path: Path, taken: int) -> None:
    closed = free_port()
    found = told(
        tmp_path,
        f'[kafka]\nbootstrap_servers = "127.0.0.1:{closed},127.0.0.1:{taken}"\n'
        f'[clickhouse]\nurl = "http://me:word@127.0.0.1:{closed}"\n',
    )
    assert found[f"Kafka at 127.0.0.1:{closed} cannot be reached"] == NOTE  # the other one is enough
    assert found[f"Kafka at 127.0.0.1:{taken} can be reached"] == GOOD
    assert found[f"ClickHouse at http://127.0.0.1:{closed} cannot be reached"] == STOPS
    found = told(tmp_path, f'[kafka]\nbootstrap_servers = "127.0.0.1:{closed}"\n')
    assert found[f"Kafka at 127.0.0.1:{closed} cannot be reached"] == STOPS


@pytest.mark.parametrize(
    ("open_to", "left", "said"),
    [
        (0o777, "notes.txt", ("is a folder in which everybody may write: name one of its own in it", STOPS)),
        (0o755, "notes.txt", ("holds other things, which stay as open to others as they are", NOTE)),
    ],
)
def test_a_folder_of_others(tmp_path: Path, open_to: int, left: str, said: tuple[str, tuple[bool, bool]]) -> None:
    folder = tmp_path / ".stockwatch"
    folder.mkdir()
    (folder / left).touch()
    folder.chmod(open_to)
    assert told(tmp_path)[f"supervisor.data_dir: {folder} {said[0]}"] == said[1]


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / ".stockwatch").touch()
    assert told(tmp_path)[f"supervisor.data_dir: {tmp_path / '.stockwatch'} is a file, not a folder"] == STOPS


def test_a_recording_that_is_not_there(tmp_path: Path) -> None:
    text = '[market]\nsource = "replay"\nreplay_file = "night.csv"\n'
    assert told(tmp_path, text)[f"market.replay_file: {tmp_path / 'night.csv'} is no file"] == STOPS
    (tmp_path / "night.csv").touch()
    assert told(tmp_path, text)[f"market.replay_file: {tmp_path / 'night.csv'} is there"] == GOOD
