"""The page before Streamlit: its index.html with our script, the shell, and what is to be shown first."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette

from stockwatch.dashboard import shell
from stockwatch.dashboard.reader import Reader
from stockwatch.errors import StoreError
from stockwatch.settings.sections import Dashboard


class Told:
    """What the shell asks of a reader."""

    settings = SimpleNamespace(dashboard=Dashboard())

    def __init__(self, tickers: Sequence[str] | None) -> None:
        self._tickers = tickers

    def source(self) -> str:
        return "simulator"

    def tickers(self, source: str) -> list[str]:
        if self._tickers is None:
            raise StoreError("the store is away")
        return list(self._tickers)


def page(tickers: Sequence[str] | None, path: str = "/") -> tuple[httpx.Response, list[dict[str, Any]]]:
    """The answer, and what was read ahead."""
    ahead: list[dict[str, Any]] = []

    async def ask() -> httpx.Response:
        app = Starlette(routes=shell.routes(lambda: cast(Reader, Told(tickers)), ahead.append))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page") as client:
            return await client.get(path)

    return asyncio.run(ask()), ahead


def told(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="sw-data">(.*?)</script>', html)
    assert found is not None
    return dict(json.loads(found[1]))


@pytest.mark.parametrize(
    ("path", "wanted"), [("/", "AAPL"), ("/?ticker=TCS.NS", "TCS.NS"), ("/?ticker=nobody", "AAPL"), ("/?ticker=", "AAPL")]
)
def test_it_shows_the_ticker_that_the_address_names(path: str, wanted: str) -> None:
    response, ahead = page(["AAPL", "TCS.NS"], path)
    data = told(response.text)
    assert data["symbol"] == wanted
    assert data["tickers"] == ["AAPL", "TCS.NS"]
    assert json.loads(json.dumps(ahead)) == [data]
    assert f'<div class="sw-shell-ticker">{wanted}</div>' in response.text


@pytest.mark.parametrize("tickers", [None, []])
def test_with_nothing_to_choose_from_it_is_streamlits_page_and_our_script(tickers: list[str] | None) -> None:
    response, ahead = page(tickers)
    assert response.status_code == 200
    assert "sw-shell" not in response.text
    assert ahead == []
    assert re.search(r'<script type="module"[^>]* src="\./static/js/index\.', response.text)
    assert f'src="{shell.SCRIPT_ROUTE}?v=' in response.text


def test_streamlit_begins_when_our_script_says_so() -> None:
    response, _ = page(["AAPL"])
    assert not re.search(r'<script[^>]* src="\./static/js/', response.text)
    assert re.search(
        r'<link id="sw-then" rel="preload" as="script" fetchpriority="low" crossorigin href="\./static/js/index\.[^"]+\.js">',
        response.text,
    )


def test_a_ticker_cannot_write_into_the_page() -> None:
    hostile = '</script><img src=x onerror="alert(1)">'
    response, _ = page([hostile])
    assert told(response.text)["symbol"] == hostile
    assert "<img" not in response.text


def test_the_page_is_asked_for_anew_and_its_script_may_be_kept() -> None:
    response, _ = page(["AAPL"])
    assert response.headers["cache-control"] == "no-cache"
    assert shell.versioned("/a.js", b"one") != shell.versioned("/a.js", b"two")


def test_the_styles_bring_the_fonts_that_streamlit_will_use() -> None:
    css = shell.style().decode()
    assert css.count("@font-face") == 8
    assert 'url("/app/static/fonts/ibm-plex-sans-latin-400-normal.woff2")' in css
    assert "SourceSans" not in page(["AAPL"])[0].text


def test_the_component_takes_over_by_the_same_script() -> None:
    assert shell.versioned(shell.SCRIPT_ROUTE, shell.script()) in shell.take_over()
    assert "\n" in shell.take_over()  # else Streamlit takes it for a file's name


def test_plotly_js_is_of_the_version_that_the_figures_are_checked_against() -> None:
    def version(text: bytes) -> bytes:
        found = re.search(rb"plotly\.js (?:\(finance - minified\) )?v(\d+\.\d+)\.", text[:300])
        assert found is not None, text[:300]
        return found[1]

    assert version(shell.plotly()) == version(files("plotly").joinpath("package_data/plotly.min.js").read_bytes())
