"""Bodies packed and unpacked as they flow: HTTP's encodings, and ClickHouse's own blocks (`compress=1`, `decompress=1`)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any, Protocol

import lz4.block
import lz4.frame
from clickhouse_cityhash.cityhash import CityHash128

from stockwatch.engines.clickhouse_request import BadRequestError

try:
    from compression import zstd  # Python 3.14
except ImportError:
    from backports import zstd

BLOCK = 1 << 20  # bytes of plain content in one of ClickHouse's blocks
_LARGEST_BLOCK = 1 << 28  # one block says its own size: more than this is damage, or an attack
_LZ4, _ZSTD, _NONE = 0x82, 0x90, 0x02
_HEAD = struct.Struct("<BII")  # method, size with this head, plain size
PREFERRED = ("lz4", "zstd", "gzip", "deflate")


class Codec(Protocol):
    """Takes a stream piece by piece; `end` gives what is left and, unpacking, raises when the stream is not whole."""

    def take(self, piece: bytes) -> bytes:
        """What comes out for this piece; may be empty."""
        ...

    def end(self) -> bytes:
        """The rest."""
        ...


class Plain:
    """Nothing to do."""

    def take(self, piece: bytes) -> bytes:
        """The same."""
        return piece

    def end(self) -> bytes:
        """Nothing."""
        return b""


class Unpacked:
    """One of HTTP's encodings; members one after the other (gzip's and zstd's frames) are one body."""

    def __init__(self, make: Any) -> None:
        self._make, self._codec = make, make()
        self._begun = False

    def take(self, piece: bytes) -> bytes:
        """Raises BadRequestError for damage."""
        out = []
        try:
            while piece:
                if self._codec.eof:
                    self._codec = self._make()
                self._begun = True
                out.append(self._codec.decompress(piece))
                piece = self._codec.unused_data if self._codec.eof else b""
        except (RuntimeError, OSError, EOFError, zlib.error, zstd.ZstdError) as error:
            raise BadRequestError(271, "CANNOT_DECOMPRESS", f"Cannot decompress the body: {error}") from None
        return b"".join(out)

    def end(self) -> bytes:
        """Raises BadRequestError when the end is missing. An empty body needs no end."""
        if self._begun and not self._codec.eof:
            raise BadRequestError(271, "CANNOT_DECOMPRESS", "Cannot decompress the body: its end is missing")
        return b""


class UnpackedBlocks:
    """ClickHouse's blocks: a checksum of 16 bytes, method, sizes, content."""

    def __init__(self) -> None:
        self._left = b""

    def take(self, piece: bytes) -> bytes:
        """Raises BadRequestError for a wrong checksum, an unknown method or damage."""
        self._left += piece
        out = []
        while len(self._left) >= 16 + _HEAD.size:
            method, size, plain = _HEAD.unpack_from(self._left, 16)
            if size < _HEAD.size or size > _LARGEST_BLOCK or plain > _LARGEST_BLOCK:
                raise BadRequestError(271, "CANNOT_DECOMPRESS", "Cannot decompress the body: a block's size is wrong")
            if len(self._left) < 16 + size:
                break
            block, self._left = self._left[: 16 + size], self._left[16 + size :]
            if _checksum(block[16:]) != block[:16]:
                raise BadRequestError(40, "CHECKSUM_DOESNT_MATCH", "Checksum doesn't match: corrupted data")
            out.append(self._content(method, block[16 + _HEAD.size :], plain))
        return b"".join(out)

    def _content(self, method: int, packed: bytes, plain: int) -> bytes:
        try:
            if method == _LZ4:
                return bytes(lz4.block.decompress(packed, uncompressed_size=plain))
            if method == _ZSTD:
                return bytes(zstd.decompress(packed))
        except (lz4.block.LZ4BlockError, zstd.ZstdError, ValueError) as error:
            raise BadRequestError(271, "CANNOT_DECOMPRESS", f"Cannot decompress the body: {error}") from None
        if method == _NONE:
            return packed
        raise BadRequestError(89, "UNKNOWN_COMPRESSION_METHOD", f"Unknown compression method {method:#x}")

    def end(self) -> bytes:
        """Raises BadRequestError when a block is not whole."""
        if self._left:
            raise BadRequestError(271, "CANNOT_DECOMPRESS", "Cannot decompress the body: its last block is not whole")
        return b""


class PackedBlocks:
    """The same, packing with LZ4 as ClickHouse does unless told otherwise."""

    def take(self, piece: bytes) -> bytes:
        """Blocks of at most BLOCK bytes of content."""
        return b"".join(self._block(piece[start : start + BLOCK]) for start in range(0, len(piece), BLOCK))

    def _block(self, plain: bytes) -> bytes:
        packed = lz4.block.compress(plain, store_size=False)
        block = _HEAD.pack(_LZ4, len(packed) + _HEAD.size, len(plain)) + packed
        return bytes(_checksum(block) + block)

    def end(self) -> bytes:
        """Nothing: each block is whole."""
        return b""


class Packed:
    """One of HTTP's encodings."""

    def __init__(self, codec: Any, head: bytes = b"") -> None:
        self._codec, self._head = codec, head

    def take(self, piece: bytes) -> bytes:
        """What is ready; the codec keeps some back."""
        head, self._head = self._head, b""
        return head + bytes(self._codec.compress(piece))

    def end(self) -> bytes:
        """The rest, and the encoding's own end."""
        return self.take(b"") + bytes(self._codec.flush())


def unpacking(encoding: str, *, blocks: bool) -> list[Codec]:
    """Codecs for a request's body, the first one first: its Content-Encoding, then ClickHouse's blocks inside."""
    made: list[Codec] = []
    if encoding in ("gzip", "x-gzip"):
        made.append(Unpacked(lambda: zlib.decompressobj(31)))
    elif encoding == "deflate":
        made.append(Unpacked(zlib.decompressobj))
    elif encoding == "lz4":
        made.append(Unpacked(lz4.frame.LZ4FrameDecompressor))
    elif encoding == "zstd":
        made.append(Unpacked(zstd.ZstdDecompressor))
    elif encoding not in ("", "identity"):
        raise BadRequestError(89, "UNKNOWN_COMPRESSION_METHOD", f"Unknown compression method {encoding[:40]}")
    return [*made, UnpackedBlocks()] if blocks else made


def packing(query: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, Codec]:
    """The answer's Content-Encoding ('' for none) and its codec, as the request asks."""
    if query.get("compress") in ("1", "true"):
        return "", PackedBlocks()
    if query.get("enable_http_compression") not in ("1", "true"):
        return "", Plain()
    accepted = _accepted(headers.get("accept-encoding", ""))
    name = next((each for each in PREFERRED if each in accepted), "")
    if name == "lz4":
        codec = lz4.frame.LZ4FrameCompressor()
        return name, Packed(codec, bytes(codec.begin()))
    if name == "zstd":
        return name, Packed(zstd.ZstdCompressor(level=1))
    level = _level(query.get("http_zlib_compression_level", "3"))
    if name == "gzip":
        return name, Packed(zlib.compressobj(level, zlib.DEFLATED, 31))
    if name == "deflate":
        return name, Packed(zlib.compressobj(level))
    return "", Plain()


def _accepted(header: str) -> set[str]:
    """The names in Accept-Encoding, without what it rules out (q=0)."""
    found = set()
    for part in header.lower().split(","):
        name, _, weight = part.partition(";")
        if weight.strip().removeprefix("q=").strip("0. ") or not weight:
            found.add(name.strip())
    return found


def _level(text: str) -> int:
    return int(text) if text in set("123456789") else 3


def _checksum(block: bytes) -> bytes:
    """ClickHouse's: CityHash 1.0.2 in 128 bits, low half first."""
    value: int = CityHash128(block)
    return struct.pack("<QQ", value >> 64, value & (1 << 64) - 1)
