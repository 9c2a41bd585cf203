"""Yahoo on loopback: a TLS server with Yahoo's four endpoints behind a CONNECT proxy, so that yfinance's own code runs.

Shaped after what yfinance 1.7 asks: `/` (cookie), /v1/test/getcrumb, /v7/finance/quote, /v8/finance/chart/SYMBOL.
Modes: ok, 429, 500, hang, rubbish.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CHART = "/v8/finance/chart/"
HOSTS = ["finance.yahoo.com", "*.finance.yahoo.com", "fc.yahoo.com", "*.yahoo.com", "yahoo.com"]


def quote(symbol: str, at: int, price: float, volume: int, **more: Any) -> dict[str, Any]:
    """One entry of a quote answer. at: seconds since the epoch, UTC, as Yahoo gives it."""
    return {
        "symbol": symbol, "regularMarketTime": at, "regularMarketPrice": price, "regularMarketVolume": volume,
        "regularMarketPreviousClose": price - 1, "regularMarketOpen": price, "regularMarketDayHigh": price + 1,
        "regularMarketDayLow": price - 2, "bid": price - 0.05, "ask": price + 0.05, "currency": "INR",
        "marketState": "REGULAR", "exchangeDataDelayedBy": 15, "shortName": f"{symbol} Ltd", **more,
    }  # fmt: skip


Row = tuple[int, float, float, float, float, int]  # start (s, UTC), open, high, low, close, volume


class Market(Protocol):
    """Who answers when the stub is to be more than a list of quotes; times in seconds since the epoch, UTC."""

    def quotes(self, symbols: list[str]) -> list[dict[str, Any]]: ...
    def bars(self, symbol: str, start: int, end: int, minutes: int) -> list[Row]:
        """Raises KeyError for a symbol that there is not."""

    def periods(self, symbol: str, start: int, end: int) -> list[tuple[int, int]]:
        """The regular trading periods in it."""

    def zone(self, symbol: str) -> str: ...


class YahooStub:
    """A context: .proxy_url and .ca_file go into the settings; .quotes and .mode may be changed while it runs."""

    def __init__(self, folder: Path, proxy_port: int = 0) -> None:
        self._proxy_port = proxy_port
        self.quotes: list[dict[str, Any]] = []
        self.mode = "ok"
        self.limited = ""  # a request for quotes that names this symbol is answered 429
        self.answer: Any = None  # a whole quote answer instead of `quotes`
        self.asked: list[list[str]] = []  # the symbols of each quote request
        self.market: Market | None = None  # answers instead of `quotes`; without one there are no bars
        self.answers = 0  # to requests of every kind, also for a cookie or a crumb
        self.charted: list[tuple[str, int, int, int]] = []  # symbol, start, end, minutes of each request for bars
        self.chart_mode = ""  # another mode for bars alone
        self.ca_file = folder / "yahoo-ca.pem"
        self._chain = folder / "yahoo-chain.pem"
        self._make_certificate()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []
        self.proxy_url = ""

    def __enter__(self) -> YahooStub:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._chain)
        context.set_alpn_protocols(["http/1.1"])
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self._port = server.sockets[0].getsockname()[1]
        proxy = await asyncio.start_server(self._tunnel, "127.0.0.1", self._proxy_port)
        self.proxy_url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        self._servers = [server, proxy]

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        mine = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not mine]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """CONNECT anything: to our own server."""
        await reader.readuntil(b"\r\n\r\n")
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer), return_exceptions=True)
        except asyncio.CancelledError:
            pass  # the stub is stopping
        finally:
            inner_writer.close()
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split(" ", 2)[1]
                status, body = await self._answer(path)
                cookie = "Set-Cookie: A3=stub; Path=/; Domain=.yahoo.com; Max-Age=86400"
                said = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{cookie}\r\n\r\n"
                self.answers += 1
                writer.write(said.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, ssl.SSLError):
            pass  # the client has gone, or the stub is stopping
        finally:
            writer.close()

    async def _answer(self, path: str) -> tuple[int, bytes]:
        parts = urlsplit(path)
        if parts.path == "/v1/test/getcrumb":
            return 200, b"crumb"
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path.startswith(CHART):
            mode = self.chart_mode or self.mode
        elif parts.path == "/v7/finance/quote":
            self.asked.append(query["symbols"].split(","))
            mode = "429" if self.limited in self.asked[-1] else self.mode
        else:
            return 200, b"<html></html>"
        if mode == "hang":
            await asyncio.sleep(3600)
        if mode in ("429", "500"):
            return int(mode), b"Too Many Requests" if mode == "429" else b"error"
        if mode == "rubbish":
            return 200, b"<html>not json"
        if parts.path.startswith(CHART):
            return self._chart(unquote(parts.path.removeprefix(CHART)), query)
        if self.answer is not None:
            return 200, json.dumps(self.answer).encode()
        wanted = self.asked[-1]
        found = self.market.quotes(wanted) if self.market else [entry for entry in self.quotes if entry["symbol"] in wanted]
        return 200, json.dumps({"quoteResponse": {"result": found, "error": None}}).encode()

    def _chart(self, symbol: str, query: dict[str, str]) -> tuple[int, bytes]:
        """/v8/finance/chart, as yfinance reads it: for the time zone (range, 1d) and for bars (period1, period2)."""
        start, end = int(query.get("period1", 0)), int(query.get("period2", 0))
        try:
            if self.market is None:
                raise KeyError(symbol)
            zone = self.market.zone(symbol)
            rows: list[Row] = []
            if "period1" in query:
                minutes = int(query["interval"].removesuffix("m"))
                self.charted.append((symbol, start, end, minutes))
                rows = self.market.bars(symbol, start, end, minutes)
            periods = self.market.periods(symbol, start, end)
        except KeyError:
            error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return 404, json.dumps({"chart": {"result": None, "error": error}}).encode()
        trading = [[{"timezone": "X", "gmtoffset": 0, "start": opened, "end": closed}] for opened, closed in periods]
        meta = {
            "currency": "INR", "symbol": symbol, "exchangeName": "NSI", "instrumentType": "EQUITY", "exchangeTimezoneName": zone,
            "gmtoffset": 0, "timezone": "X", "priceHint": 2, "dataGranularity": query["interval"], "range": "",
            "validRanges": ["1d", "5d", "1mo"], "tradingPeriods": trading,
        }  # fmt: skip
        quote: dict[str, list[Any]] = {}
        if rows:
            _starts, *columns = zip(*rows, strict=True)
            quote = {name: list(column) for name, column in zip(("open", "high", "low", "close", "volume"), columns, strict=True)}
        result = {"meta": meta, "indicators": {"quote": [quote]}, "timestamp": [row[0] for row in rows]}
        return 200, json.dumps({"chart": {"result": [result], "error": None}}).encode()

    def _make_certificate(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stub of Yahoo")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        plain = serialization.NoEncryption()
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        self.ca_file.write_bytes(pem)
        self._chain.write_bytes(private + pem)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
