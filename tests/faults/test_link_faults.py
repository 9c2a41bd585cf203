"""The way to the broker cut, black-holed, reset; the commit lost after the insert. The broker stands behind a proxy and keeps its log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from apache_kafka import ApacheKafka
from feed import Feed
from flow import Flow, Tansu, hold, up
from ledger import Book
from program import Program, free_port
from tcp_proxy import Link, TcpProxy

from stockwatch.tick import now_ms

OFFSET_COMMIT = b"\x00\x08"  # Kafka's protocol: the request's key stands after its four bytes of length
CUT_SECONDS = {"cut": 30, "black hole": 12, "reset": 8}
LOST_COMMITS_FOR = 6


@dataclass
class Linked:
    """A broker by address that is reached over `proxy`."""

    name: str
    proxy: TcpProxy

    @property
    def bootstrap(self) -> str:
        """Over the proxy, as everything that the broker says of itself."""
        return f"127.0.0.1:{self.proxy.port}"


@pytest.fixture(scope="module", params=["tansu", pytest.param("apache", marks=pytest.mark.full)])
def linked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Linked]:
    """Each broker once for this file."""
    port, folder = free_port(), tmp_path_factory.mktemp("linked")
    with TcpProxy(port) as proxy:
        if request.param == "tansu":
            broker: Tansu | ApacheKafka = Tansu(folder, port, proxy.port)
        else:
            broker = ApacheKafka(folder, port, advertised_listeners=f"BROKER://127.0.0.1:{proxy.port}")
            up(broker)
        try:
            yield Linked(request.param, proxy)
        finally:
            broker.stop()


@pytest.fixture
def flow(program: Program, linked: Linked) -> Flow:
    """The program on it, with a topic of its own."""
    made = Flow(program, linked.name)
    made.write(kafka={"bootstrap_servers": linked.bootstrap, "topic": made.topic})
    return made


@pytest.mark.full
@pytest.mark.timeout(120)
@pytest.mark.parametrize("link", ["cut", "black hole", "reset"])
def test_the_link_to_the_broker(flow: Flow, linked: Linked, book: Book, link: Link) -> None:
    flow.start()
    linked.proxy.link(link)
    gone = now_ms()
    hold(CUT_SECONDS[link])
    assert flow.newest() < gone + 2_000  # it was felt
    back = now_ms()
    linked.proxy.link("pass")
    book(flow.ledger(f"6 broker link {link}, {CUT_SECONDS[link]} s", flow.fresh(back)))


def test_every_commit_lost_after_its_insert(flow: Flow, linked: Linked, book: Book) -> None:
    flow.start(flowing=False)
    with Feed(linked.bootstrap, flow.topic) as feed:
        feed.fresh(flow)
        cuts = linked.proxy.cuts
        linked.proxy.cut_at(lambda chunk: chunk[4:6] == OFFSET_COMMIT)
        hold(LOST_COMMITS_FOR)
        linked.proxy.cut_at(None)
        recovery = feed.fresh(flow)
        lost = linked.proxy.cuts - cuts
    assert lost > 0
    book(feed.ledger(flow, "7 commits lost after the insert", recovery, f"{lost} commits lost"))


@pytest.mark.full
@pytest.mark.timeout(120)
@pytest.mark.parametrize("linked", ["apache"], indirect=True)
def test_killed_between_insert_and_commit(flow: Flow, linked: Linked, book: Book) -> None:
    """The embedded broker dies with its program: that is fault 3."""
    flow.start("clickhouse,consumer", flowing=False)
    reached = threading.Event()

    def at_commit(chunk: bytes) -> bool:
        if chunk[4:6] == OFFSET_COMMIT:
            reached.set()
        return reached.is_set()  # from then on nothing passes, so no other way leads to the broker

    with Feed(linked.bootstrap, flow.topic) as feed:
        feed.fresh(flow)
        linked.proxy.cut_at(at_commit)
        assert reached.wait(20)
        flow.die()
        linked.proxy.cut_at(None)
        again = now_ms()
        flow.start("clickhouse,consumer", flowing=False)
        feed.readable(flow, feed.next)
        recovery = (now_ms() - again) / 1000
    book(feed.ledger(flow, "7 killed between insert and commit", recovery, "the start included"))
