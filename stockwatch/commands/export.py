"""`python run.py export`: ticks or candles into a file, beside a running instance or without one."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from stockwatch.errors import UnavailableError, UsageError
from stockwatch.settings import Settings

FORMATS = ("csv", "xlsx", "parquet")
PROGRESS_SECONDS = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--symbol", metavar="S", help='one symbol; default: "all" of the source, in one file')
    parser.add_argument(
        "--source", metavar="NAME", help="yahoo, simulator or replay:<file's stem>; default: the running or configured"
    )
    parser.add_argument("--from", dest="start", metavar="TIME", help="ISO date or time, the exchange's where it names no zone")
    parser.add_argument("--to", dest="end", metavar="TIME", help="likewise; not included")
    parser.add_argument("--what", choices=("ticks", "candles"), default="candles")
    parser.add_argument("--format", choices=FORMATS, help="default: what --out's suffix says")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")


def run(settings: Settings, asked: argparse.Namespace) -> int:
    """Write the file; 0. Raises UsageError for bad arguments, UnavailableError for what is not there."""
    form = _format(asked.format, asked.out)
    from stockwatch.export import Asked, plan, write  # its libraries take a moment to load

    wanted = Asked(
        asked.what, asked.source or "", asked.symbol, asked.start, asked.end, settings.dashboard.candle_minutes, dash="--"
    )
    wanted.check()
    if not asked.out.absolute().parent.is_dir():
        raise UnavailableError(f"--out: {asked.out.absolute().parent} is no folder")
    if asked.out.is_dir():
        raise UnavailableError(f"--out: {asked.out} is a folder")
    from stockwatch import assembly

    with assembly.open_store(settings) as (store, running_source):
        made = plan(store, replace(wanted, source=asked.source or running_source), form)
        progress = Progress(asked.what)
        try:
            count = write(store, made, form, asked.out, progress.seen)
        finally:
            progress.end()
    mark = ", SIMULATED" if made.simulated else ""
    print(f"{count:,} {asked.what} of {made.of} ({made.asked.source}{mark}) → {asked.out}")
    return 0


def _format(named: str | None, out: Path) -> str:
    """What is named, else what the file's suffix says. Raises UsageError for neither, and where they contradict."""
    told = out.suffix.lower().removeprefix(".")
    if named is None:
        if told not in FORMATS:
            raise UsageError(f"--format: must be {', '.join(FORMATS)}, or --out must end so; {out.name} does not")
        return told
    if told in FORMATS and told != named:
        raise UsageError(f"--format {named} --out {out.name}: the name says {told}")
    return named


class Progress:
    """One line on a terminal, written anew each PROGRESS_SECONDS: how many rows so far. Nothing where stderr is no terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun = self._told = time.monotonic()
        self._width = 0

    def seen(self, rows: int) -> None:
        """There are so many rows now."""
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS and sys.stderr.isatty():
            self._told = now
            self._say(f"{rows:,} {self._what} so far, {now - self._begun:.0f} s")

    def end(self) -> None:
        """Take the line away."""
        if self._width:
            self._say("")
            self._say("")  # the second moves back to the line's begin, of no width now

    def _say(self, text: str) -> None:
        sys.stderr.write(f"\r{text:<{self._width}}")
        sys.stderr.flush()
        self._width = len(text)
