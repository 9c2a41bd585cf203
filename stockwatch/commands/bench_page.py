"""`bench page`: the real program's page in the system's Chromium, beside a plain `st.plotly_chart` page over the same store.

The program runs without its producer; the benchmark publishes in its place, so it knows when each tick was sent. Each price
comes once, and is looked for in the frames that Chromium paints (bench_page_browser.py).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from stockwatch.commands.bench_flow import Line, _at
from stockwatch.commands.bench_page_bed import ROOT, TOPIC, Running, beside, fill, program
from stockwatch.commands.bench_page_browser import Tab, ages, chromium, missing
from stockwatch.commands.bench_page_feed import SYMBOLS, Feed, base_of
from stockwatch.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STREAMING = 5.0  # ticks a second of each symbol
CALM = 1.0
VIEWERS, BROWSERS = 95, 5
LOOK_SECONDS = 10.0
SETTLE_MS = 2_000
FIRST_PAINTS, SWITCHES = 3, 6


@dataclass
class Figures:
    """What was measured of one page; ms, bytes, shares of a core."""

    painted: list[float] = field(default_factory=list)  # tick → painted, the line's chart
    candles: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    switches: list[float] = field(default_factory=list)
    weight: int = 0
    hosts: set[str] = field(default_factory=set)
    few: float = 0.0  # of a core, with BROWSERS pages at one update a second
    few_painted: list[float] = field(default_factory=list)


def page(_settings: Settings) -> list[Line]:
    """Tick → painted, first paint, switching, weight, many viewers; ours and the plain page."""
    if reason := missing():
        return [("page", f"not measured; install {reason}", "", "")]
    with tempfile.TemporaryDirectory(prefix="stockwatch-bench-") as folder, program(Path(folder)) as run:
        fill(run)
        with chromium() as browser:
            ours = _measure("ours", browser, run, run.url, run.page)
            with beside(Path(folder), run) as (url, process):
                plain = _measure("plain", browser, run, url, process)
            room = _room(browser, run)
    return _table(ours, plain, *room)


def _table(ours: Figures, plain: Figures, seen: dict[str, Any], painted: list[float], share: float) -> list[Line]:
    rows = [
        ("tick → painted, line", _p(ours.painted), _p(plain.painted), "p95 ≤ 250 ms"),
        ("tick → painted, candles", _p(ours.candles), _p(plain.candles), "p95 ≤ 250 ms"),
        ("first paint after the page answers", _median(ours.first), _median(plain.first), "≤ 1.5 s"),
        ("ticker switch", _p(ours.switches), _p(plain.switches), "≤ 200 ms"),
        ("weight of the first visit", f"{ours.weight / 1e6:.2f} MB", f"{plain.weight / 1e6:.2f} MB", "≤ 2.5 MB"),
        ("hosts it asks", f"{len(ours.hosts)}", f"{len(plain.hosts)}", "1: its own"),
        (f"{BROWSERS} pages, 1 update/s", _few(ours), _few(plain), ""),
    ]
    who = f"{VIEWERS} WebSockets + {BROWSERS} Chromium pages"
    lost = f"{seen['lost']} lost, {seen['again']} asked again, gaps p95 {_at(sorted(seen['gaps']), 0.95):.2f} s"
    rows += [
        (f"{who}: tick → applied", _p(seen["ages"]), lost, "p95 ≤ 1 s"),
        (f"{who}: tick → painted", _p(painted), "", "p95 ≤ 1 s"),
        ("a viewer of them", f"{share:.2%} of a core", f"plain, of {BROWSERS}: {plain.few / BROWSERS:.1%}", "≤ 5 %"),
    ]
    return [("", "ours", "plain st.plotly_chart", ""), *rows]


def _p(values: Sequence[float]) -> str:
    given = sorted(values)
    return f"p50 {_at(given, 0.5):.0f} ms, p95 {_at(given, 0.95):.0f} ms (of {len(given)})"


def _median(values: Sequence[float]) -> str:
    return f"{_at(sorted(values), 0.5) / 1000:.2f} s (most {max(values) / 1000:.2f})"


def _few(of: Figures) -> str:
    return f"{of.few:.0%} of a core, {_p(of.few_painted)}"


def _measure(name: str, browser: Browser, run: Running, url: str, process: psutil.Process) -> Figures:
    """All that is measured of one page."""
    found = Figures()
    first = base_of(SYMBOLS[0])
    feed = Feed(run.kafka, TOPIC, STREAMING)
    for _ in range(FIRST_PAINTS):
        tab = Tab(browser, url)
        tab.until_painted(first)
        found.first.append(tab.first_paint())
        tab.page.wait_for_timeout(SETTLE_MS)
        found.weight, found.hosts = max(found.weight, tab.weight), found.hosts | tab.hosts
        tab.page.context.close()
    tab = Tab(browser, url)
    tab.until_painted(first)
    tab.page.wait_for_timeout(SETTLE_MS)
    tab.forget()
    tab.page.wait_for_timeout(LOOK_SECONDS * 1000)
    seen = tab.seen()
    found.painted, found.candles = (ages(seen, feed.sent.copy(), chart, first) for chart in ("line", "candles"))
    _tell(name, f"first paint {_median(found.first)}, line {_p(found.painted)}, candles {_p(found.candles)}")
    found.switches = _switches(tab)
    tab.page.context.close()
    feed.stop()
    feed = Feed(run.kafka, TOPIC, CALM)
    tabs = [Tab(browser, url) for _ in range(BROWSERS)]
    found.few, found.few_painted = _looking(tabs, feed, process)
    _tell(name, f"switch {_p(found.switches)}, {BROWSERS} pages {_few(found)}, {found.weight / 1e6:.2f} MB")
    feed.stop()
    return found


def _tell(name: str, said: str) -> None:
    """On the way: on a busy machine all of it takes minutes."""
    print(f"  {name}: {said}", flush=True)


def _switches(tab: Tab) -> list[float]:
    """By the keyboard: an arrow where the page knows it, else in the dropdown."""
    took = []
    arrows = tab.page.locator(".sw-stage").count() > 0
    for number in range(SWITCHES):
        symbol = SYMBOLS[(number + 1) % len(SYMBOLS)]
        if arrows:
            tab.page.locator("h2").first.click()
        else:
            tab.page.locator("[data-testid=stSelectbox] input").fill(symbol)
        tab.page.wait_for_timeout(700)
        tab.forget()
        tab.page.keyboard.press("ArrowRight" if arrows else "Enter")
        took.append(tab.switched(base_of(symbol)))
    return took


def _looking(tabs: list[Tab], feed: Feed, process: psutil.Process, seconds: float = LOOK_SECONDS) -> tuple[float, list[float]]:
    """The page's share of a core while these look, and tick → painted in all of them."""
    first = base_of(SYMBOLS[0])
    for tab in tabs:
        tab.until_painted(first)
    tabs[0].page.wait_for_timeout(SETTLE_MS)
    for tab in tabs:
        tab.forget()
    before, began = process.cpu_times(), time.monotonic()
    tabs[0].page.wait_for_timeout(seconds * 1000)
    after, passed = process.cpu_times(), time.monotonic() - began
    painted = [age for tab in tabs for age in ages(tab.seen(), feed.sent.copy(), "line", first)]
    for tab in tabs:
        tab.page.context.close()
    return (after.user + after.system - before.user - before.system) / passed, painted


def _room(browser: Browser, run: Running) -> tuple[dict[str, Any], list[float], float]:
    """A room full: what the WebSocket clients saw, tick → painted of the Chromium pages, a viewer's share of a core."""
    feed = Feed(run.kafka, TOPIC, CALM)
    tabs = [Tab(browser, run.url) for _ in range(BROWSERS)]
    address = run.url.replace("http", "ws", 1).rstrip("/") + "/stockwatch/live"
    command = [sys.executable, "-m", "stockwatch.commands.bench_page_viewers", address, str(VIEWERS), str(LOOK_SECONDS + 10)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    tabs[0].page.wait_for_timeout(8_000)  # they have joined
    share, painted = _looking(tabs, feed, run.page)
    output, _ = child.communicate(timeout=60)
    feed.stop()
    return json.loads(output), painted, share / (VIEWERS + BROWSERS)
