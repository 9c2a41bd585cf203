"""When something is away: the page's server, the store. It is said at once, what was seen stays, and afterwards nothing is missing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from accessible import violations
from playwright.sync_api import Browser, Page
from program import Program, simulated, until
from tcp_proxy import TcpProxy
from viewer import Viewer

pytestmark = pytest.mark.timeout(120)  # the programs of the module are started within the first test of it
LINE = "() => document.querySelector('[data-card=live] .sw-plot').data.find(trace => trace.name === 'price').x"
IST_MS = 330 * 60_000  # the axis has the exchange's wall time
CALM = ("Traceback", "Error:", "Exception", "undefined", "NaN")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Its own: its page is killed here."""
    with simulated(tmp_path_factory.mktemp("page")) as program:
        yield program


@pytest.fixture(scope="module")
def behind(running: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, TcpProxy]]:
    """A second page over the first one's store, through a link that can be cut."""
    port = int(running.health()["clickhouse_url"].rsplit(":", 1)[1])
    password = (running.data_dir / "clickhouse.password").read_text().strip()
    page = Program(tmp_path_factory.mktemp("behind"))
    with TcpProxy(port) as proxy:
        url = f"http://stockwatch:{password}@127.0.0.1:{proxy.port}"
        page.write(
            clickhouse={"url": url},
            market={"source": "simulator", "tickers": ["RELIANCE.NS", "AAPL"]},
            dashboard={"port": 0, "live_refresh_seconds": 0.5},
        )
        try:
            page.start("--only", "dashboard")
            yield page.health()["dashboard_url"], proxy
        finally:
            page.kill()


def calm(page: Page) -> None:
    """Words for people only."""
    text = page.inner_text("body")
    assert not [word for word in CALM if word in text]
    assert page.locator("[data-testid=stException]").count() == 0


def test_a_server_that_dies_is_said_within_3_seconds_and_nothing_is_missing_afterwards(viewer: Viewer, running: Program) -> None:
    page = viewer.open()
    page.locator("[data-do='window 15']").click()
    until(lambda: page.wait_for_timeout(50) or widest(page, time.time() * 1000 - 8_000) <= 2_100, 40, "a point for each second")
    page.evaluate("""() => { new MutationObserver(() => { if (document.querySelector('.sw-lost')) window.lostAt ??= Date.now(); })
      .observe(document.body, { childList: true, subtree: true }); }""")
    child, cut = running.child("streamlit"), time.time() * 1000
    child.suspend()  # the network too can be silent like this: no end of the connection is said
    page.wait_for_selector(".sw-lost", timeout=10_000)
    assert page.evaluate("() => window.lostAt") - cut <= 3_000
    box = page.locator(".sw-lost").bounding_box()
    assert box is not None
    assert box["y"] > page.locator("[data-sw=top]").bounding_box()["y"]  # type: ignore[index]  # over neither ticker nor price
    assert violations(page) == []
    child.kill()
    page.wait_for_selector(".sw-lost", state="detached", timeout=45_000)
    back = time.time() * 1000
    assert back - cut > 3_000
    page.locator("[data-do='window 15']").click()
    page.wait_for_function(f"at => Math.max(...({LINE})()) >= at", arg=back + IST_MS, timeout=20_000)
    assert widest(page, cut - 5_000) <= 2_100
    assert page.locator(".boxes path").count() == 50
    calm(page)


def widest(page: Page, since: float) -> float:
    """The widest gap (ms) of the line from `since` (ms since the epoch) until its end."""
    near = [at - IST_MS for at in page.evaluate(LINE) if at - IST_MS > since]
    return max((b - a for a, b in itertools.pairwise([since, *near])), default=1e9)


def test_while_the_store_is_away_the_charts_stay_and_it_is_said(browser: Browser, behind: tuple[str, TcpProxy]) -> None:
    url, proxy = behind
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    viewer = Viewer(page, url)
    viewer.open()
    page.wait_for_selector(".sw-list tr[data-symbol=AAPL]")
    proxy.link("cut")
    try:
        page.locator(".sw-lost", has_text="The store does not answer").wait_for(timeout=20_000)
        assert page.locator(".boxes path").first.is_visible()
        assert violations(page) == []
        calm(page)
        page.locator(".sw-list tr[data-symbol=AAPL] button").click()  # what has not been read cannot be shown: said, not blank
        page.locator(".sw-stage .sw-empty", has_text="The store does not answer").wait_for(timeout=20_000)
        page.locator(".sw-list tr[data-symbol='RELIANCE.NS'] button").click()
    finally:
        proxy.link("pass")
    page.wait_for_selector(".sw-lost", state="detached", timeout=30_000)
    page.wait_for_selector(".boxes path", timeout=20_000)
    newest = page.evaluate(LINE)[-1]
    page.wait_for_function(f"newest => ({LINE})().at(-1) > newest", arg=newest, timeout=20_000)
    calm(page)
    page.close()


def test_a_page_that_is_opened_while_the_store_is_away_says_so_and_fills_by_itself(
    browser: Browser, behind: tuple[str, TcpProxy], tmp_path: Path
) -> None:
    url, proxy = behind
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    proxy.link("cut")
    try:
        page.goto(f"{url}/?ticker=AAPL")
        page.locator(".sw-empty", has_text="The store does not answer").wait_for(timeout=20_000)
        assert violations(page) == []
        calm(page)
        height = page.locator(".sw-empty").first.bounding_box()["height"]  # type: ignore[index]
        assert height > 80
    finally:
        proxy.link("pass")
    page.wait_for_selector(".boxes path", timeout=30_000)
    assert page.locator(".sw-stage .sw-empty").is_hidden()
    page.close()
