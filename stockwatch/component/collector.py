"""Memory, told what this process is like: a large heap that stays, and messages that come and go."""

from __future__ import annotations

import ctypes
import gc
import sys

# By default it looks through all of the loaded libraries' objects again and again while a batch of messages is held:
# half of the pipeline's time (`bench throughput`, `bench replay`).
NEW_OBJECTS, YOUNG, MIDDLE = 100_000, 20, 20
# glibc's mallopt: by default each of our many threads gets a heap of its own, and large buffers come from heaps that never
# shrink; `bench soak` has what that costs over a day.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
ARENAS, LARGE_BYTES = 2, 1024 * 1024


def calm_collector() -> None:
    """Once the libraries are loaded: what is there now stays, and new objects are looked at in larger lots."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, YOUNG, MIDDLE)


def sweep() -> None:
    """After a life has been replaced: its clients and what they held are cycles, which the calm collector meets hours later."""
    gc.collect()


def few_heaps() -> None:
    """Before the first thread starts: few heaps, and what is large is given back to the system when it is freed."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):  # musl has no mallopt of this kind
        libc.mallopt(_M_ARENA_MAX, ARENAS)
        libc.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, LARGE_BYTES)
