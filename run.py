#!/usr/bin/env python3
"""stockwatch from a bare Python: install what requirements.lock pins (install.py), become `python -m stockwatch.cli`.

Standard library only, and readable by Pythons as old as 2.7, so that they can be told what is missing.
"""

import os
import signal
import subprocess
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))
WINDOWS = os.name == "nt"
NEEDED = (3, 11)


def main(arguments):
    """Install what is missing and hand over. Returns only on errors: the line that says what to do."""
    if sys.version_info < NEEDED:
        return "Python %d.%d or newer is needed, this is %d.%d: install it from python.org" % (NEEDED + sys.version_info[:2])
    sys.path.insert(0, ROOT)  # it may not be there: PYTHONSAFEPATH
    import install  # not before: an old Python cannot read it

    try:
        install.install_what_is_missing(is_test(arguments))
        hand_over(install.PYTHON, arguments)
    except (install.Stop, OSError) as error:
        return str(error)


def is_test(arguments):
    """Whether the command is `test`, also behind options."""
    while arguments and arguments[0].startswith("-"):
        arguments = arguments[2 if arguments[0] in ("--settings", "--source", "--only") else 1 :]
    return arguments[:1] == ["test"]


def hand_over(python, arguments):
    """Become the program, with the same process id; from any current folder."""
    # From the first moment a signal ends it with 0, also while it is still being loaded.
    early = "import os, signal, sys; [signal.signal(getattr(signal, name), lambda *_: os._exit(0))"
    early += " for name in ('SIGINT', 'SIGTERM', 'SIGHUP') if hasattr(signal, name)]; "
    code = early + "sys.path.insert(0, %r); from stockwatch.cli import leave; leave(%r)" % (ROOT, was_double_clicked())
    command = [python, "-P", "-c", code] + arguments  # noqa: RUF005 - Python 2 cannot read the other way
    if not WINDOWS:
        os.execv(python, command)
    child = subprocess.Popen(command)
    while True:
        try:
            sys.exit(child.wait())
        except KeyboardInterrupt:
            pass  # the child got it too, and ends in order


def was_double_clicked():
    """Whether the console was opened for us alone, and would close with our last line."""
    if WINDOWS:
        import ctypes

        return ctypes.windll.kernel32.GetConsoleProcessList((ctypes.c_uint * 1)(), 1) <= 2
    return sys.stdin.isatty() and "SHLVL" not in os.environ and "CI" not in os.environ


def open_what_is_closed():
    """Standard streams that who started us has closed (`<&-`) lead nowhere, for what we become too."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for good
            os.set_inheritable(getattr(sys, name).fileno(), True)


if __name__ == "__main__":
    try:
        for name in ("SIGTERM", "SIGHUP"):  # as Ctrl-C; Windows has no SIGHUP
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.default_int_handler)
        open_what_is_closed()
        failed = main(sys.argv[1:])
    except KeyboardInterrupt:
        print("stopped; the next start goes on")
        sys.exit(0)
    sys.stderr.write("stockwatch: %s\n" % failed)
    if was_double_clicked():
        sys.stderr.write("Press Enter to close.\n")
        sys.stdin.readline()
    sys.exit(1)
