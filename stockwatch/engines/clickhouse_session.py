"""Sessions of the HTTP protocol, and what surrounds each statement on a handle: settings, database, tables that came with it.

A request without a session has a handle of its own, which takes SET, USE and temporary tables with it. A session keeps one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockwatch.engines.clickhouse_guard import check_settings, limits, refusal
from stockwatch.engines.clickhouse_guard_roles import become
from stockwatch.engines.clickhouse_request import BadRequestError, External, Request
from stockwatch.engines.clickhouse_statement import LITERALS_ONLY, quoted, tokens

HOME = "home"  # stands for `default`, in which chDB takes paths of files for tables
# One thread each, so that eight busy readers leave the writer its turn; formatting in parallel would take 40 MB a slow client.
READER = {"max_threads": "1", "output_format_parallel_formatting": "0"}
KEPT = 100  # sessions of one user; the one that has been idle longest makes room
# What a column may have beside its type.
_NO_TYPE = {
    "DEFAULT",
    "MATERIALIZED",
    "EPHEMERAL",
    "ALIAS",
    "CODEC",
    "TTL",
    "COMMENT",
    "STATISTICS",
    "SETTINGS",
    "PRIMARY",
    "COLLATE",
}


@dataclass
class Session:
    """One handle for many requests, one at a time. `handle` is made by the first."""

    key: tuple[str, str]
    handle: Any = None
    ready: bool = False  # its first settings are set
    busy: bool = False
    timer: asyncio.TimerHandle | None = None


class Sessions:
    """All sessions; used on the event loop only."""

    def __init__(self, pool: Executor) -> None:
        self._all: dict[tuple[str, str], Session] = {}
        self._pool = pool

    def take(self, user: str, request: Request) -> Session | None:
        """The request's session, busy from now on; None without a session_id. Raises BadRequestError (372, 373, 202)."""
        if not request.session_id:
            return None
        key = (user, request.session_id)
        session = self._all.pop(key, None)
        if session is None and request.session_check:
            raise BadRequestError(372, "SESSION_NOT_FOUND", f"Session {request.session_id[:80]} not found")
        if session is None:
            self._make_room(user)
            session = Session(key)
        self._all[key] = session  # at the end: the one used last
        if session.busy:
            raise BadRequestError(373, "SESSION_IS_LOCKED", f"Session {request.session_id[:80]} is locked by a concurrent client")
        if session.timer is not None:
            session.timer.cancel()
            session.timer = None
        session.busy = True
        return session

    def _make_room(self, user: str) -> None:
        own = [session for key, session in self._all.items() if key[0] == user]
        if len(own) < KEPT:
            return
        idle = next((session for session in own if not session.busy), None)
        if idle is None:
            raise BadRequestError(202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many sessions: maximum {KEPT}, all of them busy")
        self._drop(idle)

    def give_back(self, session: Session, seconds: int) -> None:
        """Idle from now on, and gone after `seconds`."""
        session.busy = False
        if self._all.get(session.key) is session:
            session.timer = asyncio.get_running_loop().call_later(seconds, self._drop, session)

    def _drop(self, session: Session) -> None:
        self._all.pop(session.key, None)
        if session.timer is not None:
            session.timer.cancel()
        if session.handle is not None:
            self._pool.submit(session.handle.close)

    def close(self) -> None:
        """Every handle, in this thread; nothing runs any more."""
        for session in self._all.values():
            if session.handle is not None:
                with contextlib.suppress(RuntimeError):  # it is going away
                    session.handle.close()
        self._all.clear()


@contextmanager
def prepared(
    handle: Any, request: Request, own: dict[str, str], session: Session | None, folder: Path,
    *, reader: bool, read_only: bool,
) -> Iterator[None]:  # fmt: skip
    """Settings, database, rights and external tables for one statement; a session has its own back afterwards.

    read_only: the engine itself refuses to write too. `own` are the gateway's settings, beside those of the request.
    """
    locked = reader or (read_only and session is None)  # readonly = 2 cannot be taken back: not in an owner's session
    settings = {**own, **request.settings}
    if locked and settings.pop("readonly", "2") not in ("1", "2"):
        raise BadRequestError(164, "READONLY", "Cannot modify 'readonly' setting in readonly mode")
    database = HOME if request.database in ("", "default") else request.database
    base = {"session_timezone": "UTC", **(limits({}) | READER if reader else {})}
    check_settings(handle, request.settings, read_only=reader)
    with ExitStack() as undo:
        if session is None:
            early = {"readonly": "2"} if locked and not request.external else {}  # one statement less
            handle.query(_set({**base, **settings, **early}))
            handle.query(f"USE {named(database)}")
        else:
            if not session.ready:
                handle.query(_set(base))
                handle.query(f"USE {named(HOME)}")
                session.ready = True
            if request.settings:
                undo.callback(handle.query, _present(handle, list(request.settings)))
            handle.query(_set(settings))
            if request.database:
                present = json.loads(handle.query("SELECT currentDatabase()", "JSONCompact").bytes())["data"][0][0]
                undo.callback(handle.query, f"USE {named(present)}")
                handle.query(f"USE {named(database)}")
        if request.external:
            become(handle, read_only=False)  # to make these tables, and nothing else
        for external in request.external:
            _load(handle, external, folder)
            undo.callback(handle.query, f"DROP TEMPORARY TABLE IF EXISTS {named(external.name)}")
        become(handle, read_only=read_only)
        if locked and (session is not None or request.external):
            handle.query("SET readonly = 2")
        yield


def _set(settings: dict[str, str]) -> str:
    return "SET " + ", ".join(f"{name} = {quoted(value)}" for name, value in settings.items())


def _present(handle: Any, names: list[str]) -> str:
    """A SET that brings these settings back to what they are now."""
    listed = ", ".join(map(quoted, names))
    asked = f"SELECT name, value, changed FROM system.settings WHERE name IN ({listed})"  # noqa: S608 - quoted
    rows = json.loads(handle.query(asked, "JSONCompact").bytes())["data"]
    values = [f"{name} = {quoted(value) if changed else 'DEFAULT'}" for name, value, changed in rows]
    return "SET " + ", ".join(values) if values else "SELECT 1"


def _load(handle: Any, external: External, folder: Path) -> None:
    if not re.fullmatch(r"[A-Za-z_]\w{0,99}", external.name, re.ASCII):
        raise BadRequestError(36, "BAD_ARGUMENTS", f"External table has no name that can be used: {external.name[:80]!r}")
    if not re.fullmatch(r"\w{1,60}", external.format, re.ASCII):
        raise BadRequestError(73, "UNKNOWN_FORMAT", f"Unknown format {external.format[:60]}")
    made = f"CREATE TEMPORARY TABLE {external.name} ({_columns(external.structure)}) ENGINE = Memory"
    refusal(handle, made, {}, has_data=False, read_only=False)
    handle.query(made)
    path = folder / f"{uuid.uuid4().hex}.external"
    try:
        path.write_bytes(external.data)
        if external.data:
            source = f"INFILE {quoted(str(path))} SETTINGS {LITERALS_ONLY} FORMAT {external.format}"
            handle.query(f"INSERT INTO {external.name} FROM {source}")
    finally:
        path.unlink(missing_ok=True)


def _columns(structure: str) -> str:
    """Names and types only: a default would be an expression, and expressions reach files."""
    depth, is_name, fine = 0, True, bool(structure.strip())
    for token in tokens(structure):
        depth += (token.text == "(") - (token.text == ")")
        fine = fine and depth >= 0 and (is_name or token.upper not in _NO_TYPE)
        fine = fine and (token.kind != "sign" or token.text in "(),=-.")
        is_name = token.text == "," and depth == 0
    if depth or not fine:
        raise BadRequestError(
            36, "BAD_ARGUMENTS", f"The structure of external data is a list of names and types: {structure[:200]!r}"
        )
    return structure


def named(name: str) -> str:
    """A name in backquotes."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
