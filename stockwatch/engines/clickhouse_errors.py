"""Errors as ClickHouse's HTTP interface gives them: code, text with the version, status, the block at a broken stream's end."""

from __future__ import annotations

import re
import secrets
import string

# ClickHouse's exceptionCodeToHTTPStatus, but 500 where it says 503: clients take that for "ask again".
_STATUS = {
    **dict.fromkeys((194, 516), 401),  # ClickHouse: 403 for 516; with 401 a browser asks for the password
    **dict.fromkeys((192, 193, 497, 512), 403),
    164: 403,  # READONLY: ClickHouse says 500; it is a refusal
    **dict.fromkeys((6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123), 400),
    **dict.fromkeys((167, 168, 223, 321, 376, 427, 441, 675, 676), 400),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511), 404),
    159: 408,
    229: 413,
    48: 501,
}
UNKNOWN = 1002


def code_of(text: str) -> int:
    """The number in `Code: N. DB::Exception: …`; UNKNOWN where there is none."""
    match = re.match(r"Code: (\d+)", text)
    return int(match[1]) if match else UNKNOWN


def said(error: BaseException, version: str, hidden: dict[str, str]) -> str:
    """One error's text as ClickHouse ends it. `hidden` texts (paths of ours) are replaced, and no other name is told."""
    text = str(error)
    text = text[text.find("Code: ") :] if "Code: " in text else f"Code: {UNKNOWN}. DB::Exception: {text}. (UNKNOWN_EXCEPTION)"
    # The engine wraps some errors in themselves: Code: 164. DB::Exception: Code: 164. DB::Exception: … (version …). (READONLY)
    text = re.sub(r"^(Code: \d+\. DB::Exception: )(?:Code: \d+\. DB::\w*Exception: )+", r"\1", text)
    text = re.sub(r"\.?(?: \([A-Z_0-9]+\))? \(version [\d.]+\)\.?(?= \([A-Z_0-9]+\)\s*$)", ".", text)
    for private, shown in hidden.items():
        text = text.replace(private, shown)
    return f"{text.strip()} (version {version} (chDB))\n"


def status_of(code: int) -> int:
    """The HTTP status of an error."""
    return _STATUS.get(code, 500)


def new_tag() -> str:
    """What marks an error within a body: 16 letters that no data can foresee."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))


def block(text: str, tag: str) -> bytes:
    """An error after the answer has begun, as ClickHouse ≥ 25.11 writes it."""
    message = f"{text.strip()}\n".encode()
    return b"\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n" % (tag.encode(), message, len(message), tag.encode())
