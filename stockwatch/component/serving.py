"""A Starlette application served by uvicorn in a daemon thread of this process, on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from stockwatch.errors import ComponentFailedError, UnavailableError


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises UnavailableError when the port is taken.

    proto=IPPROTO_TCP: asyncio sets TCP_NODELAY only then (FACTS.md: 44 ms a query without it).
    SO_REUSEADDR: right after a stop the port would count as taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1, server_header=False
        )
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
