"""Hostile requests: valid ones of each surface, broken in every way that a seed finds. Raw bytes, as a client would send them."""

from __future__ import annotations

import base64
import gzip
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

STATEMENTS = [
    "SELECT 1", "SELECT version(), timezone()", "SELECT count() FROM stockwatch.ticks", "SELECT * FROM system.one FORMAT JSONCompact",
    "SELECT symbol, max(price) FROM stockwatch.ticks GROUP BY symbol FORMAT Native", "SELECT {p:UInt8} + 1", "SHOW TABLES FROM stockwatch",
    "DESCRIBE TABLE stockwatch.ticks", "EXPLAIN SELECT 1", "SELECT 'a' AS `b c`, \"d\" FROM (SELECT 2 AS d) SETTINGS max_threads = 1",
    "SELECT * FROM file('/etc/passwd')", "SELECT 1; SELECT 2", "SELECT * FROM url('http://127.0.0.1:9/')", "SELECT [1, 2, (3, 'x')], map('a', 1)",
    "WITH x AS (SELECT 1 AS a) SELECT * FROM x AS l JOIN x AS r USING (a) WHERE l.a IN (1, 2) ORDER BY 1 LIMIT 5", "SELEC", "", "/*", "'", "SELECT `",
    "SELECT 1 INTO OUTFILE '/tmp/never'", "SELECT " + "(" * 500 + "1" + ")" * 500, "SELECT 1 IN system.processes", "INSERT INTO stockwatch.ticks VALUES",
]  # fmt: skip
FORMATS = [
    "JSON",
    "JSONEachRow",
    "Native",
    "CSV",
    "TSV",
    "RowBinary",
    "Parquet",
    "Arrow",
    "Nothing",
    "Template",
    "Pretty",
    "XML",
    "\0",
]
SETTINGS = [
    "max_threads",
    "readonly",
    "max_execution_time",
    "no_such_setting",
    "compress",
    "session_id",
    "query_id",
    "user",
    "database",
    "role",
]
WORDS = [
    "1",
    "0",
    "-1",
    "18446744073709551616",
    "x" * 300,
    "%00",
    "%",
    "../../etc/passwd",
    "'; DROP TABLE ticks",
    "é",
    "\U0001f4a5",
    "NaN",
    "",
]
METHODS = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "G\x01T", "PRI", "X" * 5000]
PATHS = {
    "gateway": ["/", "/ping", "/replicas_status", "/play", "/dashboard", "/?", "//", "/%2e%2e/", "*"],
    "health": ["/health", "/health?x=1", "/", "/health/..", "/%00", "//health"],
    "page": ["/", "/_stcore/health", "/_stcore/stream", "/_stcore/host-config", "/stockwatch/login", "/stockwatch/plotly.min.js", "/app/static/../app.py",
             "/static/index.html", "/media/x", "/component/x/y", "/_stcore/upload_file/a/b", "/_stcore/bidi-components/x", "/stockwatch/live", "/..%2f..%2fetc/passwd"],
}  # fmt: skip
COMMON = [
    ("Accept", "text/html"), ("Accept-Encoding", "gzip, br"), ("Origin", "http://evil.example"), ("Origin", "null"), ("Expect", "100-continue"),
    ("Upgrade", "h2c"), ("Range", "bytes=0-1"), ("Cookie", "stockwatch_x=1.2.3; a=b"), ("X-Forwarded-For", "127.0.0.1"), ("Referer", "javascript:0"),
    ("Sec-Fetch-Site", "cross-site"), ("If-None-Match", "*"), ("Accept-Language", "\xff\xfe"), ("X-ClickHouse-Format", "JSON"), ("X-ClickHouse-Database", "system"),
]  # fmt: skip
RAW = [
    b"", b"\r\n\r\n", b"\0" * 100, b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\nHost: localhost\n\n", b"HTTP/1.1 200 OK\r\n\r\n", b"GET  /  HTTP/1.1\r\n\r\n", b"\x80\x05\x00\x00", b"*1\r\n$4\r\nPING\r\n",
]  # fmt: skip


MOST_HEAD = 30_000  # bytes; past the server's limit it closes while the client still writes, and the answer may be lost


@dataclass(frozen=True)
class Target:
    """One surface: its port, and whom it knows (user and password, or a cookie)."""

    name: str
    port: int
    users: tuple[tuple[str, str], ...] = ()
    cookie: str = ""  # of one who is let in


@dataclass(frozen=True)
class Case:
    """What is sent, and whether it is a whole request, which has to be answered."""

    target: Target
    data: bytes
    is_whole: bool = False


def requests(seed: int, targets: list[Target], count: int) -> Iterator[Case]:
    """`count` of them; the same for the same seed and targets."""
    chance = random.Random(seed)
    weights = [3 if target.name == "gateway" else 1 for target in targets]
    for _ in range(count):
        target = chance.choices(targets, weights)[0]
        kind = chance.random()
        if kind < 0.03:
            yield Case(target, chance.choice(RAW))
        elif kind < 0.06:  # pipelined
            many = [_request(chance, target, close=False)[0] for _ in range(chance.randint(2, 8))]
            yield Case(target, b"".join(many) + _request(chance, target)[0])
        else:
            data, is_whole = _request(chance, target)
            breaks = chance.choices(_BREAKS, k=chance.choice((0, 0, 1, 1, 2, 4)))
            for broken in breaks:
                data = broken(chance, data)
            yield Case(target, data, is_whole and not breaks and len(data) < MOST_HEAD)


def _request(chance: random.Random, target: Target, *, close: bool = True) -> tuple[bytes, bool]:
    method = chance.choice(METHODS) if chance.random() < 0.2 else chance.choice(("GET", "POST"))
    path = chance.choice(PATHS[target.name])
    body, headers = b"", [("Host", f"127.0.0.1:{target.port}")]
    if chance.random() < 0.06:
        headers[0] = ("Host", chance.choice(("evil.example", "[::1", "localhost:99999", "a" * 5000, "", "127.0.0.1\t")))
    if target.name == "gateway" and chance.random() < 0.9:
        path, body = _query(chance, headers, target)
    elif target.name == "page" and method == "POST":
        body = b"password=" + quote(chance.choice(WORDS)).encode() + b"&next=" + quote(chance.choice(WORDS)).encode()
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    if target.cookie and chance.random() < 0.5:
        headers.append(("Cookie", target.cookie))
    if path in ("/_stcore/stream", "/stockwatch/live") and chance.random() < 0.5:
        headers += [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ]
    headers += chance.sample(COMMON, chance.randint(0, 3))
    if chance.random() < 0.03:
        headers += [(f"X-{number}", "y" * chance.randint(0, 2000)) for number in range(chance.randint(1, 200))]
    if close:
        headers.append(("Connection", "close"))
    framed, is_whole = _framed(chance, headers, body)
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n"
    return head.encode("utf-8", "replace") + framed, is_whole and ("Upgrade", "websocket") not in headers


def _query(chance: random.Random, headers: list[tuple[str, str]], target: Target) -> tuple[str, bytes]:
    sql = chance.choice(STATEMENTS)
    user, password = chance.choice(target.users) if chance.random() < 0.85 else ("reader", "wrong")
    if chance.random() < 0.5:
        headers.append(("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()))
    else:
        headers += [("X-ClickHouse-User", user), ("X-ClickHouse-Key", password)]
    asked = [f"{chance.choice(SETTINGS)}={quote(chance.choice(WORDS))}" for _ in range(chance.choice((0, 0, 0, 1, 2)))]
    if "{p:" in sql:
        asked.append(f"param_p={quote(chance.choice(WORDS))}")
    if chance.random() < 0.2:
        asked.append(f"default_format={quote(chance.choice(FORMATS))}")
    body = sql.encode()
    if chance.random() < 0.3:
        asked.append(f"query={quote(sql)}")
        body = chance.choice((b"", b"1,2\n", b"\0\xff" * 50))
    packed = chance.random()
    if packed < 0.2:
        name, squeeze = chance.choice(
            [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", bytes), ("lz4", bytes), ("br", bytes), ("x", bytes)]
        )
        headers.append(("Content-Encoding", name))
        body = squeeze(body)
    return "/?" + "&".join(asked), body


def _framed(chance: random.Random, headers: list[tuple[str, str]], body: bytes) -> tuple[bytes, bool]:
    kind = chance.random()
    if kind < 0.8:
        headers.append(("Content-Length", str(len(body))))
        return body, True
    if kind < 0.9:
        headers.append(("Transfer-Encoding", "chunked"))
        end = chance.choice(
            (
                b"0\r\n\r\n",
                b"0\r\n\r\n",
                b"",
                b"zz\r\n",
                b"-1\r\n\r\n",
                b"ffffffffffffffff\r\nx",
                b"0;x=" + b"y" * 500 + b"\r\n\r\n",
            )
        )
        return b"%x\r\n%s\r\n" % (len(body), body) + end if body else end, False
    headers.append(
        (
            "Content-Length",
            chance.choice(("-1", "0x10", "99999999999999999999", "1, 1", " ", str(len(body) + 5), str(max(len(body) - 1, 0)))),
        )
    )
    if chance.random() < 0.3:
        headers.append(("Transfer-Encoding", chance.choice(("chunked", "gzip", "chunked, chunked", "xchunked"))))
    return body, False


def _flip(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data)) if data else 0
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _insert(chance: random.Random, data: bytes) -> bytes:
    at = chance.randint(0, len(data))
    return (
        data[:at]
        + chance.choice((b"\0", b"\r\n", b"\n", b"%", b":", b" ", b"\xff\xfe", bytes(chance.randrange(256) for _ in range(8))))
        + data[at:]
    )


def _cut(chance: random.Random, data: bytes) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + data[at + chance.randint(0, 30) :]


def _again(chance: random.Random, data: bytes) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + data[at : at + chance.randint(0, 60)] * chance.randint(2, 4) + data[at:]


def _end(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randint(0, len(data))]


def _giant(chance: random.Random, data: bytes) -> bytes:
    line = data.find(b"\r\n") + 2
    return data[:line] + b"X-Giant: " + b"z" * chance.choice((9_000, 70_000, 200_000)) + b"\r\n" + data[line:]


_BREAKS: list[Callable[[random.Random, bytes], bytes]] = [_flip, _flip, _insert, _insert, _cut, _cut, _again, _end, _end, _giant]
