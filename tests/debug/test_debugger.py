"""The debugger and traces, as design 5.3 tells them."""

import enum
import gc
import threading

import pytest

from nbgraph import Event, Graph, GraphError, NbgraphError, StepError
from nbgraph.debug import MISSING, Preview, Trace
from nbgraph.engine.interpret.observer import Observer
from nbgraph.testing import events


def chain():
    graph = Graph("g")
    graph.to("({**event, 'clean': True})", "clean").to(lambda body: {**body, "p": body["amount"] / 100}, "score").to(
        "({**event, 'saved': True})", "save"
    )
    return graph


async def wait(body):
    return body + 1


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


class Seen:
    def __init__(self):
        self.state = {"seen": 0}

    def do(self, body):
        self.state["seen"] += 1
        return self.state["seen"]


def test_memory_of_a_class_of_ones_own_goes_back_too():
    graph = Graph("counted")
    graph.to(Seen, "count").to(str)
    debugger = graph.debug([Event("a"), Event("b")])
    first = debugger.next().output
    debugger.back()
    assert (first, debugger.resume()) == (1, "2")


def test_memory_of_steps_goes_back_too():
    from nbgraph.steps import Batch

    graph = Graph("g")
    graph.to(Batch(2))
    debugger = graph.debug(events(1, 2))
    debugger.resume()
    debugger.back()
    assert debugger.next().output == [[1, 2]]


def test_frames_are_what_they_were_then():
    def mutate(body):
        body["list"].append(len(body["list"]))
        return body

    graph = Graph("g")
    graph.to(mutate, "a").to(mutate, "b")
    first, second = graph.trace({"list": []}).frames
    assert (first.input, first.output, second.output) == ({"list": []}, {"list": [0]}, {"list": [0, 1]})
    assert second.diff() == {"list": ([0], [0, 1])}
    assert graph.trace({"list": [], "x": 1}).frames[0].diff() == {"list": ([], [0])}


def test_diff_marks_what_was_not_there():
    [frame] = Graph("g").to("({'b': 1})", "x")._graph.trace({"a": 1}).frames
    assert frame.diff() == {"a": (1, MISSING), "b": (MISSING, 1)}


class Big:
    def __init__(self):
        self.held = ["x" * 1000] * 10 + list(range(1_000_000))


def test_hostile_values_are_kept_as_marked_previews_or_as_they_are():
    class Loud:
        def __repr__(self):
            raise RuntimeError

        def __deepcopy__(self, memo):
            raise RuntimeError

    cyclic = {"name": "me"}
    cyclic["self"] = cyclic
    twice = []
    twice += [twice, twice]
    shared = [1]
    graph = Graph("g")
    graph.to("(event)", "x")
    kept = [graph.trace(Event(value)).frames[0].input for value in ("x" * 2_000_000, threading.Lock(), Loud(), Big())]
    assert [type(value) for value in kept] == [Preview] * 4
    assert "2,000,000 bytes" in kept[0].why
    assert (len(kept[0].text) <= 2000, "can't be copied" in kept[1].why, "Loud" in kept[2].text) == (True,) * 3
    kept = graph.trace(cyclic).frames[0].input
    assert kept["self"] is kept is not cyclic
    assert len(graph.trace(twice).frames[0].input) == 2
    both = graph.trace([shared, shared]).frames[0].input
    assert both[0] is both[1]


def test_the_reason_of_conditions_and_the_edges_taken():
    graph = Graph("g")
    start = graph.to("(event)", "start")
    start.to(str, "big", when="event > 3")
    start.to(str, "small", otherwise=True)
    frame = graph.trace(1).frames[0]
    assert (frame.edges, frame.reason) == (("small",), "no condition held, so else")


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


class Counted(Observer):
    def __init__(self):
        self.told = []

    def started(self, event):
        self.told.append("started")

    def finished(self, event, answers, error):
        self.told.append(("finished", list(answers), type(error.__cause__).__name__ if error else None))


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


def routed(**options):
    """A router of two routes, one of them a router itself, whose calls are counted."""
    calls = []

    def made(name, value):
        calls.append(name)
        return {name: value}

    graph = Graph("votes")
    graph.to(dict).to("ParallelRun", "both", **options).add_route(
        "plus", lambda body: made("plus", body["n"] + 1)
    ).add_route("deep", "ModelRouter", routes={"times": lambda body: made("times", body["n"] * 9)})
    graph.step("both").to(sorted, "names")
    return graph, calls


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


def test_over_takes_an_inner_graph_as_one_and_out_leaves_it():
    inner = Graph("inner")
    inner.to("(event + 1)", "one").to("(event * 2)", "two").to("(event)", "three")
    outer = Graph("outer")
    outer.to(inner).to(str, "end")
    debugger = outer.debug(1)
    assert (debugger.over().step, debugger.back_to(0).step) == ("end", "inner/one")
    debugger.next()
    assert (debugger.over().step, debugger.back().step, debugger.out().step) == ("inner/three", "inner/two", "end")


def test_a_route_that_fails_and_one_that_waits_within_a_router():
    graph = Graph("g")
    graph.to("ParallelRun", "all").add_route("waits", wait).add_route("fails", lambda body: 1 / 0).add_route(
        "more", "(event * 2)"
    )
    debugger = graph.debug(1)
    steps = [debugger.into().step, debugger.next().output, debugger.next().error, debugger.next().output]
    assert (steps[:2], type(steps[2]), steps[3]) == (["all/waits", 2], ZeroDivisionError, 2)
    assert (debugger.finished, str(debugger.error)) == (
        True, 'Step "all" failed: RouteError: Route "fails" failed: ZeroDivisionError: division by zero',
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


class Loud:
    def __repr__(self):
        raise RuntimeError("not now")


class Settings(dict):
    __getattr__ = dict.__getitem__


def test_a_value_whose_repr_raises_is_shown_as_such(tmp_path):
    graph = Graph("loud")
    graph.to(lambda body: {"a": Loud(), "b": body["b"]}, "make")
    trace = graph.trace({"a": Loud(), "b": 1})
    [frame] = trace.frames
    marked = "<Loud: its repr failed: RuntimeError>"
    texts = [repr(frame), repr(frame.diff()), trace.to_frame().to_string(), trace.save(tmp_path / "t.json").read_text()]
    assert [marked in text for text in texts] == [True] * 4


def test_objects_whose_missing_attributes_raise_are_kept():
    graph = Graph("settings")
    graph.to("(event)", "same")
    assert graph.trace([Settings(a=1)]).frames[0].output == [Settings(a=1)]


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


MISSING_MARK = object()


class Colour(enum.Enum):
    RED = 1


SETTINGS = {"limit": 5, "nested": [1]}


def test_back_keeps_what_is_one_object_one_object():
    def make(body):
        return {**body, "m": MISSING_MARK, "c": Colour.RED, "k": Colour, "f": make, "s": SETTINGS, "n": object}

    def look(body):
        return [
            body["m"] is MISSING_MARK, body["c"] is Colour.RED, body["k"] is Colour, body["f"] is make,
            body["s"] is SETTINGS, body["n"] is object, body["list"],
        ]  # fmt: skip

    def change(body):
        body["list"].append(1)
        return body

    graph = Graph("identity")
    graph.to(make, "make").to(change, "change").to(look, "look")
    debugger = graph.debug({"list": []})
    debugger.resume()
    debugger.back_to(1)
    assert (debugger.next().output["list"], debugger.resume()) == ([1], [True] * 6 + [[1]])


def test_a_mark_that_a_generator_gives_stays_the_same():
    def chunks(body):
        yield MISSING_MARK

    graph = Graph("mark")
    graph.to(chunks).to(lambda body: body is MISSING_MARK, "same")
    debugger = graph.debug(1)
    debugger.resume()
    debugger.back()
    assert (debugger.resume(), graph.run(1)) == (True, True)


def test_what_cant_be_copied_is_not_stepped_back_past():
    with open(__file__, encoding="utf-8") as file:
        for made in (file, (line for line in ["a"])):
            graph = Graph("file")
            graph.to(lambda body, made=made: made, "open").to(lambda lines: len(next(iter(lines))) > 0, "read").to(
                "(event)", "end"
            )
            debugger = graph.debug(1)
            debugger.resume()
            assert debugger.back().step == "end"
            with pytest.raises(NbgraphError, match='stepped back past this step: "read" has run, and its input'):
                debugger.back()
            with pytest.raises(NbgraphError, match='"read" has run'):
                debugger.back_to(0)
            assert (debugger.current.step, debugger.resume(), len(debugger.trace)) == ("end", True, 3)


def test_what_a_step_got_that_gives_several_results_stays_its_input():
    def chunks(body):
        yield from range(body)

    graph = Graph("inputs")
    graph.to(chunks).to("(event * 10)", "ten")
    assert [frame.input for frame in graph.trace(2).by_step("chunks")] == [2, 2]


def test_forgetting_grows_with_what_changes_and_not_with_its_square():
    import tracemalloc

    from nbgraph.steps import MapWithState

    def chunks(body):
        yield from range(body)

    def count(body, state):
        state[body % 1000] += 1
        return body, state

    def kept(count):
        fan, states = Graph("fan"), Graph("states")
        fan.to(chunks).to("(event)", "end")
        states.to(MapWithState(dict.fromkeys(range(1000), 0), count_in), "count")
        debuggers = [fan.debug(count), states.debug([Event(number) for number in range(count)])]
        tracemalloc.start()
        for debugger in debuggers:
            debugger.resume()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size

    count_in = count
    assert kept(1200) < 2.5 * kept(600)


def test_back_to_the_start_leads_out_of_a_router():
    graph = Graph("routes")
    graph.to("ParallelRun", "both", routes={"up": str.upper, "size": len}, executor_type="array").to(str, "text")
    debugger = graph.debug("abc")
    debugger.into()
    debugger.next()
    inside = debugger.current.step
    debugger.back_to(0)
    assert (inside, debugger.current.step) == ("both/size", "both")
