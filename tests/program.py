"""The real program as a child: started, watched by its health, stopped, for integration, browser and fault tests."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect
import psutil
from clickhouse_connect.driver.client import Client

ROOT = Path(__file__).resolve().parent.parent
DEFAULTS = {
    "market": {"source": "simulator", "tickers": ["RELIANCE.NS", "AAPL"]},
    "dashboard": {"port": 0},
    "supervisor": {"data_dir": "data"},
}


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The condition's first true value. Fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)  # looked at again until the deadline


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """`python -m stockwatch.cli`, as run.py would start it, with settings of its own in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.settings = folder / "settings.toml"
        self.process: subprocess.Popen[str] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.health_port = free_port()
        self._clients: list[Client] = []
        self.write()

    def write(self, **sections: dict[str, Any]) -> None:
        """Write settings.toml: the defaults for tests, with these on top."""
        merged = {name: {**DEFAULTS.get(name, {}), **sections.get(name, {})} for name in {*DEFAULTS, *sections}}
        merged["supervisor"] = {"health_port": self.health_port, **merged["supervisor"]}
        lines = []
        for section, keys in merged.items():
            lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
        self.settings.write_text("\n".join(lines) + "\n")

    def command(self, *arguments: str) -> list[str]:
        """A command line of the program with this folder's settings."""
        return [sys.executable, "-m", "stockwatch.cli", *arguments, "--settings", str(self.settings)]

    def environment(self) -> dict[str, str]:
        """This environment, with the package found from any folder."""
        return {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(self, *arguments: str, timeout: float = 40) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def start(self, *arguments: str, ready: float = 40) -> None:
        """Start everything and wait until it is healthy."""
        with (self.folder / "console.txt").open("a") as console:
            self.process = subprocess.Popen(
                self.command("--no-browser", *arguments),
                cwd=self.folder,
                env=self.environment(),
                stdout=console,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        try:
            self.wait_until_healthy(ready)
        except BaseException:  # then nobody has got it who would end it
            self.kill()
            raise

    def wait_until_healthy(self, seconds: float = 40) -> dict[str, Any]:
        """The health once everything runs."""

        def healthy() -> dict[str, Any] | None:
            assert self.process is not None
            assert self.process.poll() is None, f"it ended: {self.console()}"
            health = self.health()
            return health if health.get("state") == "running" else None

        health: dict[str, Any] = until(healthy, seconds, "healthy")
        return health

    def console(self) -> str:
        """What it said."""
        return (self.folder / "console.txt").read_text()

    def health(self) -> dict[str, Any]:
        """GET /health; empty while nobody answers."""
        try:
            url = f"http://127.0.0.1:{self.health_port}/health"
            with urllib.request.urlopen(url, timeout=3) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            return dict(json.load(error))
        except (OSError, ValueError, KeyError):
            return {}

    def component(self, name: str) -> dict[str, Any]:
        """One component's health."""
        return next((part for part in self.health().get("components", []) if part["name"] == name), {})

    def store(self) -> Client:
        """A client of the running store, as the owner."""
        url = self.health()["clickhouse_url"]
        host, port = url.removeprefix("http://").split(":")
        client = clickhouse_connect.get_client(
            host=host,
            port=int(port),
            username="stockwatch",
            password=(self.data_dir / "clickhouse.password").read_text().strip(),
            database="stockwatch",
            autogenerate_session_id=False,
        )
        self._clients.append(client)
        return client

    def children(self) -> list[psutil.Process]:
        """Its child processes."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, word: str) -> psutil.Process:
        """The child whose command line contains `word`."""
        return next(child for child in self.children() if word in " ".join(child.cmdline()))

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 10) -> int:
        """Ask it to end; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End what is left, with its children."""
        for client in self._clients:
            client.close()
        if self.process is not None and self.process.poll() is None:
            family = [*self.children(), psutil.Process(self.process.pid)]
            for process in family:
                process.kill()
            psutil.wait_procs(family, 5)
            self.process.wait(5)


@contextmanager
def simulated(folder: Path) -> Iterator[Program]:
    """It runs, with simulated prices and a quick line."""
    program = Program(folder)
    program.write(
        market={"source": "simulator", "tickers": ["RELIANCE.NS", "AAPL"], "ticks_per_second": 2},
        dashboard={"port": 0, "live_refresh_seconds": 0.5},
    )
    try:
        program.start()
        yield program
    finally:
        program.kill()
