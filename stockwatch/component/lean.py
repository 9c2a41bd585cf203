"""Libraries that others load with themselves although they are seldom needed.

pandas and chdb take pyarrow along wherever it is installed: 36 MB and a tenth of a second of each process. Here only an export
and a Parquet recording need it. Both take its absence well: then what needs it loads it by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(name: str) -> Iterator[None]:
    """While this lasts, `name` is as if it were not installed; where it is loaded already, nothing changes.

    For the imports of a process's beginning: other threads would not find it either.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # as Python's reference says: its import fails at once
    try:
        yield
    finally:
        del sys.modules[name]
