"""The password before the page: form, cookie, WebSocket, and what a guesser gets."""

from __future__ import annotations

import contextlib
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from stockwatch.component.serving import ServerThread, listen
from stockwatch.dashboard import access
from stockwatch.dashboard.access import LOGIN, LOGOUT, PasswordGate, Tickets, session_key
from stockwatch.dashboard.throttle import Throttle

PASSWORD, KEY = "वर्ड-of-mine", b"k" * 32
HTML = {"Accept": "text/html"}


async def _page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"the page {request.url.path}")


async def _stream(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("prices")
    await socket.close()


@contextlib.contextmanager
def client(
    password: str = PASSWORD, throttle: Throttle | None = None, cookies: dict[str, str] | None = None
) -> Iterator[httpx.Client]:
    """A browser before a page behind the gate, on loopback."""
    routes = [Route("/{path:path}", _page, methods=["GET", "POST"]), WebSocketRoute("/_stcore/stream", _stream)]
    listener = listen("127.0.0.1", 0)
    server = ServerThread(PasswordGate(Starlette(routes=routes), password, KEY, throttle), listener, "gate")
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", cookies=cookies, timeout=10) as asked:
            yield asked
    finally:
        server.stop(5)


def stream(asked: httpx.Client) -> str:
    """What the page's WebSocket says first."""
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in asked.cookies.items())} if asked.cookies else {}
    with connect(f"ws://127.0.0.1:{asked.base_url.port}/_stcore/stream", additional_headers=headers, proxy=None) as socket:
        return str(socket.recv(5))


def login(asked: httpx.Client, password: str = PASSWORD, there: str = "/") -> Any:
    return asked.post(LOGIN, data={"password": password, "next": there})


def test_without_a_password_nobody_is_asked() -> None:
    with client("") as asked:
        assert asked.get("/").text == "the page /"
        assert stream(asked) == "prices"


@pytest.mark.parametrize(
    "path", ["/", "/_stcore/host-config", "/_stcore/health/x", "/stockwatch/plotly.min.js", "/app/static/a", "//", "/%2e%2e/"]
)
def test_nothing_is_told_before_the_password(path: str) -> None:
    with client() as asked:
        for headers in ({}, HTML, {"Cookie": f"{Tickets(KEY, PASSWORD).cookie}=1.2.3"}):
            answer = asked.get(path, headers=headers)
            assert answer.status_code == 401
            assert "the page" not in answer.text.replace("The page asks", "").replace("Open the page", "")
        assert asked.post(path).status_code == 401


def test_the_supervisor_still_sees_that_it_lives() -> None:
    with client() as asked:
        assert asked.get("/_stcore/health").status_code == 200
        assert asked.post("/_stcore/health").status_code == 401


def test_a_websocket_is_refused_before_it_opens() -> None:
    with client() as asked:
        with pytest.raises(InvalidStatus) as refused:
            stream(asked)
        assert refused.value.response.status_code == 403
        login(asked)
        assert stream(asked) == "prices"


def test_the_form_leads_to_where_one_wanted_and_the_cookie_is_not_for_scripts() -> None:
    with client() as asked:
        form = asked.get("/?ticker=TCS.NS&x=%22%3E%3Cscript%3E", headers=HTML)
        assert 'name="next" value="/?ticker=TCS.NS&amp;x=%22%3E%3Cscript%3E"' in form.text
        assert "<script" not in form.text
        assert "default-src 'none'" in form.headers["Content-Security-Policy"]
        assert form.headers["Cache-Control"] == "no-store"
        answer = login(asked, there="/?ticker=TCS.NS")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/?ticker=TCS.NS")
        cookie = answer.headers["Set-Cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Max-Age=43200", "Path=/"))
        assert asked.get("/").text == "the page /"
        assert asked.get(LOGIN, headers=HTML).headers["Location"] == "/"
        assert asked.get("/").headers["X-Frame-Options"] == "SAMEORIGIN"
        asked.post(LOGOUT)
        assert asked.get("/").status_code == 401


@pytest.mark.parametrize(
    "there", ["//evil.example", "/\\evil.example", "https://evil.example", "evil.example", "", "/a\\b", "/\n/x", LOGIN]
)
def test_the_login_leads_to_no_other_site(there: str) -> None:
    with client() as asked:
        assert login(asked, there=there).headers["Location"] == "/"


def test_a_wrong_password_is_said_and_the_next_one_has_to_wait() -> None:
    now = [0.0]
    with client(throttle=Throttle(lambda: now[0])) as asked:
        answer = login(asked, "wrong")
        assert answer.status_code == 401
        assert 'role="alert"' in answer.text
        assert 'aria-invalid="true"' in answer.text
        assert "wrong" not in answer.text
        early = login(asked)  # the right one, too early: not even looked at
        assert (early.status_code, early.headers["Retry-After"]) == (429, "1")
        assert "Set-Cookie" not in early.headers
        now[0] += 0.6
        assert login(asked).status_code == 303


@pytest.mark.parametrize("password", ["", PASSWORD[:-1], PASSWORD + "x", PASSWORD.upper(), "\0", "x" * 3000])
def test_only_the_password_opens(password: str) -> None:
    with client() as asked:
        assert login(asked, password).status_code == 401


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("application/x-www-form-urlencoded", b"password=" + b"x" * 5000),
        ("application/x-www-form-urlencoded", b"password=\xff\xfe"),
        ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(100))),
        ("", b""),
    ],
)
def test_what_is_no_form_is_refused(kind: str, body: bytes) -> None:
    with client() as asked:
        assert asked.post(LOGIN, content=body, headers={"Content-Type": kind}).status_code == 400


def test_a_session_ends_and_survives_a_new_life_but_not_a_new_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with client() as asked:
        login(asked)
        cookies = dict(asked.cookies)
    with client(cookies=cookies) as again:
        assert again.get("/").status_code == 200
        later = time.time() + access.SESSION_SECONDS + 1
        monkeypatch.setattr(access.time, "time", lambda: later)
        assert again.get("/").status_code == 401
        monkeypatch.undo()
    with client("another-word", cookies=cookies) as other:
        assert other.get("/").status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[:-1],
        lambda t: "9" + t,
        lambda t: t.replace(".", ".x", 1),
        lambda t: "a" * 5000,
        lambda t: "..",
        lambda t: "é.é.é",
    ],
)
def test_a_ticket_cannot_be_made_up(change: Any) -> None:
    tickets = Tickets(KEY, PASSWORD)
    good = tickets.issue(1000.0)
    assert tickets.expiry(good) == 1000 + access.SESSION_SECONDS
    assert tickets.expiry(change(good)) is None
    assert Tickets(b"x" * 32, PASSWORD).expiry(good) is None


def test_the_key_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    key = session_key(tmp_path)
    assert (len(key), session_key(tmp_path)) == (32, key)
    file = tmp_path / "dashboard.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_bytes(b"short")
    assert len(session_key(tmp_path)) == 32
