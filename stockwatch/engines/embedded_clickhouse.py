"""The embedded column store: chDB (ClickHouse in process) behind the loopback gateway. Its folder admits one process."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Any

import chdb
from chdb._exceptions import ChdbError

from stockwatch.component import Deadlines
from stockwatch.component.serving import ServerThread, listen
from stockwatch.engines.clickhouse_disk import CONFIGURATION, Disk
from stockwatch.engines.clickhouse_guard_roles import write_configuration
from stockwatch.engines.clickhouse_http import HOME, Gateway, kill_queries
from stockwatch.engines.external import StoreProbe
from stockwatch.errors import ComponentFailedError, StoreError, UnavailableError
from stockwatch.health import Reporter

OWNER, READER = "stockwatch", "reader"
# A laptop's engine: few threads, small caches; the rest of the memory belongs to the page and the broker.
OPTIONS = "max_server_memory_usage=1500000000&mark_cache_size=33554432&uncompressed_cache_size=0"
SILENT_BEATS = 3


class EmbeddedClickHouse:
    """One life of the store: open the folder, serve, close."""

    name = "clickhouse"

    def __init__(self, data_dir: Path, port: int, reporter: Reporter, probe: StoreProbe) -> None:
        self.deadlines = Deadlines(ready=20.0, beat=30.0, stop=2.0)
        self._data_dir, self._folder = data_dir, data_dir / "clickhouse"
        self._port, self._report, self._probe = port, reporter, probe
        self._configuration = data_dir / "configuration" / "config.xml"
        self._disk = Disk(self._folder, self._connect)
        self._root: Any = None
        self._gateway: Gateway | None = None
        self._server: ServerThread | None = None
        self._silent = 0

    def start(self) -> None:
        """Open and serve. Raises UnavailableError when another process has the folder, or the port is taken."""
        users = {
            OWNER: (_password(self._data_dir / "clickhouse.password"), False),
            READER: (_password(self._data_dir / "clickhouse.reader.password"), True),
        }
        incoming = self._data_dir / "incoming"
        incoming.mkdir(mode=0o700, exist_ok=True)  # kept: a full disk may have no room for a new one
        for left in incoming.iterdir():
            left.unlink()  # what a killed life was about to insert; Kafka or the outbox has it
        self._configuration = write_configuration(self._data_dir / "configuration", CONFIGURATION)
        self._root = self._open()
        try:
            listener = listen("127.0.0.1", self._port)
        except UnavailableError:
            self._root.close()
            raise
        self._disk.opened()
        self._gateway = Gateway(self._connect, chdb.engine_version, users, incoming, self._disk)
        self._server = ServerThread(self._gateway.app, listener, "clickhouse gateway")
        self._server.start()

    def _open(self) -> Any:
        is_new = not self._folder.exists()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if is_new and (short := self._disk.shortage()):
            self._folder.rmdir()
            raise UnavailableError(f"{short}: free some space and start again")
        try:
            root = self._connect()
            root.query(f"CREATE DATABASE IF NOT EXISTS {HOME} ENGINE = Atomic")
            return root
        except (ChdbError, RuntimeError) as error:
            text = str(error)
            if "lock" in text.lower() or "EmbeddedServer" in text:
                raise UnavailableError(f"{self._folder} is in use by another process, or is no store of ours") from error
            raise UnavailableError(f"{self._folder}: the store cannot be opened: {text[:200]}") from error

    def _connect(self) -> Any:
        return chdb.connect(f"{self._folder}?{OPTIONS}&config-file={self._configuration}")

    def handle(self) -> Any:
        """A handle of chDB past the gateway, which the benchmarks compare it with. The caller closes it."""
        return self._connect()

    def ready(self) -> bool:
        """True once the gateway answers and the schema is there."""
        self._raise_if_dead()
        self._probe.prepare()
        return True

    def beat(self) -> None:
        """A query through the gateway; raises ComponentFailedError when the gateway's thread has ended or stays silent."""
        self._raise_if_dead()
        try:
            took = self._probe.query_ms()
        except StoreError as error:
            self._silent += 1
            if self._silent >= SILENT_BEATS:
                raise ComponentFailedError(f"the store has stopped answering: {error}") from error
            self._report.degraded(str(error))
            return
        self._silent = 0
        if self._disk.is_damaged():
            raise ComponentFailedError(f"a write to the disk under {self._folder} has failed: the store is opened again")
        if short := self._disk.shortage():
            self._report.degraded(f"{short}: free some space, nothing is lost meanwhile")
            return
        self._report.running(f"embedded on 127.0.0.1:{self._port}", query_ms=took)

    def stop(self) -> None:
        """Stop accepting, end what runs, close every handle."""
        self._probe.close()
        if self._server is not None:
            self._server.stop(self.deadlines.stop / 2)
        if self._gateway is not None:
            self._gateway.close()
            kill_queries(self._connect)
        self._disk.close()
        if self._root is not None:
            root, self._root = self._root, None
            with contextlib.suppress(ChdbError, RuntimeError):  # it is going away
                root.close()

    def _raise_if_dead(self) -> None:
        if self._server is None:
            raise ComponentFailedError("the store was never opened")
        self._server.raise_if_dead()


def _password(path: Path) -> str:
    """Made at the first start, for this user alone; kept for the next."""
    try:
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(24) + "\n")
        path.chmod(0o600)
        password = path.read_text().strip()
    except OSError as error:
        raise UnavailableError(f"{path} cannot be written: {error.strerror}") from error
    if not password:
        path.unlink()
        return _password(path)
    return password
