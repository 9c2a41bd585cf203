"""`bench page` in Chromium: what is in the frames that it paints, when, and what it fetched for them.

A script in each page looks in every animation frame for the price that the charts show as text (the tag on their axis). A new
one is in the frame that is painted after that look; its time is taken at the next frame's beginning, when that one is done.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# The first is the same engine without windows: its pages come in two thirds of the time, for Chromium draws its own, unseen, too.
CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")
WAIT_MS = 120_000
SIZE: Any = {"width": 1440, "height": 900}
LOOK = """
(() => {
  window.seen = [];     // [chart, price, ms since the epoch]
  window.pressed = [];  // ms since the epoch
  const last = {};
  let fresh = [];
  const prices = (plot) => [...plot.querySelectorAll('.annotation-text')].map((text) => text.textContent)
    .filter((text) => /^[0-9,]+[.][0-9]+$/.test(text)).map((text) => Number(text.replaceAll(',', '')));
  const kind = (plot) => plot.data?.some((trace) => trace.type === 'candlestick') ? 'candles'
    : plot.data?.some((trace) => trace.name === 'price') ? 'line' : undefined;
  const look = () => {
    const now = Date.now();
    for (const [chart, price] of fresh) window.seen.push([chart, price, now]);
    fresh = [];
    for (const plot of document.querySelectorAll('.js-plotly-plot')) {
      const chart = kind(plot);
      if (!chart) continue;
      for (const price of prices(plot)) if (last[chart] !== price) { last[chart] = price; fresh.push([chart, price]); }
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  addEventListener('keydown', () => window.pressed.push(Date.now()), true);
})();
"""
BOTH = """base => ['candles', 'line'].every((chart) => window.seen.some(([seen, price]) =>
  seen === chart && price >= base && price < base + 1000))"""


def missing() -> str:
    """What to install before this can be measured; empty when all is there."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright (python run.py test brings it)"
    if not any(map(shutil.which, CHROMIUM)):
        return "Chromium or Google Chrome (Debian, Ubuntu: sudo apt install chromium)"
    return ""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, CHROMIUM)))
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """One page in a context of its own: nothing is cached."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.page: Page = browser.new_context(viewport=SIZE).new_page()
        self.page.add_init_script(LOOK)
        self.hosts: set[str] = set()
        self.weight = 0
        session = self.page.context.new_cdp_session(self.page)
        session.send("Network.enable")
        session.on("Network.loadingFinished", self._fetched)
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.goto(url, wait_until="commit")

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss"):  # and no blob: or data: of the page's own
            self.hosts.add(parts.netloc)

    def _fetched(self, event: dict[str, Any]) -> None:
        self.weight += int(event["encodedDataLength"])

    def until_painted(self, base: float) -> None:
        """Until both charts have shown a price of this band (base … base + 1000) in a painted frame."""
        self.page.wait_for_function(BOTH, arg=base, timeout=WAIT_MS)

    def forget(self) -> None:
        """Look anew from here."""
        self.page.evaluate("() => { window.seen = []; window.pressed = []; }")

    def seen(self) -> list[tuple[str, float, int]]:
        """Chart, price, ms since the epoch when the frame with it was done."""
        return [(chart, price, at) for chart, price, at in self.page.evaluate("() => window.seen")]

    def first_paint(self) -> float:
        """ms from the page's first byte until both charts were painted."""
        answered: float = self.page.evaluate(
            "() => performance.timeOrigin + performance.getEntriesByType('navigation')[0].responseStart"
        )
        firsts = [min(at for chart, _price, at in self.seen() if chart == wanted) for wanted in ("candles", "line")]
        return max(firsts) - answered

    def switched(self, base: float) -> float:
        """ms from the last key until both charts show that band, which is waited for."""
        self.until_painted(base)
        pressed: int = self.page.evaluate("() => window.pressed.at(-1)")
        found = [(chart, at) for chart, price, at in self.seen() if base <= price < base + 1000]
        return max(min(at for chart, at in found if chart == wanted) for wanted in ("candles", "line")) - pressed


def ages(seen: list[tuple[str, float, int]], sent: dict[float, int], chart: str, base: float) -> list[float]:
    """ms from the sending of each tick until it, or a newer one, was painted in that chart; of the symbol of this band."""
    frames = [(price, at) for name, price, at in seen if name == chart and price in sent and base <= price < base + 1000]
    found: list[float] = []
    for number, (price, at) in enumerate(frames):
        before = max((earlier for earlier, _ in frames[:number]), default=price)  # an old chart may stand beside its successor
        found += [float(at - moment) for one, moment in sent.items() if before < one <= price]
    return found
