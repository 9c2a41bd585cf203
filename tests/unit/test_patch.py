"""Patches: what is sent instead of a whole state, and that it is small."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockwatch.dashboard.patch import diff, patched

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from(["", "a", "₹"])
states = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
)


@given(states, states)
def test_a_patch_leads_from_the_old_state_to_the_new_one(old: Any, new: Any) -> None:
    patch = diff(old, new)
    before = json.dumps(old)
    sent = None if patch is None else json.loads(json.dumps(patch))  # as it travels
    assert (old if sent is None else patched(old, sent)) == new
    assert json.dumps(old) == before


@given(states)
def test_the_same_state_needs_none(state: Any) -> None:
    assert diff(state, json.loads(json.dumps(state))) is None


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ([1, 2, 3], [1, 2, 3, 4], ["+", 3, [4]]),  # a line that grows
        ([1, 2, 3], [1, 2, 4], ["+", 2, [4]]),  # a candle that forms
        ([1, 2], [3, 4], ["=", [3, 4]]),
        ({"x": [1], "y": {"z": 1}}, {"x": [1], "y": {"z": 2}}, ["~", {"y": ["~", {"z": ["=", 2]}, []]}, []]),
        ([{"a": 1}, {"b": 2}], [{"a": 1}, {"b": 3}], ["#", {"1": ["~", {"b": ["=", 3]}, []]}]),
        ({"a": 1}, {}, ["~", {}, ["a"]]),
        (True, 1, ["=", 1]),
    ],
)
def test_only_what_changed_is_said(old: Any, new: Any, patch: Any) -> None:
    assert diff(old, new) == patch
