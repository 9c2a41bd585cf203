"""Tabs without a browser: what one does on its two WebSockets, Streamlit's and ours, and how it is left.

Bare sockets: a client library answers pings by itself and closes politely, and these must be able to do neither.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from typing import Any

import streamlit.proto.BackMsg_pb2 as back
import streamlit.proto.ForwardMsg_pb2 as forward

from stockwatch.dashboard.patch import patched

STREAM, LIVE = "/_stcore/stream", "/stockwatch/live"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10  # RFC 6455, 5.2
SECONDS = 60.0


def parts(symbol: str) -> list[str]:
    """What a page that shows this ticker watches."""
    wanted = [["head", symbol], ["pair", symbol, 5, 50, ""], ["live", symbol, 0], ["side"], ["list"], ["alerts"]]
    return [json.dumps(part, separators=(",", ":")) for part in wanted]


class Wire:
    """One WebSocket. window: bytes that its end takes without being read."""

    def __init__(self, url: str, route: str, *, protocol: str = "", window: int = 0) -> None:
        host, port = url.rstrip("/").removeprefix("http://").split(":")
        self.socket = socket.socket()
        self.socket.settimeout(SECONDS)
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.connect((host, int(port)))
        self._file = self.socket.makefile("rb")
        lines = [f"GET {route} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}"]
        lines += [f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        assert b"101" in self._file.readline()
        while self._file.readline().strip():
            pass  # the answer's other lines

    def send(self, data: bytes, kind: int = TEXT) -> None:
        """One masked frame."""
        mask = os.urandom(4)
        size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + struct.pack(">H", len(data))
        self.socket.sendall(bytes([0x80 | kind]) + size + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(data)))

    def receive(self) -> bytes:
        """The next message. Raises TimeoutError, and EOFError once the other end has closed it."""
        whole = b""
        while True:
            head = self._file.read(2)
            if len(head) < 2:
                raise EOFError
            length = head[1] & 0x7F
            if length > 125:
                length = int.from_bytes(self._file.read(2 if length == 126 else 8), "big")
            data, kind = self._file.read(length), head[0] & 0x0F
            if kind == PING:
                self.send(data, PONG)
            elif kind == CLOSE:
                raise EOFError
            elif kind in (0, TEXT, BINARY):
                whole += data
                if head[0] & 0x80:
                    return whole

    def abandon(self) -> None:
        """As a machine that goes away: a reset, no closing frame."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._file.close()
        self.socket.close()


class Tab:
    """An open page: Streamlit runs its script, and it is told what moves."""

    def __init__(self, url: str, symbol: str) -> None:
        self.states: dict[str, tuple[int, Any]] = {}
        self.lost_places = 0
        self.stream, self.live = Wire(url, STREAM, protocol="streamlit"), Wire(url, LIVE)
        message = back.BackMsg()
        message.rerun_script.query_string = ""
        self.stream.send(message.SerializeToString(), BINARY)
        self.live.send(json.dumps({"watch": parts(symbol)}).encode())

    def until_run(self) -> None:
        """Until the script has run to its end."""
        while forward.ForwardMsg.FromString(self.stream.receive()).WhichOneof("type") != "script_finished":
            pass  # what it draws

    def take(self) -> str:
        """The next message, applied as the page's script does; the part's name, "" for the clock."""
        message = json.loads(self.live.receive())
        if "now" in message:
            return ""
        name = message["c"]
        version, old = self.states.get(name, (0, None))
        if "p" in message and version != message["v"] - 1:
            self.lost_places += 1
            self.live.send(json.dumps({"again": name}).encode())
            return ""
        self.states[name] = message["v"], patched(old, message["p"]) if "p" in message else message["f"]
        return str(name)

    def abandon(self) -> None:
        """Both ends of it."""
        self.stream.abandon()
        self.live.abandon()
