"""The store away, slow, out of disk: the stream waits and nothing is lost. The store is a gateway by address, in a child."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from engine import Engine, running
from flow import Flow, frozen, hold
from ledger import Book
from program import Program, free_port
from tcp_proxy import Link, TcpProxy

from stockwatch.tick import now_ms

pytestmark = [pytest.mark.full, pytest.mark.timeout(180)]
AWAY_SECONDS = 30
SLOW_SECONDS, SLOW_FOR = 3, 20
DISK_MB, FULL_SECONDS = 256, 10
MEGABYTE, PAGE = 1 << 20, 4096


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A store that outlives the programs."""
    with running(tmp_path_factory.mktemp("store")) as made:
        yield made


@pytest.fixture
def proxy(engine: Engine) -> Iterator[TcpProxy]:
    """The way to it."""
    with TcpProxy(engine.port) as made:
        yield made


def by_address(request: pytest.FixtureRequest, program: Program, engine: Engine, port: int) -> Flow:
    """A program whose store is `engine`, reached over this port, with a database of its own."""
    made = Flow(program, request.node.callspec.params["flow"], f"faults_{free_port()}", engine)
    url = f"http://stockwatch:{engine.password()}@127.0.0.1:{port}"
    kafka = {} if made.broker == "embedded" else {**request.getfixturevalue("apache").settings, "topic": made.topic}
    made.write(clickhouse={"url": url, "database": made.database}, kafka=kafka)
    return made


@pytest.fixture(params=["embedded", "apache"])
def flow(request: pytest.FixtureRequest, program: Program, engine: Engine, proxy: TcpProxy) -> Flow:
    """Over the proxy; on each broker."""
    return by_address(request, program, engine, proxy.port)


@pytest.mark.parametrize("link", ["cut", "black hole"])
def test_the_store_cannot_be_reached(flow: Flow, proxy: TcpProxy, book: Book, link: Link) -> None:
    flow.start()
    proxy.link(link)
    gone = now_ms()
    hold(AWAY_SECONDS)
    assert flow.error_of("consumer"), flow.states()
    assert flow.newest() < gone + 2_000  # it was felt
    back = now_ms()
    proxy.link("pass")
    book(flow.ledger(f"4 store unreachable {AWAY_SECONDS} s ({link})", flow.fresh(back)))


def test_the_store_answers_slowly(flow: Flow, proxy: TcpProxy, book: Book) -> None:
    flow.start()
    proxy.slow(SLOW_SECONDS)
    began = now_ms()
    hold(SLOW_FOR)
    assert flow.newest() > began  # it goes on, slowly
    assert {part["restarts"] for part in flow.program.health()["components"]} == {0}
    at_once = now_ms()
    proxy.slow(0)
    book(flow.ledger(f"5 store answers in {SLOW_SECONDS} s, for {SLOW_FOR} s", flow.fresh(at_once)))


@pytest.mark.parametrize("flow", ["embedded"], indirect=True)
def test_the_store_frozen(flow: Flow, engine: Engine, book: Book) -> None:
    flow.start()
    thawed = frozen([psutil.Process(engine.process.pid)], AWAY_SECONDS)
    book(flow.ledger(f"4 store frozen {AWAY_SECONDS} s", flow.fresh(thawed)))


@pytest.fixture
def disk(program: Program) -> Iterator[Path]:
    """A small file system under the program's data folder, the store's in it."""
    folder = program.data_dir
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount the small disk that is to be full")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Not a byte is left: whatever somebody gives back is taken within milliseconds. All of it is given back at the end."""
    enough = threading.Event()
    ballast = disk / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file:
            while not enough.wait(0.002):
                for size in (MEGABYTE, PAGE, 1):
                    with contextlib.suppress(OSError):  # until this size finds no room
                        while file.write(bytes(size)):
                            pass

    filling = threading.Thread(target=fill)
    filling.start()
    try:
        yield
    finally:
        enough.set()
        filling.join()
        ballast.unlink()


@pytest.mark.parametrize("flow", ["embedded", "apache"], indirect=False)
def test_the_disk_under_the_store_is_full(
    flow: str, request: pytest.FixtureRequest, program: Program, disk: Path, book: Book
) -> None:
    running = Flow(program, flow)
    kafka = {} if flow == "embedded" else {**request.getfixturevalue("apache").settings, "topic": running.topic}
    running.write(kafka=kafka)
    running.start()
    with filled(disk):
        running.until(lambda: running.error_of("consumer").startswith(f"the disk under {disk}"), 30, "it is felt")
        hold(FULL_SECONDS)
        assert "free some space" in running.error_of("consumer"), running.states()
        assert f"the disk under {disk}" in running.error_of("clickhouse"), running.states()
    room = now_ms()
    recovery = running.fresh(room)
    seen = running.newest()
    book(running.ledger("8 disk full under the store", recovery))
    assert running.end() == 0
    running.start(flowing=False)  # what was only in the engine's memory is not there any more
    book(running.ledger("8 disk full under the store, started again", upto=seen))
    assert running.end() == 0
