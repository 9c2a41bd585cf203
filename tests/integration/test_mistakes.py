"""Twenty mistakes in settings and arguments: each one line that says what, where and what is allowed; nothing is started."""

from __future__ import annotations

import os

import pytest
from program import Program

ARGUMENTS = [
    (["--source", "yahooo"], 2, "market.source"),
    (["--settings", "nowhere.toml"], 2, "nowhere.toml is no file"),
    (["--only", "kafkaa"], 2, "there are kafka"),
    (["--nonsense"], 2, "--nonsense"),
    (["nonsense"], 2, "nonsense"),
    (["export", "--format", "csv", "--out", "x.csv"], 1, "nothing is stored"),
    (["export", "--symbol", "A", "--format", "doc", "--out", "x"], 2, "--format"),
    (["export", "--symbol", "A", "--format", "csv", "--out", "x.csv", "--from", "yesterday"], 2, "--from yesterday"),
    (["export", "--symbol", "A", "--format", "csv", "--out", "x.csv", "--from", "2026-02-02", "--to", "2026-02-01"], 2, "before"),
    (["export", "--symbol", "A", "--format", "csv", "--out", "no/such/x.csv"], 1, "no folder"),
    (["export", "--symbol", "A", "--format", "csv", "--out", "x.csv"], 1, "nothing is stored"),
    (["record"], 2, "--out"),
    (["--source", ""], 2, "market.source"),
]
FILES = [
    ("[market]\npoll_seconds = 0\n", "market.poll_seconds = 0"),
    ("[market]\npol_seconds = 5\n", "did you mean market.poll_seconds"),
    ("[markt]\npoll_seconds = 5\n", "did you mean market"),
    ("[market]\ntickers = []\n", "market.tickers = []: must have at least 1 item"),
    ('[market]\ntickers = "AAPL"\n', 'market.tickers = "AAPL": must be a list'),
    ('[market]\nca_file = "none.pem"\n', "market.ca_file"),
    ('[kafka]\nbootstrap_servers = "localhost:99999"\n', "at most 65535"),
    ("[[alerts.rules]]\nsymbl = 1\n", "is no setting"),
    ('[market]\ntickers = ["A B"]\n', "is no ticker"),
    ('[market]\nsource = "replay"\n', "market.replay_file"),
    ('[market]\nsource = "replay"\nreplay_file = "none.csv"\n', "is no file"),
    ('[market]\nreplay_timezone = "Asia/Calcuta"\n', "did you mean Asia/Calcutta"),
    ('[kafka]\nbootstrap_servers = "localhost"\n', "host:port"),
    ('[clickhouse]\nurl = "tcp://u:word-of-mine@h:9000"\n', "clickhouse.url"),
    ("[clickhouse]\nretention_days = 0\n", "clickhouse.retention_days = 0"),
    ("[dashboard]\ncandle_minutes = 7\n", "1, 2, 5, 10, 15, 30 or 60"),
    ('[dashboard]\nhost = "0.0.0.0"\n', "dashboard.password"),
    ('[dashboard]\nhost = "0.0.0.0"\npassword = "word-of"\n', "dashboard.password: must have 8 to 1000 characters"),
    ('[dashboard]\nhost = "http://0.0.0.0"\npassword = "word-of-mine"\n', "dashboard.host"),
    ('[dashboard]\nallowed_hosts = ["*"]\n', "dashboard.allowed_hosts"),
    ('[dashboard]\npowerbi_url = "https://evil.example/view"\n', "app.powerbi.com"),
    ("[supervisor]\nhealth_port = 70000\n", "supervisor.health_port = 70000"),
    ("[market\n", "is not TOML"),
]
ENVIRONMENT = [
    ("STOCKWATCH_MARKET__TICKERS", "AAPL", "must be a list as JSON"),
    ("STOCKWATCH_MARKET__SEDE", "1", "did you mean STOCKWATCH_MARKET__SEED"),
    ("STOCKWATCH_SUPERVISER__LOG_LEVEL", "INFO", "did you mean STOCKWATCH_SUPERVISOR__LOG_LEVEL"),
    ("STOCKWATCH_CLICKHOUSE__URL", "mysql://u:word-of-mine@h", "clickhouse.url"),
]


def check(program: Program, arguments: list[str], code: int, said: str) -> None:
    done = program.run(*arguments)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("stockwatch: ")
    assert said in done.stderr
    assert "word-of-mine" not in done.stderr
    assert done.stdout == ""
    assert not (program.data_dir / "clickhouse").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"), ARGUMENTS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_wrong_argument(program: Program, arguments: list[str], code: int, said: str) -> None:
    if "--settings" in arguments:
        program.settings.unlink()
        program.settings = program.folder / arguments[1]
        arguments = []
    check(program, arguments, code, said)


@pytest.mark.parametrize(("text", "said"), FILES)
def test_a_wrong_setting_in_the_file(program: Program, text: str, said: str) -> None:
    program.settings.write_text(
        text + ("" if "[supervisor]" in text or text == "[market\n" else '[supervisor]\ndata_dir = "data"\n')
    )
    check(program, [], 2, said)


@pytest.mark.parametrize(("name", "value", "said"), ENVIRONMENT)
def test_a_wrong_setting_in_the_environment(
    program: Program, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setitem(os.environ, name, value)
    check(program, [], 2, said)


def test_a_folder_that_cannot_be_made_is_said(program: Program) -> None:
    (program.folder / "file").write_text("")
    program.settings.write_text('[market]\nsource = "simulator"\n[supervisor]\ndata_dir = "file/below"\n')
    check(program, [], 1, "supervisor.data_dir")
