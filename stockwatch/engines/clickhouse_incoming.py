"""A request's body, taken as it comes: the statement in memory, an INSERT's data into a file, a form's files as tables."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from starlette.datastructures import UploadFile
from starlette.requests import Request as HttpRequest

from stockwatch.engines import clickhouse_request
from stockwatch.engines.clickhouse_body import unpacking
from stockwatch.engines.clickhouse_request import BadRequestError, External, Request, parse
from stockwatch.engines.clickhouse_statement import insert_head

_HEAD = 1 << 16  # bytes in which an INSERT has to name its format
MAX_FORM = 64 << 20  # bytes of external data in one request


@dataclass
class Incoming:
    """What came: the request, its parameters (a form's fields too), and the file with an INSERT's data."""

    request: Request
    query: dict[str, str]
    data: Path | None = None


async def receive(http: HttpRequest, folder: Path) -> Incoming:
    """Read the body to its end. Raises BadRequestError; then no file is left."""
    query = dict(http.query_params)
    external: list[External] = []
    if http.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        fields, external = await _form(http)
        query |= fields
        for table in external:
            for part in ("structure", "types", "format"):
                query.pop(f"{table.name}_{part}", None)
        body: AsyncIterator[bytes] = _nothing()
    else:
        blocks = query.get("decompress") in ("1", "true")
        body = _unpacked(http, blocks=blocks)
    taken = _Taken(folder)
    asked = query.get("query", "")
    try:
        if asked:
            taken.take(f"{asked}\n".encode("utf-8", "replace"))
        async for piece in body:
            taken.take(piece)
        request = parse(query, http.headers, taken.statement())
        if request.insert is not None:
            taken.close()
            return Incoming(request, query, taken.path)
        if taken.path is not None:
            raise BadRequestError(62, "SYNTAX_ERROR", "Syntax error: the INSERT is not understood")
    except BaseException:
        taken.drop()
        raise
    request.external = external
    return Incoming(request, query)


@dataclass
class _Taken:
    """The statement's bytes, until they turn out to be an INSERT's head; then the rest goes to a file."""

    folder: Path
    path: Path | None = None
    _text: bytearray = field(default_factory=bytearray)
    _file: IO[bytes] | None = None
    _size: int = 0
    _is_statement: bool = False  # no data can follow any more

    def take(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > clickhouse_request.MAX_BODY:
            raise BadRequestError(241, "MEMORY_LIMIT_EXCEEDED", "the body is too large")
        if self._file is not None:
            self._write(piece)
            return
        self._text += piece
        if not self._is_statement and len(self._text) >= _HEAD:
            self._find_data()
        if self._is_statement and len(self._text) > clickhouse_request.MAX_SQL:
            raise BadRequestError(
                229, "QUERY_IS_TOO_LARGE", f"Query is too large ({len(self._text)}): maximum {clickhouse_request.MAX_SQL}"
            )

    def statement(self) -> str:
        """The statement without data. Raises BadRequestError when it is not UTF-8."""
        if self._file is None and not self._is_statement:
            self._find_data()
        try:
            return self._text.decode()
        except UnicodeDecodeError:
            raise BadRequestError(62, "SYNTAX_ERROR", "Syntax error: the statement is not UTF-8") from None

    def _find_data(self) -> None:
        """Cut the text where data begin. Latin-1 keeps one letter a byte, so that places in the text are places in the bytes."""
        found = insert_head(self._text[:_HEAD].decode("latin-1"))
        if found is None:
            self._is_statement = True
            return
        self.path = self.folder / f"{uuid.uuid4().hex}.data"
        try:
            self._file = self.path.open("xb")
        except OSError as error:
            raise BadRequestError(243, "NOT_ENOUGH_SPACE", f"Cannot keep the data: {error.strerror}") from error
        data = bytes(self._text[found.data_start :])
        del self._text[found.data_start :]
        self._write(data)

    def _write(self, data: bytes) -> None:
        try:
            if self._file is not None:
                self._file.write(data)
        except OSError as error:
            raise BadRequestError(243, "NOT_ENOUGH_SPACE", f"Cannot keep the data: {error.strerror}") from error

    def close(self) -> None:
        """Everything is in the file."""
        try:
            if self._file is not None:
                self._file.close()
        except OSError as error:
            raise BadRequestError(243, "NOT_ENOUGH_SPACE", f"Cannot keep the data: {error.strerror}") from error

    def drop(self) -> None:
        """Leave nothing."""
        if self._file is not None and self.path is not None:
            try:
                self._file.close()
            except OSError:
                self._file = None  # full: what it had left to write is not wanted
            self.path.unlink(missing_ok=True)


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


async def _unpacked(http: HttpRequest, *, blocks: bool) -> AsyncIterator[bytes]:
    codecs = unpacking(http.headers.get("content-encoding", ""), blocks=blocks)
    async for piece in http.stream():
        for codec in codecs:
            piece = codec.take(piece)
        if piece:
            yield piece
    left = b""
    for codec in codecs:
        left = (codec.take(left) if left else b"") + codec.end()
    if left:
        yield left


async def _form(http: HttpRequest) -> tuple[dict[str, str], list[External]]:
    """A form's plain fields, which are parameters, and its files, each a table."""
    if int(http.headers.get("content-length") or MAX_FORM) > MAX_FORM:
        raise BadRequestError(
            241, "MEMORY_LIMIT_EXCEEDED", f"external data are too large: maximum {MAX_FORM} bytes, and their length is told"
        )
    async with http.form(max_files=20, max_fields=1_000, max_part_size=clickhouse_request.MAX_SQL) as form:
        parts = form.multi_items()
        fields = {name: value for name, value in parts if isinstance(value, str)}
        files = [(name, await value.read()) for name, value in parts if isinstance(value, UploadFile)]
    known = {**http.query_params, **fields}
    external = []
    for name, data in files:
        structure = known.get(f"{name}_structure") or _numbered(known.get(f"{name}_types", ""))
        external.append(External(name, data, structure, known.get(f"{name}_format", "TabSeparated")))
    return fields, external


def _numbered(types: str) -> str:
    """`x_types`: columns _1, _2, … of these types."""
    depth, start, found = 0, 0, []
    for place, letter in enumerate(types):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            found.append(types[start:place])
            start = place + 1
    found.append(types[start:])
    return ", ".join(f"_{number} {re.sub(r'[^ -~]', '', kind).strip()}" for number, kind in enumerate(found, 1)) if types else ""
