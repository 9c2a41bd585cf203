"""What the page paints, seen in Chromium: pixels, text and geometry."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import Page
from program import Program, until
from viewer import Viewer

pytestmark = pytest.mark.timeout(120)  # each wait has a shorter end of its own; together they may pass a minute
TEAL, VERMILION = (0x08, 0x75, 0x7D), (0xC4, 0x47, 0x0B)
COMPONENTS = ["producer", "kafka", "consumer", "clickhouse", "dashboard"]  # as prices travel


def paint(page: Page, selector: str) -> list[tuple[str, str]]:
    """Fill and stroke of every path, as the browser computes them."""
    script = "paths => paths.map(p => [getComputedStyle(p).fill, getComputedStyle(p).stroke])"
    return [tuple(pair) for pair in page.eval_on_selector_all(selector, script)]


def colours_in(page: Page, box: dict[str, float]) -> set[tuple[int, int, int]]:
    """The colours of the painted pixels of a box."""
    picture = Image.open(io.BytesIO(page.screenshot(clip=box))).convert("RGB")  # type: ignore[arg-type]
    return {colour for _count, colour in picture.getcolors(1 << 20) or []}  # type: ignore[misc]


def test_fifty_candles_and_fifty_bars_in_their_colours(viewer: Viewer) -> None:
    page = viewer.open()
    candles, bars = paint(page, ".boxes path"), paint(page, ".bars .point path")
    assert len(candles) == len(bars) == 50
    edges = [stroke for _fill, stroke in candles]
    assert edges == [stroke for _fill, stroke in bars]
    assert [fill for fill, _stroke in candles] == [fill for fill, _stroke in bars]
    assert set(edges) == {"rgb(8, 117, 125)", "rgb(196, 71, 11)"}
    for selector, wanted in ((".boxes path", edges[-1]), (".bars .point path", edges[-1])):
        box = page.locator(selector).last.bounding_box()
        assert box is not None
        seen = colours_in(page, {name: max(value, 2) if name in ("width", "height") else value for name, value in box.items()})
        target = TEAL if wanted == "rgb(8, 117, 125)" else VERMILION
        assert any(all(abs(a - b) < 60 for a, b in zip(colour, target, strict=True)) for colour in seen), (selector, seen)
    left = [page.locator(selector).first.bounding_box() for selector in (".boxes path", ".bars .point path")]
    assert left[0] is not None
    assert left[1] is not None
    assert left[0]["x"] < left[1]["x"]  # candles left, volume right
    assert (
        abs(page.locator("[data-card=candles]").bounding_box()["y"] - page.locator("[data-card=volume]").bounding_box()["y"]) < 2
    )  # type: ignore[index]


def test_the_line_moves_and_the_charts_are_never_made_anew(viewer: Viewer) -> None:
    page = viewer.open()
    page.eval_on_selector_all(".sw-plot .main-svg", "all => all.forEach(svg => svg.setAttribute('data-same', '1'))")
    read = "all => all.map(path => path.getAttribute('d')).join()"
    before = page.eval_on_selector_all("[data-card=live] .js-line", read)
    said = page.inner_text("[data-card=live] .sw-said")
    until(
        lambda: page.wait_for_timeout(100) or page.eval_on_selector_all("[data-card=live] .js-line", read) != before,
        15,
        "a line that moves",
    )
    until(lambda: page.wait_for_timeout(100) or page.inner_text("[data-card=live] .sw-said") != said, 10, "another second")
    marks = page.eval_on_selector_all(".sw-plot .main-svg", "all => all.map(svg => svg.getAttribute('data-same'))")
    assert set(marks) == {"1"}
    assert viewer.troubles == []


def test_a_zoom_stays_while_the_line_moves(viewer: Viewer) -> None:
    page = viewer.open()
    ranged = "() => document.querySelector('[data-card=live] .sw-plot').layout.xaxis.range.map(String)"
    whole = page.evaluate(ranged)
    box = page.locator("[data-card=live] .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -300)  # as a reader does
    until(lambda: page.wait_for_timeout(100) or page.evaluate(ranged)[0] != whole[0], 10, "a zoom")
    page.wait_for_timeout(300)  # plotly settles the wheel's last step
    zoomed = page.evaluate(ranged)
    said = page.inner_text("[data-card=live] .sw-said")
    until(lambda: page.wait_for_timeout(100) or page.inner_text("[data-card=live] .sw-said") != said, 15, "a refresh")
    assert page.evaluate(ranged) == zoomed


def test_another_ticker_after_the_dropdown(viewer: Viewer) -> None:
    page = viewer.open()
    assert "₹" in page.inner_text(".sw-price")
    before = page.eval_on_selector_all(".boxes path", "all => all.map(path => path.getAttribute('d')).join()")
    page.locator("[data-testid=stSelectbox] input").click()
    page.get_by_role("option", name="AAPL").click()
    page.wait_for_function("() => document.querySelector('.sw-price').innerText.includes('$')", timeout=15_000)
    page.wait_for_function(
        "before => [...document.querySelectorAll('.boxes path')].map(p => p.getAttribute('d')).join() !== before",
        arg=before,
        timeout=15_000,
    )
    assert len(page.query_selector_all(".boxes path")) == 50
    said = "() => / E[SD]T /.test(document.querySelector('[data-card=live] .sw-said').innerText)"
    page.wait_for_function(said, timeout=15_000)
    assert viewer.troubles == []


def test_a_link_names_its_ticker(viewer: Viewer) -> None:
    page = viewer.open("/?ticker=AAPL")
    assert "$" in page.inner_text(".sw-price")


def test_the_sidebar_shows_the_registry(viewer: Viewer) -> None:
    page = viewer.open()
    parts = page.locator("[data-component]")
    assert [parts.nth(number).get_attribute("data-component") for number in range(parts.count())] == COMPONENTS
    for number in range(5):
        text = parts.nth(number).inner_text()
        assert "running" in text
        assert "0 restarts" in text
    assert "All running" in page.inner_text(".sw-side")


def test_simulated_prices_are_marked_everywhere_in_ordinary_text(viewer: Viewer) -> None:
    page = viewer.open()
    assert page.inner_text(".sw-badge").startswith("SIMULATED")
    assert "not from the market" in page.inner_text(".sw-banner")
    for card in ("candles", "volume", "live"):
        assert "SIMULATED" in page.inner_text(f"[data-card={card}] .sw-tags")
        assert "SIMULATED" in page.locator(f"[data-card={card}] .annotation text").all_text_contents()
    assert page.frames == [page.main_frame]
    assert "SIMULATED" in page.inner_text("body")


def test_nothing_comes_from_another_host_and_nothing_is_wrong(viewer: Viewer, running: Program) -> None:
    page = viewer.open()
    page.wait_for_timeout(2_500)  # two refreshes
    assert viewer.hosts == {running.health()["dashboard_url"].removeprefix("http://")}
    assert viewer.troubles == []
    assert page.locator("[data-testid=stException]").count() == 0
    assert "Traceback" not in page.inner_text("body")
    assert "IBM Plex Sans" in page.evaluate(
        "() => [...document.fonts].filter(f => f.status === 'loaded').map(f => f.family).join()"
    )


def test_a_host_that_is_not_ours_is_refused(running: Program) -> None:
    import httpx

    url = running.health()["dashboard_url"]
    assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 400
    assert httpx.get(f"{url}/stockwatch/plotly.min.js", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("viewer", [{"color_scheme": "dark"}], indirect=True)
def test_in_the_dark_everything_has_its_dark_colour(viewer: Viewer) -> None:
    page = viewer.open()
    assert {stroke for _fill, stroke in paint(page, ".boxes path")} == {"rgb(60, 196, 203)", "rgb(255, 143, 74)"}
    background = page.evaluate("() => getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    assert background == "rgb(13, 18, 23)"


@pytest.mark.parametrize("viewer", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_on_a_phone_everything_is_in_one_column_and_nothing_is_cut(viewer: Viewer) -> None:
    page = viewer.open()
    tops = [page.locator(f"[data-card={card}]").bounding_box()["y"] for card in ("candles", "volume", "live")]  # type: ignore[index]
    assert tops == sorted(tops)
    assert len({round(top) for top in tops}) == 3
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert len(page.query_selector_all(".boxes path")) == 50


def test_times_are_the_exchanges(viewer: Viewer) -> None:
    page = viewer.open()
    assert "IST" in page.inner_text("[data-card=live] .sw-said")
    labels = page.locator("[data-card=candles] .xtick text").all_text_contents()
    assert labels
    assert all(re.fullmatch(r"\d\d:(00|30|15|45)", label) for label in labels)


def test_power_bi_says_how_to_connect(viewer: Viewer) -> None:
    assert "powerbi_url" in viewer.open().inner_text(".sw-powerbi")
