"""The page opened to a room, in Chromium, over an address that is not loopback: the password first, then the chart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from accessible import violations
from playwright.sync_api import Browser, Page
from program import Program, until

from stockwatch.dashboard import addresses

PASSWORD = "word of mine, शब्द"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's address in the room."""
    program = Program(tmp_path_factory.mktemp("room"))
    program.write(dashboard={"port": 0, "host": "0.0.0.0", "password": PASSWORD, "live_refresh_seconds": 1})
    try:
        program.start()
        port = int(program.health()["dashboard_url"].rsplit(":", 1)[1])
        yield next(iter(addresses.room_urls("0.0.0.0", port)), f"http://127.0.0.2:{port}")
    finally:
        program.kill()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    options: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, **getattr(request, "param", {})}
    made = browser.new_page(**options)
    yield made
    made.close()


def send(page: Page, password: str) -> None:
    page.fill("#password", password)
    page.click("button")
    page.wait_for_load_state()


def test_the_password_opens_the_chart_and_a_wrong_one_has_to_wait(page: Page, url: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{url}/?ticker=AAPL")
    assert page.evaluate("document.activeElement.id") == "password"
    assert page.get_by_label("Password").count() == 1
    assert page.get_by_role("heading").inner_text() == "Enter the password"
    assert {address.split("?")[0] for address in asked if "favicon" not in address} == {f"{url}/"}  # nothing else is loaded
    send(page, "wrong")
    assert "not right" in page.get_by_role("alert").inner_text()
    assert page.evaluate("document.activeElement.id") == "password"
    assert page.locator("#password").input_value() == ""
    for _ in range(2):  # at once again: refused unseen, whatever it is
        send(page, "wrong again")
    assert "Wait" in page.get_by_role("alert").inner_text() or "not right" in page.get_by_role("alert").inner_text()

    def let_in() -> bool:
        send(page, PASSWORD)
        return page.locator("#password").count() == 0

    until(let_in, 15, "let in after the wait")
    assert page.url == f"{url}/?ticker=AAPL"
    page.wait_for_selector(".boxes path", timeout=20_000)
    assert page.locator(".boxes path").count() == 50
    cookies = page.context.cookies()
    assert [(cookie["httpOnly"], cookie["sameSite"]) for cookie in cookies if cookie["name"].startswith("stockwatch_")] == [
        (True, "Strict")
    ]
    assert page.evaluate("document.cookie").find("stockwatch_") == -1


def test_without_the_password_not_even_the_stream_opens(page: Page, url: str) -> None:
    page.goto(url)
    script = """url => new Promise(done => { const socket = new WebSocket(url.replace('http', 'ws') + '/_stcore/stream', ['streamlit']);
        socket.onopen = () => done('open'); socket.onerror = () => done('refused'); })"""
    page.set_content("<p>a page of another site</p>")
    assert page.evaluate(script, url) == "refused"
    assert page.request.get(f"{url}/_stcore/host-config").status == 401


@pytest.mark.parametrize(
    "page",
    [
        {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
        for width in (390, 320, 1440)
        for scheme in ("light", "dark")
    ],
    indirect=True,
)
def test_the_form_fits_and_can_be_read(page: Page, url: str) -> None:
    page.goto(url)
    seen = json.loads(
        page.evaluate(
            """() => { const box = s => { const b = document.querySelector(s).getBoundingClientRect(); return [b.left, b.right, b.height]; };
            const luminance = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
                return .2126 * r + .7152 * g + .0722 * b; };
            const ratio = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
            const style = s => getComputedStyle(document.querySelector(s)), paper = style('main').backgroundColor;
            return JSON.stringify({ wide: document.documentElement.scrollWidth, box: box('main'), input: box('#password'), button: box('button'),
                text: ratio(style('h1').color, paper), lead: ratio(style('.lead').color, paper), edge: ratio(style('#password').borderTopColor, paper),
                said: ratio(style('button').color, style('button').backgroundColor) }); }"""
        )
    )
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert seen["wide"] <= width
    assert seen["box"][0] >= 0
    assert seen["box"][1] <= width
    assert min(seen["input"][2], seen["button"][2]) >= 44  # a finger's size (WCAG 2.5.5)
    assert min(seen["text"], seen["lead"], seen["said"]) >= 4.5
    assert seen["edge"] >= 3
    assert violations(page) == []
    send(page, "wrong")  # and what it says to that
    assert page.get_by_role("alert").count() == 1
    assert violations(page) == []
