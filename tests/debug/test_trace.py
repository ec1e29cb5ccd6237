"""Traces in files: values are what they were, or marked; nothing is imported to look at one."""

import enum
import json
import os
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbgraph import Event, Graph, GraphError, NbgraphError, steps
from nbgraph.debug import Preview, Trace

EXAMPLES = int(os.environ.get("NBGRAPH_EXAMPLES", "100"))


class Colour(enum.IntEnum):
    RED = 1


class Own:
    pass


def saved(trace, path):
    loaded = Trace.load(trace.save(path / "trace.json"))
    assert loaded.to_dict() == trace.to_dict()
    return loaded


def through(value, path):
    graph = Graph("g")
    graph.to(lambda body: value, "make")
    return saved(graph.trace(1), path).frames[0].output


PLAIN = [
    (1, (2, [3])), {1: "a", (1, 2): "b", None: 0}, {2, 3}, frozenset({"a"}), Decimal("1.10"), b"\xff", bytearray(b"x"),
    date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    time(3), timedelta(1, 2, 3), UUID(int=7), 10**30, -(2**63) - 1, "\ud800", float("inf"), -0.0, 1 + 2j,
    Fraction(1, 3), range(3), OrderedDict(a=1), Counter("aab"), defaultdict(list, a=[1]), deque([1, 2], 5),
    Path("a/b"), {"$": 1}, {"$": "tuple", "value": [1]}, np.int8(3), np.float32(0.1), np.datetime64("2026-01-01"),
    pd.Timestamp("2026-01-01", tz="UTC"), pd.NaT, pd.NA,
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_values_are_what_they_were(value, tmp_path):
    found = through(value, tmp_path)
    assert (repr(found), type(found)) == (repr(value), type(value))


def test_nan_arrays_and_tables_are_what_they_were(tmp_path):
    table = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=["r", "s"])
    nan, array, again, event = through([float("nan"), np.array([[1.5, np.nan]]), table, Event((1,), key="k")], tmp_path)
    pd.testing.assert_frame_equal(again, table)
    assert (nan != nan, array.dtype, array.shape, event.body, event.key) == (True, np.float64, (1, 2), (1,), "k")


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        (Colour.RED, "Colour", "<Colour.RED: 1>"),
        (Own(), "Own", "Own object>"),
        (len, "builtin_function_or_method", "len"),
    ],
)
def test_what_cant_be_kept_is_a_marked_preview(value, type_, text, tmp_path):
    [found] = through([value], tmp_path)
    assert (type(found), found.type, text in found.text, found.why) == (
        Preview,
        type_,
        True,
        "a trace keeps plain data",
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals(allow_nan=False)
    | st.dates() | st.datetimes() | st.times() | st.timedeltas() | st.uuids() | st.complex_numbers(allow_nan=False)
    | st.sampled_from([Colour.RED, Own(), len, np.int16(4), np.arange(3)]),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(st.text() | st.integers() | st.dates() | st.tuples(st.integers()), inner, max_size=3)
    | st.sets(st.integers() | st.text(), max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(VALUES)
def test_a_loaded_trace_says_the_same(tmp_path_factory, value):
    graph = Graph("g")
    graph.to("(event)", "one").to("([event])", "two")
    trace = graph.trace(Event(value, key=value if isinstance(value, str) else None))
    loaded = saved(trace, tmp_path_factory.mktemp("t"))
    assert trace.replay()["equal"].all()
    assert loaded.replay(graph)["equal"].all()


def test_replay_of_a_file_gets_the_inputs_as_they_were(tmp_path):
    graph = Graph("kinds")
    graph.to(lambda body: [type(item).__name__ for item in body], "kinds").to(lambda kinds: tuple(kinds), "tuple")
    loaded = saved(graph.trace([(1,), {2}, Decimal(3), date(2026, 1, 1), b"x"]), tmp_path)
    assert list(loaded.replay(graph)["equal"]) == [True, True]
    other = Graph("kinds")
    other.to(lambda body: [type(item).__name__ for item in body], "kinds").to(lambda kinds: list(kinds), "tuple")
    assert list(loaded.replay(other)["equal"]) == [True, False]


def test_a_graph_with_lambdas_as_arguments_is_saved_as_far_as_it_can_be_told(tmp_path):
    graph = Graph("f")
    graph.to(steps.Filter(lambda x: x > 0), "pos").to(steps.Map(lambda x: x + 1), "more")
    graph.step("pos").to("(event)", "big", when=lambda event: event > 3)
    loaded = saved(graph.trace(5), tmp_path)
    assert loaded.to_dict()["graph"]["steps"]["pos"]["arguments"] == {"fn": "<function, which has no text form>"}
    assert ([frame.output for frame in loaded], [step.name for step in loaded.graph.steps]) == (
        [5, 6, 5], ["pos", "more", "big"],
    )  # fmt: skip


def test_nothing_is_imported_to_look_at_a_trace(tmp_path, monkeypatch):
    (tmp_path / "my_steps.py").write_text("def clean(body): return body + 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    graph = Graph("f")
    graph.to("my_steps.clean").to("json.dumps")
    path = graph.trace(1).save(tmp_path / "trace.json")
    sys.modules.pop("my_steps")
    loaded = Trace.load(path)
    assert ([step.handler for step in loaded.graph.steps], [frame.output for frame in loaded]) == (
        ["my_steps.clean", "json.dumps"], [2, "2"],
    )  # fmt: skip
    with pytest.raises(GraphError, match="may not import"):
        loaded.replay()
    assert "my_steps" not in sys.modules
    allowed = Trace.load(path, allow=["my_steps", "json"])
    assert list(allowed.replay()["equal"]) == [True, True]


@pytest.mark.parametrize(
    "step",
    [
        {"handler": "os.getcwd"},
        {"handler": "(__import__('os').getcwd())"},
        {"handler": "Map", "arguments": {"fn": "__import__('os').getcwd()"}},
        {"handler": "Map", "arguments": {"fn": {"$code": "os.getcwd"}}},
        {"handler": "Map", "arguments": {"fn": {"$code": "__import__('os').getcwd"}}},
    ],
)
def test_a_hostile_trace_runs_nothing(step, tmp_path):
    graph = Graph("g")
    graph.to("(event)", "a")
    document = graph.trace(1).to_dict()
    document["graph"]["steps"]["a"] = step
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(document))
    loaded = Trace.load(path, namespace={"os": os})
    assert [frame.output for frame in loaded] == [1]
    with pytest.raises(NbgraphError):
        loaded.replay()


def test_traces_of_older_files_are_read_as_they_were(tmp_path):
    frame = {
        "event_id": "e", "step": "pair", "visit": 1, "input": {"$": "tuple", "value": [1]}, "output": [1, None],
        "error": None, "seconds": 0.1, "edges": [], "reason": "", "dropped": False, "inner": [],
    }  # fmt: skip
    event = {"body": 1, "key": None, "id": "e", "path": "/", "method": None, "content_type": None,
             "time": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    old = {"version": 1, "graph": None, "answer": [1, None], "error": None, "event": event, "frames": [frame]}
    (tmp_path / "old.json").write_text(json.dumps(old))
    loaded = Trace.load(tmp_path / "old.json")
    graph = Graph("g")
    graph.to(lambda body: (body, float("nan")), "pair")
    assert (loaded.frames[0].input, list(loaded.replay(graph)["equal"])) == ({"$": "tuple", "value": [1]}, [True])
