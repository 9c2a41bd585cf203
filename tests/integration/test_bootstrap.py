"""run.py on a bare Python: what it installs, what it remembers, and how each trouble ends: one line, mended by the next start.

A small package of our own stands for the real requirements, so that nothing is fetched.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest
from program import ROOT, until

pytestmark = pytest.mark.timeout(120)  # each wait has a shorter end of its own; together they may pass a minute
BASE = Path(sys.base_prefix) / "bin" / "python3"
CLI = """
import os, sys
def leave(keep_open=False):
    import tiny
    print("cli", tiny.VERSION, "kept open" if keep_open else "", os.getpid(), os.getcwd(), *sys.argv[1:])
    sys.exit(7 if "seven" in sys.argv else 0)
"""


def wheel(folder: Path, version: str, name: str = "tiny", files: int = 0) -> None:
    """A pure-Python wheel. files: so many more in it, which come after its METADATA and before its module."""
    told = f"{name}-{version}"
    with zipfile.ZipFile(folder / f"{told}-py3-none-any.whl", "w") as file:
        file.writestr(f"{told}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(
            f"{told}.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        for number in range(files):
            file.writestr(f"{name}_data/{number}.txt", "")
        file.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        file.writestr(f"{told}.dist-info/RECORD", "")


class Clone:
    """A clone with a run.py, a lock that names one small wheel, and a command line that says what it was given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone with a space"
        (self.folder / "stockwatch").mkdir(parents=True)
        shutil.copy(ROOT / "run.py", self.folder)
        (self.folder / "stockwatch" / "__init__.py").write_text("")
        (self.folder / "stockwatch" / "cli.py").write_text(CLI)
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        wheel(self.wheels, "1.0")
        self.lock("1.0")
        # No uv on PATH, no index: pip alone, from the file that the lock names.
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "CI": "1",
        }

    def lock(self, version: str) -> None:
        """Pin another version."""
        (self.folder / "requirements.lock").write_text(f"tiny=={version}\n")

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        return [str(BASE), str(self.folder / "run.py"), *arguments]

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Start it and wait."""
        return subprocess.run(
            self.command(*arguments),
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=50,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def says_one_line(done: subprocess.CompletedProcess[str], said: str) -> None:
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("stockwatch: ")
    assert said in done.stderr


def test_the_first_start_installs_and_the_next_does_not(clone: Clone, tmp_path: Path) -> None:
    first = clone.run("status", "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "Installing requirements.lock" in first.stdout
    assert first.stdout.splitlines()[-1].endswith(f"{tmp_path} status --json")
    second = clone.run("seven", cwd=tmp_path)
    assert second.returncode == 7
    assert "Installing" not in second.stdout
    assert "cli 1.0" in second.stdout


def test_another_lock_is_installed(clone: Clone) -> None:
    clone.run()
    wheel(clone.wheels, "2.0")
    clone.lock("2.0")
    assert "cli 2.0" in clone.run().stdout


def test_killed_half_way_the_next_start_repairs_it(clone: Clone) -> None:
    process = subprocess.Popen(clone.command(), env=clone.environment, stdout=subprocess.DEVNULL)
    until(lambda: (clone.folder / ".venv" / "bin").exists(), 30, "a half-made .venv")
    process.kill()
    process.wait(5)
    assert not list((clone.folder / ".venv").glob("*.sha256"))
    done = clone.run()
    assert done.returncode == 0, done.stderr
    assert "cli 1.0" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_half_way_it_ends_with_0_and_leaves_nobody(clone: Clone, number: signal.Signals) -> None:
    process = subprocess.Popen(clone.command(), env=clone.environment, stdout=subprocess.PIPE, text=True)
    until(lambda: psutil.Process(process.pid).children(), 30, "an installer")
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    said, _error = process.communicate(timeout=20)
    assert (process.returncode, said.splitlines()[-1]) == (0, "stopped; the next start goes on")
    _gone, left = psutil.wait_procs(children, timeout=5)
    assert not left
    assert clone.run().returncode == 0


def test_two_started_at_once_install_once(clone: Clone) -> None:
    both = [
        subprocess.Popen(clone.command(), env=clone.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=50) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("Installing requirements.lock" in out for out, _error in said) == 1
    assert sum("Another start is installing" in out for out, _error in said) == 1


def test_no_network_on_the_first_start(clone: Clone) -> None:
    clone.environment |= {
        "PIP_NO_INDEX": "",
        "PIP_FIND_LINKS": "",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
    }
    del clone.environment["PIP_NO_INDEX"], clone.environment["PIP_FIND_LINKS"]
    says_one_line(clone.run(), "network")
    clone.environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(clone.wheels)}
    assert "cli 1.0" in clone.run().stdout


def test_a_broken_wheel(clone: Clone) -> None:
    (clone.wheels / "tiny-1.0-py3-none-any.whl").write_bytes(b"PK not a wheel")
    says_one_line(clone.run(), "requirements.lock cannot be installed")
    wheel(clone.wheels, "1.0")
    assert "cli 1.0" in clone.run().stdout


def test_no_venv_module(clone: Clone) -> None:
    """As on Debian without python3-venv: ensurepip is not there."""
    (clone.folder / "ensurepip.py").write_text("raise ImportError('as on Debian')\n")
    says_one_line(clone.run(), "python3-venv")
    (clone.folder / "ensurepip.py").unlink()
    assert "cli 1.0" in clone.run().stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write here")
def test_a_folder_that_cannot_be_written(clone: Clone) -> None:
    for folder in (clone.folder, *clone.folder.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    interpreter = "/usr/bin/python3"
    if (
        not Path(interpreter).exists()
        or subprocess.run([interpreter, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).returncode
    ):
        pytest.skip("no Python that others may run")
    done = subprocess.run(
        [interpreter, str(clone.folder / "run.py")],
        env=clone.environment, capture_output=True, text=True, timeout=50, user="nobody", stdin=subprocess.DEVNULL,
    )  # fmt: skip
    says_one_line(done, "cannot be written")


def test_a_python_that_is_too_old_is_told_so(clone: Clone) -> None:
    path = str(clone.folder / "run.py")
    script = f"import sys, runpy; sys.version_info = (3, 9, 2, 'final', 0); runpy.run_path({path!r}, run_name='__main__')"
    done = subprocess.run([str(BASE), "-c", script], env=clone.environment, capture_output=True, text=True, timeout=20)
    says_one_line(done, "Python 3.11 or newer is needed, this is 3.9")
