"""The README's examples for other tools, run as they stand, against the running program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from program import ROOT, Program, until

CURLS = re.findall(r"^ {4}(curl .*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_the_curl_examples_answer(program: Program) -> None:
    program.write(market={"source": "simulator", "tickers": ["AAPL"]})
    program.start()
    until(lambda: program.component("consumer")["metrics"].get("rows", 0) > 100, 20, "rows")
    port = program.health()["clickhouse_url"].rpartition(":")[2]
    said = []
    for line in CURLS:
        command = line.replace("PORT", port).replace(".stockwatch", str(program.data_dir))
        found = subprocess.run(command, shell=True, cwd=program.folder, capture_output=True, text=True, timeout=30, check=True)
        said.append(found.stdout)
    assert len(said) == 3
    assert int(said[0]) > 0
    assert said[1].count('"price"') == 3
    bars = pq.read_table(Path(program.folder) / "bars.parquet")
    assert len(bars) == 1000
    assert {"symbol", "start", "close"} <= set(bars.column_names)
