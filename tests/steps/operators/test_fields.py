"""Rename, DropColumns, and what names of fields arguments take."""

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbgraph import Event, Graph, GraphError, steps
from tests.steps.both import both_ways


@pytest.mark.parametrize("body", [{"a": 1, "b": 2, "c": 3}, {"b": 2, "a": 1, "c": 3}])
def test_a_renamed_field_wins_whatever_the_order(body: dict[str, int]) -> None:
    [found] = both_ways(steps.Rename({"a": "b"}), [body])
    assert found == {"b": 1, "c": 3}


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({"a": "b", "b": "a"}, {"b": 1, "a": 2, "c": 3}),
        ({"a": "b", "b": "c", "c": "a"}, {"b": 1, "c": 2, "a": 3}),
        ({"a": "b", "b": "d"}, {"b": 1, "d": 2, "c": 3}),
        ({"gone": "a"}, {"a": 1, "b": 2, "c": 3}),
        ({"a": "a"}, {"a": 1, "b": 2, "c": 3}),
    ],
)
def test_fields_that_exchange_their_names(mapping: dict[str, str], expected: dict[str, int]) -> None:
    assert both_ways(steps.Rename(mapping), [{"a": 1, "b": 2, "c": 3}]) == [expected]


@given(
    body=st.dictionaries(st.sampled_from("abcd"), st.integers()),
    mapping=st.dictionaries(st.sampled_from("abcd"), st.sampled_from("abcd")),
)
def test_rename_is_take_out_and_put_in(body: dict[str, int], mapping: dict[str, str]) -> None:
    given = [mapping[name] for name in body if name in mapping]
    if len(set(given)) < len(given):
        with pytest.raises(ValueError, match=r'Rename makes "[a-d]" of "[a-d]" and of "[a-d]", and the body has both'):
            steps.Rename(mapping).do(body)
        return
    expected = {name: value for name, value in body.items() if name not in mapping}
    for name, value in body.items():
        if name in mapping:
            expected[mapping[name]] = value
    assert steps.Rename(mapping).do(body) == expected


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("mapping", [{"a": "b"}, {"a": "b", "b": "a"}, {"c": "a"}])
def test_columns_are_renamed_and_dropped_as_fields_are(make: Any, mapping: dict[str, str]) -> None:
    body = {"a": 1, "b": 2, "c": 3}
    graph = Graph("g")
    graph.to(steps.Rename(mapping)).to(steps.DropColumns(["c"]))
    found = graph.run(make({name: [value] for name, value in body.items()}))
    assert (type(found), {name: list(found[name]) for name in found.columns}) == (
        make,
        {name: [value] for name, value in graph.run(body).items()},
    )


def test_one_name_is_one_column() -> None:
    """A text where a list of names is meant is one of them, never its letters."""
    row = {"ab": 1, "a": 2, "b": 3}
    graph = Graph("g")
    graph.to(steps.ReduceToDataFrame(columns="ab"))
    [frame] = graph.stream([row])
    pd.testing.assert_frame_equal(frame, pd.DataFrame({"ab": [1]}))
    table = {1: {"ab": 5, "a": 6}}
    found = [
        both_ways(step, [Event(row, key="k", path="/p")])
        for step in (
            steps.DropColumns("ab"),
            steps.DropFeatures("ab"),
            steps.ReifyMetadata("key"),
            steps.JoinWithTable(table, "ab", attributes="ab"),
        )
    ]
    assert found == [[{"a": 2, "b": 3}], [{"a": 2, "b": 3}], [{**row, "key": "k"}], [{"ab": 5, "a": 2, "b": 3}]]


@pytest.mark.parametrize(
    "make", [steps.DropColumns, steps.ToDataFrame, steps.ReduceToDataFrame, steps.ReifyMetadata, steps.DateExtractor]
)
def test_what_is_no_name(make: Any) -> None:
    with pytest.raises(GraphError, match=rf"{make.__name__} got \w+=\[None\]; expected a name or a list of names"):
        make([None])
