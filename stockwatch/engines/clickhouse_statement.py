"""A statement's text taken apart by ClickHouse's rules of words, strings and comments: its FORMAT, and where its data begin.

What may run is never decided here (clickhouse_guard asks the engine's parser); this only finds what the gateway has to replace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

# What is never closed reaches to the end: an error for the engine, and never a second look at the same text here.
_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|\#[ !][^\n]*|/\*(?:.*?\*/|.*))
      |(?P<text>'(?:[^'\\]|\\.|'')*(?:'|\\?\Z)|"(?:[^"\\]|\\.|"")*(?:"|\\?\Z)|`(?:[^`\\]|\\.|``)*(?:`|\\?\Z)
        |‘[^’]*(?:’|\Z)|“[^”]*(?:”|\Z)|\$(?P<tag>\w*)\$(?:.*?\$(?P=tag)\$|.*))
      |(?P<word>[A-Za-z_][\w$]*)
      |(?P<number>\d[\w.]*)
      |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
# VALUES that the engine does not evaluate: without the second it still tries them as templates of expressions.
LITERALS_ONLY = "input_format_values_interpret_expressions = 0, input_format_values_deduce_templates_of_expressions = 0"
_LINE_END = re.compile(r"[ \t\f]*\r?\n?")
_NO_FORMAT_AFTER = {"FROM", "JOIN", "AS", "INTO", "TABLE", "BY", "SELECT", "WHERE", "AND", "OR", "ON", "IN"}
_USER_FUNCTIONS = {"CURRENTUSER", "CURRENT_USER", "USER"}


@dataclass(frozen=True)
class Token:
    """One word, string or sign; `depth` counts the open brackets before it."""

    kind: str
    text: str
    start: int
    end: int
    depth: int

    @property
    def upper(self) -> str:
        """The keyword that it may be; empty for anything but a word."""
        return self.text.upper() if self.kind == "word" else ""


def tokens(sql: str) -> Iterator[Token]:
    """All but blanks and comments, in order."""
    depth = 0
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup or "sign"
        if kind == "blank":
            continue
        kind = "text" if kind == "tag" else kind  # the tag's group closes last
        text = match[0]
        depth -= text in (")", "]", "}") and kind == "sign"
        yield Token(kind, text, match.start(), match.end(), depth)
        depth += text in ("(", "[", "{") and kind == "sign"


@dataclass(frozen=True)
class Select:
    """A statement without its FORMAT clause and its last semicolon, and the format that it named ('' if none)."""

    sql: str
    format: str


def split_format(sql: str) -> Select:
    """Take `FORMAT x` (before or after SETTINGS) off the end of a statement."""
    words = list(tokens(sql))
    while words and words[-1].text == ";":
        sql = sql[: words.pop().start]
    for index in range(len(words) - 2, 0, -1):
        word, name, before = words[index], words[index + 1], words[index - 1]
        if word.upper != "FORMAT" or word.depth or name.kind != "word":
            continue
        rest = words[index + 2 :]
        if (rest and rest[0].upper != "SETTINGS") or before.upper in _NO_FORMAT_AFTER or before.text in (",", ".", "=", "+"):
            continue
        return Select(f"{sql[: word.start]} {sql[name.end :]}".strip(), name.text)
    return Select(sql.strip(), "")


@dataclass(frozen=True)
class Insert:
    """The head of an INSERT with data: its target, its SETTINGS, the data's format, and where the data begin in the text."""

    target: str
    settings: str
    format: str
    data_start: int

    def from_file(self, path: str, settings: str = "") -> str:
        """The statement that inserts a file's content; `settings` (name = value, …) are added."""
        both = ", ".join(part for part in (self.settings, settings) if part)
        return f"{self.target} FROM INFILE {quoted(path)} {f'SETTINGS {both} ' if both else ''}FORMAT {self.format}"


def insert_head(sql: str) -> Insert | None:
    """None for everything but INSERT … FORMAT x and INSERT … VALUES."""
    words = tokens(sql)
    first = next(words, None)
    if first is None or first.upper != "INSERT":
        return None
    settings_start = target_end = None
    last = first
    for word in words:
        if word.depth == 0 and word.upper in ("SELECT", "WITH", "INFILE", "WATCH"):
            return None
        if word.depth == 0 and word.upper == "SETTINGS" and settings_start is None:
            settings_start, target_end = word.end, word.start
        if word.depth == 0 and word.upper in ("VALUES", "FORMAT") and last.upper not in ("INTO", "TABLE") and last.text != ".":
            name = word if word.upper == "VALUES" else next(words, None)
            if name is None or name.kind != "word":
                return None
            settings = sql[settings_start : word.start].strip() if settings_start is not None else ""
            end = word.start if target_end is None else target_end
            return Insert(sql[:end].strip(), settings, "Values" if name is word else name.text, _data_start(sql, name))
        last = word
    return None


def _data_start(sql: str, name: Token) -> int:
    """After the format's name and the line's end: ClickHouse's parser skips blanks and one line end, no more."""
    match = _LINE_END.match(sql, name.end)
    return match.end() if match else name.end


def with_user(sql: str, user: str) -> str:
    """currentUser() as the name that asked over HTTP: the engine itself knows only `default`. Column names stay."""
    out, done = [], 0
    words = list(tokens(sql))
    for index, word in enumerate(words):
        after = [each.text for each in words[index + 1 : index + 3]]
        called = after == ["(", ")"]
        if word.upper not in _USER_FUNCTIONS or not called or (index and words[index - 1].text == "."):
            continue
        end = words[index + 2].end
        out += [sql[done : word.start], f"({quoted(user)} AS `{sql[word.start : word.end]}()`)"]
        done = end
    return "".join([*out, sql[done:]])


@dataclass(frozen=True)
class Kill:
    """KILL QUERY WHERE condition: the condition, and the word after it (SYNC, ASYNC, TEST or '')."""

    condition: str
    mode: str


def kill_query(sql: str, mark: str) -> Kill | None:
    """None for any other statement. `query_id = 'x'` also finds the id that the client gave, kept in the setting `mark`."""
    words = list(tokens(split_format(sql).sql))
    if [word.upper for word in words[:3]] != ["KILL", "QUERY", "WHERE"] or len(words) < 4:
        return None
    mode = words[-1].upper if words[-1].upper in ("SYNC", "ASYNC", "TEST") else ""
    end = words[-1].start if mode else words[-1].end
    out, done = [], words[3].start
    for word, sign, value in zip(words[3:], words[4:], words[5:], strict=False):
        if word.upper == "QUERY_ID" and sign.text == "=" and value.kind == "text":
            out += [sql[done : word.start], f"has([query_id, Settings['{mark}']], {value.text})"]
            done = value.end
    return Kill("".join([*out, sql[done:end]]), mode)


def first_word(sql: str) -> str:
    """The statement's keyword in capitals, brackets before it left out."""
    return next((word.upper for word in tokens(sql) if word.text != "("), "")


def values_as_select(values: str) -> str:
    """A SELECT of the same expressions, for the guard to judge; empty when all are literals. Commas between rows may miss."""
    words = list(tokens(values))
    called = any(a.kind in ("word", "text") and b.text == "(" for a, b in pairwise(words))
    if not called and not any(word.upper in ("SELECT", "WITH") for word in words):
        return ""
    gaps = [a.end for a, b in pairwise(words) if (a.text, b.text, b.depth) == (")", "(", 0)]
    parts = [values[start:end] for start, end in pairwise([0, *gaps, len(values)])]
    return f"SELECT {', '.join(parts)}"


def quoted(text: str) -> str:
    """As a string of ClickHouse's SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
