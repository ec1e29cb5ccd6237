"""The debugger: moves, forks and answers."""

import gc

import pytest

from nbgraph import Event, Graph, StepError
from nbgraph.debug import Trace
from nbgraph.engine.interpret.observer import Observer
from nbgraph.testing import events
from tests.debug.graphs import wait


def chain():
    graph = Graph("g")
    graph.to("({**event, 'clean': True})", "clean").to(lambda body: {**body, "p": body["amount"] / 100}, "score").to(
        "({**event, 'saved': True})", "save"
    )
    return graph


class Counted(Observer):
    def __init__(self):
        self.told = []

    def started(self, event):
        self.told.append("started")

    def finished(self, event, answers, error):
        self.told.append(("finished", list(answers), type(error.__cause__).__name__ if error else None))


def test_it_stands_before_the_first_step_and_nothing_has_run():
    debugger = chain().debug({"amount": 50})
    assert (debugger.current.step, debugger.current.input, len(debugger.trace), debugger.finished) == (
        "clean", {"amount": 50}, 0, False,
    )  # fmt: skip
    assert debugger.back().step == "clean"


def test_next_back_run_to_resume():
    debugger = chain().debug({"amount": 50})
    assert (debugger.next().output, debugger.current.step) == ({"amount": 50, "clean": True}, "score")
    assert debugger.back().step == "clean"
    assert debugger.run_to("save").input["p"] == 0.5
    assert debugger.resume() == {"amount": 50, "clean": True, "p": 0.5, "saved": True} == debugger.answer
    assert (debugger.current, debugger.finished, debugger.next()) == (None, True, None)
    debugger.back()
    assert (debugger.current.step, debugger.finished) == ("save", False)


def test_it_moves_through_async_steps_and_generators_and_back():
    def chunks(body):
        yield body
        yield body * 10

    graph = Graph("g")
    graph.to(wait).to(chunks).to("(event)", "end")
    debugger = graph.debug(1)
    found = [debugger.next().step for _ in range(5)]
    assert (found, debugger.answers) == (["wait", "chunks", "end", "chunks", "end"], [2, 20])
    for _ in range(5):
        debugger.back()
    assert (debugger.current.step, debugger.resume(), debugger.answers) == ("wait", 2, [2, 20])


def test_after_an_error_the_next_event_goes_on():
    graph = Graph("g")
    graph.to("(10 / event)", "divide")
    debugger = graph.debug(events(0, 5))
    with pytest.raises(StepError):
        debugger.resume()
    assert (debugger.current.input, debugger.resume(), [frame.event_id for frame in debugger.trace]) == (
        5, 2.0, ["event-0", "event-1"],
    )  # fmt: skip


def test_another_input_forks_and_the_old_line_is_kept():
    debugger = chain().debug({"amount": 50})
    debugger.resume()
    debugger.back()
    debugger.back()
    debugger.set_input({"amount": 90})
    assert debugger.resume()["p"] == 0.9
    [branch] = debugger.branches
    assert (branch.step, branch.input, [frame.step for frame in branch.frames]) == (
        "score", {"amount": 90}, ["clean", "score", "save"],
    )  # fmt: skip


def test_rerun_takes_new_code_and_the_recorded_input():
    names = {"score": lambda body: body + 1, "end": lambda body: body}
    debugger = Graph.parse("%%graph g\nscore -> end\n", namespace=names).debug(1)
    debugger.resume()
    names["score"] = lambda body: body * 100
    assert (debugger.rerun("score").output, debugger.resume(), len(debugger.branches)) == (100, 100, 1)


def test_a_trace_does_not_raise_and_can_be_saved_and_looked_through(tmp_path):
    graph = Graph("g")
    graph.to("(event - 1)", "less").to("(10 // event and event)", "divide").cycle_to("less")
    trace = graph.trace(Event(3, id="e-1"))
    assert isinstance(trace.error, StepError)
    assert [(frame.visit, frame.input) for frame in trace.by_step("less")] == [(1, 3), (2, 2), (3, 1)]
    assert len(trace.by_event("e-1")) == len(trace.frames) == 6
    table = trace.to_frame()
    assert list(table["step"]) == [frame.step for frame in trace]
    loaded = Trace.load(trace.save(tmp_path / "trace.json"))
    assert (loaded.to_dict()["frames"], str(loaded.error)) == (trace.to_dict()["frames"], f"StepError: {trace.error}")
    assert loaded.graph == graph


def test_inner_graphs_are_stepped_into():
    inner = Graph("inner")
    inner.to("(event + 1)", "one").to("(10 / event)", "two")
    outer = Graph("outer")
    outer.to(inner).error_handler("('caught')", "caught").to("(event)", "end")
    debugger = outer.debug(1)
    assert [debugger.next().step for _ in range(3)] == ["inner/one", "inner/two", "end"]
    assert (outer.run(4), outer.run(-1)) == (2.0, "caught")
    inner.step("two").to("(event * 100)", "three")
    assert outer.run(4) == 200.0  # what is changed inside takes effect outside


def test_who_watches_is_told_when_an_event_enters_and_when_it_is_done():
    graph = Graph("told")
    graph.to("(10 / event)", "inverse").respond()
    graph.observers.append(counted := Counted())
    debugger = graph.debug(5)
    debugger.resume()
    debugger.back()
    debugger.set_input(0)
    debugger.next()
    graph.debug(1)  # let go before it has run
    gc.collect()
    assert counted.told == [
        "started", ("finished", [2.0], None), "started", ("finished", [], "ZeroDivisionError"),
        "started", ("finished", [], None),
    ]  # fmt: skip


def test_another_output_goes_on_as_a_fork():
    graph = Graph("changed")
    graph.to("(event + 1)", "one").to("(event * 10)", "two")
    debugger = graph.debug(1)
    debugger.next()
    debugger.set_output(7)
    assert (debugger.resume(), [frame.output for frame in debugger.branches[0].frames], debugger.pins) == (70, [2], {})


def test_over_takes_an_inner_graph_as_one_and_out_leaves_it():
    inner = Graph("inner")
    inner.to("(event + 1)", "one").to("(event * 2)", "two").to("(event)", "three")
    outer = Graph("outer")
    outer.to(inner).to(str, "end")
    debugger = outer.debug(1)
    assert (debugger.over().step, debugger.back_to(0).step) == ("end", "inner/one")
    debugger.next()
    assert (debugger.over().step, debugger.back().step, debugger.out().step) == ("inner/three", "inner/two", "end")
