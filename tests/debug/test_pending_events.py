"""A debugged list of Events ends as a stream ends, forth, back and forth again."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbgraph import Event, Graph, StepError, steps
from nbgraph.engine.interpret.observer import Observer
from nbgraph.steps.operators.collect import Collector
from nbgraph.testing import events, fresh

EXAMPLES = int(os.environ.get("NBGRAPH_EXAMPLES", "40"))


class Told(Observer):
    """What each event, and each thing let go at the end, came to."""

    def __init__(self):
        self.found = []

    def finished(self, event, answers, error):
        self.found += answers
        self.found += [str(error)] if error is not None else []


def plain(value):
    if isinstance(value, list):
        return list(map(plain, value))
    if isinstance(value, Event):
        return ("event", value.key, plain(value.body))
    return value.to_dict("records") if hasattr(value, "to_dict") else value


def debugged(graph, bodies):
    graph = fresh(graph)
    graph.observers.append(told := Told())
    debugger = graph.debug([Event(body) for body in bodies])
    while not debugger.finished:
        debugger.next()
    return [plain(value) for value in told.found]


def streamed(graph, bodies):
    answers, found = fresh(graph).stream([Event(body) for body in bodies]), []
    while True:
        try:
            found.append(plain(next(answers)))
        except StopIteration:
            return found
        except StepError as error:
            found.append(str(error))


def told(frames):
    return [
        (frame.step, frame.visit, plain(frame.input), plain(frame.output), str(frame.error), frame.edges, frame.reason)
        for frame in frames
    ]


GATHERING = {
    "Reduce": lambda: steps.Reduce(0, lambda total, body: total + body),
    "ReduceToDataFrame": lambda: steps.ReduceToDataFrame(columns=["n"]),
    "Batch": lambda: steps.Batch(2),
    "Batch by key": lambda: steps.Batch(3, key=lambda body: body % 2),
    "SampleWindow": lambda: steps.SampleWindow(2, "first", emit_before_termination=True),
    "SampleWindow last": lambda: steps.SampleWindow(3, "last", emit_before_termination=True),
    "MapWithState": lambda: steps.MapWithState(0, lambda body, count: ((body, count), count + 1)),
}


@pytest.mark.parametrize("name", GATHERING)
def test_what_is_behind_a_step_that_gathers_is_reached_and_stepped(name):
    graph = Graph("ends")
    graph.to("(event + 1)", "before")
    graph.step("before").to(GATHERING[name](), "gather").to(lambda body: body, "behind").respond()
    expected = streamed(graph, [4, 5, 6])
    debugger = fresh(graph).debug(events(4, 5, 6))
    debugger.resume()
    found = [plain(frame.output) for frame in debugger.trace.by_step("behind")]
    debugger.back_to(2)
    debugger.resume()
    again = [plain(frame.output) for frame in debugger.trace.by_step("behind")]
    assert (found, again, debugged(graph, [4, 5, 6])) == (expected, expected, expected)


def test_breakpoints_back_forks_and_reruns_across_the_end():
    graph = Graph("r")
    graph.to(steps.Reduce(0, lambda a, b: a + b), "sum").to("(event * 10)", "behind").respond()
    debugger = graph.debug(events(1, 2, 3), breakpoints=["behind"])
    stood = [debugger.resume(), debugger.current.step, debugger.current.input, debugger.back().step]
    stood += [debugger.current.input, debugger.resume(), debugger.current.input]
    debugger.set_input(7)
    stood += [debugger.resume(), debugger.finished, debugger.back().input, debugger.rerun("sum").input]
    stood += [debugger.current.input, debugger.resume()]
    assert (stood, debugger.finished, len(debugger.branches)) == (
        [None, "behind", 6, "sum", 3, None, 6, 70, True, 7, 3, 6, 60], True, 2,
    )  # fmt: skip


def test_two_that_gather_let_go_one_after_the_other():
    graph = Graph("two")
    graph.to(steps.Batch(2), "pairs").to(steps.Reduce([], lambda all, pair: [*all, pair]), "all").to(len, "count")
    assert debugged(graph, [1, 2, 3]) == streamed(graph, [1, 2, 3]) == [2]


def test_one_body_is_no_stream():
    graph = Graph("one")
    graph.to(steps.Batch(2), "pairs").to(len, "count")
    debugger = graph.debug(1)
    assert (debugger.resume(), debugger.finished, fresh(graph).run(1)) == (None, True, None)


def test_what_fails_at_the_end_is_raised_and_the_rest_goes_on():
    graph = Graph("fails")
    graph.to(steps.Batch(5, key=lambda body: body % 3), "pairs").to(lambda pair: 6 // (pair[0] - 1), "count")
    debugger = graph.debug(events(0, 1, 2))
    with pytest.raises(StepError, match="ZeroDivisionError"):
        debugger.resume()
    assert (debugger.resume(), debugged(graph, [0, 1, 2])) == (6, streamed(graph, [0, 1, 2]))


def total(body):
    return sum(map(total, body)) if isinstance(body, list | tuple) else body


async def wait(body):
    return total(body)


def chunks(body):
    if total(body) % 11 == 10:
        raise ValueError("no chunks")
    yield total(body)
    yield 1


def pair(body):
    return [total(body), 2]


HANDLERS = [
    lambda: total, lambda: wait, lambda: chunks, lambda: pair,
    lambda: steps.Batch(2), lambda: steps.Batch(3, key=total),
    lambda: steps.Reduce(0, lambda state, body: state + total(body)), lambda: steps.Merge(),
    lambda: steps.MapWithState({"n": 0}, lambda body, state: (total(body) + state["n"], {"n": state["n"] + 1})),
    lambda: steps.SampleWindow(2), lambda: steps.SampleWindow(3, "last", emit_before_termination=True),
    lambda: steps.FlatMap("[event, event]"), lambda: Collector(),
]  # fmt: skip


@st.composite
def graphs(draw):
    graph = Graph("holding")
    graph.to("(event + 1)", "s0")
    for number in range(1, draw(st.integers(2, 6))):
        parents = draw(st.lists(st.sampled_from([f"s{n}" for n in range(number)]), min_size=1, max_size=2, unique=True))
        graph.add_step(draw(st.sampled_from(HANDLERS))(), f"s{number}", after=parents)
    if draw(st.booleans()):
        graph.error_handler("(-1)", "all_errors")
    return graph


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(), st.lists(st.integers(0, 60), min_size=1, max_size=6))
def test_a_debugged_list_is_a_stream(graph, bodies):
    expected, found = streamed(graph, bodies), debugged(graph, bodies)
    # What came before an error of the same event may be handed out or not; the errors are the same.
    errors = [one for one in expected if isinstance(one, str)]
    assert found == expected if not errors else [one for one in found if isinstance(one, str)] == errors


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(), st.lists(st.integers(0, 60), min_size=1, max_size=5), st.lists(st.integers(-9, 6), max_size=12))
def test_back_and_forth_comes_to_the_same(graph, bodies, moves):
    straight, wandering = (fresh(graph).debug([Event(body) for body in bodies]) for _ in range(2))
    for move in moves:
        if move == -9:
            wandering.back_to(len(wandering.trace) // 2)
        for _ in range(abs(move)):
            if move < 0:
                wandering.back()
            else:
                wandering.next()
    for debugger in (straight, wandering):
        while not debugger.finished:
            debugger.next()
    assert told(wandering.trace) == told(straight.trace)
    assert list(map(plain, wandering.answers)) == list(map(plain, straight.answers))


def test_rows_that_are_changed_behind_a_batch_come_back_as_they_were():
    def mark(rows):
        for row in rows:
            row["seen"] += 1
        return rows

    graph = Graph("rows")
    graph.to(steps.Batch(2), "pairs").to(mark, "mark").to(steps.ReduceToDataFrame(), "table").to(plain, "plain")
    bodies = [{"n": number, "seen": 0} for number in range(5)]
    debugger = fresh(graph).debug([Event(dict(body)) for body in bodies])
    found = [debugger.resume()]
    for index in (0, 3, 5, 6):
        debugger.back_to(index)
        found.append(debugger.resume())
    assert found == [[{"n": number, "seen": 1} for number in range(5)]] * 5


def test_many_keys_are_followed_back_and_forth():
    def change(body, counts):
        counts[body % 50]["n"] += 1
        if body % 7 == 0:
            counts[body % 50] = counts.pop(body % 50)
        return sorted(counts), counts

    graph = Graph("keys")
    graph.to(steps.MapWithState({n: {"n": 0} for n in range(50)}, change), "change")
    graph.step("change").to(lambda keys: (len(keys), keys[:3]), "look")
    straight, wandering = (fresh(graph).debug([Event(number) for number in range(30)]) for _ in range(2))
    for move in (30, 5, 44, 0, 21):
        wandering.run_to("look")
        wandering.resume()
        wandering.back_to(move)
    states = []
    for debugger in (straight, wandering):
        debugger.resume()
        state = debugger.graph.plan().steps["change"].call.target.state
        states.append((type(state), list(state.items())))
    assert (states[0], told(straight.trace)) == (states[1], told(wandering.trace))
