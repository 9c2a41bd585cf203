"""run.py after an installation that did not end by itself, and while one goes on that nobody watches."""

from __future__ import annotations

import ast
import errno
import subprocess
from pathlib import Path

import psutil
import pytest
from console import on_a_console
from program import ROOT, until
from test_bootstrap import BASE, Clone, says_one_line, wheel

FILES = 600  # pip takes a moment for them

UV = """#!{base}
# As much of uv as run.py asks for, without its speed's price: .venv without pip, and what METADATA stands for is installed.
import os, pathlib, sys, time, zipfile
if sys.argv[1] == "venv":
    os.execv(sys.executable, [sys.executable, "-m", "venv", "--without-pip", sys.argv[-1]])
here = pathlib.Path(__file__).parent
(here / "began").touch()
while (here / "wait").exists():
    time.sleep(0.05)
packages = next(pathlib.Path(sys.argv[4]).parent.parent.glob("lib/python*/site-packages"))
for line in pathlib.Path(sys.argv[6]).read_text().split():
    wheel = pathlib.Path(os.environ["PIP_FIND_LINKS"], line.replace("==", "-") + "-py3-none-any.whl")
    if not wheel.exists():
        sys.exit("No matching distribution found for " + line)
    if not (packages / (line.replace("==", "-") + ".dist-info")).exists():
        zipfile.ZipFile(wheel).extractall(packages)
"""


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """No uv: pip alone."""
    return Clone(tmp_path)


@pytest.fixture
def quick(clone: Clone) -> Clone:
    """With a uv of ours, since making pip anew takes seconds."""
    folder = clone.wheels.parent / "uv"
    folder.mkdir()
    (folder / "uv").write_text(UV.format(base=BASE))
    (folder / "uv").chmod(0o755)
    clone.environment["PATH"] = f"{folder}:/usr/bin:/bin"
    return clone


def site_packages(clone: Clone) -> Path:
    return next((clone.folder / ".venv" / "lib").glob("python*")) / "site-packages"


def test_a_package_that_a_killed_install_left_half_written_is_made_whole(quick: Clone) -> None:
    clone, path = quick, quick.environment["PATH"]
    clone.environment["PATH"] = "/usr/bin:/bin"  # pip is the one that is killed
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
    clone.environment["PATH"] = path
    done = clone.run()
    assert done.returncode == 0, done.stderr
    assert "cli 1.0" in done.stdout


def begun(clone: Clone) -> subprocess.Popen[bytes]:
    """A start whose uv installs until the file `wait` beside it is removed."""
    folder = clone.wheels.parent / "uv"
    (folder / "wait").touch()
    (folder / "began").unlink(missing_ok=True)
    process = subprocess.Popen(clone.command(), env=clone.environment, stdout=subprocess.DEVNULL)
    until((folder / "began").exists, 20, "the installation has begun")
    return process


def test_a_killed_install_of_another_lock_is_made_whole_even_when_the_old_lock_comes_back(quick: Clone) -> None:
    quick.run()
    wheel(quick.wheels, "2.0")
    quick.lock("2.0")
    process = begun(quick)
    for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        one.kill()
    process.wait(5)
    (site_packages(quick) / "tiny.py").unlink()
    quick.lock("1.0")
    (quick.wheels.parent / "uv" / "wait").unlink()
    done = quick.run()
    assert "Making .venv" in done.stdout
    assert "cli 1.0" in done.stdout


def test_the_next_start_waits_for_the_installer_that_a_killed_one_left_behind(quick: Clone) -> None:
    first = begun(quick)
    orphans = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    first.wait(5)
    said = quick.folder / "said.txt"
    with said.open("w") as file:
        second = subprocess.Popen(quick.command(), env=quick.environment, stdout=file, stderr=file)
    until(lambda: "Another start is installing" in said.read_text(), 10, "the second waits")
    assert "Making" not in said.read_text()
    (quick.wheels.parent / "uv" / "wait").unlink()
    assert second.wait(40) == 0, said.read_text()
    assert "cli 1.0" in said.read_text()
    assert not psutil.wait_procs(orphans, 5)[1]


def tools(clone: Clone) -> None:
    (clone.folder / "tests").mkdir()
    (clone.folder / "tests" / "requirements.txt").write_text("tool==1.0\n")


def test_test_tools_that_cannot_be_fetched_cost_nothing_that_is_installed(quick: Clone) -> None:
    quick.run()
    tools(quick)
    for _ in range(2):
        says_one_line(quick.run("test"), "tool==1.0")
    kept = quick.run()
    assert "cli 1.0" in kept.stdout
    assert "Making" not in kept.stdout


@pytest.mark.parametrize("before", [[], ["--no-browser"], ["--debug", "--settings", "a file", "--source", "test"]])
def test_the_test_tools_are_installed_for_test_also_behind_options(quick: Clone, before: list[str]) -> None:
    wheel(quick.wheels, "1.0", "tool")
    tools(quick)
    assert "requirements.txt" not in quick.run("status", "test").stdout
    assert "Installing requirements.txt" in quick.run(*before, "test", "-x").stdout
    assert (site_packages(quick) / "tool.py").exists()


def shell(clone: Clone, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it by a shell's script, in which "$@" is its command line."""
    return subprocess.run(
        ["bash", "-c", script, "bash", *clone.command(*arguments)],
        env=clone.environment, capture_output=True, text=True, timeout=50,
    )  # fmt: skip


def test_a_disk_that_takes_no_more_is_one_line(clone: Clone) -> None:
    """A limit on the size of files stands for the disk: what is written fails half-way, in the installer's children too."""
    says_one_line(shell(clone, 'ulimit -f 200; exec "$@" </dev/null'), "virtual environment cannot be made")


def test_a_folder_that_cannot_be_locked_is_one_line_at_once(quick: Clone) -> None:
    patch = quick.wheels.parent / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        f"import fcntl\ndef flock(*_): raise OSError({errno.ENOLCK}, 'No locks available')\nfcntl.flock = flock\n"
    )
    quick.environment["PYTHONPATH"] = str(patch)
    says_one_line(quick.run(), "cannot be locked (No locks available)")


def test_streams_that_are_closed_are_no_error_of_their_own(quick: Clone) -> None:
    quick.lock("3.0")
    says_one_line(shell(quick, 'exec "$@" <&-'), "tiny==3.0")
    quick.lock("1.0")
    for closed in ("<&-", "<&- >&-", "<&- >&- 2>&-"):
        assert shell(quick, f'exec "$@" {closed}', "seven").returncode == 7, closed


def test_a_python_as_old_as_3_6_can_read_run_py() -> None:
    """So that it says which Python is needed."""
    ast.parse((ROOT / "run.py").read_text(encoding="ascii"), feature_version=(3, 6))


def shown(clone: Clone, typed: bytes = b"", **environment: str) -> tuple[int, str]:
    """Its exit code and what it said on a console."""
    return on_a_console(clone.command(), typed, env=clone.environment | environment)


def test_a_console_that_is_ours_alone_stays_open_on_errors_before_and_after_the_hand_over(quick: Clone) -> None:
    del quick.environment["CI"]
    quick.lock("3.0")
    code, said = shown(quick, b"\n")
    assert (code, said.count("Press Enter")) == (1, 1), said
    quick.lock("1.0")
    assert "cli 1.0 kept open" in shown(quick)[1]  # the command line is told, and does as much: test_cli
    for other in ({"SHLVL": "1"}, {"CI": "1"}):
        assert "kept open" not in shown(quick, **other)[1]
    assert "kept open" not in quick.run().stdout
