"""Frames: what changed, why an edge was taken, calls within a step."""

from nbgraph import Graph
from nbgraph.debug import MISSING


def test_diff_marks_what_was_not_there():
    [frame] = Graph("g").to("({'b': 1})", "x")._graph.trace({"a": 1}).frames
    assert frame.diff() == {"a": (1, MISSING), "b": (MISSING, 1)}


def test_the_reason_of_conditions_and_the_edges_taken():
    graph = Graph("g")
    start = graph.to("(event)", "start")
    start.to(str, "big", when="event > 3")
    start.to(str, "small", otherwise=True)
    frame = graph.trace(1).frames[0]
    assert (frame.edges, frame.reason) == (("small",), "no condition held, so else")


def test_a_routers_routes_are_frames_inside_of_its_own():
    graph = Graph("votes")
    graph.to(dict).to("ParallelRun", "both").add_route("plus", "({'plus': event['n'] + 1})").add_route(
        "deep", "ModelRouter", routes={"times": "({'times': event['n'] * 9})"}
    )
    debugger = graph.debug({"n": 2})
    debugger.next()
    frame = debugger.next()
    assert [(inner.step, inner.input, inner.output) for inner in sorted(frame.inner, key=lambda one: one.step)] == [
        ("both/deep", {"n": 2}, {"times": 18}),
        ("both/deep/times", {"n": 2}, {"times": 18}),
        ("both/plus", {"n": 2}, {"plus": 3}),
    ]


def test_what_a_step_got_that_gives_several_results_stays_its_input():
    def chunks(body):
        yield from range(body)

    graph = Graph("inputs")
    graph.to(chunks).to("(event * 10)", "ten")
    assert [frame.input for frame in graph.trace(2).by_step("chunks")] == [2, 2]
