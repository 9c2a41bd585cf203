"""Who may see the page: the password, asked by a form of its own before Streamlit sees anything; then a signed cookie.

Everything but Streamlit's health answer is behind it, WebSockets too. The cookie is signed with a key of the data folder, so
it survives a new life of the page; another password makes it void.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import math
import os
import secrets
import time
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, quote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stockwatch.dashboard.throttle import Throttle

LOGIN, LOGOUT = "/stockwatch/login", "/stockwatch/logout"
OPEN_PATHS = {"/_stcore/health"}  # the supervisor's look at its child; says "ok" and nothing else
SESSION_SECONDS = 12 * 3600
MAX_FORM, FORM_SECONDS = 4096, 10.0
MOST_WAITING = 32  # attempts that are held at once while many fail
_PAGE = Template(Path(__file__).with_name("static").joinpath("login.html").read_text(encoding="utf-8"))
HEADERS = {  # of everything that the page's server says
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",  # not no-referrer: then a browser's own form would come with Origin: null
}
_OF_FORM = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
}


class Tickets:
    """Signed sessions: `expiry.nonce.signature`; nothing is kept, so nothing grows."""

    def __init__(self, key: bytes, password: str) -> None:
        self._key = hmac.digest(key, b"session of " + password.encode(), hashlib.sha256)
        self.cookie = f"stockwatch_{hashlib.sha256(key).hexdigest()[:8]}"  # two instances on one host do not disturb each other

    def issue(self, now: float) -> str:
        """A ticket that is good for SESSION_SECONDS from `now` (seconds since the epoch)."""
        body = f"{int(now) + SESSION_SECONDS}.{secrets.token_urlsafe(16)}"
        return f"{body}.{self._signature(body)}"

    def expiry(self, ticket: str) -> int | None:
        """When a ticket of ours ends or ended (seconds since the epoch); None for any other text."""
        body, _, signature = ticket.rpartition(".")
        if not hmac.compare_digest(self._signature(body).encode(), signature.encode("utf-8", "replace")):
            return None
        return int(body.partition(".")[0])

    def _signature(self, body: str) -> str:
        digest = hmac.digest(self._key, body.encode("utf-8", "replace"), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class PasswordGate:
    """ASGI middleware. Sends HEADERS with everything; without a password it asks for none."""

    def __init__(self, app: ASGIApp, password: str, key: bytes, throttle: Throttle | None = None) -> None:
        self._app = app
        self._expected = hashlib.sha256(password.encode()).digest() if password else None
        self._tickets = Tickets(key, password)
        self._throttle = throttle or Throttle()
        self._held: set[str] = set()  # clients whose attempt is being looked at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on, ask for the password, or refuse."""
        if scope["type"] == "websocket":
            if self._expected is None or self._is_in(HTTPConnection(scope)):
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})  # the client gets 403
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope, receive)
        if self._expected is None or (scope["path"] in OPEN_PATHS and request.method in ("GET", "HEAD")):
            await self._app(scope, receive, send_guarded)
            return
        await self._ask(request, scope, receive, send_guarded)

    async def _ask(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        answer: Response
        if scope["path"] == LOGIN and request.method == "POST":
            answer = await self._login(request)
        elif scope["path"] == LOGOUT and request.method == "POST":
            answer = RedirectResponse("/", 303)
            answer.delete_cookie(self._tickets.cookie, httponly=True, samesite="strict")
        elif self._is_in(request):
            if scope["path"] != LOGIN:
                await self._app(scope, receive, send)
                return
            answer = RedirectResponse("/", 303)
        elif request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            query = f"?{request.url.query}" if request.url.query else ""
            there = "/" if scope["path"] == LOGIN else quote(scope["path"], safe="/-._~") + query
            answer = self._form(there, "", 401)
        else:
            answer = PlainTextResponse("The page asks for its password.\n", 401)
        await answer(scope, receive, send)

    async def _login(self, request: Request) -> Response:
        form = await _read_form(request)
        if form is None:
            return PlainTextResponse("No form that is known here.\n", 400, {"Connection": "close"})
        there = _own_path(form.get("next", ""))
        client = request.client.host if request.client else "unknown"
        known = self._expiry(request) is not None  # was let in once, in this browser
        if client in self._held or len(self._held) >= MOST_WAITING:
            return self._form(there, "One attempt at a time, please. Try again.", 429, 1)
        if (seconds := self._throttle.wait(client)) > 0:
            return self._form(there, f"Wait {math.ceil(seconds)} s after a wrong password, then try again.", 429, seconds)
        self._held.add(client)
        try:
            if not known and (held := self._throttle.delay()):
                await asyncio.sleep(held)  # while many guess, each attempt takes this long
            given = hashlib.sha256(form.get("password", "").encode("utf-8", "replace")).digest()
            if self._expected is None or not hmac.compare_digest(given, self._expected):
                seconds = self._throttle.failed(client)
                wait = f" Wait {math.ceil(seconds)} s before the next try." if seconds > 1 else ""
                return self._form(there, f"That password is not right.{wait}", 401, seconds)
        finally:
            self._held.discard(client)
        self._throttle.passed(client)
        answer = RedirectResponse(there, 303)
        answer.set_cookie(
            self._tickets.cookie, self._tickets.issue(time.time()), max_age=SESSION_SECONDS, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _form(self, there: str, error: str, status: int, wait: float = 0) -> Response:
        said = f'<p class="error" role="alert" id="error">{escape(error)}</p>' if error else ""
        mark = 'aria-invalid="true" aria-describedby="error"' if error else ""
        page = _PAGE.substitute(login=LOGIN, next=escape(there, quote=True), error=said, mark=mark)
        headers = {**_OF_FORM, **({"Retry-After": str(math.ceil(wait))} if wait else {})}
        return HTMLResponse(page, status, headers)

    def _expiry(self, connection: HTTPConnection) -> int | None:
        ticket = connection.cookies.get(self._tickets.cookie, "")
        return self._tickets.expiry(ticket) if 0 < len(ticket) < 200 else None

    def _is_in(self, connection: HTTPConnection) -> bool:
        expiry = self._expiry(connection)
        return expiry is not None and time.time() < expiry


def session_key(folder: Path) -> bytes:
    """The key of the data folder that signs sessions; made at the first need, for this user alone."""
    path = folder / "dashboard.key"
    with (
        contextlib.suppress(FileExistsError),
        os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
    ):
        file.write(secrets.token_bytes(32))
    path.chmod(0o600)
    key = path.read_bytes()
    if len(key) < 32:  # cut short by a full disk or a kill
        path.unlink()
        return session_key(folder)
    return key


def _own_path(there: str) -> str:
    """Where to go after the login: a path of this page, never another site."""
    plain = there.startswith("/") and not there.startswith(("//", "/\\", LOGIN)) and "\\" not in there
    return there if plain and there.isprintable() and len(there) < 2000 else "/"


async def _read_form(request: Request) -> dict[str, str] | None:
    """The fields of a small urlencoded form, read within a time; None for anything else."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return None
    body = b""
    try:
        async with asyncio.timeout(FORM_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_FORM:
                    return None
        return {name: values[-1] for name, values in parse_qs(body.decode("utf-8"), max_num_fields=8).items()}
    except (TimeoutError, ValueError):
        return None
