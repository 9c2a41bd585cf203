"""Arguments → a command. Every error that reaches the top is one line; only --debug shows a traceback."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, get_args

from stockwatch.component.lean import without
from stockwatch.errors import StockwatchError, UsageError
from stockwatch.settings import Settings, load
from stockwatch.settings.proxies import spare_loopback
from stockwatch.settings.sections import SourceName

ROOT = Path(__file__).resolve().parent.parent


class _Parser(argparse.ArgumentParser):
    """argparse says its errors in several lines; here one must do."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    from stockwatch.commands import export

    # A command's own default would take the place of what was said before the command: SUPPRESS has none.
    always, shared = _Parser(add_help=False), _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    for each in (always, shared):
        each.add_argument("--settings", type=Path, metavar="FILE", help="another settings.toml")
        each.add_argument("--debug", action="store_true", help="show tracebacks")
    top = _Parser(prog="python run.py", parents=[always], description="Streams stock prices and shows them live.")
    top.add_argument("--source", dest="first_source", metavar="NAME", help=", ".join(get_args(SourceName)))
    top.add_argument("--no-browser", action="store_true", help="do not open the page")
    top.add_argument("--only", metavar="PART[,PART]", help="kafka, clickhouse, producer, consumer, dashboard")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    # Everything after it is pytest's: no word begins with this prefix, so none is taken for an option of ours.
    test = commands.add_parser(
        "test", add_help=False, prefix_chars="\0", help="ruff, mypy and the test suite; arguments go to pytest"
    )
    test.add_argument("arguments", nargs=argparse.REMAINDER)
    commands.add_parser("doctor", parents=[shared], help="what is missing or in the way")
    bench = commands.add_parser("bench", parents=[shared], help="the benchmarks, as a table with ratios")
    bench.add_argument("name", nargs="?", metavar="NAME")
    export.add_arguments(commands.add_parser("export", parents=[shared], help="ticks or candles into a file"))
    record = commands.add_parser("record", parents=[shared], help="what flows, as a recording for `replay`")
    record.add_argument("--out", type=Path, required=True, metavar="FILE", help=".parquet or .jsonl")
    status = commands.add_parser("status", parents=[shared], help="the health of the running instance")
    status.add_argument("--json", action="store_true")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    spare_loopback()
    logging.getLogger().addHandler(logging.NullHandler())  # what libraries have to say is not for the console
    try:
        return _run(arguments)
    except StockwatchError as error:
        if debug:
            traceback.print_exc()
        sys.stderr.write(f"stockwatch: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    except Exception as error:  # a surprise: one line for people, the traceback for --debug
        if debug:
            raise
        sys.stderr.write(f"stockwatch: a surprise: {type(error).__name__}: {error} (--debug shows where)\n")
        return 1


def _run(arguments: list[str]) -> int:
    parsed = parser().parse_args(arguments)
    if parsed.command == "test":
        from stockwatch.commands import check

        return check.run(parsed.arguments)
    if getattr(parsed, "source", None) is None:  # export has one of its own
        parsed.source = parsed.first_source
    settings = _settings(parsed)
    if parsed.command == "doctor":
        from stockwatch.commands import doctor

        return doctor.run(settings)
    if parsed.command == "status":
        from stockwatch.commands import status

        return status.run(settings, parsed.json)
    if parsed.command == "bench":
        from stockwatch.commands import bench

        return bench.run(settings, parsed.name)
    if parsed.command == "export":
        from stockwatch.commands import export

        return export.run(settings, parsed)
    if parsed.command == "record":
        from stockwatch.commands import record

        return record.run(settings, parsed.out)
    with without("pyarrow"):
        from stockwatch.commands import start

    return start.run(settings, parsed.only, browser=not parsed.no_browser)


def _settings(parsed: argparse.Namespace) -> Settings:
    path = parsed.settings or ROOT / "settings.toml"
    if parsed.settings is not None and not path.is_file():
        raise UsageError(f"--settings: {path} is no file")
    source = None if parsed.command == "export" else parsed.source  # there it is a name in the tables
    return load(path, {"market": {"source": source}} if source is not None else None)


def leave(keep_open: bool = False) -> NoReturn:
    """Run the command line and leave the process at once.

    keep_open: the console is there for us alone (run.py was double-clicked), so an error stays on it until Enter.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # as Ctrl-C, also before the supervisor takes them; Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    code = main()
    if code and keep_open:
        sys.stderr.write("Press Enter to close.\n")
        sys.stderr.flush()
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.readline()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a thread that hangs in a foreign library must not hold the process (DESIGN.md)


if __name__ == "__main__":
    leave()
