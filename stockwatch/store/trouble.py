"""What clickhouse-connect and urllib3 raise, as StoreError (it may pass) or UnavailableError (it will not)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError
from urllib3 import exceptions

from stockwatch.errors import StoreError, UnavailableError

_NO_SPACE = 243
_FULL = re.compile(r"the disk under .+? is full(?: \([^)]*\))?")
# Unknown user, wrong or required password, access denied, authentication failed; no such cluster in the server's configuration.
_HOPELESS = {192, 193, 194, 497, 516, 701}
_NO_MACRO = "No macro"  # 'shard' or 'replica': replicated tables need both in the servers' configuration


@contextmanager
def named_trouble(url: str) -> Iterator[None]:
    """One line, no credentials."""
    try:
        yield
    except ClickHouseError as error:
        if isinstance(error, OperationalError) and isinstance(error.__cause__, exceptions.HTTPError):
            raise StoreError(f"ClickHouse at {url} {_silence(error.__cause__)}") from error
        code = re.search(r"Code: (\d+)", str(error)) or re.search(r"error code (\d+)", str(error))
        text = re.sub(r"\s+", " ", str(error).rpartition("server response: ")[2]).strip()[:300]
        kind = UnavailableError if (code and int(code.group(1)) in _HOPELESS) or _NO_MACRO in text else StoreError
        if code and int(code.group(1)) == _NO_SPACE:
            where = _FULL.search(text)  # the embedded store says which disk
            what = where[0] if where else f"the disk of ClickHouse at {url} is full"
            raise StoreError(f"{what}: free some space, nothing is lost meanwhile") from error
        raise kind(f"ClickHouse refused: {text}") from error
    except (exceptions.HTTPError, OSError) as error:
        raise StoreError(f"ClickHouse at {url} {_silence(error)}") from error


def _silence(error: BaseException) -> str:
    """Why nothing comes from it, in plain words; the error's name only where they are not known."""
    while isinstance(error, exceptions.MaxRetryError) and error.reason is not None:
        error = error.reason
    if isinstance(error, exceptions.NameResolutionError):
        return "cannot be reached: its host name is not known"
    if isinstance(error, exceptions.NewConnectionError | ConnectionRefusedError):
        return "cannot be reached: nobody answers there" if "refused" in str(error) else "cannot be reached"
    if isinstance(error, exceptions.TimeoutError | TimeoutError):
        return "does not answer"
    if isinstance(error, exceptions.ProtocolError | ConnectionError):
        return "has closed the connection"
    return f"cannot be reached: {type(error).__name__}"
