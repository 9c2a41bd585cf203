"""The sidebar as a pipeline, in Chromium: what is painted while data moves, where it stops, and the way to the log."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator

import psutil
import pytest
from PIL import Image
from playwright.sync_api import Page
from program import Program, simulated
from viewer import Viewer

pytestmark = pytest.mark.timeout(180)  # the program is started within the first test, and stopped short in the last
ORDER = ["producer", "kafka", "consumer", "clickhouse", "dashboard"]
TEAL, AMBER = (0x08, 0x75, 0x7D), (0x8A, 0x5A, 0x00)
FLOWS = "() => [...document.querySelectorAll('.sw-flow')].map((line) => line.className)"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Its own: it is stopped short here."""
    with simulated(tmp_path_factory.mktemp("page")) as program:
        yield program


def colours(page: Page, selector: str) -> set[tuple[int, int, int]]:
    """Of the painted pixels of the line's left edge, where the rail is."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    clip = {"x": box["x"], "y": box["y"], "width": 12, "height": box["height"]}
    picture = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")  # type: ignore[arg-type]
    return {colour for _count, colour in picture.getcolors(1 << 16) or []}  # type: ignore[misc]


def opened(viewer: Viewer) -> Page:
    """With the chain flowing."""
    page = viewer.open()
    page.wait_for_function(f"() => ({FLOWS})().every((kind) => kind === 'sw-flow flows')", timeout=30_000)
    return page


def test_data_is_seen_to_move_from_hop_to_hop(viewer: Viewer) -> None:
    page = opened(viewer)
    hops = page.locator("[data-component]")
    assert [hop.get_attribute("data-component") for hop in hops.all()] == ORDER
    tops = [hop.bounding_box()["y"] for hop in hops.all()]  # type: ignore[index]
    assert tops == sorted(tops)
    text = page.inner_text(".sw-pipe")
    for said in (
        r"[\d.]+( K)? ticks/s",
        r"[\d.]+( K)? msg/s · \d+ s ago",
        r"lag \d+ · [\d.]+( K)? rows/s",
        r"query \d+ ms",
        r"\d+ viewer",
        r"last \d+ s ago",
    ):
        assert re.search(said, text), said
    assert text.count("0 restarts") == 5
    assert TEAL in colours(page, "[data-flow=kafka]")
    page.wait_for_function("() => document.querySelectorAll('.sw-flow i').length === 4", timeout=15_000)  # a dot on each line
    assert viewer.troubles == []


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has loaded is seen on Linux only")
def test_nobody_has_loaded_what_only_an_export_needs(viewer: Viewer, running: Program) -> None:
    opened(viewer)  # Streamlit has run the page, too
    assert running.process is not None
    for process in (psutil.Process(running.process.pid), running.child("streamlit")):
        loaded = [mapped.path for mapped in process.memory_maps()]
        assert [path for path in loaded if "pandas" in path]
        assert [path for path in loaded if "pyarrow" in path] == []


def test_numbers_change_in_place(viewer: Viewer) -> None:
    page = opened(viewer)
    page.eval_on_selector_all(".sw-pipe li", "all => all.forEach((item) => item.setAttribute('data-same', '1'))")
    before = page.inner_text(".sw-pipe")
    page.wait_for_function("before => document.querySelector('.sw-pipe').innerText !== before", arg=before)
    assert set(page.eval_on_selector_all(".sw-pipe li", "all => all.map((item) => item.dataset.same)")) == {"1"}


@pytest.mark.parametrize("viewer", [{"reduced_motion": "reduce"}], indirect=True)
def test_nothing_runs_for_a_reader_who_wants_less_motion(viewer: Viewer) -> None:
    page = opened(viewer)
    before = page.inner_text(".sw-pipe")
    page.wait_for_function("before => document.querySelector('.sw-pipe').innerText !== before", arg=before)
    assert page.locator(".sw-flow i").count() == 0
    assert "↓" in page.inner_text(".sw-pipe")


@pytest.mark.parametrize("viewer", [{"color_scheme": scheme} for scheme in ("light", "dark")], indirect=True)
def test_its_text_is_large_and_dark_enough_and_fits(viewer: Viewer) -> None:
    page = opened(viewer)
    seen = json.loads(
        page.evaluate(
            """() => { const luminance = (text) => { const [r, g, b] = text.match(/[\\d.]+/g).map((v) => { v /= 255;
                return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
              const side = document.querySelector('[data-testid=stSidebar]'), paper = luminance(getComputedStyle(side).backgroundColor);
              const texts = [...side.querySelectorAll('.sw-side *, .sw-log')].filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
              return JSON.stringify(texts.map((e) => { const style = getComputedStyle(e), ink = luminance(style.color), [x, y] = [ink, paper].sort((a, b) => b - a);
                return [e.textContent, parseFloat(style.fontSize), (x + .05) / (y + .05), e.getBoundingClientRect().right]; })); }"""
        )
    )  # fmt: skip
    assert len(seen) > 20
    assert [row for row in seen if row[1] < 14 or row[2] < 4.5 or row[3] > 264] == []


def test_the_log_is_one_click_away(viewer: Viewer) -> None:
    page = opened(viewer)
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Open the log").click()
    log = popup.value
    log.wait_for_load_state()
    assert "stockwatch.log" in log.inner_text("h1")
    assert "INFO stockwatch" in log.inner_text("pre")
    assert re.search(r"The last \d+ lines", log.inner_text("[role=status]"))
    log.get_by_role("link", name="dashboard.log").click()
    log.wait_for_selector("h1:has-text('dashboard.log')")
    assert log.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_where_it_stops_is_seen_and_that_it_flows_again(viewer: Viewer, running: Program) -> None:
    page = opened(viewer)
    broker = running.child("tansu")
    broker.suspend()
    try:
        page.wait_for_selector("[data-flow=kafka].broken", timeout=20_000)
        line = page.inner_text("[data-flow=kafka]")
        assert "✕" in line
        assert "stops here" in line
        hop = page.inner_text("[data-component=kafka]")
        assert re.search("degraded|failed|starting", hop)
        assert AMBER in colours(page, "[data-component=producer]") or "failed" in hop  # the rail to the break
        page.wait_for_selector("[data-component=kafka] .sw-error", timeout=10_000)
        assert "flows" in (page.get_attribute("[data-flow=dashboard]", "class") or "")  # what is stored is still shown
        page.wait_for_function("() => /need(s)? attention/.test(document.querySelector('.sw-side').innerText)")
    finally:
        if broker.is_running():
            broker.resume()
    page.wait_for_function(f"() => ({FLOWS})().every((kind) => kind === 'sw-flow flows')", timeout=60_000)
