"""The command line of `export`: the format that a name tells, what it says, and the file for Power BI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from export_table import Table

from stockwatch import assembly, cli, export
from stockwatch.commands.export import Progress
from stockwatch.settings import Settings


@pytest.fixture(autouse=True)
def _stored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two symbols of the simulator are stored; commands run in an empty folder with default settings."""

    @contextmanager
    def open_store(_settings: Settings) -> Iterator[tuple[Table, str]]:
        yield Table("TCS.NS", "AAPL", source="simulator"), "simulator"

    monkeypatch.setattr(assembly, "open_store", open_store)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.toml").touch()


def run(*arguments: str) -> int:
    return cli.main(["export", "--settings", "settings.toml", *arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "x.csv"), "216 candles of 2 symbols (simulator, SIMULATED) → x.csv"),
        (("--symbol", "all", "--out", "X.PARQUET"), "216 candles of 2 symbols (simulator, SIMULATED) → X.PARQUET"),
        (("--symbol", "tcs.ns", "--what", "ticks", "--out", "x.xlsx"), "540 ticks of TCS.NS (simulator, SIMULATED) → x.xlsx"),
        (("--symbol", "AAPL", "--format", "csv", "--out", "x.txt"), "108 candles of AAPL (simulator, SIMULATED) → x.txt"),
        (("--from", "2035-01-01", "--out", "x.csv"), "0 candles of 2 symbols (simulator, SIMULATED) → x.csv"),
    ],
)
def test_a_name_tells_the_format_and_no_symbol_means_all(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert run(*arguments) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == (f"{said}\n", "")
    head = (tmp_path / arguments[-1]).read_bytes()[:6]
    assert head.startswith(b"PAR1" if arguments[-1] == "X.PARQUET" else b"PK" if arguments[-1] == "x.xlsx" else b"symbol")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--format", "csv", "--out", "x.XLSX"), 2, "--format csv --out x.XLSX: the name says xlsx"),
        (("--out", "x.doc"), 2, "--format: must be csv, xlsx, parquet, or --out must end so; x.doc does not"),
        (("--out", "x"), 2, "--format: must be"),
        (("--out", "x.csv", "--from", "2026-02-02", "--to", "2026-02-01"), 2, "--from must be before --to"),
        (("--out", "x.csv", "--to", "soon"), 2, "--to soon: must be an ISO date"),
        (("--out", "none/x.csv"), 1, "is no folder"),
        (("--out", "x.csv", "--source", "yahoo"), 1, "--symbol all: nothing is stored from yahoo; there is nothing of it"),
        (("--out", "x.csv", "--symbol", "SBIN.NS"), 1, "--symbol SBIN.NS: nothing is stored of it from simulator; it has AAPL, TCS.NS"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    assert run(*arguments) == code
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert said in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["settings.toml"]


def test_no_progress_where_nobody_looks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stockwatch.commands.export.PROGRESS_SECONDS", 0.0)
    progress = Progress("ticks")
    progress.seen(1_000_000)
    progress.end()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress.seen(1_000_000)
    assert capsys.readouterr().err.startswith("\r1,000,000 ticks so far, ")
    progress.end()
    assert capsys.readouterr().err.replace(" ", "") == "\r\r"


@pytest.mark.parametrize(
    ("url", "server", "port", "more"),
    [
        ("http://127.0.0.1:49045", "127.0.0.1", "49045", {}),
        ("http://clickhouse.example", "clickhouse.example", "8123", {}),
        ("https://someone:hidden-word@ch.example", "ch.example", "8443", {"sslmode": "require"}),
        ("https://[::1]:443/", "::1", "443", {"sslmode": "require"}),
    ],
)
def test_power_bi_is_told_where_the_store_is_and_no_secret(url: str, server: str, port: str, more: dict[str, str]) -> None:
    text = export.data_source(url, "stockwatch")
    assert "hidden-word" not in text
    assert "someone" not in text
    told = json.loads(text)
    assert told["version"] == "0.1"
    (connection,) = told["connections"]
    assert connection["mode"] == "Import"
    assert connection["details"] == {
        "protocol": "odbc",
        "address": {
            "options": {
                "driver": "ClickHouse ODBC Driver (Unicode)", "server": server, "port": port, "database": "stockwatch", **more,
            }
        },
    }  # fmt: skip
