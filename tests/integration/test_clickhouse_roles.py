"""The engine's own grants, asked without the guard: what it refuses by itself. A child opens chDB, once, and reports."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from program import ROOT

ASK = """
import json, os, sys
from pathlib import Path
import chdb
from stockwatch.engines.clickhouse_guard_roles import become, write_configuration

folder, statements = Path(sys.argv[1]), json.load(sys.stdin)
os.umask(0)
os.chdir(folder)  # a config.xml lies here
handle = chdb.connect(f"{folder / 'store'}?config-file={write_configuration(folder / 'configuration')}")
answers = {}
for read_only in (False, True):
    for sql in statements["both"] + (statements["reader"] if read_only else []):
        become(handle, read_only=read_only)
        try:
            said = handle.query(sql, "TSVRaw").bytes().decode()
        except Exception as error:
            said = str(error)
        answers[f"{'reader' if read_only else 'owner'}: {sql}"] = said
print(json.dumps(answers))
"""
SET_UP = [
    "CREATE DATABASE IF NOT EXISTS mine ENGINE = Atomic",
    "CREATE TABLE IF NOT EXISTS mine.t (a Int64) ENGINE = MergeTree ORDER BY a",
    "INSERT INTO mine.t SELECT 1",
]
REFUSED_TO_ALL = [
    "SELECT * FROM file('{f}', 'LineAsString')",
    "SELECT * FROM default.`{f}`",
    "SELECT * FROM url('http://127.0.0.1:9/', 'CSV', 'a Int8')",
    "SELECT * FROM s3('http://127.0.0.1:9/bucket/x', 'CSV', 'a Int8')",
    "SELECT * FROM remote('127.0.0.1:9', system.one)",
    "SELECT * FROM mysql('127.0.0.1:9', 'a', 'b', 'c', 'd')",
    "SELECT * FROM sqlite('{f}', 'a')",
    "CREATE TABLE mine.f (a String) ENGINE = File(CSV)",
    "CREATE TABLE mine.f (a String) ENGINE = URL('http://127.0.0.1:9/', 'CSV')",
    "SELECT 1 FORMAT Template SETTINGS format_template_resultset = '{f}'",
    "SELECT 1 SETTINGS additional_result_filter = 'file(\\'{f}\\') != \\'\\''",
    "SELECT 1 SETTINGS dialect = 'prql'",
    "CREATE USER somebody",
    "SYSTEM FLUSH LOGS",
]
REFUSED_TO_READER = [
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM loop(mine.t) LIMIT 1",
    "INSERT INTO mine.t SELECT 2",
    "DROP TABLE mine.t",
    "ALTER TABLE mine.t DELETE WHERE 1",
    "OPTIMIZE TABLE mine.t",
    "TRUNCATE TABLE mine.t",
    "CREATE TABLE mine.u (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE u (a Int8)",
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("roles")
    (folder / "secret").write_text("do not tell\n")
    (folder / "config.xml").write_text("<clickhouse><users_config>/nowhere</users_config></clickhouse>")
    both = [sql.replace("{f}", str(folder / "secret")) for sql in [*SET_UP, *REFUSED_TO_ALL]]
    statements = {"both": [*both, "SELECT a FROM mine.t", "SHOW TABLES FROM mine"], "reader": REFUSED_TO_READER}
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(folder)], cwd=ROOT, input=json.dumps(statements), capture_output=True, text=True,
        timeout=50, env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, str] = json.loads(done.stdout)
    return {key.replace(str(folder / "secret"), "{f}"): said for key, said in found.items()} | {"folder": str(folder)}


@pytest.mark.parametrize("user", ["owner", "reader"])
@pytest.mark.parametrize("sql", REFUSED_TO_ALL)
def test_the_engine_itself_refuses_what_reaches_out(answers: dict[str, str], user: str, sql: str) -> None:
    said = answers[f"{user}: {sql}"]
    assert any(word in said for word in ("ACCESS_DENIED", "SETTING_CONSTRAINT_VIOLATION")), said
    assert "do not tell" not in said


def test_the_owner_writes_and_both_read(answers: dict[str, str]) -> None:
    assert answers["owner: INSERT INTO mine.t SELECT 1"] == ""
    for user in ("owner", "reader"):
        assert answers[f"{user}: SELECT a FROM mine.t"] == "1\n"
        assert answers[f"{user}: SHOW TABLES FROM mine"] == "t\n"


def test_the_configuration_is_for_this_user_alone(answers: dict[str, str]) -> None:
    folder = Path(answers["folder"]) / "configuration"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"config.xml": 0o600, "users.xml": 0o600, "nothing": 0o700}


@pytest.mark.parametrize("sql", REFUSED_TO_READER)
def test_the_reader_may_not_write(answers: dict[str, str], sql: str) -> None:
    assert "ACCESS_DENIED" in answers[f"reader: {sql}"]
