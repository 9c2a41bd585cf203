"""`python run.py test`: ruff, mypy and the suite; pytest's summary is the last line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CHECKS = (
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["mypy"],
)


def run(arguments: list[str]) -> int:
    """Every check is run; the first failing one's exit code. Arguments go to pytest; --faults: all of tests/faults."""
    codes = []
    for check in CHECKS:
        print(f"== {' '.join(check)}", flush=True)
        codes.append(subprocess.run([sys.executable, "-m", *check], cwd=ROOT, check=False).returncode)
    if "--faults" in arguments:  # all of that suite, and only it; its files are long, so an idle worker takes from the other
        arguments = [*([] if any("tests/" in word for word in arguments) else ["tests/faults"]), *arguments]
    spread = "worksteal" if "--faults" in arguments else "loadfile"
    parallel = [] if {"-n", "-p", "--pdb", "-k"} & set(arguments) else ["-n", "2", "--dist", spread]
    print("== pytest", flush=True)
    codes.append(subprocess.run([sys.executable, "-m", "pytest", *parallel, *arguments], cwd=ROOT, check=False).returncode)
    return next((code for code in codes if code), 0)
