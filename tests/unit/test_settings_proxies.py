"""A proxy in the environment stays the internet's, and is not asked for what listens on this machine."""

from __future__ import annotations

import os
import urllib.request

import pytest
from clickhouse_connect.driver.httputil import check_env_proxy

from stockwatch.settings.proxies import spare_loopback

PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("no_proxy", "NO_PROXY"):  # so that what is written there is taken back
        monkeypatch.setenv(name, "")


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_the_engines_and_health_are_reached_without_the_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, PROXY)
    assert not urllib.request.proxy_bypass("127.0.0.1:8600")
    spare_loopback()
    for host in ("127.0.0.1", "localhost"):
        assert urllib.request.proxy_bypass(f"{host}:8600")
    for host in ("127.0.0.1", "localhost", "::1"):
        assert check_env_proxy("http", host, 8123) is None


def test_the_internet_keeps_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", PROXY)
    spare_loopback()
    assert urllib.request.getproxies()["https"] == PROXY
    assert not urllib.request.proxy_bypass("query1.finance.yahoo.com")
    assert check_env_proxy("https", "clickhouse.example", 8443) == PROXY


def test_what_is_spared_already_stays_so_in_both_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", PROXY)
    monkeypatch.setenv("NO_PROXY", "localhost, .corp.example")
    spare_loopback()
    spare_loopback()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "localhost,.corp.example,127.0.0.1,::1"
    assert urllib.request.proxy_bypass("kafka.corp.example")


def test_a_star_means_no_proxy_at_all_only_while_it_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", PROXY)
    monkeypatch.setenv("no_proxy", "*")
    spare_loopback()
    assert os.environ["no_proxy"] == "*"
    assert urllib.request.proxy_bypass("anything.example")


def test_without_a_proxy_in_the_environment_the_system_is_still_asked_for_one() -> None:
    spare_loopback()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == ""
