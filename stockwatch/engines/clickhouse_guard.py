"""What the gateway refuses, decided by the engine's own parser and never by a pattern on the text."""

from __future__ import annotations

import re
from typing import Any

from stockwatch.engines.clickhouse_request import BadRequestError

# Table functions that read neither files nor the network; every other one is refused.
_TABLE_FUNCTIONS = {"numbers", "numbers_mt", "zeros", "zeros_mt", "values", "generateSeries", "generate_series", "view", "null"}
# Functions of a row that reach out.
_FUNCTIONS = {"file", "catboostevaluate", "getosksetting", "flushloguntil", "sleep", "sleepeachrow"}
_FUNCTION = re.compile(r"^ *Function (\S+)", re.MULTILINE)
_TABLE_FUNCTION = re.compile(r"^ *TableExpression.*\n *Function (\S+)", re.MULTILINE)
# chDB's `default` is an overlay over the file system: a table there may be a path. Parameters are filled in already.
_OF_DEFAULT = re.compile(r"^ *(?:Table)?Identifier default\.", re.MULTILINE)
_ENGINE = re.compile(r"^ *Storage definition.*\n *Function (\S+)", re.MULTILINE)
_ENGINES = re.compile(r"\w*MergeTree|Memory|Null|Atomic|Log|TinyLog|StripeLog|Set|Join")


def refusal(handle: Any, sql: str, parameters: dict[str, str], *, has_data: bool, read_only: bool) -> bool:
    """Raise BadRequestError with ClickHouse's code for what may not run; else whether the statement only reads."""
    kind = handle._conn.classify_query(sql, "default")
    name = str(kind["query_class"]).rpartition(".")[2]
    if kind["statement_count"] > 1:
        raise BadRequestError(62, "SYNTAX_ERROR", "Multi-statements are not allowed")
    reads = name == "READ_ONLY"
    if name == "UNKNOWN":
        handle.query(f"EXPLAIN AST {sql}")  # raises the syntax error as the engine says it
        raise BadRequestError(62, "SYNTAX_ERROR", "Syntax error: this statement is not known")
    if name == "CONTROL" and not re.match(r"\s*(SET|USE|KILL|OPTIMIZE)\b", sql, re.IGNORECASE):
        raise BadRequestError(48, "NOT_IMPLEMENTED", "This statement is not supported here")
    if read_only and not reads:
        raise BadRequestError(164, "READONLY", "Cannot execute query in readonly mode")
    if re.search(r"\bINFILE\b", sql, re.IGNORECASE):
        raise BadRequestError(497, "ACCESS_DENIED", "INFILE is not allowed over HTTP")
    if not has_data:
        _refuse_reaching_out(handle, sql, parameters)
    return reads


def _refuse_reaching_out(handle: Any, sql: str, parameters: dict[str, str]) -> None:
    try:
        tree = handle.query(f"EXPLAIN AST {sql}", "TSVRaw", params=parameters).bytes().decode("utf-8", "replace")
    except RuntimeError as error:
        if "SYNTAX_ERROR" in str(error):
            return  # what EXPLAIN AST cannot explain (DDL, KILL) holds no table function
        raise
    # A line end in a name can only add matches: what is refused too much is a strange name, never the other way round.
    refused = [name for name in _TABLE_FUNCTION.findall(tree) if name not in _TABLE_FUNCTIONS]
    refused += [name for name in _FUNCTION.findall(tree) if name.lower() in _FUNCTIONS]
    refused += [name for name in _ENGINE.findall(tree) if not _ENGINES.fullmatch(name)]
    if refused:
        raise BadRequestError(497, "ACCESS_DENIED", f"Function {refused[0]} is not allowed here")
    if _OF_DEFAULT.search(tree) or re.search(r"^ *Dictionary definition", tree, re.MULTILINE):
        raise BadRequestError(497, "ACCESS_DENIED", "The database `default` and dictionaries reach files; not allowed here")
