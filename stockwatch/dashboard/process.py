"""The page's component: Streamlit as a child process."""

from __future__ import annotations

import http.client
import subprocess
import sys
from pathlib import Path

from stockwatch.component import Deadlines, end, memory_mb, spawn
from stockwatch.dashboard.addresses import reachable
from stockwatch.errors import ComponentFailedError
from stockwatch.health import Reporter
from stockwatch.settings import Settings

APP = Path(__file__).with_name("app.py")
ANSWER_SECONDS = 3.0
SILENT_BEATS = 5
FLAGS = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "server.enableStaticServing": "true",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "global.developmentMode": "false",
    "server.disconnectedSessionTTL": "30",  # s; what it keeps of a tab is its ticker, which stands in the address too
    "runner.postScriptGC": "false",  # FACTS.md: a fragment run costs 7 ms instead of 80
    "logger.level": "warning",
    "logger.hideWelcomeMessage": "true",  # with host 0.0.0.0 it would ask a server on the internet for this machine's address
}


class DashboardProcess:
    """One life of the page."""

    name = "dashboard"

    def __init__(self, settings: Settings, port: int, connection_file: Path, reporter: Reporter) -> None:
        self.deadlines = Deadlines(ready=30.0, beat=30.0, stop=1.0)
        self._settings, self._port, self._file, self._report = settings, port, connection_file, reporter
        self._process: subprocess.Popen[bytes] | None = None
        self._silent = 0

    def start(self) -> None:
        """Spawn it. Its environment carries none of our settings: they come in the file."""
        flags = {**FLAGS, "server.address": self._settings.dashboard.host, "server.port": str(self._port)}
        command = [sys.executable, "-m", "stockwatch.dashboard.streamlit_run", "run", str(APP)]
        command += [part for name, value in flags.items() for part in (f"--{name}", value)]
        self._process = spawn([*command, "--", str(self._file)], self._settings.data_dir / "dashboard.log")

    def ready(self) -> bool:
        """True once the page answers."""
        self._raise_if_dead()
        return self._answers()

    def beat(self) -> None:
        """Report; raises ComponentFailedError when it has ended or stays silent."""
        process = self._raise_if_dead()
        if not self._answers():
            self._silent += 1
            if self._silent >= SILENT_BEATS:
                raise ComponentFailedError("the page has stopped answering")
            self._report.degraded("the page does not answer; asking again")
            return
        self._silent = 0
        refresh = self._settings.dashboard.live_refresh_seconds
        self._report.running(f"refreshes every {refresh:g} s", refresh_seconds=refresh, memory_mb=memory_mb(process))

    def stop(self) -> None:
        """SIGTERM, then SIGKILL to its group (FACTS.md: open streams may hold SIGTERM back)."""
        if self._process is not None:
            end(self._process, self.deadlines.stop)

    def _answers(self) -> bool:
        host = reachable(self._settings.dashboard.host)
        connection = http.client.HTTPConnection(host, self._port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", "/_stcore/health", headers={"Host": f"127.0.0.1:{self._port}"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _raise_if_dead(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            code = self._process.returncode if self._process else None
            raise ComponentFailedError(f"the page's process has ended ({code}); dashboard.log says why")
        return self._process
