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
    """Every check is run; the first failing one's exit code. Arguments go to pytest."""
    codes = []
    for check in CHECKS:
        print(f"== {' '.join(check)}", flush=True)
        codes.append(subprocess.run([sys.executable, "-m", *check], cwd=ROOT, check=False).returncode)
    parallel = [] if {"-n", "-p", "--pdb", "-k"} & set(arguments) else ["-n", "2", "--dist", "loadfile"]
    print("== pytest", flush=True)
    codes.append(subprocess.run([sys.executable, "-m", "pytest", *parallel, *arguments], cwd=ROOT, check=False).returncode)
    return next((code for code in codes if code), 0)
