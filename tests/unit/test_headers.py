"""Content-Security-Policy: what the page may load and frame, on which answers, and that Host cannot write into it."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

import httpx
import pytest
from asgi import ask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from stockwatch.dashboard import headers

REPORT = "https://app.powerbi.com/view?r=abc;frame-src%20*"


def rules(text: str) -> dict[str, list[str]]:
    """A policy's directives and their sources."""
    return {name: sources for name, *sources in (rule.split() for rule in text.split(";"))}


async def page(request: Request) -> Response:
    kind = request.query_params.get("kind")
    if kind == "text":
        return PlainTextResponse("plain")
    if kind == "own":
        return HTMLResponse("<p>", headers={"Content-Security-Policy": "default-src 'none'"})
    return Response(status_code=304) if kind == "kept" else HTMLResponse("<p>")


def asked(path: str = "/", report: str = "") -> httpx.Response:
    return ask(headers.ContentSecurity(Starlette(routes=[Route("/", page)]), report), path)


def test_everything_from_here_and_no_frame() -> None:
    found = rules(asked().headers["Content-Security-Policy"])
    assert found["default-src"] == ["'none'"]
    assert found["frame-src"] == ["'none'"]
    assert found["frame-ancestors"] == ["'self'"]
    assert found["connect-src"] == ["'self'", "ws://127.0.0.1:8501", "wss://127.0.0.1:8501"]
    assert "'unsafe-inline'" not in found["script-src"]
    assert "'unsafe-eval'" not in found["script-src"]
    assert found["style-src"] == ["'self'", "'unsafe-inline'"]
    assert not [source for sources in found.values() for source in sources if "*" in source or source in ("http:", "https:")]


def test_only_the_report_may_stand_in_a_frame() -> None:
    assert rules(asked(report=REPORT).headers["Content-Security-Policy"])["frame-src"] == ["https://app.powerbi.com"]


def test_streamlits_own_inline_scripts_are_named_by_their_hash() -> None:
    index = files("streamlit").joinpath("static/index.html").read_text(encoding="utf-8")
    inline = re.findall(r"<script>(.*?)</script>", index, re.DOTALL)
    assert inline
    assert not re.findall(r"<script (?![^>]*src=)", index)  # all others come from a file
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in inline]
    assert set(hashes) <= set(rules(headers.policy("localhost:8501", ""))["script-src"])


def test_it_is_on_html_and_on_its_renewal_and_leaves_a_stricter_one() -> None:
    assert "Content-Security-Policy" not in asked("/?kind=text").headers
    assert asked("/?kind=own").headers["Content-Security-Policy"] == "default-src 'none'"
    assert "Content-Security-Policy" in asked("/?kind=kept").headers


@pytest.mark.parametrize("host", ["evil; script-src *", "a b", "[::1]:8501", "", "x:99999999999 *"])
def test_a_strange_host_is_not_written_into_it(host: str) -> None:
    assert rules(headers.policy(host, ""))["connect-src"] == ["'self'"]
    assert "*" not in headers.policy(host, "")
