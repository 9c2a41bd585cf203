"""The logs' last lines as a page: what is shown, to whom, and what is said when there is nothing to read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgi import ask
from starlette.applications import Starlette

from stockwatch.dashboard import log


def asked(folder: Path, path: str = log.ROUTE, viewer: str = "127.0.0.1", **options: Any) -> httpx.Response:
    return ask(Starlette(routes=log.routes(folder)), path, viewer=viewer, **options)


def write(path: Path, count: int, first: int = 0) -> None:
    path.write_text("".join(f"2026-11-26 10:00:00,000 INFO stockwatch line {number}\n" for number in range(first, first + count)))


def test_the_last_200_lines_the_newest_at_the_end(tmp_path: Path) -> None:
    write(tmp_path / "stockwatch.log", 500)
    answer = asked(tmp_path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "line 499\n" in answer.text or "line 499<" in answer.text
    assert "line 300" in answer.text
    assert "line 299" not in answer.text
    assert answer.text.index("line 300") < answer.text.index("line 499")
    assert "The last 200 lines." in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_what_is_in_the_log_is_text_and_never_html(tmp_path: Path) -> None:
    (tmp_path / "stockwatch.log").write_bytes(b"<script>alert(1)</script> & \x1b[31mred\x00 \xff $lines ${title}\nsecond\n")
    text = asked(tmp_path).text
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in text
    assert "\x1b" not in text
    assert "\x00" not in text
    assert "$lines ${title}" in text  # no template either


def test_errors_stand_out(tmp_path: Path) -> None:
    line = "2026-11-26 10:00:00,000 {} stockwatch.supervisor what was"
    (tmp_path / "stockwatch.log").write_text("\n".join(map(line.format, ("INFO", "WARNING", "ERROR"))))
    assert asked(tmp_path).text.count("<b>") == 1


@pytest.mark.parametrize("viewer", ["192.168.1.7", "10.0.0.1", "fe80::1", "testclient", ""])
def test_another_machine_is_not_shown_it(tmp_path: Path, viewer: str) -> None:
    write(tmp_path / "stockwatch.log", 3)
    answer = asked(tmp_path, viewer=viewer)
    assert answer.status_code == 403
    assert answer.text.count("\n") == 1
    assert "line" not in answer.text


@pytest.mark.parametrize("viewer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is(tmp_path: Path, viewer: str) -> None:
    assert asked(tmp_path, viewer=viewer).status_code == 200


def test_only_the_programs_own_logs_can_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / "clickhouse.password").write_text("secret")
    write(tmp_path / "dashboard.log", 1)
    assert "line 0" in asked(tmp_path, f"{log.ROUTE}?of=dashboard").text
    for name in ("clickhouse.password", "../x", "/etc/passwd", "stockwatch.log", ""):
        answer = asked(tmp_path, params={"of": name})
        assert answer.status_code == 404
        assert "secret" not in answer.text
    assert asked(tmp_path, method="POST").status_code == 405


def test_a_log_that_has_just_been_rotated_goes_on_from_the_one_before(tmp_path: Path) -> None:
    write(tmp_path / "stockwatch.log.1", 300)
    write(tmp_path / "stockwatch.log", 5, 300)
    lines, said = log.last_lines(tmp_path / "stockwatch.log")
    assert [lines[0].split()[-1], lines[-1].split()[-1], len(lines)] == ["105", "304", 200]
    assert said == "The last 200 lines."


def test_a_log_that_is_missing_empty_or_no_file_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "stockwatch.log"
    assert log.last_lines(path) == ([], "Nothing has been written to this log yet.")
    path.touch()
    assert log.last_lines(path) == ([], "This log is empty.")
    path.unlink()
    path.mkdir()
    assert log.last_lines(path)[1].startswith("This log cannot be read: ")
    path.rmdir()
    os.mkfifo(path)  # nobody writes to it: it must not be waited for
    assert log.last_lines(path) == ([], "This log cannot be read: it is no file.")
    assert "it is no file" in asked(tmp_path).text


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_log_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "stockwatch.log"
    path.write_text("x")
    path.chmod(0)
    assert log.last_lines(path)[1] == "This log cannot be read: Permission denied."


def test_of_a_huge_log_only_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "stockwatch.log"
    with path.open("wb") as file:
        file.truncate(2 << 30)  # a hole: takes no room
        file.seek(0, os.SEEK_END)
        file.write(b"\nthe last line\n")
    lines, _said = log.last_lines(path)
    assert lines == ["the last line"]
    path.write_text("x" * (log.MOST_BYTES * 2))  # one endless line
    assert [len(line) for line in log.last_lines(path)[0]] == [log.MOST_BYTES]
