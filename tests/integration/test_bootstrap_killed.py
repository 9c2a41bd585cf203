"""run.py after an installation that did not end by itself, and while one goes on that nobody watches."""

from __future__ import annotations

import errno
import os
import pty
import select
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from program import until
from test_bootstrap import BASE, Clone, says_one_line, wheel

FILES = 3000  # pip takes a good second for them

UV = """#!/bin/sh
# As much of uv as run.py asks for; it installs when the test says so.
if [ "$1" = venv ]; then
    for last; do :; done
    exec {base} -m venv "$last"
fi
touch {folder}/began
until [ -e {folder}/go ]; do sleep 0.05; done
exec "$4" -m pip install -r "$6"
"""


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def site_packages(clone: Clone) -> Path:
    return next((clone.folder / ".venv" / "lib").glob("python*")) / "site-packages"


def slow_uv(clone: Clone) -> Path:
    """Put a uv on its PATH that waits for the file `go` in the folder that is given back, and says `began` there."""
    folder = clone.wheels.parent / "uv"
    folder.mkdir()
    (folder / "uv").write_text(UV.format(base=BASE, folder=folder))
    (folder / "uv").chmod(0o755)
    clone.environment["PATH"] = f"{folder}:/usr/bin:/bin"
    return folder


def test_a_package_that_a_killed_install_left_half_written_is_made_whole(clone: Clone) -> None:
    wheel(clone.wheels, "1.0", files=FILES)
    process = subprocess.Popen(clone.command(), env=clone.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    packages = clone.folder / ".venv" / "lib"
    until(lambda: list(packages.glob("python*/site-packages/tiny-1.0.dist-info/METADATA")), 30, "pip writes the package")
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in family:
        one.kill()
    process.wait(5)
    psutil.wait_procs(family, 5)
    assert not (site_packages(clone) / "tiny.py").exists(), "pip was done already: the test needs more files"
    done = clone.run()
    assert done.returncode == 0, done.stderr
    assert "cli 1.0" in done.stdout


def test_a_killed_install_of_another_lock_is_made_whole_even_when_the_old_lock_comes_back(clone: Clone) -> None:
    clone.run()
    wheel(clone.wheels, "2.0")
    clone.lock("2.0")
    folder = slow_uv(clone)
    process = subprocess.Popen(clone.command(), env=clone.environment, stdout=subprocess.DEVNULL)
    until((folder / "began").exists, 20, "the installation has begun")
    for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        one.kill()
    process.wait(5)
    (site_packages(clone) / "tiny.py").unlink()
    clone.lock("1.0")
    (folder / "go").touch()
    done = clone.run()
    assert "Making .venv" in done.stdout
    assert "cli 1.0" in done.stdout


def test_the_next_start_waits_for_the_installer_that_a_killed_one_left_behind(clone: Clone) -> None:
    folder = slow_uv(clone)
    first = subprocess.Popen(clone.command(), env=clone.environment, stdout=subprocess.DEVNULL)
    until((folder / "began").exists, 20, "the installation has begun")
    orphans = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    first.wait(5)
    said = clone.folder / "said.txt"
    with said.open("w") as file:
        second = subprocess.Popen(clone.command(), env=clone.environment, stdout=file, stderr=file)
    until(lambda: "Another start is installing" in said.read_text(), 10, "the second waits")
    assert "Making" not in said.read_text()
    (folder / "go").touch()
    assert second.wait(40) == 0, said.read_text()
    assert "cli 1.0" in said.read_text()
    assert not psutil.wait_procs(orphans, 5)[1]


def test_test_tools_that_cannot_be_fetched_cost_nothing_that_is_installed(clone: Clone) -> None:
    clone.run()
    (clone.folder / "tests").mkdir()
    (clone.folder / "tests" / "requirements.txt").write_text("tool==1.0\n")
    for _ in range(2):
        says_one_line(clone.run("test"), "tool==1.0")
    kept = clone.run()
    assert "cli 1.0" in kept.stdout
    assert "Making" not in kept.stdout


@pytest.mark.parametrize("before", [[], ["--no-browser"], ["--debug", "--settings", "a file", "--source", "test"]])
def test_the_test_tools_are_installed_for_test_also_behind_options(clone: Clone, before: list[str]) -> None:
    wheel(clone.wheels, "1.0", "tool")
    (clone.folder / "tests").mkdir()
    (clone.folder / "tests" / "requirements.txt").write_text("tool==1.0\n")
    assert "requirements.txt" not in clone.run("status", "test").stdout
    assert "Installing requirements.txt" in clone.run(*before, "test", "-x").stdout
    assert (site_packages(clone) / "tool.py").exists()


@pytest.mark.parametrize(("limit", "said"), [(200, "virtual environment cannot be made"), (0, "")])
def test_a_disk_that_takes_no_more_is_one_line(clone: Clone, limit: int, said: str) -> None:
    """A limit on the size of files stands for the disk: what is written fails half-way, in the installer's children too."""
    done = subprocess.run(
        ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "bash", *clone.command()],
        env=clone.environment, capture_output=True, text=True, timeout=50, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    says_one_line(done, said)
    assert "cli 1.0" in clone.run().stdout


def test_a_folder_that_cannot_be_locked_is_one_line_at_once(clone: Clone) -> None:
    patch = clone.wheels.parent / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        f"import fcntl\ndef flock(*_): raise OSError({errno.ENOLCK}, 'No locks available')\nfcntl.flock = flock\n"
    )
    clone.environment["PYTHONPATH"] = str(patch)
    says_one_line(clone.run(), "cannot be locked (No locks available)")


def test_streams_that_are_closed_are_no_error_of_their_own(clone: Clone) -> None:
    clone.environment["PIP_FIND_LINKS"] = str(clone.folder)
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *clone.command()], env=clone.environment, capture_output=True, text=True, timeout=50
    )
    says_one_line(done, "tiny==1.0")
    clone.environment["PIP_FIND_LINKS"] = str(clone.wheels)
    for closed in ("<&-", "<&- >&-", "<&- >&- 2>&-"):
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *clone.command("seven")], env=clone.environment, timeout=50
        )
        assert done.returncode == 7, closed


def on_a_console(clone: Clone, *arguments: str, typed: bytes = b"", **environment: str) -> tuple[int, str]:
    """The exit code and what was said; `typed` is typed once it asks for it, and not before."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        clone.command(*arguments), env=clone.environment | environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    until_then = time.monotonic() + 40
    while time.monotonic() < until_then:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                said += os.read(ours, 65536)
            except OSError:  # nobody has the other end any more
                break
        if typed and b"Press Enter" in said:
            assert process.poll() is None
            os.write(ours, typed)
            typed = b""
    os.close(ours)
    return process.wait(10), said.decode()


def test_a_console_that_is_ours_alone_stays_open_on_errors_before_and_after_the_hand_over(clone: Clone) -> None:
    del clone.environment["CI"]
    clone.lock("3.0")
    code, said = on_a_console(clone, typed=b"\n")
    assert (code, said.count("Press Enter")) == (1, 1), said
    clone.lock("1.0")
    assert "cli 1.0 kept open" in on_a_console(clone)[1]  # the command line is told, and does as much: test_cli
    for other in ({"SHLVL": "1"}, {"CI": "1"}):
        assert "kept open" not in on_a_console(clone, **other)[1]
    assert "kept open" not in clone.run().stdout
