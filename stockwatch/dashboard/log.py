"""The logs' last lines, as a page of their own: GET /stockwatch/log, ?of=dashboard or ?of=kafka for the children's.

Who may read them: a viewer on the machine that stockwatch runs on. The logs hold no secret, but paths, addresses and what went
wrong, which are the operator's and not a class's: where the page is open to a room, its password does not open them to others.
A proxy on this machine says in X-Forwarded-For whom it asks for, and uvicorn believes it from there only.
"""

from __future__ import annotations

import contextlib
import os
import stat
from html import escape
from pathlib import Path
from string import Template

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from stockwatch.settings import is_loopback

ROUTE = "/stockwatch/log"
FILES = {"stockwatch": "stockwatch.log", "dashboard": "dashboard.log", "kafka": "kafka.log"}
LINES = 200
MOST_BYTES = 128 * 1024  # of a file's end that are read
_PAGE = Template(Path(__file__).with_name("static").joinpath("log.html").read_text(encoding="utf-8"))
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
}


def is_for(viewer: str) -> bool:
    """Whether a viewer at this address may read the logs."""
    return is_loopback(viewer.removeprefix("::ffff:"))


def routes(folder: Path) -> list[Route]:
    """For st.App. folder: the data folder, where the logs are."""

    async def show(request: Request) -> Response:
        if not is_for(request.client.host if request.client else ""):
            return _refused(403, "The log is shown on the machine that stockwatch runs on only: open this page there.")
        name = request.query_params.get("of", "stockwatch")
        if name not in FILES:
            return _refused(404, f"There is no such log, only {', '.join(FILES)}.")
        lines, said = await anyio.to_thread.run_sync(last_lines, folder / FILES[name])
        others = " ".join(
            f'<a href="{ROUTE}?of={other}"{" aria-current=page" if other == name else ""}>{file}</a>'
            for other, file in FILES.items()
        )
        text = "\n".join(map(_line, lines))
        return HTMLResponse(_PAGE.substitute(title=FILES[name], said=escape(said), others=others, lines=text), 200, _HEADERS)

    return [Route(ROUTE, show, methods=["GET"])]


def last_lines(path: Path, lines: int = LINES) -> tuple[list[str], str]:
    """A log's last lines, oldest first, and one line about them. Never raises: a log that cannot be read is said.

    A log that has just been rotated is continued from the file before (<name>.1). At most MOST_BYTES of each are looked at.
    """
    try:
        found = _tail(path)
    except FileNotFoundError:
        return [], "Nothing has been written to this log yet."
    except OSError as error:
        return [], f"This log cannot be read: {error.strerror}."
    if len(found) < lines:
        with contextlib.suppress(OSError):  # there is none, or it went while this was read: what is newest is there
            found = _tail(path.with_name(f"{path.name}.1")) + found
    if not found:
        return [], "This log is empty."
    shown = found[-lines:]
    return shown, f"The last {len(shown)} lines." if len(shown) > 1 else "One line."


def _tail(path: Path) -> list[str]:
    """The whole lines within the file's last MOST_BYTES. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # whatever stands there in a log's name: it holds nobody up
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is no file")
        skipped = max(status.st_size - MOST_BYTES, 0)
        file.seek(skipped)
        text = file.read(MOST_BYTES).decode("utf-8", "replace")
    found = text.splitlines()
    return found[1:] if skipped and len(found) > 1 else found


def _line(text: str) -> str:
    """One line as HTML; control characters (a terminal's colours) as a visible sign."""
    clean = "".join(letter if letter.isprintable() or letter == "\t" else "\N{REPLACEMENT CHARACTER}" for letter in text)
    is_error = any(f" {level} " in clean[:40] for level in ("ERROR", "CRITICAL"))  # time and level come first
    return f"<b>{escape(clean)}</b>" if is_error else escape(clean)


def _refused(status: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status, {"Cache-Control": "no-store"})
