"""A page in the browser with everything that it said and asked for."""

from __future__ import annotations

from playwright.sync_api import Page


def taken_over(page: Page) -> None:
    """Wait until Streamlit has come: until then the page stands in its shell, and what is in it will move."""
    page.wait_for_function("() => document.querySelector('.stApp') && !document.querySelector('.sw-shell')", timeout=40_000)


class Viewer:
    """A page with everything that it said and asked for."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.troubles: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", lambda message: self.troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]) if request.url.startswith("http") else None)

    def open(self, path: str = "") -> Page:
        """Go there and wait for candles, and for Streamlit, which takes them over."""
        self.page.goto(self.url + path)
        taken_over(self.page)
        self.page.wait_for_selector(".boxes path", timeout=20_000)
        self.page.wait_for_selector(".bars .point path", timeout=10_000)
        self.page.wait_for_selector(".scatterlayer .js-line", timeout=10_000)
        return self.page
