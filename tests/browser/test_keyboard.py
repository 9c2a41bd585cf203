"""Every action without a mouse, and always a sign where the keyboard is. Looked at is what comes of it."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Page
from program import until
from viewer import Viewer

from stockwatch.dashboard import numbers

STOPS = ["Ticker", "1 min", "5 min", "15 min", "1 h", "Average 20", "VWAP", "15 min", "1 h", "Session", "RELIANCE.NS", "AAPL",
         "5-min candles", "Ticks", "Shown", "Session", "7 days", "All", "↓ CSV", "↓ Excel", "↓ Parquet"]  # fmt: skip
pytestmark = pytest.mark.timeout(120)  # the first test of the module starts its program
AT = "() => { const e = document.activeElement; return e.getAttribute('aria-label') || (e.innerText ?? '').trim(); }"
RANGE = "card => document.querySelector(`[data-card=${card}] .sw-plot`).layout.xaxis.range.map(Number)"
SAID = "() => document.querySelector('[data-card=candles] .sw-said').innerText"
RING = 30  # pixels at least that show the focus


def tab_to(page: Page, selector: str) -> None:
    """With the Tab key alone."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached")


def is_at(page: Page, selector: str) -> bool:
    return bool(page.evaluate("selector => document.activeElement.matches(selector)", selector))


def chosen(page: Page) -> str | None:
    return page.get_attribute(".sw-list tr.chosen", "data-symbol")


def ready(viewer: Viewer) -> Page:
    page = viewer.open()
    page.wait_for_selector(".sw-list tr[data-symbol=AAPL]")
    page.wait_for_selector(".sw-links a[href]")
    return page


@pytest.mark.parametrize("viewer", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True, ids=["light", "dark"])
def test_every_stop_of_the_tab_key_shows_where_it_is(viewer: Viewer) -> None:
    page = ready(viewer)
    stops, unseen = [], []
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement === document.body"):
            break
        focus = page.evaluate_handle("() => document.activeElement").as_element()
        assert focus is not None
        stops.append(page.evaluate(AT))
        box = focus.bounding_box()
        assert box is not None
        clip = {
            "x": max(box["x"] - 12, 0),
            "y": max(box["y"] - 8, 0),
            "width": min(box["width"] + 24, 400),
            "height": min(box["height"] + 16, 80),
        }
        seen = Image.open(io.BytesIO(page.screenshot(clip=clip)))  # type: ignore[arg-type]
        focus.evaluate("element => element.blur()")
        without = Image.open(io.BytesIO(page.screenshot(clip=clip)))  # type: ignore[arg-type]
        focus.evaluate("element => element.focus({ preventScroll: true })")
        changed = (
            ImageChops.difference(seen.convert("RGB"), without.convert("RGB"))
            .convert("L")
            .point(lambda value: 255 * (value > 40))
        )
        if sum(changed.histogram()[255:]) < RING:
            unseen.append(stops[-1])
    assert unseen == []
    order = iter(stops)
    assert [stop for stop in STOPS if stop not in order] == []  # all of them, in this order


def test_the_dropdown_takes_letters_and_arrows_for_itself(viewer: Viewer) -> None:
    page = ready(viewer)
    tab_to(page, "[data-testid=stSelectbox] input")
    page.keyboard.press("Home")
    for key in ("ArrowRight", "ArrowLeft", "p", "m"):
        page.keyboard.press(key)
    assert chosen(page) == "RELIANCE.NS"
    assert page.locator(".sw-present").count() == 0
    assert page.inner_text("[data-card=candles] h2") == "5-minute candles"
    page.keyboard.press("Escape")
    tab_to(page, "[data-do='minutes 1']")
    page.keyboard.press("Shift+Tab")
    page.keyboard.type("AAPL")
    page.get_by_role("option", name="AAPL").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.sw-price').innerText.includes('$')")
    assert chosen(page) == "AAPL"


def test_widths_lines_and_window_by_key_and_the_focus_stays(viewer: Viewer) -> None:
    page = ready(viewer)
    tab_to(page, "[data-do='minutes 15']")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('[data-card=candles] h2').textContent === '15-minute candles'")
    assert is_at(page, "[data-do='minutes 15'][aria-pressed=true]")
    tab_to(page, "[data-do='line vwap']")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelectorAll('[data-card=candles] .js-line').length === 1")
    assert is_at(page, "[data-do='line vwap'][aria-pressed=true]")
    span = "() => { const [a, b] = document.querySelector('[data-card=live] .sw-plot').layout.xaxis.range; return b - a; }"
    tab_to(page, "[data-do='window 15']")
    page.keyboard.press("Enter")
    page.wait_for_function(f"() => ({span})() <= 30 * 60_000")  # the session's is longer, but for its first half hour
    assert is_at(page, "[data-do='window 15'][aria-pressed=true]")
    page.keyboard.press("m")  # letters do the same: 15 min → 1 h
    page.wait_for_function("() => document.querySelector('[data-card=candles] h2').textContent === '60-minute candles'")
    page.keyboard.press("v")
    page.wait_for_function("() => document.querySelectorAll('[data-card=candles] .js-line').length === 0")


def test_a_row_of_the_watchlist_by_key(viewer: Viewer) -> None:
    page = ready(viewer)
    tab_to(page, ".sw-list tr[data-symbol=AAPL] button")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.sw-price').innerText.includes('$')")
    assert is_at(page, ".sw-list tr.chosen button[aria-current=true]")


def test_the_exports_choices_by_key_keep_the_focus_while_prices_come(viewer: Viewer) -> None:
    page = ready(viewer)
    tab_to(page, "[data-period=week]")
    page.keyboard.press("Space")
    link = "() => document.querySelector('.sw-links [data-form=csv]').href"
    before = page.evaluate(link)
    page.wait_for_function(f"before => ({link})() !== before", arg=before)  # a newer price: its 7 days end there
    assert is_at(page, "[data-period=week][aria-pressed=true]")
    tab_to(page, "[data-form=csv]")
    with page.expect_download(timeout=20_000) as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".csv")
    assert "RELIANCE.NS" in download.value.path().read_text()


def test_candle_by_candle_closer_further_and_back(viewer: Viewer) -> None:
    page = ready(viewer)
    page.locator("h2").first.click()
    for _ in range(5):
        page.keyboard.press("Shift+ArrowLeft")
    told = page.evaluate(
        """() => { const { open, high, low, close } = document.querySelector('[data-card=candles] .sw-plot').data[0], n = open.length - 5;
        return [open[n], high[n], low[n], close[n], document.querySelector('[data-card=candles] .sw-said').innerText]; }"""
    )
    assert all(numbers.number(value, "INR") in told[4] for value in told[:4])
    assert page.locator(".sw-cross:visible").count() == 2  # over the candles and over the volume
    whole = page.evaluate(RANGE, "candles")
    page.keyboard.press("+")
    until(lambda: page.wait_for_timeout(50) or page.evaluate(RANGE, "volume") != whole, 10, "a closer view")
    near = page.evaluate(RANGE, "candles")
    assert near[1] - near[0] == pytest.approx((whole[1] - whole[0]) / 2)
    assert near[0] < 45 < near[1]
    page.keyboard.press("0")
    until(lambda: page.wait_for_timeout(50) or page.evaluate(RANGE, "candles") == pytest.approx([-0.7, 49.7]), 10, "all of it")
    page.keyboard.press("Escape")
    assert page.locator(".sw-cross:visible").count() == 0
    page.wait_for_function(f"() => ({SAID})().includes('forming')")


def test_past_the_oldest_candle_older_ones_come(viewer: Viewer) -> None:
    page = ready(viewer)
    page.locator("h2").first.click()
    for _ in range(52):
        page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_function("() => document.querySelectorAll('.boxes path').length > 50", timeout=15_000)
    box, plot = (
        page.locator("[data-card=candles] .sw-cross").bounding_box(),
        page.locator("[data-card=candles] .nsewdrag").bounding_box(),
    )
    assert box is not None
    assert plot is not None
    assert plot["x"] <= box["x"] <= plot["x"] + plot["width"]  # what is told is in sight
    prices = [text for text in page.locator("[data-card=candles] .ytick text").all_text_contents() if text]
    assert prices  # and the axis has prices there


def test_the_list_of_keys_opens_closes_gives_the_focus_back_and_turns_letters_off(viewer: Viewer) -> None:
    page = ready(viewer)
    tab_to(page, "[data-do='minutes 5']")
    page.keyboard.press("?")
    assert is_at(page, "dialog.sw-keys button")
    page.keyboard.press("Enter")
    assert not page.locator("dialog.sw-keys").is_visible()
    assert is_at(page, "[data-do='minutes 5']")
    page.keyboard.press("?")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    page.keyboard.press("ArrowRight")
    assert page.locator(".sw-present").count() == 0
    assert chosen(page) == "RELIANCE.NS"
    page.keyboard.press("?")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    width = page.locator("[data-card=candles]").bounding_box()["width"]  # type: ignore[index]
    page.keyboard.press("p")
    until(
        lambda: page.wait_for_timeout(50) or page.locator("[data-card=candles]").bounding_box()["width"] > width, 5, "more room"
    )  # type: ignore[index]
    page.keyboard.press("Escape")
    assert page.locator(".sw-present").count() == 0
