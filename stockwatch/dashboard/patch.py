"""What changed between two states of a part of the page, small enough to send to every viewer each second.

A state is JSON: dicts, lists, strings, numbers, booleans, None. A patch is one of
    ["=", value]                   the value is this now
    ["~", {key: patch}, [keys]]    in this dict these have changed, and these are gone
    ["#", {index: patch}]          in this list of unchanged length these have changed
    ["+", kept, [values]]          of this list the first `kept` stay, then come these
stage.js has the other half, `patched`.
"""

from __future__ import annotations

from typing import Any

State = Any
Patch = list[Any]


def diff(old: State, new: State) -> Patch | None:
    """The patch from old to new; None when nothing has changed."""
    if isinstance(old, dict) and isinstance(new, dict):
        changed = {key: part for key, value in new.items() if (part := _entry(old, key, value)) is not None}
        gone = [key for key in old if key not in new]
        return ["~", changed, gone] if changed or gone else None
    if isinstance(old, list) and isinstance(new, list):
        return _lists(old, new)
    return None if old == new and type(old) is type(new) else ["=", new]


def patched(old: State, patch: Patch) -> State:
    """The new state; `old` is left as it is. The page's script does the same."""
    kind = patch[0]
    if kind == "=":
        return patch[1]
    if kind == "+":
        return [*old[: patch[1]], *patch[2]]
    if kind == "#":
        return [patched(value, patch[1][str(n)]) if str(n) in patch[1] else value for n, value in enumerate(old)]
    kept = {key: value for key, value in old.items() if key not in patch[2]}
    return {**kept, **{key: patched(kept.get(key), part) for key, part in patch[1].items()}}


def _entry(old: dict[str, State], key: str, value: State) -> Patch | None:
    return diff(old[key], value) if key in old else ["=", value]


def _lists(old: list[State], new: list[State]) -> Patch | None:
    if old == new:
        return None
    if len(old) == len(new) and any(isinstance(value, dict | list) for value in new):
        return ["#", {str(n): part for n, value in enumerate(new) if (part := diff(old[n], value)) is not None}]
    kept = 0
    for before, now in zip(old, new, strict=False):
        if before != now:
            break
        kept += 1
    return ["+", kept, new[kept:]] if kept else ["=", new]
