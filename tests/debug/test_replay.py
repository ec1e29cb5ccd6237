"""A recorded event runs again, and what differs is marked."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from nbgraph import Event, Graph
from nbgraph.debug import Trace
from nbgraph.errors import NbgraphError


def chain(second: str) -> Graph:
    graph = Graph("chain")
    graph.to("({**event, 'n': event['n'] + 1})", "add").to(f"({second})", "change").to("(event['n'])", "get")
    return graph


def test_the_same_code_gives_the_same_frames(tmp_path: Path) -> None:
    graph = Graph("arrays")
    graph.to(lambda event: event.with_body(numpy.arange(event.body) + len(event.path)), "make", full_event=True)
    graph.step("make").to(numpy.sum, "sum")
    trace = graph.trace(Event(3, path="/a", key="k"))
    loaded = Trace.load(trace.save(tmp_path / "trace.json"), namespace={**globals()}, allow=["numpy"])
    assert trace.replay()["equal"].all()
    assert loaded.replay(graph)[["step", "now", "equal"]].to_dict("list") == {
        "step": ["make", "sum"], "now": [[2, 3, 4], 9], "equal": [True, True],
    }  # fmt: skip
    assert (loaded.event.path, loaded.event.key) == ("/a", "k")  # type: ignore[union-attr]


def test_divergence_is_marked_frame_by_frame() -> None:
    trace = chain("{**event, 'n': event['n'] * 2}").trace({"n": 1, "card": "4111"})
    again = trace.replay(chain("{**event, 'n': event['n'] * 3}"))
    assert again[["step", "equal", "difference"]].to_dict("list") == {
        "step": ["add", "change", "get"],
        "equal": [True, False, False],
        "difference": ["", "n: 4 recorded, 6 now", "4 recorded, 6 now"],
    }


def test_steps_that_fail_or_are_not_reached_differ() -> None:
    trace = chain("{**event}").trace({"n": 1})
    again = trace.replay(chain("1 / 0"))
    assert list(again["equal"]) == [True, False, False]
    assert again["now"][1] == {"error": {"type": "ZeroDivisionError", "message": "division by zero"}}
    assert again["difference"][2] == '2 recorded, "(did not run)" now'


def test_a_trace_that_knows_no_graph_asks_for_one() -> None:
    with pytest.raises(NbgraphError, match=r"The trace does not know its graph; trace\.replay\(graph\)\."):
        Trace().replay()
