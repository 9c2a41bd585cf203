"""Python's cyclic garbage collector, told what this process is like: a large heap that stays, and messages that come and go."""

from __future__ import annotations

import gc

# By default it looks through all of the loaded libraries' objects again and again while a batch of messages is held:
# half of the pipeline's time (`bench throughput`, `bench replay`).
NEW_OBJECTS, YOUNG, MIDDLE = 100_000, 20, 20


def calm_collector() -> None:
    """Once the libraries are loaded: what is there now stays, and new objects are looked at in larger lots."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, YOUNG, MIDDLE)


def sweep() -> None:
    """After a life has been replaced: its clients and what they held are cycles, which the calm collector meets hours later."""
    gc.collect()
