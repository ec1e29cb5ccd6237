"""A branch has a body of its own: what it changes in place no other branch sees, in whichever way the graph runs."""

import copy
import os
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbgraph import Event, Graph, GraphError, StepError
from nbgraph.steps import FlatMap, ModelRunner, ParallelRun, Queue, VotingEnsemble
from nbgraph.testing import assert_same

EXAMPLES = int(os.environ.get("NBGRAPH_EXAMPLES", "150"))


def start(body):
    return body


def left(body):
    body["left"] = 1
    return body


def right(body):
    body["right"] = 1
    return body


def fork(*, first=left, second=right, **options):
    graph = Graph("g", **options)
    begin = graph.to(start)
    begin.to(first, "first")
    begin.to(second, "second").respond()
    return graph


def test_a_branch_does_not_see_what_another_changes():
    assert [one.answers for one in assert_same(fork(), [{"a": 1}])] == [({"a": 1, "right": 1},)]


def test_branches_share_where_the_graph_says_so():
    graph = fork(copy=False)
    texts = [Graph.from_yaml(graph.to_yaml(), namespace=globals()), Graph.parse(graph.source(), namespace=globals())]
    assert [one.run({"a": 1}) for one in (graph, *texts)] == [{"a": 1, "left": 1, "right": 1}] * 3


def test_a_chain_and_an_if_with_its_else_copy_nothing():
    graph = Graph("g")
    choice = graph.to(start).to(left)
    choice.to(right, when="event['a'] > 1")
    choice.to(right, "other", otherwise=True)
    graph.add_step(start, "end", after=["right", "other"])
    body = {"a": 1}
    assert ("copied" in graph.plan().source, graph.run(body) is body) == (False, True)


def test_the_last_branch_that_is_taken_keeps_the_body():
    graph = Graph("g")
    begin = graph.to(start)
    begin.to(left, when="event['a'] > 0")
    begin.to(right, when="event['a'] > 1")
    one, both = {"a": 1}, {"a": 2}
    assert (next(graph.plan().answers(Event(one))) is one, list(graph.answers(both))) == (
        True,
        [{"a": 2, "left": 1}, {"a": 2, "right": 1}],
    )


def test_several_beginnings_have_a_body_each():
    graph = Graph("g")
    graph.add_step(left)
    graph.add_step(right)
    assert [one.answers for one in assert_same(graph, [{"a": 1}])] == [({"a": 1, "left": 1}, {"a": 1, "right": 1})]


def test_an_answer_in_the_middle_is_not_what_later_steps_make_of_it():
    graph = Graph("g")
    graph.to(left).respond().to(right)
    assert [one.answers for one in assert_same(graph, [{"a": 1}])] == [({"a": 1, "left": 1},)]


def growing(body):
    seen = []
    for number in range(3):
        seen.append(number)
        yield seen


async def growing_slowly(body):
    for chunk in growing(body):
        yield chunk


def mark(body):
    body.append("marked")
    return body


@pytest.mark.parametrize("handler", [growing, growing_slowly, FlatMap(lambda body: [body] * 2)])
def test_a_chunk_is_no_part_of_the_next_one(handler):
    graph = Graph("g")
    graph.to(handler, "chunks").to(mark).respond()
    expected = ([0, "marked"], [0, 1, "marked"], [0, 1, 2, "marked"])
    if isinstance(handler, FlatMap):
        expected = ([5, "marked"], [5, "marked"])
    assert [one.answers for one in assert_same(graph, [[5]])] == [expected]


def test_what_select_outlets_chooses_has_a_body_each():
    class Both:
        def select_outlets(self, body):
            return ["first", "second"]

    graph = Graph("g")
    begin = graph.to(Both)
    begin.to(left, "first")
    begin.to(right, "second").respond()
    assert [one.answers for one in assert_same(graph, [{"a": 1}])] == [({"a": 1, "right": 1},)]


def test_an_error_handler_changes_its_own_branch_only():
    def broken(body):
        body["broken"] = 1
        raise ValueError

    def mend(body):
        body["mended"] = 1
        return body

    graph = Graph("g")
    begin = graph.to(start)
    begin.to(broken).error_handler(mend)
    begin.to(right).respond()
    assert [one.answers for one in assert_same(graph, [{"a": 1}])] == [({"a": 1, "right": 1},)]


def grow(event):
    event.body["seen"].append(1)
    return event.body["seen"]


@pytest.mark.parametrize("kind", ["array", "thread"])
@pytest.mark.parametrize("router", [ParallelRun, ModelRunner])
def test_routes_have_a_body_each(router, kind):
    words = {"executor_type": kind} if router is ParallelRun else {"execution_mechanism": kind}
    graph = Graph("g")
    routes = dict.fromkeys(("a", "b", "c"), append)
    graph.to(router, "all", routes=routes, **words).respond()
    assert graph.run({"seen": []}) == {"a": [1], "b": [1], "c": [1]}


def append(body):
    body["seen"].append(1)
    return body["seen"]


def test_a_run_that_extends_the_event_has_it_as_it_came():
    graph = Graph("g")
    graph.to(ParallelRun, "all", routes={"a": append}, extend_event=True, executor_type="array").respond()
    assert graph.run({"seen": []}) == {"seen": [], "a": [1]}


def test_the_routes_of_an_ensemble_have_a_body_each():
    def vote(body):
        body["inputs"].append(len(body["inputs"]))
        return body["inputs"][-1:]

    graph = Graph("g")
    graph.to(VotingEnsemble, "vote", routes=dict.fromkeys("abc", vote), vote_type="vote").respond()
    assert graph.run({"inputs": [7]})["outputs"] == [1]


class Keeps:
    """A step that goes on changing what it has handed over."""

    def __init__(self):
        self.last = None

    def do(self, body):
        if self.last is not None:
            self.last.append("late")
        self.last = body
        return body


def test_a_queue_hands_over_a_value():
    graph = Graph("g")
    graph.to(Keeps).to(Queue("q")).to("(event)", "end").respond()
    with graph.start() as run:
        run.hold("q")
        futures = [run.push([number]) for number in range(3)]
        run.release("q")
        assert ([future.result(10) for future in futures], list(graph.stream([[7], [8]]))) == (
            [[0], [1], [2]],
            [[7], [8]],
        )


def test_what_one_body_holds_twice_is_one_thing_in_its_copy():
    def same(body):
        body["a"].append(1)
        return body["b"]

    shared = [0]
    assert fork(first=same).run({"a": shared, "b": shared}) == {"a": [0], "b": [0], "right": 1}


def test_arrays_and_frames_are_each_branch_s_own():
    def change(body):
        body["array"] += 1
        body["frame"].loc[0, "x"] = 9
        return body

    def seen(body):
        return body["array"].tolist(), body["frame"]["x"].tolist()

    body = {"array": np.zeros(2), "frame": pd.DataFrame({"x": [1, 2]})}
    assert fork(first=change, second=seen).run(body) == ([0.0, 0.0], [1, 2])


@pytest.mark.parametrize("make", [pd.DataFrame, pd.Series])
def test_cells_that_can_be_changed_are_each_branch_s_own(make):
    def change(body):
        (body["x"] if make is pd.DataFrame else body).iloc[0].append(1)
        return body

    body = make({"x": pd.Series([[], ["a"]], dtype=object)} if make is pd.DataFrame else [[], ["a"]])
    seen = fork(first=change, second=lambda body: (body["x"] if make is pd.DataFrame else body).tolist()).run(body)
    assert seen == [[], ["a"]]


def test_copy_is_yes_or_no():
    with pytest.raises(GraphError, match="has copy='no'; expected True or False"):
        Graph("g", copy="no")


def test_a_trace_counts_the_bytes_that_were_copied_for_branches():
    trace = fork().trace({"array": np.zeros(1000), "frame": pd.DataFrame({"x": [1, 2]})})
    assert [(frame.step, frame.copied) for frame in trace.frames] == [("start", 8000), ("first", 0), ("second", 0)]


def test_what_cannot_be_copied_is_shared_and_check_says_so():
    lock = threading.Lock()
    graph = fork(first=lambda body: None, second=lambda body: body["lock"] is lock)
    assert (graph.check(), graph.run({"lock": lock}), graph.check()) == (
        [],
        True,
        [
            "Bodies hold values of type _thread.lock, which can't be copied: the branches of this graph share them. "
            "Make them in the step that uses them, or say copy=False where sharing is meant."
        ],
    )


# --- random graphs beside an oracle that copies everything at every border ---


def tag(body):
    body["tags"].append(len(body["tags"]))
    return body


def deepen(body):
    body["deep"]["n"] += len(body["tags"])
    return body


def anew(body):
    return {**body, "n": body["n"] + 1}


def array(body):
    body["array"] += body["n"]
    return body


def fails(body):
    body["tags"].append("failed")
    if body["deep"]["n"] % 2:
        raise ValueError("odd")
    return body


def twice(body):
    for number in range(2):
        body["n"] += number
        yield body


def by_event(event):
    event.body["tags"].append("event")


def mended(body):
    body["tags"].append("mended")
    return body


async def awaited(body):
    return tag(body)


HANDLERS = {
    "tag": tag, "deepen": deepen, "anew": anew, "array": array, "fails": fails, "twice": twice, "event": by_event,
    "awaited": awaited,
}  # fmt: skip
CONDITIONS = [None, None, "event['n'] % 2 == 0", "event['n'] > 1"]
Arrows = dict[int, list[tuple[int, str | None]]]


@st.composite
def graphs(draw):
    """The handlers' names, the arrows between them, and whether errors are handled."""
    names = draw(st.lists(st.sampled_from(sorted(HANDLERS)), min_size=2, max_size=6))
    arrows: Arrows = {number: [] for number in range(len(names))}
    for number in range(1, len(names)):
        for parent in draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=2, unique=True)):
            arrows[parent].append((number, draw(st.sampled_from(CONDITIONS))))
    return names, arrows, draw(st.booleans()), draw(st.none() | st.integers(0, len(names) - 1))


def built(names, arrows, handles, responder):
    graph = Graph("random")
    for number, name in enumerate(names):
        graph.add_step(HANDLERS[name], f"s{number}", full_event=name == "event")
    for source, targets in arrows.items():
        for target, when in targets:
            graph.connect(f"s{source}", f"s{target}", when=when)
    if handles:
        graph.error_handler(mended)
    if responder is not None:
        graph.respond(f"s{responder}")
    return graph


def oracle(names, arrows, handles, responder, body):
    """Every answer, by a reading of the rules that copies whatever goes anywhere."""
    answers, late = [], []

    def run(number, body):
        name = names[number]
        body = copy.deepcopy(body)
        results = []
        try:
            if name == "twice":
                given = copy.deepcopy(body)
                for chunk in twice(given):
                    go_on(number, copy.deepcopy(chunk))
                return
            if name == "event":
                body["tags"].append("event")
                results = [body]
            else:
                results = [tag(body) if name == "awaited" else HANDLERS[name](body)]
        except ValueError:
            if not handles:
                raise
            late.append(mended(copy.deepcopy(body)))
            return
        for result in results:
            go_on(number, result)

    def go_on(number, result):
        if number == responder or (responder is None and not arrows[number]):
            answers.append(copy.deepcopy(result))
        chosen = [target for target, when in arrows[number] if when is None or eval(when, {"event": result})]
        for target in chosen:
            run(target, result)

    try:
        run(0, body)
    except ValueError:
        return None
    return answers or late


def plain(value):
    """Without arrays, which can't be compared as a whole."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def body_of(number):
    return {"n": number, "tags": [], "deep": {"n": number}, "array": np.full(2, number)}


def outcome(run):
    try:
        return [plain(answer) for answer in run()]
    except StepError:
        return None


def stepped(graph, body):
    """Through the debugger, each step once more after a step back."""
    debugger = graph.debug(body)
    while debugger.next() is not None:
        debugger.back()
        debugger.next()
    if debugger.error is not None:
        raise debugger.error
    return debugger.answers


def pushed(graph, body):
    with graph.start() as run:
        return [run.push(body).result(10)]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(), st.integers(0, 3))
def test_random_graphs_that_change_bodies_in_place_are_as_if_everything_were_copied(spec, number):
    expected = oracle(*spec, body_of(number))
    expected = expected if expected is None else [plain(answer) for answer in expected]
    if built(*spec).plan().confirms:
        return
    ways = {
        "answers": outcome(lambda: list(built(*spec).answers(body_of(number)))),
        "stream": outcome(lambda: list(built(*spec).stream([body_of(number)]))),
        "stepped": outcome(lambda: stepped(built(*spec), body_of(number))),
    }
    assert ways == dict.fromkeys(ways, expected)
    first = expected[:1] if expected else [None] if expected is not None else None
    ones = {
        "run": outcome(lambda: [built(*spec).run(body_of(number))]),
        "pushed": outcome(lambda: pushed(built(*spec), body_of(number))),
        "trace": outcome(lambda: traced(built(*spec), body_of(number))),
    }
    assert ones == dict.fromkeys(ones, first)


def traced(graph, body):
    trace = graph.trace(body)
    if trace.error is not None:
        raise trace.error
    return [trace.answer]


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(graphs(), st.integers(0, 3))
def test_the_same_over_a_broker(spec, number):
    graph = built(*spec)
    if graph.plan().confirms:
        return
    edges = [edge for edge in graph.edges if edge.carries_events][:1]
    for edge in edges:
        graph.add_step(Queue("q"), after=edge.source, before=edge.target)
    body = body_of(number)
    assert outcome(lambda: list(graph.stream([body], streams="nats"))) == outcome(
        lambda: list(graph.stream([body_of(number)]))
    )
