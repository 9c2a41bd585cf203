"""`python tests/browser/pointless.py [minutes] [seed]`: click, type, drag, resize, reload and cut the network without a purpose.

After each burst the page is left alone and must come to rest: connected, prices moving, charts drawn, no traceback, no error in
its console. Prints what it did and what it found; exit 1 when that is anything.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from playwright.sync_api import BrowserContext, Error, Page
from program import Program

from stockwatch.commands.bench_page_browser import chromium

SIZES = [(1440, 900), (1920, 1080), (1280, 800), (1024, 700), (768, 1024), (390, 844), (320, 600)]
KEYS = [
    "ArrowLeft",
    "ArrowRight",
    "ArrowUp",
    "ArrowDown",
    "?",
    "Escape",
    "p",
    "Tab",
    "Shift+Tab",
    "Enter",
    "Space",
    "Home",
    "End",
    "+",
    "-",
    "x",
]
BURST, REST_MS = 25, 15_000
MOVED_MS = 75_000  # in a calm hour a simulated price stays for nearly a minute
MOVED = "() => document.querySelector('[data-sw=first]')?.innerText + document.querySelector('.sw-price')?.innerText"
AT_REST = """() => !document.querySelector('.sw-lost') && document.querySelectorAll('.boxes path').length >= 20
  && document.querySelector('.scatterlayer .js-line') && document.querySelector('.sw-price')
  && !document.querySelector('[data-testid=stException]') && !document.body.innerText.includes('Traceback')"""
OFFLINE = (
    "ERR_INTERNET_DISCONNECTED",
    "ERR_CONNECTION_REFUSED",
    "ERR_CONNECTION_RESET",
    "ERR_NETWORK_CHANGED",
    "Failed to fetch",
    "WebSocket connection to",
)


class Monkey:
    """One page, and what it does to it."""

    def __init__(self, context: BrowserContext, program: Program, chance: random.Random) -> None:
        self.context, self.program, self.chance = context, program, chance
        self.page: Page = context.new_page()
        self.found: list[str] = []
        self.done: Counter[str] = Counter()
        self.page.on("pageerror", lambda error: self.found.append(f"script error: {error}"))
        self.page.on("console", lambda message: self.heard(message.type, f"{message.text} {message.location.get('url', '')}"))
        self.page.on("dialog", lambda dialog: dialog.dismiss())
        self.home()

    def heard(self, kind: str, text: str) -> None:
        """Errors in the console count, but for those of a network that is cut."""
        if kind == "error" and not any(known in text for known in OFFLINE):
            self.found.append(f"console: {text[:300]}")

    def home(self) -> None:
        """Open the page, also when a click of before is still on its way to another."""
        for tries in range(5):
            try:
                self.page.goto(self.program.health()["dashboard_url"], wait_until="commit")
                return
            except Error as error:
                if "interrupted" not in str(error) or tries == 4:
                    raise

    def act(self) -> None:
        """One pointless thing."""
        deeds = {
            self.click: 30, self.point: 12, self.key: 25, self.drag: 8, self.wheel: 8, self.resize: 6, self.reload: 3, self.link: 3,
            self.scheme: 2, self.cut: 2, self.back: 1, self.kill_page: 0.3, self.kill_broker: 0.3,
        }  # fmt: skip
        (deed,) = self.chance.choices(list(deeds), list(deeds.values()))
        self.done[deed.__name__] += 1
        try:
            deed()
        except Error as error:
            if "Timeout" not in str(error) and "navigat" not in str(error) and "ERR_" not in str(error):
                self.found.append(f"{deed.__name__}: {str(error).splitlines()[0]}")

    def click(self) -> None:
        """A button, link, row or field that is in sight."""
        all_of_it = self.page.locator(
            "button:visible, summary:visible, [role=option]:visible, input:visible, [role=row]:visible, tr:visible"
        )
        count = all_of_it.count()
        if count:
            all_of_it.nth(self.chance.randrange(count)).click(timeout=700, no_wait_after=True)

    def point(self) -> None:
        """Anywhere."""
        width, height = self.size()
        self.page.mouse.click(
            self.chance.randrange(width), self.chance.randrange(height), click_count=self.chance.choice([1, 1, 2])
        )

    def key(self) -> None:
        """One to four keys."""
        for _ in range(self.chance.randrange(1, 5)):
            self.page.keyboard.press(self.chance.choice(KEYS))

    def drag(self) -> None:
        """With the mouse, from anywhere to anywhere."""
        width, height = self.size()
        self.page.mouse.move(self.chance.randrange(width), self.chance.randrange(height))
        self.page.mouse.down()
        self.page.mouse.move(self.chance.randrange(width), self.chance.randrange(height), steps=5)
        self.page.mouse.up()

    def wheel(self) -> None:
        """Over whatever is there."""
        width, height = self.size()
        self.page.mouse.move(self.chance.randrange(width), self.chance.randrange(height))
        self.page.mouse.wheel(0, self.chance.choice([-400, -100, 100, 400]))

    def resize(self) -> None:
        """A projector, a laptop, a phone."""
        width, height = self.chance.choice(SIZES)
        self.page.set_viewport_size({"width": width, "height": height})

    def reload(self) -> None:
        """F5, at times before it is there."""
        self.page.reload(wait_until=self.chance.choice(["commit", "load"]))

    def link(self) -> None:
        """A deep link, at times a wrong one."""
        asked = self.chance.choice(
            ["?ticker=AAPL&minutes=15", "?minutes=7", "?ticker=NOPE", "?ticker=TCS.NS&present", "?ticker=%3Cb%3E", ""]
        )
        self.page.goto(f"{self.program.health()['dashboard_url']}/{asked}", wait_until="commit")

    def scheme(self) -> None:
        """Light or dark, in the midst of it."""
        self.page.emulate_media(color_scheme=self.chance.choice(["light", "dark"]))

    def cut(self) -> None:
        """No network for some seconds."""
        self.context.set_offline(True)
        self.page.wait_for_timeout(self.chance.choice([200, 1_000, 4_000]))
        self.context.set_offline(False)

    def back(self) -> None:
        """To where it was before."""
        self.page.go_back(timeout=3_000, wait_until="commit")

    def kill_page(self) -> None:
        """The page's server."""
        self.program.child("streamlit").kill()

    def kill_broker(self) -> None:
        """The broker."""
        self.program.child("tansu").kill()

    def size(self) -> tuple[int, int]:
        """Of the window."""
        size = self.page.viewport_size or {"width": 1280, "height": 720}
        return size["width"], size["height"]

    def rest(self) -> None:
        """It must come to rest by itself, but for an address that names no ticker, or a page that could not be loaded."""
        if not self.page.url.startswith("http://127.0.0.1") or "NOPE" in self.page.url or "%3C" in self.page.url:
            self.program.wait_until_healthy(60)
            self.home()
        try:
            self.page.wait_for_function(AT_REST, timeout=4 * REST_MS)
            before = self.page.evaluate(MOVED)
            self.page.wait_for_function(f"before => ({MOVED})() !== before", arg=before, timeout=MOVED_MS)
        except Error as error:
            shot = Path(tempfile.gettempdir()) / f"pointless-{len(self.found)}.png"
            self.page.screenshot(path=shot)
            said = self.page.evaluate("() => document.body.innerText.slice(0, 300)")
            self.found.append(f"not at rest at {self.page.url} ({shot}): {str(error).splitlines()[0]}: {said!r}")
            self.program.wait_until_healthy(60)
            self.home()


def main(minutes: float = 15.0, seed: int = 1) -> int:
    """A laptop's page and a phone's in turn."""
    chance = random.Random(seed)
    program = Program(Path(tempfile.mkdtemp(prefix="stockwatch-pointless-")))
    program.write(
        market={"source": "simulator", "tickers": ["RELIANCE.NS", "TCS.NS", "AAPL"], "ticks_per_second": 5},
        dashboard={"port": 0, "live_refresh_seconds": 0.5},
    )
    try:
        program.start()
        with chromium() as browser:
            monkeys = [
                Monkey(browser.new_context(viewport={"width": width, "height": height}), program, chance)
                for width, height in ((1440, 900), (390, 844))
            ]
            until = time.monotonic() + minutes * 60
            while time.monotonic() < until:
                for monkey in monkeys:
                    for _ in range(BURST):
                        monkey.act()
                    monkey.rest()
        log = (program.data_dir / "dashboard.log").read_text() if (program.data_dir / "dashboard.log").exists() else ""
        found = [line for monkey in monkeys for line in monkey.found] + ["a traceback in dashboard.log"] * ("Traceback" in log)
        print(sum((monkey.done for monkey in monkeys), Counter()))
        for line, times in Counter(found).most_common():
            print(f"{times} x {line}")
        if not found:
            shutil.rmtree(program.folder, ignore_errors=True)
        else:
            print(f"kept: {program.folder}")
        return int(bool(found))
    finally:
        program.kill()


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:2]), *map(int, sys.argv[2:3])))
