"""`python tests/browser/pictures.py [state …]`: the page's gallery, docs/gallery/: light and dark, desktop and phone, each state.

normal: simulated prices. offline: the page's server says nothing any more. closed: Yahoo (ours, on loopback) calls the market
closed. degraded: it refuses to answer, and the last price grows old. Also the README's three pictures, in docs/.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PIL import Image
from playwright.sync_api import Browser, Page
from program import ROOT, Program, until
from viewer import taken_over
from yahoo_day import TICKERS, backfilled, market_around_now, settings
from yahoo_stub import YahooStub

from stockwatch.commands.bench_page_browser import chromium

GALLERY, COLOURS = ROOT / "docs" / "gallery", 128
SIZES = {"desktop": ({"width": 1440, "height": 900}, 1.0), "phone": ({"width": 390, "height": 844}, 1.5)}
README = {"normal-light-desktop": "page", "normal-dark-desktop": "page-dark", "normal-light-phone": "page-phone"}
SIMULATED = ["RELIANCE.NS", "TCS.NS", "INFY.NS", "HDFCBANK.NS", "AAPL"]
QUIET_SECONDS = 45  # after which a price of an open market is old (header.STALE_SECONDS and a poll)


def opened(browser: Browser, url: str, scheme: str, size: str) -> Page:
    """A page whose charts are drawn in its fonts."""
    viewport, scale = SIZES[size]
    page = browser.new_page(viewport=viewport, color_scheme=scheme, device_scale_factor=scale)  # type: ignore[arg-type]
    page.goto(url)
    taken_over(page)
    page.wait_for_function("() => document.querySelectorAll('.boxes path').length === 50", timeout=90_000)
    page.wait_for_selector(".scatterlayer .js-line")
    page.wait_for_selector(".sw-list tr[data-symbol] path[d^=M]", state="attached")
    page.wait_for_function("() => document.fonts.status === 'loaded'")
    if size == "phone":  # its whole column, without scrolling
        tall = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": viewport["width"], "height": tall})
    return page


def keep(page: Page, name: str) -> None:
    """The page as it is now, in few colours."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    small = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(GALLERY / f"{name}.png", optimize=True)
    if name in README:
        viewport, scale = SIZES[name.rsplit("-", 1)[1]]
        top = small.crop((0, 0, small.width, round(viewport["height"] * scale)))  # what one sees without scrolling
        top.save(ROOT / "docs" / f"{README[name]}.png", optimize=True)


def take(browser: Browser, url: str, state: str, seen: str) -> None:
    """Both colours and sizes, once the page says `seen`."""
    for scheme in ("light", "dark"):
        for size in SIZES:
            page = opened(browser, url, scheme, size)
            page.wait_for_function("word => document.body.innerText.includes(word)", arg=seen, timeout=20_000)
            keep(page, f"{state}-{scheme}-{size}")
            page.close()


@contextmanager
def running(market: dict[str, object]) -> Iterator[Program]:
    """The program in a folder of its own, ended and cleared away afterwards."""
    program = Program(Path(tempfile.mkdtemp(prefix="stockwatch-pictures-")))
    program.write(market=market, dashboard={"port": 0, "live_refresh_seconds": 1}, alerts={"move_percent": 0.25})
    try:
        yield program
    finally:
        program.kill()
        shutil.rmtree(program.folder, ignore_errors=True)


def simulated(browser: Browser, states: set[str]) -> None:
    """normal and offline."""
    with running({"source": "simulator", "tickers": SIMULATED}) as program:
        program.start()
        url = program.health()["dashboard_url"]
        if "normal" in states:
            take(browser, url, "normal", "SIMULATED")
        if "offline" in states:
            pages = {
                f"offline-{scheme}-{size}": opened(browser, url, scheme, size) for scheme in ("light", "dark") for size in SIZES
            }
            child = program.child("streamlit")
            child.suspend()
            try:
                for name, page in pages.items():
                    page.wait_for_selector(".sw-lost")
                    keep(page, name)
            finally:
                child.resume()


def yahoo(browser: Browser, states: set[str]) -> None:
    """closed and degraded."""
    with running({}) as program, YahooStub(program.folder) as stub:
        stub.market = market_around_now()
        stub.market.closed.add(TICKERS[1])
        program.write(market={**settings(stub), "tickers": TICKERS[:2]}, dashboard={"port": 0, "live_refresh_seconds": 1})
        program.start()
        until(lambda: backfilled(program), 60, "the backfill")
        url = program.health()["dashboard_url"]
        if "closed" in states:
            take(browser, f"{url}/?ticker={TICKERS[1]}", "closed", "LAST SESSION")
        if "degraded" in states:
            stub.mode = "429"
            until(lambda: program.component("producer")["state"] == "degraded", QUIET_SECONDS, "a producer that is refused")
            waiting = browser.new_page()
            waiting.goto(f"{url}/?ticker={TICKERS[0]}")
            waiting.wait_for_selector(".sw-row .sw-stale", timeout=QUIET_SECONDS * 1000)
            waiting.close()
            take(browser, f"{url}/?ticker={TICKERS[0]}", "degraded", "STALE")


def main(states: set[str]) -> None:
    """All of them, or the states that are named."""
    GALLERY.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        if states & {"normal", "offline"}:
            simulated(browser, states)
        if states & {"closed", "degraded"}:
            yahoo(browser, states)


if __name__ == "__main__":
    main(set(sys.argv[1:]) or {"normal", "offline", "closed", "degraded"})
