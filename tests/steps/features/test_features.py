"""Feature steps: on events and on DataFrames the same."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbgraph import Event, Graph, GraphError, StepError
from nbgraph.steps import DateExtractor, DropFeatures, Imputer, MapValues, OneHotEncoder, SetEventMetadata, Validate
from nbgraph.steps.features.date import OTHER_NAMES, PARTS
from tests.steps.both import both_ways

Body = dict[str, Any]
AGES = {"ranges": {"child": [0, 18], "adult": [18, "inf"], "error": ["-inf", 0]}}

missing = st.sampled_from([None, math.nan])
bodies = st.fixed_dictionaries(
    {
        "number": st.one_of(st.integers(-5, 200), st.floats(-10, 200), missing),
        "whole": st.integers(-5, 200),
        "kind": st.one_of(st.sampled_from(["food", "health care", "x-y", "other"]), missing),
        "code": st.text("0123456789", max_size=7),
        "at": st.one_of(st.datetimes(pd.Timestamp("1990-01-01"), pd.Timestamp("2050-01-01")), st.none()),
    }
)

STEPS = [
    MapValues({"number": AGES, "kind": {"food": 1, None: -1}}),
    MapValues({"whole": AGES, "kind": {"food": "F"}}, with_original_features=True, suffix="as_text"),
    Imputer(default_value=0, mapping={"kind": "none", "country": "PT"}),
    Imputer(mapping={"number": -1.0}),
    OneHotEncoder({"kind": ["food", "health care", "x-y"], "whole": [1, 2], "nothing": ["a"]}),
    DropFeatures(["kind", "nothing"]),
    DateExtractor(["hour", "minute", "day_of_week", "week", "quarter", "is_month_end", "days_in_month"], "at"),
    Validate({"number": {"min": 0, "max": 120, "required": True}, "code": {"min_length": 5, "regex": "[0-8]*"}}),
    Validate({"kind": {"max_length": 4}, "gone": {"required": True}}, mark="wrong"),
]  # fmt: skip


def plain(value: Any) -> Any:
    """Missing values in one form, whole numbers too."""
    if isinstance(value, list):
        return value
    if value is None or value != value:
        return None
    return value


def as_rows(frame: pd.DataFrame) -> list[Body]:
    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


@settings(max_examples=40, deadline=None)
@given(st.lists(bodies, min_size=1, max_size=8), st.sampled_from(STEPS))
def test_a_frame_gives_what_its_rows_give(rows: list[Body], step: Any) -> None:
    frame = pd.DataFrame(rows)
    answers = both_ways(step, frame.to_dict("records"))
    (whole,) = both_ways_of_frame(step, frame)
    assert as_rows(whole) == [{name: plain(value) for name, value in row.items()} for row in answers]
    assert whole.index.equals(frame.index)


def both_ways_of_frame(step: Any, frame: pd.DataFrame) -> list[Any]:
    graph = Graph("frame")
    graph.to(step)
    return list(graph.answers(frame))


@settings(max_examples=30, deadline=None)
@given(st.lists(bodies, min_size=1, max_size=8))
def test_the_rows_that_are_dropped_are_the_events_that_are(rows: list[Body]) -> None:
    step = Validate({"number": {"min": 0, "max": 120}, "kind": {"regex": "[a-z]+"}}, "drop")
    frame = pd.DataFrame(rows)
    (whole,) = both_ways_of_frame(step, frame)
    kept = both_ways(step, [{**row, "place": place} for place, row in enumerate(frame.to_dict("records"))])
    assert whole.index.tolist() == [row["place"] for row in kept]


@pytest.mark.parametrize(
    ("value", "expected"), [(-1, "error"), (0, "child"), (17.9, "child"), (18, "adult"), (None, None), (1e9, "adult")]
)
def test_ranges_take_their_lower_end_in(value: Any, expected: Any) -> None:
    assert both_ways(MapValues({"age": AGES}), [{"age": value, "name": "Ada"}]) == [{"age": expected}]


def test_dates_in_many_forms() -> None:
    times = ["2026-02-28T23:59", pd.Timestamp("2026-02-28 23:59"), pd.Timestamp("2026-02-28 23:59+05:00"), 1772323140]
    answers = both_ways(DateExtractor(["hour", "is_month_end", "year"], "t"), [{"t": time} for time in times])
    assert [list(answer.values())[1:] for answer in answers] == [[23, True, 2026]] * 4


def test_dates_are_those_of_pandas() -> None:
    days = pd.Series(pd.date_range("2023-12-20 05:06:07", periods=900, freq="D"))
    frame = DateExtractor(list(PARTS)).do(pd.DataFrame({"timestamp": days}))
    parts = [part for part in PARTS if part not in OTHER_NAMES]
    expected = {part: [getattr(day, part) for day in days] for part in parts}
    assert {part: frame[f"timestamp_{part}"].tolist() for part in expected} == expected


def test_rules_that_are_broken_are_errors() -> None:
    graph = Graph("g")
    graph.to(Validate({"age": {"min": 0}, "name": {"required": True}}, "raise"))
    with pytest.raises(StepError, match="age is -1, less than 0; name is missing"):
        graph.run({"age": -1})
    with pytest.raises(StepError, match="1 of 2 rows break rules, first row 1: age is -1, less than 0"):
        graph.run(pd.DataFrame({"age": [1, -1], "name": ["a", "b"]}))
    assert graph.run({"age": 1, "name": "a"}) == {"age": 1, "name": "a"}


def test_a_rule_that_does_not_fit_the_value_is_broken() -> None:
    answers = both_ways(Validate({"age": {"min": 0}}), [{"age": "old"}])
    assert answers == [{"age": "old", "problems": ["age is 'old', which the rule min is not for"]}]


@pytest.mark.parametrize(
    ("step", "body"),
    [
        (DateExtractor(["hour"], "at"), {"at": 0, "at_hour": 5}),
        (MapValues({"sex": {"M": 0}}, with_original_features=True), {"sex": "M", "sex_mapped": 5}),
        (OneHotEncoder({"kind": ["a"]}), {"kind": "a", "kind_a": 5}),
    ],
)
def test_a_made_field_does_not_take_the_place_of_the_bodys_own(step: Any, body: Body) -> None:
    graph = Graph("g")
    graph.to(step)
    for made in (body, pd.DataFrame([body])):
        with pytest.raises(StepError, match=f'makes a field "{list(body)[1]}", and the body has one of that name'):
            graph.run(made)


def test_metadata_of_the_event() -> None:
    graph = Graph("g")
    graph.to(SetEventMetadata("order.id", "card")).to(lambda event: event, "see", full_event=True)
    seen: list[Event] = []
    graph.add_step(lambda event: seen.append(event), "keep", after="see", full_event=True)
    graph.run({"order": {"id": 5}, "card": 7})
    graph.run(pd.DataFrame({"order.id": [1, 1], "card": ["a", "a"]}))
    assert [(event.id, event.key) for event in seen] == [("5", 7), ("1", "a")]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"order": {"number": 5}, "card": 1}, 'found no "order.id" in the body; at "id" there is: number'),
        (pd.DataFrame({"order.id": [1, 2], "card": 1}), "has 2 different values"),
    ],
)
def test_metadata_that_is_not_there(body: Any, says: str) -> None:
    graph = Graph("g")
    graph.to(SetEventMetadata("order.id", "card"))
    with pytest.raises(StepError, match=says):
        graph.run(body)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: MapValues(["a"]), "expected a dict"),
        (lambda: MapValues({"a": {"ranges": {"low": [5, 1]}}}), "the range of 'low' is [5, 1]"),
        (lambda: Imputer("median"), 'expected "avg"'),
        (lambda: OneHotEncoder({"a": "food"}), "expected a list of texts or whole numbers"),
        (lambda: DateExtractor(["century"]), 'the part "century"; known: year, month'),
        (lambda: Validate({"a": {"least": 3}}), 'no rule "least"; known: required, min'),
        (lambda: Validate({"a": {"regex": "("}}), "which is not a regular expression"),
        (lambda: Validate({}, "ignore"), "expected one of mark, drop, raise"),
        (lambda: SetEventMetadata("a", random_id=True), "an event has one id"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_built(make: Any, says: str) -> None:
    with pytest.raises(GraphError) as caught:
        make()
    assert says in str(caught.value)


def test_bodies_that_have_no_fields() -> None:
    graph = Graph("g")
    graph.to(DropFeatures(["a"]))
    with pytest.raises(StepError, match="DropFeatures got int as a body; expected a dict or a DataFrame"):
        graph.run(5)
