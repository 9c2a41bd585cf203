"""Which address to type, and under which names the page may be asked for."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import psutil
import pytest

from stockwatch.dashboard import addresses


def _net(monkeypatch: pytest.MonkeyPatch, **interfaces: list[str]) -> None:
    found = {
        name: [SimpleNamespace(family=socket.AF_INET6 if ":" in item else socket.AF_INET, address=item) for item in items]
        for name, items in interfaces.items()
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)
    monkeypatch.setattr(psutil, "net_if_stats", lambda: {name: SimpleNamespace(isup=name != "down0") for name in interfaces})


def test_the_room_types_the_lan_address(monkeypatch: pytest.MonkeyPatch) -> None:
    _net(
        monkeypatch, lo=["127.0.0.1", "::1"], docker0=["172.17.0.1"], down0=["10.9.9.9"], wlan0=["192.168.1.20", "fe80::1%wlan0", "2001:db8::5"],
        tun0=["203.0.113.9"],
    )  # fmt: skip
    assert addresses.room_urls("0.0.0.0", 8501) == ["http://192.168.1.20:8501", "http://203.0.113.9:8501"]
    assert addresses.room_urls("::", 8501)[-1] == "http://[2001:db8::5]:8501"
    assert addresses.room_urls("192.168.1.20", 80) == ["http://192.168.1.20:80"]
    assert addresses.room_urls("127.0.0.1", 8501) == addresses.room_urls("localhost", 8501) == []


def test_this_machine_reaches_it_by_an_address_of_its_own() -> None:
    assert addresses.url(addresses.reachable("0.0.0.0"), 1) == "http://127.0.0.1:1"
    assert addresses.url(addresses.reachable("::"), 1) == "http://[::1]:1"
    assert addresses.url(addresses.reachable("192.168.1.20"), 1) == "http://192.168.1.20:1"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "192.168.1.20"])
def test_loopback_is_always_answered(host: str, name: str) -> None:
    assert addresses.admitted(host, ())(name)


def test_on_loopback_nothing_else_is_answered() -> None:
    admits = addresses.admitted("127.0.0.1", ("Stocks.Example",))
    assert admits("stocks.example")
    for name in ("192.168.1.20", "evil.example", socket.gethostname().lower() + ".evil.example", "0.0.0.0", ""):
        assert not admits(name)


def test_in_a_room_addresses_and_this_machines_name_are_answered_and_no_other_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Desk.lan")
    admits = addresses.admitted("0.0.0.0", ())
    for name in ("192.168.1.20", "2001:db8::5", "desk.lan", "desk", "desk.local"):
        assert admits(name)
    for name in ("evil.example", "desk.evil.example", "lan", "192.168.1.20.evil.example", "0x7f.1"):
        assert not admits(name)
