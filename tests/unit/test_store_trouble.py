"""What is said when nothing comes from ClickHouse: plain words, by real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from program import free_port

from stockwatch.component import StoreAddress
from stockwatch.errors import StoreError
from stockwatch.store import Store

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def said(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        Store(StoreAddress(url), timeout=1).ping()
    return str(caught.value)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert said(url) == f"ClickHouse at {url} cannot be reached: nobody answers there"


def test_a_name_that_nobody_has() -> None:
    url = "http://clickhouse.invalid:8123"
    assert said(url) == f"ClickHouse at {url} cannot be reached: its host name is not known"


def test_it_is_silent(listener: socket.socket) -> None:
    assert said(url_of(listener)) == f"ClickHouse at {url_of(listener)} does not answer"


def test_it_hangs_up(listener: socket.socket) -> None:
    def hang_up() -> None:
        try:
            while True:
                listener.accept()[0].close()
        except OSError:
            return  # the test is over

    threading.Thread(target=hang_up, daemon=True).start()
    assert said(url_of(listener)) == f"ClickHouse at {url_of(listener)} has closed the connection"
    listener.shutdown(socket.SHUT_RDWR)
