"""The walk over a statement as the engine itself parsed it (`parseQueryToJSON`): what in it reaches out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stockwatch.engines import clickhouse_guard_lists as lists
from stockwatch.engines.clickhouse_request import BadRequestError

Node = dict[str, Any]
OVERLAY = "default"  # chDB lays it over the file system: a table there may be a path
# What a statement of the reader may be made of; a kind of node that is not here is refused before anyone has thought of it.
_READER_NODES = {
    "ArrayJoin", "Asterisk", "ColumnsApplyTransformer", "ColumnsExceptTransformer", "ColumnsListMatcher", "ColumnsRegexpMatcher",
    "ColumnsReplaceTransformer", "ColumnsReplaceTransformerReplacement", "ColumnsTransformerList", "DataType", "ExplainQuery",
    "ExpressionList", "Function", "Identifier", "InterpolateElement", "Literal", "NameTypePair", "OrderByElement",
    "QualifiedAsterisk", "QualifiedColumnsListMatcher", "QualifiedColumnsRegexpMatcher", "QueryParameter", "SampleRatio",
    "SelectIntersectExceptQuery", "SelectQuery", "SelectWithUnionQuery", "SetQuery", "ShowColumnsQuery", "ShowIndexesQuery",
    "ShowTablesQuery", "Subquery", "TableExpression", "TableIdentifier", "TableJoin", "TablesInSelectQuery",
    "TablesInSelectQueryElement", "WindowDefinition", "WindowListElement", "WithElement",
}  # fmt: skip
_IN = {"in", "notin", "globalin", "globalnotin", "nullin", "notnullin", "globalnullin", "globalnotnullin"}
_IN |= {f"{name}ignoreset" for name in _IN}
_OUTSIDE = {"infile", "out_file", "compression"}  # keys of INFILE and OUTFILE


def denied(text: str) -> BadRequestError:
    """ClickHouse's ACCESS_DENIED."""
    return BadRequestError(497, "ACCESS_DENIED", text)


def check(tree: Node, parameters: Mapping[str, str], *, read_only: bool) -> list[str]:
    """Raise BadRequestError for what reaches out. Returns the table names without a database, whose meaning depends on it."""
    bare: list[str] = []
    for node in _nodes(tree):
        kind = node.get("type", "")
        if read_only and kind and kind not in _READER_NODES:
            raise denied(f"{kind} is not for the read-only user")
        if kind in ("Function", "ColumnsApplyTransformer"):
            _function(node, parameters, bare, read_only=read_only)
        elif kind in ("Identifier", "TableIdentifier"):
            _named(_parts(node, parameters), bare if kind == "TableIdentifier" else None, read_only=read_only)
        elif kind == "SetQuery":
            _settings(node, read_only=read_only)
        elif kind == "ShowTablesQuery" and read_only and (node.get("caches") or node.get("clusters")):
            raise denied("caches and clusters are not for the read-only user")
        _keys(node, parameters, read_only=read_only)
    return bare


def _nodes(tree: Any) -> Iterator[Node]:
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _function(node: Node, parameters: Mapping[str, str], bare: list[str], *, read_only: bool) -> None:
    name = str(node.get("name") or node.get("func_name") or "")
    if "ENGINE" not in str(node.get("kind", "")) and lists.is_refused_function(name):
        raise denied(f"Function {name} is not allowed here")
    if name.lower() in _IN:
        operands = (node.get("arguments") or {}).get("children") or []
        if len(operands) > 1 and operands[1].get("type") == "Identifier":  # x IN table
            _named(_parts(operands[1], parameters), bare, read_only=read_only)


def _keys(node: Node, parameters: Mapping[str, str], *, read_only: bool) -> None:
    for key, value in node.items():
        if key in _OUTSIDE and value:
            raise denied("INFILE and OUTFILE are not allowed over HTTP")
        if key.endswith("database") and (value == OVERLAY or _is_overlay(value, parameters)):
            raise denied("The database `default` reaches files; not allowed here")
        if key.endswith(("table_function", "table_functions")) and isinstance(value, dict):
            name = str(value.get("name", "")).lower()
            if name not in lists.TABLE_FUNCTIONS:
                raise denied(f"Table function {name[:80]} is not allowed here")
        if key.endswith("engine") and isinstance(value, dict) and not lists.ENGINES.fullmatch(_engine(value)):
            raise denied(f"The engine {_engine(value)[:80]} is not allowed here")
    if read_only:
        return
    if node.get("is_dictionary") is True and node.get("type") == "CreateQuery":
        raise denied("Dictionaries reach files and addresses; not allowed here")
    if node.get("attach") is True or node.get("has_attach_from_path") is True:
        raise BadRequestError(48, "NOT_IMPLEMENTED", "ATTACH is not supported here")
    if node.get("type") == "AlterCommand":
        command = str(node.get("command_type", ""))
        if lists.ALTERS_REFUSED.fullmatch(command) or node.get("move_destination_type") in ("DISK", "VOLUME"):
            raise denied(f"ALTER … {command.replace('_', ' ')} is not allowed here")


def _engine(node: Node) -> str:
    if node.get("type") == "Function":
        return str(node.get("name", ""))
    inner = node.get("engine")
    return str(inner.get("name", "")) if isinstance(inner, dict) else "Memory"  # its own node is looked at by itself


def _is_overlay(value: Any, parameters: Mapping[str, str]) -> bool:
    return isinstance(value, dict) and _parts(value, parameters) == [OVERLAY]


def _parts(node: Node, parameters: Mapping[str, str]) -> list[str]:
    """The parts of a name, with its parameters filled in; a parameter that is no plain name is refused."""
    parts = [str(part) for part in node.get("name_parts") or [node.get("name", "")]]
    for child in node.get("children") or []:
        if child.get("type") == "QueryParameter":
            value = parameters.get(str(child.get("name")), "")
            if not value.isidentifier():  # letters, digits, _: whatever the engine unescapes or splits stays outside
                raise denied(f"{value[:80]!r} is no plain name")
            parts[parts.index("") if "" in parts else -1] = value
    return parts


def _named(parts: list[str], bare: list[str] | None, *, read_only: bool) -> None:
    """A name of a column or, with `bare`, of a table."""
    if len(parts) > 1 and parts[0] == OVERLAY:
        raise denied("The database `default` reaches files; not allowed here")
    if bare is None:
        return
    if len(parts) == 1:
        bare.append(parts[0])
    elif read_only:
        check_table(parts[0], parts[1])


def check_table(database: str, table: str) -> None:
    """Raise BadRequestError for a table that is not for the reader."""
    if database == OVERLAY:
        raise denied("The database `default` reaches files; not allowed here")
    if database == "system" and table not in lists.SYSTEM_TABLES:
        raise denied(f"system.{table[:80]} is not for the read-only user")


def _settings(node: Node, *, read_only: bool) -> None:
    for change in node.get("changes") or []:
        value = change.get("value")
        check_setting(str(change.get("name", "")), value.get("value") if isinstance(value, dict) else value, read_only=read_only)
    for name in node.get("default_settings") or []:
        check_setting(str(name), None, read_only=read_only)


def check_setting(name: str, value: object, *, read_only: bool) -> None:
    """Raise BadRequestError (452) for a setting that reaches out or, for the reader, is not its own; None: set to its default."""
    if name == "dialect" and value in ("clickhouse", None):
        return
    refused = bool(lists.SETTINGS_REFUSED.match(name))
    if read_only and not refused:
        if name in lists.READER_LIMITS:
            refused = not _is_within(value, lists.READER_LIMITS[name])
        elif name == "readonly":
            refused = str(value) not in ("1", "2")
        else:
            refused = not lists.SETTINGS_OF_READER.fullmatch(name)
    if refused:
        raise BadRequestError(452, "SETTING_CONSTRAINT_VIOLATION", f"Setting {name[:80]} should not be changed")


def _is_within(value: object, limit: int) -> bool:
    try:
        return 0 < float(str(value)) <= limit
    except ValueError:  # '1G', 'auto(2)': their meaning is the engine's, so the limit stays
        return False
