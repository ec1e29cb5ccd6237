"""Breakpoints and pins."""

import pytest

from nbgraph import Graph, StepError
from nbgraph.testing import events
from tests.debug.graphs import routed


def test_breakpoints_before_after_on_error_with_conditions_and_hits():
    graph = Graph("g")
    graph.to("(event)", "start").to("(10 / event)", "divide")
    before = graph.debug(events(5, 1, 2), breakpoints=["divide"])
    assert (before.resume(), before.current.step, before.current.input) == (None, "divide", 5)
    when = graph.debug(events(5, 1, 2))
    when.break_at("divide", when="event < 3", hits=2)
    assert (when.resume(), when.current.input) == (None, 2)
    after = graph.debug(4)
    after.break_at("divide", on="after", when="event == 2.5")
    assert (after.resume(), after.current.output, after.resume()) == (None, 2.5, 2.5)
    error = graph.debug(events(1, 0))
    error.break_at("divide", on="error")
    assert (error.resume(), type(error.current.error)) == (None, ZeroDivisionError)
    with pytest.raises(StepError):
        error.resume()
    with pytest.raises(Exception, match='expected "before", "after" or "error"'):
        graph.debug(1).break_at("divide", on="between")


def test_hits_count_from_the_first_step_on_and_back_takes_them_back():
    graph = Graph("g")
    graph.to("(event)", "first")
    debugger = graph.debug(events(1, 2, 3))
    debugger.break_at("first", hits=2)
    debugger.resume()
    assert debugger.current.input == 2
    debugger.back()
    assert (debugger.resume(), debugger.current.input) == (None, 2)


def test_pins_give_their_value_instead_of_running():
    ran = []
    graph = Graph("g")
    graph.to(ran.append, "costly").to("(event)", "end")
    debugger = graph.debug(1)
    debugger.pin("costly", {"a": 1})
    assert (debugger.resume(), ran) == ({"a": 1}, [])
    debugger.unpin("costly")
    debugger.rerun("costly")
    assert ran == [1]


def test_hits_count_once_after_back_on_a_cycle_and_within_a_router():
    graph = Graph("cycle", max_iterations=10)
    graph.to("(event + 1)", "inc").cycle_to("inc")
    debugger = graph.debug(0)
    debugger.break_at("inc", hits=3)
    stood = [debugger.resume(), debugger.current.input]
    debugger.back()
    debugger.back()
    assert (stood, debugger.resume(), debugger.current.input) == ([None, 2], None, 2)
    votes, _ = routed()
    inner = votes.debug({"n": 2})
    inner.break_at("both/deep", hits=2)
    inner.run_to("both")
    inner.into()
    for _ in range(3):
        inner.next()
        inner.back()
    assert (inner.resume(), [one.seen for one in inner.breakpoints.values()]) == (["plus", "times"][::1], [1])
