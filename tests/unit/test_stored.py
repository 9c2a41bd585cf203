"""Which store a command opens, and whose prices it means: of what runs, else of what is configured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from answering import answering, http

from stockwatch import cli, sessions
from stockwatch.assembly import open_store, stored
from stockwatch.commands import status
from stockwatch.component import StoreAddress
from stockwatch.errors import NotRunningError, UnavailableError
from stockwatch.settings import Settings, load
from stockwatch.supervisor.lock import Lock


class Table:
    """A store in which prices of both kinds stand."""

    opened: StoreAddress

    def __init__(self, address: StoreAddress) -> None:
        Table.opened = address

    def sources(self) -> list[str]:
        return ["yahoo", "simulator"]

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "Store", Table)


def settings(tmp_path: Path, **sections: dict[str, Any]) -> Settings:
    return load(tmp_path / "settings.toml", {"supervisor": {"data_dir": str(tmp_path)}, **sections})


def health(code: str, source: str, clickhouse: str = "running", url: str = "") -> bytes:
    parts = [{"name": "clickhouse", "state": clickhouse}, {"name": "producer", "state": "degraded"}]
    return http(code, json.dumps({"state": "degraded", "source": source, "clickhouse_url": url, "components": parts}))


@contextmanager
def instance(tmp_path: Path, answer: bytes, url: str | None = "http://127.0.0.1:1") -> Iterator[None]:
    """It has the data folder, and its health answers so."""
    lock = Lock(tmp_path)
    lock.take()
    with answering(answer) as port:
        lock.say(health_url=f"http://127.0.0.1:{port}/health", clickhouse_url=url)
        try:
            yield
        finally:
            lock.give_back()


@pytest.mark.parametrize("code", ["200 OK", "503 Service Unavailable"])
def test_the_source_that_runs_is_meant_also_while_not_all_is_well(tmp_path: Path, code: str) -> None:
    with instance(tmp_path, health(code, "simulator")), open_store(settings(tmp_path)) as (_store, source):
        assert source == "simulator"
    assert Table.opened.url == "http://127.0.0.1:1"


def test_while_nobody_answers_the_configured_source_is_meant(tmp_path: Path) -> None:
    chosen = settings(tmp_path, market={"source": "simulator"})
    with instance(tmp_path, b"rubbish\r\n"), open_store(chosen) as (_store, source):
        assert source == "simulator"


@pytest.mark.parametrize(("said", "named"), [("auto", "yahoo"), ("yahoo-stream", "yahoo"), ("replay:RELIANCE.NS",) * 2])
def test_a_source_is_named_as_in_the_tables(tmp_path: Path, said: str, named: str) -> None:
    with instance(tmp_path, health("200 OK", said)), open_store(settings(tmp_path)) as (_store, source):
        assert source == named


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("RELIANCE.NS.csv", "replay:RELIANCE.NS"),
        ("RELIANCE.NS.csv.gz", "replay:RELIANCE.NS"),
        ("ES.CSV.GZ", "replay:ES"),
        ("class.parquet", "replay:class"),
        ("plain", "replay:plain"),
    ],
)
def test_a_recording_is_named_by_its_stem_wherever_it_is_named(tmp_path: Path, file: str, named: str) -> None:
    assert sessions.replay_source(Path(file)) == named
    (tmp_path / file).touch()
    chosen = settings(tmp_path, market={"source": "replay", "replay_file": str(tmp_path / file)})
    with instance(tmp_path, b""), open_store(chosen) as (_store, source):
        assert source == named


@pytest.mark.parametrize(("url", "state"), [(None, "running"), ("http://127.0.0.1:1", "starting")])
def test_a_store_that_is_not_open_yet_is_one_line(tmp_path: Path, url: str | None, state: str) -> None:
    with (
        instance(tmp_path, health("503 Service Unavailable", "auto", state), url),
        pytest.raises(UnavailableError, match=r"stockwatch \(process \d+\) is starting on .*: try again in a moment"),
        open_store(settings(tmp_path)),
    ):
        pass


@pytest.mark.parametrize(("theirs", "source"), [("http://127.0.0.1:9", "simulator"), ("http://127.0.0.1:8", "yahoo")])
def test_an_instance_on_the_same_external_store_is_asked_though_it_has_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: str, source: str
) -> None:
    """One that writes elsewhere says nothing of this store."""
    monkeypatch.setattr("stockwatch.engines.external.ExternalClickHouse.start", lambda _self: None)
    monkeypatch.setattr("stockwatch.engines.external.ExternalClickHouse.ready", lambda _self: True)
    engines = {"kafka": {"bootstrap_servers": "127.0.0.1:9"}, "clickhouse": {"url": "http://user:word@127.0.0.1:9"}}
    with answering(health("503 Service Unavailable", "simulator", url=theirs)) as port:
        chosen = settings(tmp_path, supervisor={"data_dir": str(tmp_path), "health_port": port}, **engines)
        with open_store(chosen) as (_store, named):
            assert named == source


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b"", http("200 OK", "[]"), http("404 Not Found", "{}")])
def test_status_where_something_else_answers_is_that_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    with answering(answer) as port:
        path = tmp_path / "settings.toml"
        path.write_text(f'[supervisor]\nhealth_port = {port}\ndata_dir = "data"\n')
        assert cli.main(["status", "--settings", str(path)]) == 3
        assert capsys.readouterr().err.count("\n") == 1
        with pytest.raises(NotRunningError):
            status.ask(load(path))


def test_no_proxy_answers_for_an_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(health("200 OK", "yahoo")) as proxy, instance(tmp_path, health("200 OK", "simulator")):
        monkeypatch.setattr("urllib.request._opener", None)  # it keeps the proxies of its first use
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert status.ask(settings(tmp_path))["source"] == "simulator"
