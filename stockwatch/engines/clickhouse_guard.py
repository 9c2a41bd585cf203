"""What the gateway refuses, decided by the engine's own parser and never by a pattern on the text.

The engine gives its parse as JSON (`parseQueryToJSON`); clickhouse_guard_tree walks it. What it cannot give so is refused,
but for a few statements of a fixed form. The engine's own grants (clickhouse_guard_roles) stand behind this.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockwatch.engines import clickhouse_guard_lists as lists
from stockwatch.engines import clickhouse_guard_tree as tree
from stockwatch.engines.clickhouse_request import BadRequestError
from stockwatch.engines.clickhouse_statement import LITERALS_ONLY, values_as_select

_CONTROL = {"SetQuery", "UseQuery", "KillQueryQuery", "OptimizeQuery"}
_NAME = r"(?:\w+|`[^`\\]+`)"
_PLAIN = [  # statements that are not given as JSON, in the engine's own spelling
    re.compile(
        rf"(?:SHOW CREATE|EXISTS) (?:TABLE |VIEW |DATABASE |TEMPORARY TABLE )?(?P<name>{_NAME}(?:\.{_NAME})?)(?: FORMAT \w+)?"
    ),
    re.compile(r"SHOW FUNCTIONS(?: I?LIKE '[^'\\]*')?(?: FORMAT \w+)?|SHOW ENGINES(?: FORMAT \w+)?|SHOW SETTING \w+|SHOW GRANTS"),
]
_OF_OWNER = re.compile(rf"SHOW PROCESSLIST(?: FORMAT \w+)?|UNDROP TABLE {_NAME}(?:\.{_NAME})?")
_DESCRIBE = "DESCRIBE TABLE "
# The head of an insert whose values stand in the statement, up to the values.
_QUOTED = r'(?:\w+|`[^`\\]+`|"[^"\\]+")'
_VALUES = re.compile(
    rf"(?:\s++|/\*(?:[^*]|\*(?!/))*+\*/)*+INSERT\s++INTO\s++(?:TABLE\s++)?{_QUOTED}(?:\.{_QUOTED})?\s*+"
    rf"(?:\(\s*{_QUOTED}(?:\s*,\s*{_QUOTED})*\s*\)\s*+)?(?:SETTINGS\s++\w++\s*=\s*[\w.]++(?:\s*,\s*\w++\s*=\s*[\w.]++)*\s++)?"
    r"(?:FORMAT\s++)?VALUES\b",
    re.IGNORECASE,
)
_STRING = re.compile(r"'(?:[^'\\]|\\.|'')*+'", re.DOTALL)
_LITERALS = re.compile(r"(?:[\s\d.,()\[\]{}:;+\-]|\d[eE]|NULL\b|TRUE\b|FALSE\b|NAN\b|INF\b|DEFAULT\b)*+", re.IGNORECASE)
_VALUES_CHECKED = 1 << 18  # bytes of VALUES that may call functions
KEPT, KEPT_LENGTH = 512, 8192  # verdicts on short statements that only read


@dataclass(frozen=True)
class _Verdict:
    reads: bool
    bare: tuple[str, ...]  # names of tables that are looked for in the current database


class _Kept:
    """The verdicts of the last statements: a page asks the same again and again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: OrderedDict[tuple[Any, ...], _Verdict] = OrderedDict()

    def get(self, key: tuple[Any, ...]) -> _Verdict | None:
        with self._lock:
            return self._of.get(key)

    def put(self, key: tuple[Any, ...], verdict: _Verdict) -> None:
        with self._lock:
            self._of[key] = verdict
            if len(self._of) > KEPT:
                self._of.popitem(last=False)


_kept = _Kept()


def refusal(handle: Any, sql: str, parameters: Mapping[str, str], *, has_data: bool, read_only: bool) -> bool:
    """Raise BadRequestError with ClickHouse's code for what may not run; else whether the statement only reads."""
    key = (sql, read_only, has_data, tuple(sorted(parameters.items())) if "identifier" in sql.lower() else ())
    verdict = _kept.get(key)
    if verdict is None:
        verdict = _judge(handle, sql, parameters, has_data=has_data, read_only=read_only)
        if (verdict.reads or has_data) and len(sql) <= KEPT_LENGTH:  # what is asked again and again
            _kept.put(key, verdict)
    if read_only and not lists.OWN_TABLES.issuperset(verdict.bare):
        database = handle.query("SELECT currentDatabase()", "TSVRaw").bytes().decode().strip()
        for table in verdict.bare:
            tree.check_table(database, table)
    return verdict.reads


def checked_values(handle: Any, path: Path, parameters: Mapping[str, str]) -> str:
    """VALUES may hold expressions, which reach files as those of a SELECT do: checked as one, or not evaluated at all.

    Returns the settings for the INSERT. Raises BadRequestError.
    """
    if path.stat().st_size > _VALUES_CHECKED:
        return LITERALS_ONLY
    text = path.read_text("utf-8", "replace").rstrip(" \t\r\n;")
    path.write_text(text)  # its last semicolon is no value
    if asked := values_as_select(text):
        refusal(handle, asked, parameters, has_data=False, read_only=True)
    return ""


def check_settings(handle: Any, settings: Mapping[str, str], *, read_only: bool) -> None:
    """Raise BadRequestError for a setting of the address that may not be set (452), or that there is not (115).

    To be asked before the first SET on the handle: `dialect` would change how the next one is read.
    """
    for name, value in settings.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise _unknown_setting(name)
        try:
            tree.check_setting(name, value, read_only=read_only)
        except BadRequestError:
            asked = f"SELECT count() FROM system.settings WHERE name = {_literal(name)}"  # noqa: S608 - quoted
            if handle.query(asked, "TSVRaw").bytes().strip() == b"0":
                raise _unknown_setting(name) from None
            raise


def limits(settings: Mapping[str, str]) -> dict[str, str]:
    """The reader's settings: what was asked for and is its own, within its bounds. Names and values for SET."""
    return {**{name: str(limit) for name, limit in lists.READER_LIMITS.items()}, **settings}


def _judge(handle: Any, sql: str, parameters: Mapping[str, str], *, has_data: bool, read_only: bool) -> _Verdict:
    if "\0" in sql:
        raise BadRequestError(62, "SYNTAX_ERROR", "Syntax error: a NUL in the statement")
    kind = handle._conn.classify_query(sql, "default")
    name = str(kind["query_class"]).rpartition(".")[2]
    if kind["statement_count"] > 1:
        raise BadRequestError(62, "SYNTAX_ERROR", "Multi-statements are not allowed")
    reads = name == "READ_ONLY"
    if name == "UNKNOWN":
        _as_json(handle, sql)  # raises the syntax error as the engine says it
        raise BadRequestError(62, "SYNTAX_ERROR", "Syntax error: this statement is not known")
    if read_only and not reads and name != "CONTROL":
        raise BadRequestError(164, "READONLY", "Cannot execute query in readonly mode")
    if name == "MUTATING_GLOBAL":
        raise tree.denied("Users, functions and collections are not made here")
    values = not reads and not has_data and _VALUES.match(sql) is not None
    parsed = None if values else _as_json(handle, sql)
    if name == "CONTROL" and not values and not _is_control(parsed or {}):
        raise BadRequestError(48, "NOT_IMPLEMENTED", "This statement is not supported here")
    if read_only and not reads:
        raise BadRequestError(164, "READONLY", "Cannot execute query in readonly mode")
    if parsed is None:
        return _Verdict(reads, tuple(_without_json(handle, sql, parameters, reads=reads, read_only=read_only)))
    return _Verdict(reads, tuple(tree.check(parsed, parameters, read_only=read_only)))


def _is_control(parsed: Mapping[str, Any]) -> bool:
    """What the engine puts beside SYSTEM, and is ordinary: settings, a database, a temporary table, INSERT … SETTINGS."""
    kind = parsed.get("type")
    temporary = kind == "CreateQuery" and parsed.get("is_temporary") is True
    return kind in _CONTROL or temporary or (kind == "InsertQuery" and "table" in parsed)


def _as_json(handle: Any, sql: str) -> dict[str, Any] | None:
    """The engine's parse; None for a statement that it does not give so. Raises the engine's own syntax error."""
    try:
        text = handle.query(f"SELECT parseQueryToJSON({_literal(sql)})", "TSVRaw").bytes()
    except RuntimeError as error:
        said = str(error)
        if "not supported by parseQueryToJSON" in said or "does not support JSON serialization" in said:
            return None
        # the engine repeats the whole question behind its own words
        raise BadRequestError(_code(said), _word(said), said.partition(": In scope")[0].partition("Exception: ")[2]) from None
    parsed = json.loads(text)
    if not isinstance(parsed, dict):
        raise BadRequestError(62, "SYNTAX_ERROR", "Syntax error: this statement is not known")
    return parsed


def _without_json(handle: Any, sql: str, parameters: Mapping[str, str], *, reads: bool, read_only: bool) -> list[str]:
    """The few statements that the engine does not give as JSON. Returns the bare names of tables."""
    if not reads and (head := _VALUES.match(sql)):
        return _values(handle, head[0], sql[head.end() :], parameters)
    canonical = handle.query(f"SELECT formatQuerySingleLine({_literal(sql)})", "TSVRaw").bytes().decode().strip()
    if canonical.startswith(_DESCRIBE):
        described = _as_json(handle, "SELECT * FROM " + canonical.removeprefix(_DESCRIBE))  # noqa: S608 - parsed, not run
        if described is not None:
            return tree.check(described, parameters, read_only=read_only)
    for form in _PLAIN:
        if match := form.fullmatch(canonical):
            named = match.groupdict().get("name")
            parts = re.findall(_NAME, named) if named else []
            if len(parts) == 2:
                tree.check_table(parts[0].strip("`"), "tables" if not read_only else parts[1].strip("`"))
            return [part.strip("`") for part in parts] if len(parts) == 1 and "DATABASE" not in canonical[:21] else []
    if not read_only and _OF_OWNER.fullmatch(canonical):
        return []
    raise BadRequestError(48, "NOT_IMPLEMENTED", "This statement is not supported here")


def _values(handle: Any, head: str, values: str, parameters: Mapping[str, str]) -> list[str]:
    """Values may be expressions, which the engine evaluates: what is not plainly literal is looked at as such."""
    parsed = _as_json(handle, head)
    if parsed is None:
        raise BadRequestError(48, "NOT_IMPLEMENTED", "This statement is not supported here")
    bare = tree.check(parsed, parameters, read_only=False)
    if _LITERALS.fullmatch(_STRING.sub("0", values)):
        return bare
    expressions = _as_json(handle, f"SELECT {values.strip().rstrip(';')}")
    if expressions is None or expressions.get("type") != "SelectWithUnionQuery":
        raise BadRequestError(48, "NOT_IMPLEMENTED", "These values are not supported here; use FORMAT JSONEachRow or another")
    return bare + tree.check(expressions, parameters, read_only=False)


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _unknown_setting(name: str) -> BadRequestError:
    return BadRequestError(115, "UNKNOWN_SETTING", f"Unknown setting '{name[:80]}'")


def _code(said: str) -> int:
    found = re.search(r"Code: (\d+)", said)
    return int(found[1]) if found else 62


def _word(said: str) -> str:
    found = re.findall(r"\(([A-Z_]+)\)", said)
    return found[-1] if found else "SYNTAX_ERROR"
