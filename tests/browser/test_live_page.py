"""The page in motion: what is pushed, what the reader set and keeps, the choices beside the charts, keys, a lost connection."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page
from program import Program, until
from viewer import Viewer, taken_over

pytestmark = pytest.mark.timeout(120)  # each wait has a shorter end of its own; together they may pass a minute
RANGE = "name => document.querySelector(`[data-card=${name}] .sw-plot`).layout.xaxis.range.map(Number)"


def count(page: Page) -> int:
    return page.locator(".boxes path").count()


def drag(page: Page, card: str, by: int) -> None:
    """As a reader does, with the mouse."""
    box = page.locator(f"[data-card={card}] .nsewdrag").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by / 2, y, steps=4)
    page.mouse.move(x + by, y, steps=4)
    page.mouse.up()


@pytest.mark.timeout(150)  # a price may stay the same for a minute: RELIANCE.NS trades at night too, calmly
def test_thirty_refreshes_without_a_remount_and_the_last_candle_grows(viewer: Viewer) -> None:
    page = viewer.open()
    page.eval_on_selector_all(".sw-plot .main-svg", "all => all.forEach(svg => svg.setAttribute('data-same', '1'))")
    page.evaluate(
        """() => { window.seen = { drawn: 0, faint: 0, last: new Set() };
        const plot = document.querySelector('[data-card=candles] .sw-plot');
        plot.on('plotly_afterplot', () => { seen.drawn += 1; const all = document.querySelectorAll('.boxes path');
          seen.last.add(all[all.length - 1].getAttribute('d'));
          for (let e = plot; e; e = e.parentElement) if (Number(getComputedStyle(e).opacity) < 1) seen.faint += 1; }); }"""
    )
    page.wait_for_function("() => window.seen.drawn >= 30 && window.seen.last.size > 1", timeout=100_000)
    assert page.evaluate("() => window.seen.faint") == 0
    marks = page.eval_on_selector_all(".sw-plot .main-svg", "all => all.map(svg => svg.getAttribute('data-same'))")
    assert set(marks) == {"1"}
    assert count(page) == 50
    assert viewer.troubles == []


def test_candles_of_other_minutes_by_button_and_by_link(viewer: Viewer) -> None:
    page = viewer.open()
    page.get_by_role("button", name="15 min").first.click()
    page.wait_for_function("() => document.querySelector('[data-card=candles] h2').textContent === '15-minute candles'")
    assert "minutes=15" in page.url
    assert page.get_by_role("button", name="15 min").first.get_attribute("aria-pressed") == "true"
    page.reload()
    page.wait_for_function("() => document.querySelector('[data-card=candles] h2')?.textContent === '15-minute candles'")
    page.wait_for_function("() => document.querySelectorAll('.boxes path').length === 50")


def test_average_and_vwap_are_lines_over_the_candles(viewer: Viewer) -> None:
    page = viewer.open()
    for name in ("Average 20", "VWAP"):
        page.get_by_role("button", name=name).click()
    page.wait_for_function("() => document.querySelectorAll('[data-card=candles] .js-line').length === 2")
    page.get_by_role("button", name="VWAP").click()
    page.wait_for_function("() => document.querySelectorAll('[data-card=candles] .js-line').length === 1")


def test_the_lines_window(viewer: Viewer) -> None:
    page = viewer.open()
    span = "() => { const [a, b] = document.querySelector('[data-card=live] .sw-plot').layout.xaxis.range; return b - a; }"
    page.locator("[data-card=live]").get_by_role("button", name="15 min").click()
    page.wait_for_function(f"() => ({span})() <= 30 * 60_000")  # the session's is longer, but for its first half hour


def test_a_drag_brings_older_candles_and_a_double_click_the_newest(viewer: Viewer) -> None:
    page = viewer.open()
    before = page.evaluate(RANGE, "candles")
    drag(page, "candles", 250)
    page.wait_for_function("() => document.querySelectorAll('.boxes path').length > 50", timeout=10_000)
    assert page.locator(".bars .point path").count() == count(page)
    moved = page.evaluate(RANGE, "candles")
    assert moved[1] - moved[0] == pytest.approx(before[1] - before[0], rel=0.01)  # the same width, further back
    assert page.evaluate(RANGE, "volume") == pytest.approx(moved)
    box = page.locator("[data-card=candles] .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.dblclick(box["x"] + 40, box["y"] + 40)
    until(lambda: page.wait_for_timeout(100) or count(page) == 50, 10, "50 again")
    assert page.evaluate(RANGE, "candles") == pytest.approx([-0.7, 49.7])


def test_a_drag_before_the_other_chart_is_drawn_is_kept_for_it(viewer: Viewer) -> None:
    """One chart is drawn a frame: a quick reader has the first one in hand while the second is not there yet."""
    page = viewer.open()
    held = page.evaluate(
        """async () => { const { stage } = document.querySelector('.sw-stage'), { volume } = stage.cards;
        const card = new volume.constructor(document.createElement('div'), 'volume', stage);
        await card.follow([3, 20]);
        return card.held.xaxis; }"""
    )
    assert held == [3, 20]
    assert viewer.troubles == []


def test_the_hovered_candle_is_told_in_both_cards(viewer: Viewer) -> None:
    page = viewer.open()
    box = page.locator("[data-card=candles] .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    said = "() => document.querySelector('[data-card=candles] .sw-said').innerText"
    page.wait_for_function(f"() => !({said})().includes('forming')")
    clock = page.evaluate(said)[:5]
    assert re.fullmatch(r"\d\d:\d\d", clock)
    assert page.inner_text("[data-card=volume] .sw-said").startswith(clock)
    assert page.locator(".sw-cross:visible").count() == 2
    page.mouse.move(5, 5)
    page.wait_for_function(f"() => ({said})().includes('forming')")


def test_the_watchlist_moves_in_place_and_a_click_switches(viewer: Viewer) -> None:
    page = viewer.open()
    page.wait_for_selector(".sw-list tr[data-symbol=AAPL] path[d^=M]")
    row = page.locator(".sw-list tr[data-symbol=AAPL]")
    row.evaluate("row => row.setAttribute('data-same', '1')")
    assert "$" in row.inner_text()
    assert "simulated" in row.inner_text()
    before = row.locator(".last").inner_text()
    until(lambda: page.wait_for_timeout(100) or row.locator(".last").inner_text() != before, 60, "another price")
    assert row.get_attribute("data-same") == "1"
    row.click()
    page.wait_for_function("() => document.querySelector('.sw-price').innerText.includes('$')", timeout=10_000)
    page.wait_for_function("() => location.search.includes('ticker=AAPL')", timeout=10_000)
    assert page.locator("[data-testid=stSelectbox] input").input_value() == "AAPL"
    assert "chosen" in (row.get_attribute("class") or "")


def test_keys_switch_tickers_and_help_lists_them(viewer: Viewer) -> None:
    page = viewer.open()
    page.locator("h2").first.click()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.sw-price').innerText.includes('$')", timeout=10_000)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => document.querySelector('.sw-price').innerText.includes('₹')", timeout=10_000)
    page.keyboard.press("?")
    assert "presenter mode" in page.inner_text("dialog.sw-keys")
    page.keyboard.press("Escape")
    assert not page.locator("dialog.sw-keys").is_visible()


def test_presenter_mode_is_larger_and_without_the_sidebar(viewer: Viewer) -> None:
    page = viewer.open()
    size = "() => parseFloat(getComputedStyle(document.querySelector('.sw-price')).fontSize)"
    before = page.evaluate(size)
    page.locator("h2").first.click()
    page.keyboard.press("p")
    assert page.evaluate(size) > before * 1.4
    assert not page.locator("[data-testid=stSidebar]").is_visible()
    page.keyboard.press("Escape")
    assert page.evaluate(size) == before


def test_a_screen_reader_has_a_summary_and_a_table(viewer: Viewer) -> None:
    page = viewer.open()
    for card in ("candles", "volume", "live"):
        summary = page.get_attribute(f"[data-card={card}] .sw-plot", "aria-label") or ""
        assert re.search("RELIANCE.NS|Volume of the same 50 candles", summary)
    cells = page.locator("[data-card=candles] table tbody tr").first.locator("td").all_text_contents()
    assert len(cells) == 6
    assert page.locator("[data-card=candles] table tbody tr").count() == 20


def test_two_pages_share_what_is_read_and_see_the_same(viewer: Viewer) -> None:
    page = viewer.open()
    assert page.context.browser is not None
    other = page.context.browser.new_page(viewport={"width": 1440, "height": 900})
    other.goto(viewer.url)
    other.wait_for_selector(".boxes path")
    taken_over(other)
    read = "() => [...document.querySelectorAll('.boxes path')].map(p => p.getAttribute('d')).join()"
    until(lambda: page.wait_for_timeout(50) or page.evaluate(read) == other.evaluate(read), 10, "the same candles")
    other.close()


def test_a_lost_connection_shows_and_comes_back_by_itself(viewer: Viewer, running: Program) -> None:
    page = viewer.open()
    page.evaluate("() => { window.kept = document.querySelector('.boxes path'); }")
    child = running.child("streamlit")
    child.suspend()  # the connection stays open and says nothing
    try:
        page.wait_for_selector(".sw-lost", timeout=5_000)
        assert "Connection lost" in page.inner_text(".sw-lost")
    finally:
        child.resume()
    page.wait_for_selector(".sw-lost", state="detached", timeout=20_000)
    newest = """() => { const { data } = document.querySelector('[data-card=live] .sw-plot');
      const { x } = data.find((trace) => trace.name === 'price');
      return [x.length, Math.max(...x.slice(1).map((at, n) => at - x[n]))]; }"""
    points, widest = page.evaluate(newest)
    assert points > 50
    assert widest <= 600_000
    assert page.evaluate("() => window.kept.isConnected")  # the chart is the same one
