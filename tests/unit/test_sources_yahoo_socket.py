"""One connection to Yahoo's stream, against a loopback server that speaks and misbehaves as Yahoo's may."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from program import free_port, until
from stream_stub import GARBAGE, StreamStub, pricing, walk
from yahoo_stub import YahooStub

from stockwatch.settings import Settings, load
from stockwatch.sources import yahoo_socket
from stockwatch.sources.yahoo_socket import Message, Socket

TICKERS = ["RELIANCE.NS", "AAPL"]
AT = 1_763_955_900_000


def settings_for(folder: Path, url: str, **market: str) -> Settings:
    return load(folder / "settings.toml", {"market": {"source": "yahoo-stream", "tickers": TICKERS, "stream_url": url, **market}})


@pytest.fixture
def stub() -> Iterator[StreamStub]:
    with StreamStub() as made:
        yield made


@pytest.fixture
def made(tmp_path: Path, stub: StreamStub) -> Iterator[Socket]:
    made = Socket(settings_for(tmp_path, stub.url))
    stub.wait_for_subscription()
    yield made
    made.close()
    until(lambda: not threads(), 10, "no thread left")


def threads() -> list[str]:
    """Threads of connections: ours, and websockets' own two of each."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name == "yahoo stream" or "recv_events" in name or "keepalive" in name]


def collect(made: Socket, number: int) -> list[Message]:
    """What it tells, until there are so many."""
    messages: list[Message] = []
    until(lambda: messages.extend(made.take(0.1)) or len(messages) >= number, 20, f"{number} messages")
    return messages


def ended(made: Socket) -> str:
    return str(until(lambda: made.ended, 10, "its end"))


def test_it_subscribes_and_tells_the_fields_as_yahoo_named_them(stub: StreamStub, made: Socket) -> None:
    assert sorted(stub.subscriptions[0]) == sorted(TICKERS)
    assert made.last_message is None
    stub.trade(("AAPL", AT + 345, 2500.1, 1_234_567), bid=2500.05)
    assert collect(made, 1) == [
        {"id": "AAPL", "time": str(AT + 345), "price": 2500.1, "day_volume": "1234567", "market_hours": 1, "bid": 2500.05}
    ]
    assert made.open_since is not None
    assert made.last_message is not None
    assert made.take(0.0) == []


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_counted_and_dropped(stub: StreamStub, made: Socket, kind: str) -> None:
    stub.say(GARBAGE[kind], pricing(("AAPL", AT, 1.0, 1)), GARBAGE[kind], pricing(("AAPL", AT, 2.0, 2)))
    assert [message["price"] for message in collect(made, 2)] == [1.0, 2.0]
    assert made.rubbish == 2
    assert made.ended == ""


def test_a_frame_that_breaks_the_protocol_ends_the_connection_and_only_that(stub: StreamStub, made: Socket) -> None:
    stub.say(pricing(("AAPL", AT, 1.0, 1)), "x" * (2**20 + 1))
    assert ended(made) == "the stream was cut"
    assert len(made.take(0.0)) == 1


def test_a_clean_close_is_said_after_every_message_has_been_given(stub: StreamStub, made: Socket) -> None:
    trades = walk(TICKERS, 200, AT)
    stub.trade(*trades)
    stub.close()
    assert ended(made) == "Yahoo closed the stream"
    assert len(made.take(0.0)) == 200  # what came before the end is not lost with it
    began = time.monotonic()
    assert made.take(10.0) == []
    assert time.monotonic() - began < 5  # at once: there is nothing to wait for


def test_a_cut_connection_is_said(stub: StreamStub, made: Socket) -> None:
    stub.abort()
    assert ended(made) == "the stream was cut"


def test_a_burst_comes_whole_and_in_order(stub: StreamStub, made: Socket) -> None:
    trades = walk(TICKERS, 5_000, AT)
    stub.trade(*trades)
    told = [
        (message["id"], int(message["time"]), message["price"], int(message["day_volume"])) for message in collect(made, 5_000)
    ]
    assert told == trades


def test_it_reads_no_more_than_its_limit_until_it_is_taken(
    stub: StreamStub, made: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yahoo_socket, "MOST_WAITING", 10)
    trades = walk(TICKERS, 2_000, AT)
    saying = threading.Thread(target=stub.trade, args=trades, daemon=True)
    saying.start()
    until(lambda: len(made._waiting) == 10, 10, "the limit")
    taken: list[list[Message]] = []
    deadline = time.monotonic() + 20
    while sum(map(len, taken)) < 2_000 and time.monotonic() < deadline:
        taken.append(made.take(1.0))
    assert [message["time"] for messages in taken for message in messages] == [str(at) for _, at, _, _ in trades]
    assert max(map(len, taken)) <= 10
    saying.join(10)


@pytest.mark.parametrize("state", ["silent", "talking", "full"])
def test_close_from_another_thread_ends_it_within_a_second(
    stub: StreamStub, made: Socket, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    over = threading.Event()
    if state == "full":
        monkeypatch.setattr(yahoo_socket, "MOST_WAITING", 10)

    def talk() -> None:
        while not over.is_set() and stub.listeners:
            stub.say(pricing(("AAPL", AT, 1.0, 1)))

    talking = threading.Thread(target=talk, daemon=True)
    if state != "silent":
        talking.start()
        until(lambda: len(made._waiting) >= 10, 10, "some messages")
    began = time.monotonic()
    made.close()
    assert ended(made) == "closed"
    assert time.monotonic() - began < 1
    until(lambda: not threads(), 1, "no thread left")
    over.set()
    made.close()  # safe to repeat


def test_a_server_that_is_gone_does_not_hold_a_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts and never answers: while it is opened a close returns at once, and then the opening ends by itself."""
    monkeypatch.setattr(yahoo_socket, "CONNECT_SECONDS", 1.5)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        made = Socket(settings_for(tmp_path, f"ws://127.0.0.1:{deaf.getsockname()[1]}"))
        until(threads, 5, "it is opening")
        began = time.monotonic()
        made.close()
        assert time.monotonic() - began < 0.5
        assert ended(made) == "closed"
        until(lambda: not threads(), 10, "no thread left")


def test_a_close_while_it_is_opened_leaves_no_connection_behind(stub: StreamStub, tmp_path: Path) -> None:
    for _ in range(20):
        Socket(settings_for(tmp_path, stub.url)).close()
    until(lambda: not threads(), 10, "no thread left")
    until(lambda: stub.listeners == 0, 10, "no connection left")
    mine = [one for one in psutil.Process().net_connections("tcp") if one.raddr and one.raddr.port == stub.port]
    assert [one for one in mine if one.status == psutil.CONN_ESTABLISHED] == []


def test_connections_that_were_lost_leave_no_threads_and_no_sockets(stub: StreamStub, tmp_path: Path) -> None:
    for number in range(10):
        made = Socket(settings_for(tmp_path, stub.url))
        stub.wait_for_subscription(number + 1)
        if number % 2:
            stub.close()
        else:
            stub.abort()
        ended(made)
    until(lambda: not threads(), 10, "no thread left")
    descriptors = psutil.Process().net_connections("tcp")
    assert [one for one in descriptors if one.raddr and one.raddr.port == stub.port and one.status != psutil.CONN_TIME_WAIT] == []


def test_it_subscribes_again_in_a_while(stub: StreamStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yahoo_socket, "LOOK_SECONDS", 0.05)
    now = [0.0]
    made = Socket(settings_for(tmp_path, stub.url), lambda: now[0])
    stub.wait_for_subscription(1)
    until(lambda: made.open_since == 0.0, 5, "open")
    now[0] = yahoo_socket.SUBSCRIBE_SECONDS - 0.1
    stub.trade(("AAPL", AT, 1.0, 1))
    collect(made, 1)
    assert len(stub.subscriptions) == 1
    now[0] += 0.1
    stub.wait_for_subscription(2)
    now[0] += yahoo_socket.SUBSCRIBE_SECONDS - 0.1
    for _ in range(10):
        stub.trade(("AAPL", AT, 1.0, 1))
        collect(made, 1)
    assert len(stub.subscriptions) == 2  # and not before the same time has passed again
    assert sorted(stub.subscriptions[1]) == sorted(TICKERS)
    made.close()


def test_why_it_cannot_be_opened_is_said_in_plain_words(
    stub: StreamStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    stub.refusing = True
    assert ended(Socket(settings_for(tmp_path, stub.url))) == "it answers with HTTP 503"
    assert ended(Socket(settings_for(tmp_path, f"ws://127.0.0.1:{free_port()}"))) == "the connection is refused"
    assert ended(Socket(settings_for(tmp_path, "ws://nowhere.invalid"))) in (
        "its name cannot be resolved",
        "it cannot be reached: OSError",
    )
    monkeypatch.setattr(yahoo_socket, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"ws://127.0.0.1:{deaf.getsockname()[1]}"
        assert ended(Socket(settings_for(tmp_path, url))) == "no answer within 0.2 s"
    (tmp_path / "rubbish.pem").write_text("no certificate")
    rubbish = settings_for(tmp_path, stub.url.replace("ws:", "wss:"), ca_file=str(tmp_path / "rubbish.pem"))
    assert ended(Socket(rubbish)) == "no TLS with it: see market.ca_file"


def test_yahoos_own_address_through_a_proxy_and_a_private_ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yahoo_socket, "CONNECT_SECONDS", 30.0)  # proxy, tunnel and two handshakes, all in this process
    with YahooStub(tmp_path) as yahoo:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(yahoo._chain)
        with StreamStub(context) as stub:
            yahoo._port = stub.port  # its proxy leads everything there
            made = Socket(settings_for(tmp_path, "", proxy=yahoo.proxy_url, ca_file=str(yahoo.ca_file)))
            until(lambda: stub.subscriptions or made.ended, 40, "a subscription")
            assert made.ended == ""
            stub.trade(("AAPL", AT, 1.5, 1))
            assert collect(made, 1)[0]["price"] == 1.5
            made.close()
            assert ended(made) == "closed"
            untrusted = Socket(settings_for(tmp_path, "", proxy=yahoo.proxy_url))
            assert ended(untrusted) == "its certificate is not trusted"


def test_a_loopback_stream_is_not_asked_through_the_proxy(stub: StreamStub, tmp_path: Path) -> None:
    made = Socket(settings_for(tmp_path, stub.url, proxy=f"http://127.0.0.1:{free_port()}"))
    stub.wait_for_subscription()
    made.close()
