"""What any step remembers goes from one instance to another and back, after every event, and nothing shows it."""

import time

import pytest

from nbgraph import Event, Graph
from nbgraph.engine.compile.plan_copy import copy_of
from nbgraph.serve.state.step_state import StateError, StepState
from nbgraph.steps import (
    AfterMaxEvent,
    AfterPeriod,
    AggregateByKey,
    Batch,
    FieldAggregator,
    MapWithState,
    Merge,
    Reduce,
    ReduceToDataFrame,
    SampleWindow,
    SlidingWindows,
)


class Seen:
    """A class of a notebook: what it remembers is no dict, and it changes it in place."""

    def __init__(self, limit):
        self.limit = limit
        self.state = [(), {"all": set()}]

    def do(self, body):
        self.state[0] = (*self.state[0], body["n"])[-self.limit :]
        self.state[1]["all"].add(body["n"] % 4)
        return list(self.state[0]), sorted(self.state[1]["all"])


def counted(body, state):
    state["keys"][body["card"]] = state["keys"].get(body["card"], 0) + 1
    return {**body, "of": dict(state["keys"])}, state


PAID = FieldAggregator("paid", "n", ["sum", "avg", "min", "last", "stddev"], SlidingWindows(["1h", "6h"], "10m"))
STEPS = {
    "batch": Batch(3),
    "batches": Batch(3, key="card"),
    "number": MapWithState(0, "({**event, 'number': state}, state + 1)", group_by_key=True),
    "whole": MapWithState({"keys": {}}, counted),
    "new": MapWithState({}, "({**event, **state}, {**state, event['card']: event['n']})"),
    "sample": SampleWindow(3, "last", emit_before_termination=True, key="card"),
    "sum": Reduce({}, "{**state, event['card']: state.get(event['card'], 0) + event['n']}"),
    "windows": AggregateByKey([PAID], key="card", time_field="time"),
    "two keys": AggregateByKey([PAID], key=["card", "n"], time_field="time"),
    "some": AggregateByKey([PAID], key="card", time_field="time", emit_policy=AfterMaxEvent(2)),
    "periods": AggregateByKey([PAID], key="card", time_field="time", emit_policy=AfterPeriod()),
    "merge": Merge("card", expected_num_events=2),
    "frame": ReduceToDataFrame(),
}


def bodies():
    return [{"card": f"c{n * n % 3}", "n": n * 7 % 10, "time": 500.0 * n - 4000.0 * (n % 5 == 4)} for n in range(30)]


def answers(plans, memories):
    """The answers of plans that take the events in turns, each beginning with what the last one remembered."""
    found, pages = [], {}
    for number, body in enumerate(bodies()):
        turn = number % len(plans)
        memories[turn].restore(pages)
        found += plans[turn].handle(Event(body, key=body["card"], id=str(number))).all()
        for path, page in memories[turn].changes():
            pages.pop(path, None) if page is None else pages.update({path: page})
    memories[0].restore(pages)
    for chunk in plans[0].steps["step"].call.target.release() if plans[0].holders else ():
        found += plans[0].resume("step", chunk).all()
    return [each.to_dict("records") if hasattr(each, "to_dict") else each for each in found]


@pytest.mark.parametrize("name", [*STEPS, "own"])
def test_a_state_that_moves_gives_what_one_that_stays_gives(name):
    graph = Graph("moving")
    graph.to(Seen, "step", limit=5) if name == "own" else graph.to(STEPS[name], "step")
    plans = [copy_of(graph.plan(), time.monotonic) for _ in range(3)]
    memories = [StepState("step", plan.steps["step"].call.target) for plan in plans]
    one = copy_of(graph.plan(), time.monotonic)
    stays = answers([one], [_Nothing()])
    assert repr(answers(plans, memories)) == repr(stays)
    assert stays


class _Nothing:
    def restore(self, pages):
        """It stays where it is."""

    def changes(self):
        return ()


def test_only_what_an_event_reached_for_is_written():
    step = AggregateByKey([PAID], key="card", time_field="time")
    memory, written = StepState("windows", step), []
    for card in ("a", "b", "a"):
        step.do({"card": card, "n": 1, "time": 0.0})
        written.append([path[1:] for path, _ in memory.changes()])
    assert written == [[(), ("keys", "a")], [("keys", "b")], [("keys", "a")]]


class Wrong:
    def __init__(self):
        self.state = {"lists": iter(())}

    def do(self, body):
        return body


def test_a_state_that_is_no_plain_data_is_told_of():
    with pytest.raises(StateError, match=r'state of step "wrong" .* a builtins.tuple_iterator in it'):
        StepState("wrong", Wrong())


def test_a_state_of_another_form_is_not_taken_up_and_leaves_nothing_behind(caplog):
    pages = {}

    def used(step, body):
        memory = StepState("step", step)
        memory.restore(pages)
        answer = step.do(body)
        for path, page in memory.changes():
            pages.pop(path, None) if page is None else pages.update({path: page})
        return answer

    event, hours = (
        {"card": "a", "n": 1, "time": 0.0},
        [FieldAggregator("n", "n", ["sum"], SlidingWindows(["2h"], "1h"))],
    )
    used(AggregateByKey([PAID], key="card", time_field="time"), {**event, "card": "b"})
    sums = [used(AggregateByKey(hours, key="card", time_field="time"), event)["n_sum_2h"] for _ in range(2)]
    assert (sums, len(pages), [each.levelname for each in caplog.records]) == ([1, 2], 2, ["WARNING"])
