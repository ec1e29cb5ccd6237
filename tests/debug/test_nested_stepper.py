"""Steps that are entered: the routes of routers, call by call."""

import pytest

from nbgraph import Graph, GraphError, NbgraphError
from nbgraph.engine.interpret.observer import Observer
from tests.debug.graphs import routed, wait


@pytest.mark.parametrize("executor_type", ["array", "thread"])
def test_it_goes_into_a_router_stands_before_each_route_and_runs_each_once(executor_type):
    graph, calls = routed(executor_type=executor_type)
    debugger = graph.debug({"n": 2})
    debugger.run_to("both")
    stood = [debugger.into(), debugger.next(), debugger.current, debugger.into(), debugger.next(), debugger.current]
    assert [(frame.step, frame.input, frame.output) for frame in stood] == [
        ("both/plus", {"n": 2}, None),
        ("both/plus", {"n": 2}, {"plus": 3}),
        ("both/deep", {"n": 2}, None),
        ("both/deep/times", {"n": 2}, None),
        ("both/deep/times", {"n": 2}, {"times": 18}),
        ("names", {"plus": 3, "times": 18}, None),
    ]
    inner = debugger.trace.frames[-1].inner
    assert ([(one.step, one.output) for one in inner], calls) == (
        [("both/plus", {"plus": 3}), ("both/deep", {"times": 18}), ("both/deep/times", {"times": 18})],
        ["plus", "times"],
    )


def test_back_within_a_router_and_back_into_it():
    graph, calls = routed()
    debugger = graph.debug({"n": 2})
    debugger.run_to("both")
    debugger.into()
    assert (debugger.next().step, debugger.back().step, debugger.inside) == ("both/plus", "both/plus", ())
    assert (debugger.back().step, debugger.into().step, debugger.next().output) == ("both", "both/plus", {"plus": 3})
    assert (debugger.out().step, debugger.back().step, debugger.back().step) == ("names", "both/deep", "both/plus")
    assert (debugger.resume(), calls) == (["plus", "times"], ["plus", "plus", "times", "plus", "times"])
    assert debugger.back_to(1).step == "both"


def test_what_a_route_gives_may_be_changed_or_pinned_and_its_input_is_the_routers():
    graph, calls = routed()
    debugger = graph.debug({"n": 2})
    debugger.run_to("both/deep")
    debugger.set_output({"changed": 0})
    assert (debugger.current.step, debugger.resume(), calls) == ("both/deep", ["changed", "times"], ["plus", "times"])
    debugger.back_to(1)
    debugger.pin("both/deep/times", {"pinned": 0})
    with pytest.raises(NbgraphError, match='change the input of "both"'):
        debugger.into() and debugger.set_input({"n": 3})
    assert (debugger.resume(), [branch.step for branch in debugger.branches]) == (["pinned", "plus"], ["both/plus"])


def test_breakpoints_stand_at_routes_and_at_steps_of_inner_graphs():
    inner = Graph("inner")
    inner.to("(event + 1)", "one").to("(event * 2)", "two")
    outer = Graph("outer")
    outer.to(inner).to("ModelRouter", "models").add_route("m1", "(10 / event)").to("(event)", "end")
    debugger = outer.debug(1, breakpoints=["inner/two", "models/m1"])
    assert (debugger.resume(), debugger.current.step, debugger.current.input) == (None, "inner/two", 2)
    assert (debugger.resume(), debugger.current.step, debugger.current.input) == (None, "models/m1", 4)
    debugger.break_at("models/m1", on="after")
    assert (debugger.resume(), debugger.current.step, debugger.current.output) == (None, "models/m1", 2.5)
    assert debugger.resume() == 2.5
    with pytest.raises(GraphError, match='no step "models/m2"'):
        debugger.break_at("models/m2")


def test_a_route_that_fails_and_one_that_waits_within_a_router():
    graph = Graph("g")
    graph.to("ParallelRun", "all").add_route("waits", wait).add_route("fails", lambda body: 1 / 0).add_route(
        "more", "(event * 2)"
    )
    debugger = graph.debug(1)
    steps = [debugger.into().step, debugger.next().output, debugger.next().error, debugger.next().output]
    assert (steps[:2], type(steps[2]), steps[3]) == (["all/waits", 2], ZeroDivisionError, 2)
    assert (debugger.finished, str(debugger.error)) == (
        True, 'Step "all" failed: RouteCallError: Route "fails" failed: ZeroDivisionError: division by zero',
    )  # fmt: skip
    assert (debugger.back().step, debugger.set_output(5).step, debugger.resume()) == (
        "all/more", "all/more", {"waits": 2, "fails": 5, "more": 2},
    )  # fmt: skip


def test_who_watches_hears_of_a_step_and_of_its_calls_once_while_it_is_gone_through():
    graph, _ = routed()
    told = []

    class Watching(Observer):
        def before(self, move):
            told.append(move.step)
            move.listen(lambda name, input: told.append(name) or (lambda output, error: told.append((name, output))))

        def after(self, move):
            told.append((move.step, move.output))

    graph.observers.append(Watching())
    debugger = graph.debug({"n": 2})
    debugger.run_to("both")
    told.clear()
    debugger.into(), debugger.next(), debugger.into(), debugger.next()
    deep = [("deep/times", {"times": 18}), ("deep", {"times": 18})]
    assert told == [
        "both",
        "plus",
        ("plus", {"plus": 3}),
        "deep",
        "deep/times",
        *deep,
        ("both", {"plus": 3, "times": 18}),
    ]


def test_back_to_the_start_leads_out_of_a_router():
    graph = Graph("routes")
    graph.to("ParallelRun", "both", routes={"up": str.upper, "size": len}, executor_type="array").to(str, "text")
    debugger = graph.debug("abc")
    debugger.into()
    debugger.next()
    inside = debugger.current.step
    debugger.back_to(0)
    assert (inside, debugger.current.step) == ("both/size", "both")
