"""The page's downloads over real sockets: the table in each format, clients that go away, stall or are too many, odd names."""

from __future__ import annotations

import io
import itertools
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import httpx
import pandas as pd
import pytest
import uvicorn
from engine import Engine
from openpyxl.utils.escape import unescape
from program import until
from starlette.applications import Starlette

from stockwatch.component import StoreAddress
from stockwatch.dashboard import download
from stockwatch.dashboard.connection import Connection
from stockwatch.errors import StoreError
from stockwatch.settings import Settings
from stockwatch.store import Store
from stockwatch.tick import Tick

SYMBOLS = ["^NSEI", "EURUSD=X", "M&M.NS", 'किं"/..;\r\n.NS', "AAPL"]
OPTIONAL = dict.fromkeys(("bid", "ask", "previous_close", "day_open", "day_high", "day_low"), float("nan"))


class Endless:
    """A store of one symbol without an end. opened: the reads that are under way."""

    opened = 0

    def __init__(self, address: StoreAddress, timeout: float) -> None:
        self.closed = False

    def symbols(self, source: str) -> list[str]:
        if source == "away":
            raise StoreError("ClickHouse at http://x cannot be reached")
        return ["AAPL"] if source in ("yahoo", "breaks") else []

    def sources(self) -> list[str]:
        return ["yahoo"]

    def instrument(self, source: str, symbol: str) -> None:
        return None

    def iter_ticks(self, source: str, symbol: str, start: int, end: int, rows: int) -> Iterator[pd.DataFrame]:
        Endless.opened += 1
        try:
            for number in itertools.count():
                if source == "breaks" and number == 3:
                    raise StoreError("the store has gone")
                at = range(number * rows, number * rows + rows)
                yield pd.DataFrame({"at": at, "price": 1.5, "day_volume": 1, "currency": "USD"}).assign(**OPTIONAL)
        finally:
            Endless.opened -= 1

    def close(self) -> None:
        self.closed = True


class Page:
    """A server with the page's downloads alone."""

    def __init__(self, folder: Path, store: StoreAddress) -> None:
        settings = Settings.model_validate({"supervisor": {"data_dir": str(folder)}})
        app = Starlette(routes=download.routes(Connection(settings, store, ""), lambda: "yahoo"))
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def get(self, **parameters: str) -> httpx.Response:
        return self.client.get(download.EXPORT_ROUTE, params={name.rstrip("_"): text for name, text in parameters.items()})

    def begun(self, form: str = "csv") -> socket.socket:
        """A client that has asked for an endless download."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        client.sendall(f"GET {download.EXPORT_ROUTE}?what=ticks&format={form} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return client

    def stop(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join(10)
        self.socket.close()


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """With a store that has no end."""
    monkeypatch.setattr(download, "Store", Endless)
    made = Page(tmp_path, StoreAddress("http://127.0.0.1:9"))
    yield made
    made.stop()
    assert Endless.opened == 0


def saved_as(answer: httpx.Response) -> tuple[str, str]:
    """The ASCII name and the full one; the header holds nothing else."""
    told = re.fullmatch(r"attachment; filename=\"([\w.^=&+-]+)\"; filename\*=UTF-8''(\S+)", answer.headers["content-disposition"])
    assert told is not None
    return told[1], unquote(told[2])


def test_the_stores_rows_come_in_each_format(engine: Engine, tmp_path: Path) -> None:
    password_file = engine.folder / "clickhouse.password"
    address = StoreAddress(f"http://127.0.0.1:{engine.port}", user="stockwatch", password_file=password_file)
    store = Store(address)
    store.prepare()
    ticks = [
        Tick(symbol, 1_764_000_000_000 + n * 1000, 2500.25 + n, n, "yahoo", currency="INR" if n else None)
        for symbol in SYMBOLS for n in range(9_000 if symbol == "AAPL" else 9)
    ]  # fmt: skip
    store.insert_ticks([(tick, 0, number) for number, tick in enumerate(ticks)])
    store.close()
    page = Page(tmp_path, address)
    try:
        whole = {form: page.get(what="ticks", format=form) for form in ("csv", "parquet")}
        assert [answer.status_code for answer in whole.values()] == [200, 200]
        read = {
            "csv": pd.read_csv(io.BytesIO(whole["csv"].content)),
            "parquet": pd.read_parquet(io.BytesIO(whole["parquet"].content)),
        }
        expected = sorted((tick.symbol, tick.at, tick.price, tick.day_volume) for tick in ticks)
        for table in read.values():
            at = pd.to_datetime(table["time_utc"], utc=True).astype("datetime64[ms, UTC]").astype("int64")
            assert list(zip(table["symbol"], at, table["price"], table["day_volume"], strict=True)) == expected
        assert whole["csv"].headers["content-encoding"] == "identity"
        assert whole["csv"].headers["cache-control"] == "no-store"
        assert saved_as(whole["parquet"]) == ("yahoo-all-ticks.parquet",) * 2
        names = set()
        for symbol in SYMBOLS:
            answer = page.get(symbol=symbol, format="xlsx", from_="2025-11-24", minutes="15")
            told = pd.read_excel(io.BytesIO(answer.content))["symbol"]
            assert set(map(unescape, told)) == {symbol}  # openpyxl leaves _x000D_ in inline texts
            names.add(saved_as(answer)[1])
        assert names == {
            f"yahoo-{name}-candles.xlsx" for name in ("^NSEI", "EURUSD=X", "M&M.NS", "किं__..;__.NS", "AAPL")
        }  # fmt: skip
        assert not list(tmp_path.iterdir())
        source = json.loads(page.client.get(download.POWERBI_ROUTE).text)
        assert source["connections"][0]["details"]["address"]["options"]["port"] == str(engine.port)
        assert engine.password() not in json.dumps(source)
    finally:
        page.stop()


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("form=csv", 400, "form: there is no such parameter, only symbol, source, what, format, from, to, minutes"),
        ("symbol=A&symbol=B", 400, "symbol: named twice"),
        ("format=doc", 400, "format doc: must be csv, xlsx, parquet"),
        ("what=bars%0D%0AX-A:b", 400, "what bars X-A:b: must be ticks or candles"),
        ("minutes=7", 400, "minutes 7: must be one of 1, 2, 5, 10, 15, 30, 60"),
        ("from=yesterday", 400, "from yesterday: must be an ISO date or time, such as 2026-11-24 or 2026-11-24T09:15"),
        ("from=2026-02-02&to=2026-02-01", 400, "from 2026-02-02 to 2026-02-01: from must be before to"),
        ("symbol=NONE", 404, "symbol NONE: nothing is stored of it from yahoo; it has AAPL"),
        ("source=simulator", 404, "symbol all: nothing is stored from simulator; there is nothing of it; stored are yahoo"),
        ("source=away", 503, "ClickHouse at http://x cannot be reached"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_of_text(page: Page, query: str, status: int, said: str) -> None:
    answer = page.client.get(f"{download.EXPORT_ROUTE}?{query}")
    assert (answer.status_code, answer.text) == (status, f"{said}\n")
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_look_ahead_makes_nothing(page: Page) -> None:
    answer = page.client.head(download.EXPORT_ROUTE, params={"format": "parquet"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.apache.parquet")


def test_a_page_of_another_site_may_not_ask(page: Page) -> None:
    answer = page.client.get(download.EXPORT_ROUTE, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_two_at_once_and_a_place_is_free_again_when_a_client_goes_away(page: Page, tmp_path: Path) -> None:
    clients = [page.begun("csv"), page.begun("xlsx")]
    until(lambda: Endless.opened == 2, 10, "two downloads")
    assert clients[0].recv(15) == b"HTTP/1.1 200 OK"
    assert list(tmp_path.glob("export-*"))
    refused = page.get(what="ticks")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
    assert refused.text == "2 exports are being made already: try again in a moment\n"
    for client in clients:
        client.close()
    until(lambda: Endless.opened == 0 and not list(tmp_path.glob("export-*")), 20, "nothing is left of them")
    with page.begun("parquet") as client:
        assert client.recv(15) == b"HTTP/1.1 200 OK"


def test_a_client_that_takes_nothing_is_let_go(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "STALLED_SECONDS", 0.5)
    with page.begun():
        until(lambda: Endless.opened == 1, 10, "it has begun")
        until(lambda: Endless.opened == 0, 20, "it is let go")


def test_a_download_that_fails_in_the_middle_is_not_taken_for_whole(page: Page) -> None:
    parameters = {"source": "breaks", "what": "ticks"}
    with page.client.stream("GET", download.EXPORT_ROUTE, params=parameters) as answer:
        assert answer.status_code == 200
        chunks = answer.iter_bytes()
        assert next(chunks)
        with pytest.raises(httpx.RemoteProtocolError):
            list(chunks)
