"""The embedded store alone in a child: chDB takes one folder a process, and its memory and its death are its own."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from program import ROOT, free_port

SERVE = """
import sys
from pathlib import Path
from stockwatch.component import StoreAddress
from stockwatch.engines.embedded_clickhouse import EmbeddedClickHouse
from stockwatch.engines.external import StoreProbe
from stockwatch.errors import UnavailableError
from stockwatch.health import HealthRegistry

folder, port = Path(sys.argv[1]), int(sys.argv[2])
health = HealthRegistry(["clickhouse"])
address = StoreAddress(f"http://127.0.0.1:{port}", user="stockwatch", password_file=folder / "clickhouse.password")

def live():
    engine = EmbeddedClickHouse(folder, port, health.reporter("clickhouse"), StoreProbe(address, []))
    try:
        engine.start()
        engine.ready()
        engine.beat()
    except UnavailableError as error:
        print("refused:", error, flush=True)
        sys.exit(3)
    print(health.get("clickhouse").state, flush=True)
    return engine

engine = live()
for line in sys.stdin:  # one line: another life in the same process; the end of input: the end
    engine.stop()
    engine = live()
engine.stop()
print("stopped", flush=True)
"""


class Engine:
    """One process with the store in `folder`, on `port`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._errors = (folder / "engine.txt").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(folder), str(port)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._clients: list[Client] = []

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.strip())

    def said(self, seconds: float = 30) -> str:
        """Its next line."""
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"the store says nothing: {(self.folder / 'engine.txt').read_text()[-2000:]}") from None

    def live_again(self) -> None:
        """Stop the store and start it again, in the same process on the same folder and port."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def password(self, file: str = "clickhouse.password") -> str:
        """What the store made at its first start."""
        return (self.folder / file).read_text().strip()

    def client(self) -> Client:
        """A client as stockwatch has it, as the owner."""
        made = clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, username="stockwatch", password=self.password(), autogenerate_session_id=False
        )
        self._clients.append(made)
        return made

    def end(self) -> int:
        """Close its input, which ends it in order; its exit code. Safe to repeat."""
        for client in self._clients:
            client.close()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone already
            self.process.stdin.close()
        try:
            return self.process.wait(15)
        finally:
            self.process.kill()
            self.process.wait(5)
            self._reader.join(5)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self._errors.close()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Engine]:
    """A store on a free port that has said that it runs; ended afterwards."""
    made = Engine(folder, free_port())
    try:
        assert made.said() == "running"
        yield made
    finally:
        made.end()
