"""The page on Yahoo: live, closed, unknown, and the change from simulated to real prices."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accessible import violations
from playwright.sync_api import Browser, Page
from program import Program, free_port, until
from scripted_market import ScriptedMarket
from viewer import Viewer
from yahoo_day import TICKERS, backfilled, differences, exported, market_around_now, settings
from yahoo_stub import YahooStub

SECONDARY = "rgb(74, 87, 100)"


@pytest.fixture(scope="module")
def yahoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The program on Yahoo: BTC-USD trades, ETH-USD is closed, SOL-USD has been silent for 90 s, GONE-USD is unknown."""
    program = Program(tmp_path_factory.mktemp("yahoo"))
    with YahooStub(program.folder) as stub:
        now = int(time.time())
        stub.market = market = ScriptedMarket([*TICKERS[:2], "SOL-USD"], now - 2 * 86_400, now + 3_600, time.time)
        market.closed.add("ETH-USD")
        market.trades["SOL-USD"] = market.trades["SOL-USD"].query(f"at <= {now - 90} * 1000")
        program.write(
            market={**settings(stub), "tickers": [*TICKERS, "SOL-USD"]}, dashboard={"port": 0, "live_refresh_seconds": 1}
        )
        program.start()
        until(lambda: backfilled(program), 30, "the backfill")
        yield program
        program.kill()


@pytest.fixture
def page(browser: Browser, yahoo: Program) -> Iterator[Viewer]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    yield Viewer(page, yahoo.health()["dashboard_url"])
    page.close()


def test_real_prices_are_live_and_an_unknown_ticker_has_its_line(page: Viewer) -> None:
    shown = page.open("/?ticker=BTC-USD")
    assert shown.inner_text(".sw-badge") == "LIVE Yahoo"
    assert "GONE-USD: Yahoo does not know this ticker" in shown.inner_text(".sw-notices")
    assert len(shown.query_selector_all(".boxes path")) == 50
    said = shown.inner_text("[data-component=producer]")
    assert "Yahoo is asked every 1 s" in said
    assert "requests" in said
    assert "SIMULATED" not in shown.inner_text("body")
    assert page.troubles == []


def test_a_closed_market_shows_its_last_session_and_says_so(page: Viewer) -> None:
    shown = page.open("/?ticker=ETH-USD")
    assert shown.inner_text(".sw-badge").startswith("LAST SESSION")
    for card in ("candles", "volume", "live"):
        assert "LAST SESSION" in shown.inner_text(f"[data-card={card}] .sw-tags")
    assert len(shown.query_selector_all(".boxes path")) == 50
    assert "Crypto closed" in shown.inner_text(".sw-session")
    assert shown.inner_text("[data-card=live] h2") == "Price"
    assert "Market closed" in shown.inner_text("[data-card=live] .sw-said")
    assert "forming" not in shown.inner_text("[data-card=candles] .sw-said")
    assert marker(shown) == ("rgb(255, 255, 255)", SECONDARY)
    assert shown.inner_text("[data-age]") == "—"
    assert violations(shown) == []


@pytest.mark.parametrize(
    ("scheme", "ink", "paper"), [("light", SECONDARY, "rgb(255, 255, 255)"), ("dark", "rgb(169, 181, 193)", "rgb(13, 18, 23)")]
)
def test_a_price_that_is_too_old_says_so_everywhere(browser: Browser, yahoo: Program, scheme: Any, ink: str, paper: str) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    shown = Viewer(page, yahoo.health()["dashboard_url"]).open("/?ticker=SOL-USD")
    shown.wait_for_selector(".sw-row .sw-stale")
    assert re.fullmatch(r"◆ stale · \d+ (s|min) old", shown.inner_text(".sw-row .sw-stale"))
    assert shown.evaluate("() => getComputedStyle(document.querySelector('.sw-price')).color") == ink
    assert "STALE" in shown.inner_text("[data-card=live] .sw-tags")
    assert "STALE" not in shown.inner_text("[data-card=volume] .sw-tags")
    assert marker(shown) == (paper, ink)
    assert shown.locator("[data-card=live] .js-line").first.evaluate("line => getComputedStyle(line).stroke") == ink
    assert "stale" in shown.inner_text(".sw-list tr[data-symbol=SOL-USD]")
    assert violations(shown) == []
    page.close()


def marker(page: Page) -> tuple[str, str]:
    """Fill and edge of the line's last point."""
    script = "point => [getComputedStyle(point).fill, getComputedStyle(point).stroke]"
    fill, edge = page.locator("[data-card=live] .points path").first.evaluate(script)
    return fill, edge


def test_an_unknown_ticker_is_no_empty_chart(page: Viewer) -> None:
    page.page.goto(f"{page.url}/?ticker=GONE-USD")
    page.page.wait_for_function("() => document.body.innerText.includes('No prices of GONE-USD')", timeout=15_000)


@pytest.mark.slow
@pytest.mark.timeout(120)  # auto asks once a minute
def test_offline_it_starts_simulated_and_changes_over_when_yahoo_appears_without_mixing(
    browser: Browser, program: Program, tmp_path: Path
) -> None:
    port = free_port()
    offline = YahooStub(tmp_path, port)
    offline.proxy_url = f"http://127.0.0.1:{port}"  # nobody there yet
    program.write(market=settings(offline, "auto"), dashboard={"port": 0, "live_refresh_seconds": 1})
    began = time.monotonic()
    program.start()
    assert program.health()["source"] == "simulator"
    assert "SIMULATED" in program.console()
    viewer = Viewer(browser.new_page(), program.health()["dashboard_url"])
    page = viewer.open("/?ticker=BTC-USD")
    assert page.inner_text(".sw-badge").startswith("SIMULATED")
    stored = program.store()
    with offline as stub:
        stub.market = market = market_around_now()
        until(lambda: program.health()["source"] == "yahoo", 80 - (time.monotonic() - began), "Yahoo in the simulator's place")
        page.wait_for_function("() => document.querySelector('.sw-badge')?.innerText.startsWith('LIVE')", timeout=15_000)
        assert "Real prices since" in page.inner_text(".sw-notices")
        # The mark goes from the charts with the simulated candles, a moment after the badge; never before them.
        unmarked = "() => ![...document.querySelectorAll('[data-card]')].some(card => card.innerText.includes('SIMULATED'))"
        page.wait_for_function(unmarked, timeout=15_000)
        until(lambda: backfilled(program), 20, "the backfill")
        producer = program.component("producer")
        assert "Yahoo answers since" in producer["detail"]
        asked = int(time.time()) * 1000 // 60_000 * 60_000 - 60_000
        assert "Prices now: yahoo; before: simulator (SIMULATED" in program.console()
        until(lambda: int(str(stored.command("SELECT count() FROM bars WHERE source = 'yahoo'"))) > 2_000, 15, "real bars")
        real, made_up = exported(program, "BTC-USD"), exported(program, "BTC-USD", "--source", "simulator")
        assert (set(real["source"]), set(real["simulated"])) == ({"yahoo"}, {False})
        assert (set(made_up["source"]), set(made_up["simulated"])) == ({"simulator"}, {True})
        assert differences(real, market, "BTC-USD", asked) == 0
        page.close()
        assert program.stop(seconds=5.5) == 0
