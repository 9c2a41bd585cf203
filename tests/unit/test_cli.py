"""The command line: options before a command, and the console that stays open."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest
from console import on_a_console
from program import ROOT

from stockwatch import cli
from stockwatch.commands import check, export, record, status
from stockwatch.settings import Settings

Seen = list[tuple[Settings, object]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What a command was given: the settings, and its arguments."""
    told: Seen = []

    def run(settings: Settings, asked: object = None) -> int:
        told.append((settings, asked))
        return 0

    for command in (export, record, status):
        monkeypatch.setattr(command, "run", run)
    return told


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "other.toml"
    path.write_text('[kafka]\ntopic = "of-the-other-file"\n')
    return str(path)


@pytest.mark.parametrize(
    "command", [["status"], ["record", "--out", "x.jsonl"], ["export", "--out", "x.csv"]], ids=lambda c: c[0]
)
def test_settings_are_heard_before_a_command_and_after_it(seen: Seen, file: str, command: list[str]) -> None:
    assert cli.main(["--settings", file, *command]) == 0
    assert cli.main([*command, "--settings", file]) == 0
    assert [settings.kafka.topic for settings, _asked in seen] == ["of-the-other-file"] * 2


def test_settings_that_are_no_file_are_refused_before_a_command(seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--settings", "nowhere.toml", "status"]) == 2
    assert "nowhere.toml is no file" in capsys.readouterr().err
    assert not seen


def test_a_source_is_heard_before_a_command(seen: Seen, file: str) -> None:
    cli.main(["--settings", file, "--source", "simulator", "record", "--out", "x.jsonl"])
    assert seen[-1][0].market.source == "simulator"
    for arguments in (["--source", "replay:a.b", "export"], ["export", "--source", "replay:a.b"]):
        cli.main([*arguments, "--settings", file, "--out", "x.csv"])
        asked = seen[-1][1]
        assert isinstance(asked, argparse.Namespace)
        assert asked.source == "replay:a.b"
    cli.main(["export", "--settings", file, "--out", "x.csv"])
    assert isinstance(seen[-1][1], argparse.Namespace)
    assert seen[-1][1].source is None


@pytest.mark.parametrize("before", [[], ["--no-browser"], ["--debug"], ["--settings", "test"]])
@pytest.mark.parametrize("after", [[], ["-k", "a or b", "--debug", "tests/unit"], ["--faults", "-x"]])
def test_test_runs_the_tests_and_all_that_follows_is_pytests(
    monkeypatch: pytest.MonkeyPatch, before: list[str], after: list[str]
) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(check, "run", lambda arguments: given.append(arguments) or 0)
    assert cli.main([*before, "test", *after]) == 0
    assert given == [after]


def left(*arguments: str, keep_open: bool) -> tuple[int, str]:
    """The exit code and what was said on a console."""
    code = f"from stockwatch.cli import leave; leave({keep_open})"
    return on_a_console([sys.executable, "-c", code, *arguments], b"\n", cwd=ROOT)


def test_an_error_stays_on_a_console_of_our_own_until_enter() -> None:
    code, said = left("--nonsense", keep_open=True)
    assert code == 2
    assert said.splitlines()[-3].startswith("stockwatch: ")
    assert "Press Enter to close." in said
    assert "Press Enter" not in left("--nonsense", keep_open=False)[1]
    assert left("--help", keep_open=True)[0] == 0
    assert "Press Enter" not in left("--help", keep_open=True)[1]
