"""Yahoo on loopback: a TLS server with Yahoo's four endpoints behind a CONNECT proxy, so that yfinance's own code runs.

Shaped after what yfinance 1.7 asks: `/` (cookie), /v1/test/getcrumb, /v7/finance/quote. Modes: ok, 429, 500, hang, rubbish.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS = ["finance.yahoo.com", "*.finance.yahoo.com", "fc.yahoo.com", "*.yahoo.com", "yahoo.com"]


def quote(symbol: str, at: int, price: float, volume: int, **more: Any) -> dict[str, Any]:
    """One entry of a quote answer. at: seconds since the epoch, UTC, as Yahoo gives it."""
    return {
        "symbol": symbol, "regularMarketTime": at, "regularMarketPrice": price, "regularMarketVolume": volume,
        "regularMarketPreviousClose": price - 1, "regularMarketOpen": price, "regularMarketDayHigh": price + 1,
        "regularMarketDayLow": price - 2, "bid": price - 0.05, "ask": price + 0.05, "currency": "INR",
        "marketState": "REGULAR", "exchangeDataDelayedBy": 15, "shortName": f"{symbol} Ltd", **more,
    }  # fmt: skip


class YahooStub:
    """A context: .proxy_url and .ca_file go into the settings; .quotes and .mode may be changed while it runs."""

    def __init__(self, folder: Path) -> None:
        self.quotes: list[dict[str, Any]] = []
        self.mode = "ok"
        self.answer: Any = None  # a whole quote answer instead of `quotes`
        self.asked: list[list[str]] = []  # the symbols of each quote request
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
        proxy = await asyncio.start_server(self._tunnel, "127.0.0.1", 0)
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
        if parts.path != "/v7/finance/quote":
            return 200, b"<html></html>"
        wanted = parse_qs(parts.query)["symbols"][0].split(",")
        self.asked.append(wanted)
        if self.mode == "hang":
            await asyncio.sleep(3600)
        if self.mode in ("429", "500"):
            return int(self.mode), b"Too Many Requests" if self.mode == "429" else b"error"
        if self.mode == "rubbish":
            return 200, b"<html>not json"
        if self.answer is not None:
            return 200, json.dumps(self.answer).encode()
        found = [entry for entry in self.quotes if entry["symbol"] in wanted]
        return 200, json.dumps({"quoteResponse": {"result": found, "error": None}}).encode()

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
