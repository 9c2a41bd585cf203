"""Can be used by everybody: axe-core's rules, words that can be read, tables behind the charts, a phone, no needless motion."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from accessible import chart_words, violations
from playwright.sync_api import Page
from viewer import Viewer

from stockwatch.dashboard import numbers

pytestmark = pytest.mark.timeout(120)  # the first test of the module starts its program
SHAPES = [
    {"color_scheme": scheme, "viewport": {"width": width, "height": height}}
    for scheme in ("light", "dark")
    for width, height in ((1440, 900), (390, 844))
]
PHONE = [shape for shape in SHAPES if shape["viewport"]["width"] == 390]  # type: ignore[index]
WATERMARK = 44  # px: behind the data, and said in words beside it


def whole(viewer: Viewer) -> Page:
    """A page with everything on it."""
    page = viewer.open()
    page.wait_for_selector(".sw-list tr[data-symbol=AAPL] path[d^=M]", state="attached")
    page.wait_for_selector(".sw-links a[href]")
    return page


@pytest.mark.parametrize("viewer", SHAPES, indirect=True, ids=["light", "light-phone", "dark", "dark-phone"])
def test_axe_finds_nothing_serious_on_the_page_its_keys_and_its_presenter_mode(viewer: Viewer) -> None:
    page = whole(viewer)
    assert violations(page) == []
    page.keyboard.press("?")
    assert page.locator("dialog.sw-keys").is_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    page.wait_for_selector("[data-testid=stSidebar]", state="hidden")
    assert violations(page) == []
    assert viewer.troubles == []


def test_axe_would_find_something(viewer: Viewer) -> None:
    page = whole(viewer)
    page.evaluate("""() => { const place = document.querySelector('[data-sw=top]');
      place.insertAdjacentHTML('beforeend', '<p style="color:#BBB;background:#FFF">faint</p><img src="/favicon.ico"><button></button>'); }""")
    assert {line.split(" ")[0] for line in violations(page)} == {"color-contrast", "image-alt", "button-name"}


@pytest.mark.parametrize("viewer", SHAPES, indirect=True, ids=["light", "light-phone", "dark", "dark-phone"])
def test_the_words_in_the_charts_and_in_the_list_of_keys_can_be_read(viewer: Viewer) -> None:
    page = whole(viewer)
    words = [word for word in chart_words(page) if word[1] != WATERMARK]
    assert len(words) > 15
    assert [word for word in words if word[2] < 4.5] == []
    assert min(word[1] for word in words) >= 13
    page.keyboard.press("?")
    behind = page.evaluate("() => getComputedStyle(document.querySelector('dialog.sw-keys')).backgroundColor")
    assert re.fullmatch(r"rgb\(\d+, \d+, \d+\)", behind)  # what lies under it does not shine through
    page.keyboard.press("Escape")


@pytest.mark.parametrize("viewer", PHONE, indirect=True, ids=["light", "dark"])
@pytest.mark.parametrize("presented", [False, True])
def test_on_a_phone_nothing_is_beyond_the_edge_and_no_text_is_small(viewer: Viewer, presented: bool) -> None:
    page = whole(viewer)
    if presented:
        page.keyboard.press("p")
    main = page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]'); return [m.scrollWidth, m.clientWidth]; }"
    )
    assert main[0] <= main[1] == 390
    seen = page.evaluate(
        """() => { const cut = [], small = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walk.nextNode()) { const text = walk.currentNode, home = text.parentElement;
          if (!text.textContent.trim() || !home.checkVisibility() || home.closest('.sw-unseen, noscript, [data-testid=stSidebar], .stSkipToContent')) continue;
          const range = document.createRange(); range.selectNodeContents(text); const box = range.getBoundingClientRect();
          if (!box.width) continue;
          if (box.right > 391 || box.left < -1) cut.push(text.textContent);
          if (parseFloat(getComputedStyle(home).fontSize) < 13) small.push(text.textContent); }
        return { cut, small }; }"""
    )
    assert seen == {"cut": [], "small": []}
    changes = page.locator(".sw-list td.change")
    assert all(changes.nth(number).bounding_box()["height"] < 60 for number in range(changes.count()))  # type: ignore[index]
    angles = page.locator(".xtick text").evaluate_all("all => all.map(text => text.getAttribute('transform') ?? '')")
    assert not [angle for angle in angles if re.search(r"rotate\((?!0,)", angle)]


def test_the_tables_behind_the_charts_are_true(viewer: Viewer) -> None:
    page = whole(viewer)
    told = page.evaluate(
        """async () => { const { stage } = document.querySelector('.sw-stage');
        stage.live.close();  // a chart may be drawn a moment after the words beside it: all of them as they are now
        for (const card of Object.values(stage.cards)) await card.draw();
        const cells = card => [...document.querySelectorAll(`[data-card=${card}] tbody tr`)].map(row => [...row.cells].map(cell => cell.textContent));
        const plot = card => document.querySelector(`[data-card=${card}] .sw-plot`).data.find(trace => ['candles', 'volume', 'price'].includes(trace.name));
        const { open, high, low, close } = plot('candles'), line = plot('live');
        return { candles: cells('candles'), drawn: { open, high, low, close }, traded: plot('volume').y, line: cells('live'), x: line.x, y: line.y,
          heads: [...document.querySelectorAll('[data-card] thead th')].map(head => head.textContent + head.scope),
          summary: document.querySelector('[data-card=live] .sw-plot').getAttribute('aria-label') }; }"""
    )
    assert told["heads"] == [f"{name}col" for name in ("Time", "Open", "High", "Low", "Close", "Volume", "Time", "Price")]
    assert len(told["candles"]) == 20
    for number, row in enumerate(told["candles"], 1):
        ohlc = [numbers.number(told["drawn"][name][-number], "INR") for name in ("open", "high", "low", "close")]
        assert row[1:] == [*ohlc, numbers.volume(told["traded"][-number])]
    assert len(told["line"]) >= 10
    for moment, price in told["line"]:
        points = [
            (at, value)
            for at, value in zip(told["x"], told["y"], strict=True)
            if f"{(day := datetime.fromtimestamp(at / 1000, UTC)):%a} {day.day} {day:%b} {day:%H:%M}" <= moment
            or datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M") <= moment[-5:]
        ]
        exact = [
            value for at, value in points if datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M:%S") <= f"{moment[-5:]}:00"
        ]
        assert numbers.number(exact[-1], "INR") == price
    assert numbers.price(told["y"][-1], "INR") in told["summary"]


@pytest.mark.parametrize("viewer", [{"reduced_motion": "reduce"}], indirect=True)
def test_with_reduced_motion_nothing_moves_but_the_prices(viewer: Viewer) -> None:
    page = whole(viewer)
    before = page.inner_text("[data-card=live] .sw-said")
    page.evaluate("""() => { window.moved = new Set(); window.looking = setInterval(() => { for (const one of document.getAnimations())
      if (one.playState === 'running') moved.add(one.effect.target?.className?.toString() ?? ''); }, 20); }""")
    page.wait_for_function("before => document.querySelector('[data-card=live] .sw-said').innerText !== before", arg=before)
    page.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')")
    page.evaluate("() => moved.clear()")
    before = page.inner_text("[data-card=live] .sw-said")
    page.wait_for_function("before => document.querySelector('[data-card=live] .sw-said').innerText !== before", arg=before)
    assert page.evaluate("() => [...window.moved]") == []
