"""A Starlette application served by uvicorn in a daemon thread of this process, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from stockwatch.errors import ComponentFailedError, UnavailableError

HEAD_SECONDS = 10.0  # a request's head must be here within this
HEAD_BYTES = 64 * 1024
STALL_SECONDS = 60.0  # and of a body, which may take its time, something within this


class HurriedProtocol(H11Protocol):
    """uvicorn's own waits for ever for a head that comes byte by byte, and for a body that stops: such a connection is closed."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A connection: its first head is due."""
        super().connection_made(transport)
        self._expect(HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Bytes: of a head that is due, or of the body that follows one."""
        if self._late is None and not self._is_answering():
            self._expect(HEAD_SECONDS)
        super().data_received(data)
        if self._is_answering():
            self._forget()
            if self._is_taking_body():
                self._expect(STALL_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._forget()
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _is_taking_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def _expect(self, seconds: float) -> None:
        self._late = self.loop.call_later(seconds, self._close_late)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close_late(self) -> None:
        self._late = None
        if self.transport.get_protocol() is not self:  # it has become a WebSocket
            return
        if not self._is_answering():
            self.transport.close()
        elif self._is_taking_body():
            if self.flow.read_paused:  # it is we who do not take it
                self._expect(STALL_SECONDS)
            else:
                self.transport.abort()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises UnavailableError when the port is taken.

    proto=IPPROTO_TCP: asyncio sets TCP_NODELAY only then (FACTS.md: 44 ms a query without it).
    SO_REUSEADDR: right after a stop the port would count as taken. On Windows it would let two listen on one port instead.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR), 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UnavailableError(f"port {port} on {host} cannot be opened: {error.strerror}") from error
    return listener


class ServerThread:
    """One server's life. The socket is opened by the caller, so that a taken port is known before anything starts."""

    def __init__(self, app: ASGIApp, listener: socket.socket, name: str) -> None:
        config = uvicorn.Config(
            app, http=HurriedProtocol, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1,
            server_header=False, h11_max_incomplete_event_size=HEAD_BYTES,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(SystemExit):  # uvicorn's way to say that it cannot start; is_alive() tells
            self._server.run([self._listener])

    def raise_if_dead(self) -> None:
        """Raises ComponentFailedError when the thread has ended."""
        if not self._thread.is_alive():
            raise ComponentFailedError(f"{self._thread.name} has ended")

    def stop(self, seconds: float) -> None:
        """Stop accepting, finish what runs, close the socket."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(seconds)
        self._listener.close()
