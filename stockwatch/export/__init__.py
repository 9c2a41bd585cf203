"""Rows → CSV, Excel, Parquet: ticks or candles, of one symbol or of all of a source, in a range.

The same code serves the command (`write`: a file, whole or not at all) and the page (`stream`: bytes, or a file of its own that
is gone afterwards). Rows flow as Arrow batches in bounded memory, whatever their number. pyarrow and the writers are loaded with
the first of them.
"""

from stockwatch.export.delivery import stream, sweep, write
from stockwatch.export.plan import ALL, FORMATS, KINDS, Asked, Plan, plan
from stockwatch.export.powerbi import data_source
from stockwatch.export.rows import Rows

__all__ = [
    "ALL", "FORMATS", "KINDS", "Asked", "Plan", "Rows", "data_source", "plan", "stream", "sweep", "write",
]  # fmt: skip
