"""The page before Streamlit has come: charts first, live, and taken over as they are. And what is there for a finger."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route
from viewer import Viewer

pytestmark = pytest.mark.timeout(120)  # each wait has a shorter end of its own; together they may pass a minute
DRAWN = "() => ['.boxes path', '.bars .point path', '.js-line'].every((drawn) => document.querySelector(`.sw-shell ${drawn}`))"
LINE = "() => document.querySelector('[data-card=live] .js-line').getAttribute('d')"  # its end moves on with each tick
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


class Held:
    """Streamlit's own script, which comes when the test says so."""

    def __init__(self, page: Page) -> None:
        self._page, self._waiting, self._let = page, [], False
        page.route("**/static/js/index.*.js", self._ask)

    def _ask(self, route: Route) -> None:
        if self._let:
            route.continue_()
        else:
            self._waiting.append(route)

    def let(self) -> None:
        self._let = True
        for route in self._waiting:
            route.continue_()


def covered(page: Page) -> list[list[str]]:
    """Of points in the middle of each chart: what is painted there on top."""
    return page.eval_on_selector_all(
        ".sw-card .sw-plot",
        """all => all.map((plot) => { const box = plot.getBoundingClientRect();
        const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        return [plot.closest('.sw-card').dataset.card, plot.contains(top) ? 'chart' : top?.className ?? '']; })""",
    )


def test_charts_are_there_and_move_before_streamlit_has_come(viewer: Viewer) -> None:
    page = viewer.page
    held = Held(page)
    page.goto(viewer.url, wait_until="commit")
    page.wait_for_function(DRAWN, timeout=20_000)
    assert covered(page) == [["candles", "chart"], ["volume", "chart"], ["live", "chart"]]
    assert page.locator(".boxes path").count() == page.locator(".bars .point path").count() == 50
    assert page.locator("[data-testid=stApp]").count() == 0
    assert "SIMULATED" in page.locator(".sw-badge").inner_text()
    page.wait_for_selector(".sw-shell [data-component=consumer]")
    page.wait_for_function(f"before => ({LINE})() !== before", arg=page.evaluate(LINE), timeout=20_000)
    page.eval_on_selector_all(".sw-plot .main-svg", "all => all.forEach(svg => svg.setAttribute('data-same', '1'))")
    place = page.locator("[data-card=candles]").bounding_box()
    held.let()
    page.wait_for_function("() => !document.querySelector('.sw-shell')", timeout=20_000)
    marks = page.eval_on_selector_all(".sw-plot .main-svg", "all => all.map(svg => svg.getAttribute('data-same'))")
    assert marks
    assert set(marks) == {"1"}  # moved, not drawn anew
    page.wait_for_selector(".sw-list tbody tr")
    page.wait_for_selector(".sw-price")
    now = page.locator("[data-card=candles]").bounding_box()
    assert place is not None
    assert now is not None
    assert all(abs(place[side] - now[side]) <= 2 for side in ("x", "y", "width", "height"))  # nothing jumps
    assert viewer.troubles == []


def test_a_ticker_that_is_chosen_before_streamlit_has_come_stays_chosen(viewer: Viewer) -> None:
    page = viewer.page
    held = Held(page)
    page.goto(viewer.url, wait_until="commit")
    page.wait_for_function(DRAWN, timeout=20_000)
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.sw-stage').dataset.drawn === 'AAPL'")
    held.let()
    page.wait_for_function("() => !document.querySelector('.sw-shell')", timeout=20_000)
    page.wait_for_function("() => document.querySelector('[data-testid=stSelectbox] input').value === 'AAPL'", timeout=10_000)
    assert page.locator(".sw-stage").get_attribute("data-drawn") == "AAPL"
    page.wait_for_function("() => document.title.includes('AAPL')")  # with its price, each time that one comes


def test_a_page_of_an_unknown_address_has_its_charts_too(viewer: Viewer) -> None:
    """Streamlit answers there with its own index.html: the script comes with the component."""
    page = viewer.open("/nowhere")
    assert page.locator(".boxes path").count() == 50


@pytest.mark.parametrize("viewer", [PHONE], indirect=True)
def test_a_phones_top_line_has_the_name_and_the_state_of_all(viewer: Viewer) -> None:
    page = viewer.open()
    bar = page.locator(".sw-bar")
    bar.wait_for()
    assert bar.inner_text().split() == ["stockwatch", "●All", "running"]
    box, chosen = bar.bounding_box(), page.locator("[data-testid=stSelectbox]").bounding_box()
    assert box is not None
    assert chosen is not None
    assert box["y"] == 0
    assert box["y"] + box["height"] <= chosen["y"]


@pytest.mark.parametrize("viewer", [PHONE, {}], indirect=True, ids=["phone", "desktop"])
def test_presenter_mode_and_the_keys_are_there_for_a_finger(viewer: Viewer) -> None:
    page = viewer.open()
    if viewer.page.viewport_size == PHONE["viewport"]:
        page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("button", name="Keys").click()
    page.get_by_role("dialog", name="Keys").get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Presenter mode", exact=True).click()
    page.wait_for_function("() => document.documentElement.classList.contains('sw-present')")
    assert not page.locator("[data-testid=stSidebar]").is_visible()
    page.get_by_role("button", name="Leave presenter mode").click()
    page.wait_for_function("() => !document.documentElement.classList.contains('sw-present')")
    assert page.locator(".sw-leave").count() == 0
    assert viewer.troubles == []
