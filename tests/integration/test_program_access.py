"""The program open to a room: only the page listens there, it asks for its password, and no secret is anywhere to be read."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from program import Program, until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from stockwatch.dashboard import addresses

PASSWORD = "word-of-mine-7c1f"
SURFACES = ["gateway", "health", "page"]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Started with umask 0, in a data folder that was there and open to all."""
    program = Program(tmp_path_factory.mktemp("room"))
    program.write(dashboard={"port": 0, "host": "0.0.0.0", "allowed_hosts": ["stocks.example"]})
    program.data_dir.mkdir()
    program.data_dir.chmod(0o777)
    (program.data_dir / "stockwatch.log").touch(0o666)
    (program.data_dir / "stockwatch.log").chmod(0o666)
    before = os.umask(0)
    os.environ["STOCKWATCH_DASHBOARD__PASSWORD"] = PASSWORD
    try:
        try:
            program.start()
        finally:
            del os.environ["STOCKWATCH_DASHBOARD__PASSWORD"]
            os.umask(before)
        yield program
    finally:
        program.kill()


def page_port(room: Program) -> int:
    return int(room.health()["dashboard_url"].rsplit(":", 1)[1])


def from_the_room(room: Program) -> str:
    """The page as others reach it: by the address on the console, else by another one of loopback's."""
    urls = addresses.room_urls("0.0.0.0", page_port(room))
    return urls[0] if urls else f"http://127.0.0.2:{page_port(room)}"


def surface(room: Program, name: str) -> str:
    health = room.health()
    return {
        "gateway": f"{health['clickhouse_url']}/ping",
        "health": f"http://127.0.0.1:{room.health_port}/health",
        "page": f"{health['dashboard_url']}/_stcore/health",
    }[name]


def test_only_the_page_listens_beyond_loopback(room: Program) -> None:
    assert room.process is not None
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in (psutil.Process(room.process.pid), *room.children())
        for connection in process.net_connections("all")
        if connection.status == psutil.CONN_LISTEN
    }
    outside = {port for address, port in listening if not address.startswith("127.") and address != "::1"}
    assert outside == {page_port(room)}
    assert len(listening) == 4  # page, health, store, broker


def test_the_console_says_what_to_type(room: Program) -> None:
    said = (
        next(line for line in room.console().splitlines() if "open to this network" in line)
        if addresses.room_urls("0.0.0.0", 1)
        else ""
    )
    for url in addresses.room_urls("0.0.0.0", page_port(room)):
        assert url in said
    assert f"The page: http://127.0.0.1:{page_port(room)}" in room.console()


def test_the_page_asks_for_its_password_from_everywhere(room: Program) -> None:
    for base in (from_the_room(room), room.health()["dashboard_url"]):
        with httpx.Client(base_url=base, timeout=10) as asked:
            assert asked.get("/", headers={"Accept": "text/html"}).status_code == 401
            assert asked.get("/_stcore/host-config").status_code == 401
            until(
                lambda asked=asked: asked.post("/stockwatch/login", data={"password": PASSWORD}).status_code == 303, 10, "let in"
            )
            assert asked.get("/").status_code == 200
            assert "Streamlit" in asked.get("/").text
            cookie = "; ".join(f"{name}={value}" for name, value in asked.cookies.items())
        stream = f"{base.replace('http', 'ws', 1)}/_stcore/stream"
        with connect(stream, additional_headers={"Cookie": cookie, "Origin": base}, proxy=None):
            pass
        for headers in (
            {"Origin": base},
            {"Cookie": cookie, "Origin": "http://evil.example"},
            {"Cookie": cookie, "Origin": "null"},
        ):
            with pytest.raises(InvalidStatus) as refused, connect(stream, additional_headers=headers, proxy=None):
                pass
            assert refused.value.response.status_code == 403


@pytest.mark.parametrize("name", SURFACES)
def test_every_surface_refuses_a_strange_host(room: Program, name: str) -> None:
    url = surface(room, name)
    port = url.split(":")[2].split("/")[0]
    for host in ("evil.example", f"evil.example:{port}", f"localhost.evil.example:{port}"):
        assert httpx.get(url, headers={"Host": host}, timeout=10).status_code == 400
    for host in (f"localhost:{port}", "127.0.0.1", f"[::1]:{port}"):
        assert httpx.get(url, headers={"Host": host}, timeout=10).status_code == 200
    assert httpx.get(url, headers={"Host": "stocks.example"}, timeout=10).status_code == (200 if name == "page" else 400)


@pytest.mark.parametrize("name", ["health", "page"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1"])
def test_another_sites_form_is_refused(room: Program, name: str, origin: str) -> None:
    url = surface(room, name)
    assert httpx.post(url, headers={"Origin": origin}, data={"password": PASSWORD}, timeout=10).status_code == 403
    assert httpx.get(url, headers={"Origin": origin}, timeout=10).status_code == 403


def test_a_login_from_another_sites_form_is_refused(room: Program) -> None:
    url = f"{room.health()['dashboard_url']}/stockwatch/login"
    answer = httpx.post(url, headers={"Origin": "http://evil.example"}, data={"password": PASSWORD}, timeout=10)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


def test_what_is_written_is_for_this_user_alone(room: Program) -> None:
    assert stat.S_IMODE(room.data_dir.stat().st_mode) == 0o700
    wide = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in room.data_dir.iterdir() if path.stat().st_mode & 0o077}
    assert wide == {}


def test_no_secret_is_to_be_read_anywhere(room: Program) -> None:
    secrets = {PASSWORD, *((room.data_dir / f"clickhouse{kind}.password").read_text().strip() for kind in ("", ".reader"))}
    httpx.post(
        f"{room.health()['clickhouse_url']}/", params={"user": "stockwatch", "password": "x"}, content="SELECT 1", timeout=10
    )
    bad = httpx.get(
        f"{room.health()['clickhouse_url']}/",
        params={"user": "reader", "password": next(iter(secrets)), "query": "S"},
        timeout=10,
    )
    told = room.console() + json.dumps(room.health()) + room.run("status").stdout + room.run("status", "--json").stdout + bad.text
    told += httpx.get(f"{room.health()['dashboard_url']}/", headers={"Accept": "text/html"}, timeout=10).text
    for file in room.data_dir.glob("*.log*"):
        told += file.read_text(errors="replace")
    for child in room.children():
        told += " ".join(child.cmdline())
        if "streamlit" in " ".join(child.cmdline()):
            told += json.dumps(child.environ())
    assert room.process is not None
    told += " ".join(psutil.Process(room.process.pid).cmdline())
    assert all(len(secret) > 12 for secret in secrets)
    assert [secret[:4] for secret in secrets if secret in told] == []


def test_the_page_is_told_no_secret_of_other_parts(tmp_path: Path) -> None:
    from stockwatch.component import StoreAddress
    from stockwatch.dashboard.connection import Connection
    from stockwatch.settings import load

    (tmp_path / "settings.toml").write_text(
        '[kafka]\nbootstrap_servers = "h:1"\nsecurity_protocol = "SASL_SSL"\nsasl_mechanism = "PLAIN"\nsasl_username = "u"\nsasl_password = "secret-1"\n'
        '[clickhouse]\nurl = "http://u:secret-2@h:1"\ncluster = "c"\n[alerts]\nwebhook_url = "http://h/secret-3"\n[market]\nproxy = "http://u:secret-4@h:1"\n'
    )
    file = tmp_path / "dashboard.json"
    Connection(load(tmp_path / "settings.toml"), StoreAddress("http://h:1"), "http://127.0.0.1:1/health").save(file)
    assert "secret" not in file.read_text()
    assert Connection.load(file).settings.kafka.sasl_username == "u"
