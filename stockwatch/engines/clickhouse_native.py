"""The one thing of the Native format that chDB leaves out: the block of a result without rows."""

from __future__ import annotations

import json
from typing import Any


def empty_block(handle: Any, sql: str, parameters: dict[str, str]) -> bytes:
    """chDB's Native says nothing for an empty result; ClickHouse sends a block of no rows, with names and types."""
    try:
        described = handle.query(f"DESCRIBE TABLE ({sql}\n)", "JSONCompact", params=parameters).bytes()
    except RuntimeError:  # SHOW and the like cannot be described; no block then
        return b""
    columns = json.loads(described)["data"]
    parts = [_varint(len(columns)), _varint(0)]
    for name, kind, *_rest in columns:
        parts += [_varint(len(name.encode())), name.encode(), _varint(len(kind.encode())), kind.encode()]
    return b"".join(parts)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])
