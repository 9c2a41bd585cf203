"""One query in the engine: prepared, run in a thread of the pool, its rows read from a pipe, ended when nobody wants them.

The engine writes its answer INTO OUTFILE of a named pipe: every format comes as one well-formed stream, whatever its size, and a
reader that is slow slows the query down. An INSERT's data come FROM INFILE: only that acknowledges what is written (FACTS.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import threading
import uuid
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

from stockwatch.engines.clickhouse_disk import Disk
from stockwatch.engines.clickhouse_guard import checked_values, refusal
from stockwatch.engines.clickhouse_native import empty_block
from stockwatch.engines.clickhouse_request import BadRequestError, Request
from stockwatch.engines.clickhouse_session import Session, prepared
from stockwatch.engines.clickhouse_statement import (
    first_word,
    kill_query,
    quoted,
    split_format,
    with_user,
)

Connect = Callable[[], Any]
MARK = "cluster_for_parallel_replicas"  # a setting without effect here: carries the query's id into system.processes
_PIECE = 1 << 18
_PIPE = 1 << 20
_F_SETPIPE_SZ = 1031  # Linux's; elsewhere a pipe keeps its size
# A million rows in a row group, the default, cost 380 MB on their way out.
_FORMAT_SETTINGS = {"Parquet": {"output_format_parquet_row_group_size": "100000"}}


class Query:
    """From the event loop: `start`, `pieces`, `close`. `error`, `summary` and `has_rows` are whole when `pieces` has ended."""

    def __init__(
        self, connect: Connect, request: Request, user: str, *, read_only: bool, reader: bool, session: Session | None,
        data: Path | None, folder: Path, disk: Disk, kill: Callable[[list[str]], None],
    ) -> None:  # fmt: skip
        self.request, self.user, self.id = request, user, request.query_id or str(uuid.uuid4())
        self.error: Exception | None = BadRequestError(1002, "UNKNOWN_EXCEPTION", "The query has not ended")  # until it has
        self.has_rows = False
        self.cancelled = False
        self.summary: dict[str, int] = {}
        self.progress: list[str] = []
        self.done = threading.Event()
        self.on_done: Callable[[], None] = lambda: None
        self._connect, self._read_only, self._reader = connect, read_only, reader
        self._session, self._data = session, data
        self._disk, self._kill = disk, kill
        self._direct = b""
        self._path = folder / f"{uuid.uuid4().hex}.pipe"
        os.mkfifo(self._path, 0o600)
        self._reading = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        self._writing = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)  # held until the end: then, and only then, the pipe ends
        with contextlib.suppress(OSError, ValueError):
            import fcntl

            fcntl.fcntl(self._writing, _F_SETPIPE_SZ, _PIPE)

    def run(self) -> None:
        """In the pool: everything that touches the engine. Never raises: see `error`."""
        handle: Any = None
        try:
            handle = self._session.handle if self._session and self._session.handle else self._connect()
            if self._session:
                self._session.handle = handle
            own = {**_FORMAT_SETTINGS.get(self.request.format, {}), MARK: self.id}
            around = prepared(
                handle, self.request, own, self._session, self._path.parent, reader=self._reader, read_only=self._read_only
            )
            with around:
                self._work(handle)
            self.error = None
        except (RuntimeError, BadRequestError) as error:
            self.error = error
        except OSError as error:
            self.error = BadRequestError(243, "NOT_ENOUGH_SPACE", f"Cannot keep the data: {error.strerror}")
        finally:
            self._finish(handle)

    def _finish(self, handle: Any) -> None:
        if self.cancelled:
            self.error = BadRequestError(394, "QUERY_WAS_CANCELLED", "Query was cancelled")
        if handle is not None:
            with contextlib.suppress(RuntimeError):  # it is going away
                handle.set_progress_callback(None)
                if self._session is None:
                    handle.close()
        for path in (self._path, self._data):
            if path is not None:
                path.unlink(missing_ok=True)
        self.done.set()
        self.on_done()  # before the pipe ends: who has the whole answer may ask again at once, in the same session
        os.close(self._writing)

    def _work(self, handle: Any) -> None:
        request = self.request
        sql = with_user(request.sql, self.user) if request.insert is None else request.sql
        reads = refusal(handle, sql, request.parameters, has_data=request.insert is not None, read_only=self._read_only)
        handle.set_progress_callback(self._count)
        if reads:
            self._carry_out(handle, sql, reads=True)
            return
        with self._disk.writing("INSERT" if request.insert is not None else first_word(sql)):
            self._carry_out(handle, sql, reads=False)

    def _carry_out(self, handle: Any, sql: str, *, reads: bool) -> None:
        if self.request.insert is not None:
            self._insert(handle)
        elif (kill := kill_query(sql, MARK)) is not None and not reads:
            self._end_others(handle, kill.condition, kill.mode)
            self._direct_answer(handle, f"KILL QUERY WHERE {kill.condition} {kill.mode}")
        elif reads and first_word(sql) != "EXPLAIN":  # what EXPLAIN AST or SYNTAX explains would take in the pipe's clause
            self._stream(handle, sql)
        else:
            self._direct_answer(handle, sql)

    def _stream(self, handle: Any, sql: str) -> None:
        request = self.request
        bare = split_format(sql).sql
        self.has_rows = True
        try:
            result = handle.query(
                f"{bare}\nINTO OUTFILE {quoted(str(self._path))} APPEND FORMAT {request.format}", params=request.parameters
            )
        except RuntimeError as error:
            if "OUTFILE" in str(error) and "SYNTAX_ERROR" in str(error):  # a statement that reads, but is no SELECT: small
                self._direct_answer(handle, sql)
                return
            raise
        self._sum_up(result)
        if request.format == "Native" and not result.rows_read():
            self._direct = empty_block(handle, bare, request.parameters)

    def _direct_answer(self, handle: Any, sql: str) -> None:
        result = handle.query(sql, self.request.format, params=self.request.parameters)
        self._direct = bytes(result.bytes())
        self.has_rows = self.has_rows or bool(self._direct) or first_word(sql) in ("EXPLAIN", "KILL")
        self._sum_up(result)

    def _insert(self, handle: Any) -> None:
        insert, path = self.request.insert, self._data
        if insert is None or path is None:
            raise BadRequestError(48, "NOT_IMPLEMENTED", "An INSERT without its data is not supported here")
        settings = ""
        if insert.format.upper() == "VALUES":
            settings = checked_values(handle, path, self.request.parameters)
        if not path.stat().st_size:  # nothing to insert; the table has to be there all the same, and Parquet is never empty
            insert = type(insert)(insert.target, insert.settings, "CSV", insert.data_start)
        self._sum_up(handle.query(insert.from_file(str(path), settings), params=self.request.parameters))

    def _end_others(self, handle: Any, condition: str, mode: str) -> None:
        """Queries that wait for a slow reader end only when somebody reads: the gateway has to help the engine's KILL."""
        if mode == "TEST":
            return
        asked = f"SELECT Settings['{MARK}'] FROM system.processes WHERE {condition}"  # noqa: S608 - judged by the guard
        refusal(handle, asked, self.request.parameters, has_data=False, read_only=False)
        found = handle.query(asked, "JSONCompact", params=self.request.parameters).bytes()
        self._kill([row[0] for row in json.loads(found)["data"] if row[0] != self.id])

    def _count(self, seen: dict[str, int]) -> None:
        self.summary = {**seen}
        if self.request.progress:
            self.progress.append(self.summary_text())

    def _sum_up(self, result: Any) -> None:
        """The engine's own counts of this statement."""
        written = result.rows_written()
        self.summary |= {
            "read_rows": result.storage_rows_read(), "read_bytes": result.storage_bytes_read(),
            "written_rows": written, "written_bytes": result.bytes_written(),
            "result_rows": written or result.rows_read(), "result_bytes": result.bytes_written() or result.bytes_read(),
            "elapsed_ns": int(result.elapsed() * 1e9),
        }  # fmt: skip

    def summary_text(self) -> str:
        """As in X-ClickHouse-Summary: what is known by now, numbers as strings."""
        zero = dict.fromkeys(("read_rows", "read_bytes", "written_rows", "written_bytes", "total_rows_to_read", "result_rows"), 0)
        return json.dumps({name: str(value) for name, value in {**zero, **self.summary}.items()}, separators=(",", ":"))

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The answer as the engine writes it; ends with the query."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                piece = os.read(self._reading, _PIECE)
            except BlockingIOError:
                ready = asyncio.Event()
                loop.add_reader(self._reading, ready.set)
                try:
                    await ready.wait()
                finally:
                    loop.remove_reader(self._reading)
                continue
            if not piece:
                break
            yield piece
        if self._direct and self.error is None:
            yield self._direct

    def cancel(self, *, marked: bool = False) -> None:
        """End it, in a thread of its own: the engine stops only when its pipe is read, and not before it has begun.

        marked: a KILL QUERY that is on its way marks it; until then it is left alone, so that this KILL finds it and can say so.
        """
        if (marked or not self.cancelled) and not self.done.is_set():
            self.cancelled = self.cancelled or not marked
            arguments = [os.dup(self._reading), marked]
            threading.Thread(target=self._end, args=arguments, name="clickhouse kill", daemon=True).start()

    def _end(self, reading: int, marked: bool) -> None:
        mine = f"Settings['{MARK}'] = {quoted(self.id)}"
        look = f"SELECT max(is_cancelled) FROM system.processes WHERE {mine}"  # noqa: S608 - the id is quoted
        statement = look if marked else f"KILL QUERY WHERE {mine} ASYNC"
        waiting = select.poll()
        waiting.register(reading, select.POLLIN)
        handle = self._connect()
        try:
            while not self.done.is_set():
                answer = handle.query(statement, "TSV").bytes()
                if (answer == b"1\n" or not marked) and waiting.poll(50):
                    with contextlib.suppress(BlockingIOError):
                        while os.read(reading, _PIECE):
                            pass
                self.done.wait(0.01)
        except RuntimeError:
            return  # the engine is going away, and the query with it
        finally:
            handle.close()
            os.close(reading)

    def close(self) -> None:
        """Nobody reads any more; what still runs is ended."""
        self.cancel()
        os.close(self._reading)
