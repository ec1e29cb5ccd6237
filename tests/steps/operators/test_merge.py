"""Merge, Collector, Gather, ToDataFrame, ReduceToDataFrame, Queue."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from nbgraph import Event, Graph, GraphError, StepError, steps
from tests.steps.both import both_ways, graphs_both_ways


def fan_of(merge: Any, *branches: Any) -> Graph:
    graph = Graph("fan")
    start = graph.to(lambda body: body, "start")
    names = []
    for number, branch in enumerate(branches):
        start.to(branch, f"branch{number}")
        names.append(f"branch{number}")
    graph.add_step(merge, "merge", after=names)
    return graph


def test_merge_waits_for_every_branch() -> None:
    def make() -> Graph:
        return fan_of(steps.Merge(), lambda n: n, lambda n: n * 2, lambda n: n * 3)

    assert graphs_both_ways(make, [1, 2]) == [[1, 2, 3], [2, 4, 6]]


def test_without_merge_a_fan_in_runs_once_a_branch() -> None:
    assert graphs_both_ways(lambda: fan_of(lambda n: n, lambda n: n, lambda n: n * 2), [1]) == [1, 2]


def test_merge_by_key_over_events() -> None:
    pairs = [{"order": 1, "a": 1}, {"order": 2, "a": 2}, {"order": 1, "b": 3}]
    merge = steps.Merge("order", expected_num_events=2)
    assert both_ways(merge, pairs) == [[pairs[0], pairs[2]]]


def test_a_branch_added_later_is_waited_for_too() -> None:
    graph = fan_of(steps.Merge(), lambda n: n, lambda n: n * 2)
    before = list(graph.stream([1]))
    graph.add_step(lambda n: n * 3, "branch2", after="start", before="merge")
    assert (before, list(graph.stream([1]))) == ([[1, 2]], [[1, 2, 3]])


def test_parts_that_wait_too_long_are_given_up_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    graph = fan_of(steps.Merge(max_behind=1), lambda n: n, steps.Filter("event > 2"))
    with caplog.at_level(logging.ERROR, "nbgraph"):
        events = [Event(1, id="one"), Event(2, id="two"), Event(3, id="three")]
        answers = list(graph.stream(events))
    assert answers == [[3, 3]]
    assert [record.getMessage() for record in caplog.records] == [
        "Event 'one' is given up: 1 of its 2 parts came to be merged.",
        "Event 'two' is given up: 1 of its 2 parts came to be merged.",
    ]


@pytest.mark.parametrize(("unwrap", "single"), [(True, "C"), (False, ["C"])])
def test_gather_takes_what_one_event_became(unwrap: bool, single: object) -> None:
    def make() -> Graph:
        graph = Graph("g")
        graph.to(str.split).to(steps.Flatten()).to(str.upper).to(steps.Gather(unwrap))
        return graph

    assert graphs_both_ways(make, ["a b", "c", "d e"]) == [["A", "B"], single, ["D", "E"]]


def chunks(count: int) -> Iterator[int]:
    yield from range(count)


class Chunks:
    def do(self, count: int) -> Iterator[int]:
        yield from range(count)


def events(event: Event) -> Iterator[Event]:
    for number in range(event.body):
        yield event.with_body(number)


async def later(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


def gather(graph: Graph) -> Any:
    return graph.to(steps.FlatMap("range(event)")).to(steps.Gather()).to(steps.Collector())


def branches(graph: Graph) -> None:
    first = graph.to("(event)", "first")
    ends = [first.to(chunks), first.to("(event * 100)", "plain")]
    graph.add_step(steps.Collector(), "all", after=[end.name for end in ends])


@pytest.mark.parametrize(
    ("build", "answers"),
    [
        (lambda graph: graph.to(chunks).to(steps.Collector()), [[0, 1, 2], [], 0]),
        (lambda graph: graph.to(Chunks).to("Collector"), [[0, 1, 2], [], 0]),
        (lambda graph: graph.to(later).to("Collector"), [[0, 1, 2], [], 0]),
        (lambda graph: graph.to(events, full_event=True).to("Collector"), [[0, 1, 2], [], 0]),
        (lambda graph: graph.to(chunks).to("Collector", unwrap=False), [[0, 1, 2], [], [0]]),
        (lambda graph: graph.to(chunks).to("(event * 10)").to("Queue", "q").to("Collector"), [[0, 10, 20], [], 0]),
        (lambda graph: graph.to(chunks).to("Filter", fn="event % 2 == 0").to("Collector"), [[0, 2], [], 0]),
        (lambda graph: graph.to(chunks).to("FlatMap", fn="[event] * 2").to("Collector"),
         [[0, 0, 1, 1, 2, 2], [], [0, 0]]),
        (lambda graph: graph.to("FlatMap", fn="range(event)").to("Collector"), [0, 1, 2, 0]),
        (lambda graph: graph.to(chunks).to("Collector").to("Collector", "again"), [[0, 1, 2], [], 0]),
        (branches, [300, [0, 1, 2], 0, [], 100, 0]),
        (gather, [[0, 1, 2], 0]),
    ],
)  # fmt: skip
def test_a_collector_takes_the_chunks_of_a_stream_alone(build: Any, answers: list[object]) -> None:
    graph = Graph("g")
    build(graph)
    parted = list(graph.stream([3, 0, 1], streams="nats"))
    asked = [answer for body in (3, 0, 1) for answer in graph.answers(body)]
    assert (list(graph.stream([3, 0, 1])), parted, asked) == (answers, answers, answers)


def test_what_was_collected_of_an_event_that_failed_is_let_go() -> None:
    collector = steps.Collector()
    graph = Graph("g")
    graph.to(chunks).to("(1 / (1 - event))").to(collector)
    with pytest.raises(StepError):
        graph.run(3)
    assert collector.state == {}


def test_an_event_that_is_no_stream_goes_through_a_collector_as_it_is() -> None:
    graph = Graph("g")
    graph.to(lambda body: body + 1, "more").to(steps.Collector())
    assert list(graph.stream([9, 1])) == [10, 2]


@pytest.mark.parametrize(
    ("names", "key", "found"),
    [
        (["x", "y"], [(1, 2), (3, 4)], {"a": [5, 6], "x": [1, 3], "y": [2, 4]}),
        (["x", "y"], [[1, "p"], [3, "q"]], {"a": [5, 6], "x": [1, 3], "y": ["p", "q"]}),
        (["x", "y", "z"], [(1, 2, 3), (4, 5, 6)], {"a": [5, 6], "x": [1, 4], "y": [2, 5], "z": [3, 6]}),
        (["x"], [(1,), (2,)], {"a": [5, 6], "x": [1, 2]}),
        ("x", [(1, 2), (3, 4)], {"a": [5, 6], "x": [(1, 2), (3, 4)]}),
        (["a", "y"], [(5, 2), (6, 4)], {"a": [5, 6], "y": [2, 4]}),
    ],
)
def test_parts_of_a_key_become_columns(names: object, key: list[object], found: object) -> None:
    graph = Graph("g")
    graph.to(steps.ReduceToDataFrame(insert_key_column_as=names))
    [frame] = graph.stream([Event({"a": 5}, key=key[0]), Event({"a": 6}, key=key[1])])
    assert frame.to_dict("list") == found


@pytest.mark.parametrize(
    ("body", "found"),
    [([{"a": 1}, {"a": 2}], {"a": [1, 2]}), ({"a": 1}, {"a": [1]}), ({"a": [1, 2]}, {"a": [1, 2]}), ([], {})],
)
def test_to_data_frame_makes_a_frame_of_each_body(body: object, found: object) -> None:
    graph = Graph("g")
    graph.to(steps.ToDataFrame())
    assert graph.run(body).to_dict("list") == found


def test_batches_become_frames() -> None:
    def make() -> Graph:
        graph = Graph("g")
        graph.to(steps.Batch(2)).to(steps.ToDataFrame(index="n", columns=["n", "m"])).to(lambda frame: dict(frame["m"]))
        return graph

    rows = [{"n": number, "m": -number} for number in range(4)]
    assert graphs_both_ways(make, rows) == [{0: 0, 1: -1}, {2: -2, 3: -3}]


def test_a_frame_has_what_is_the_events_own() -> None:
    graph = Graph("g")
    graph.to(steps.ReduceToDataFrame(insert_key_column_as="k", insert_id_column_as="i"))
    [frame] = graph.stream([Event({"a": 1}, key="x", id="e1"), Event([{"a": 2}, {"a": 3}], key="y", id="e2")])
    [empty] = graph.stream([])
    assert (frame.to_dict("list"), empty.empty) == (
        {"a": [1, 2, 3], "k": ["x", "y", "y"], "i": ["e1", "e2", "e2"]},
        True,
    )


def test_reduce_to_data_frame() -> None:
    graph = Graph("g")
    graph.to(steps.ReduceToDataFrame("carrier", ["carrier", "delay"]))
    [frame] = graph.stream([{"carrier": "UA", "delay": 4}, [{"carrier": "DL", "delay": 0}]])
    assert frame["delay"].to_dict() == {"UA": 4, "DL": 0}


def test_reduce_to_data_frame_of_rows_without_names() -> None:
    graph = Graph("g")
    graph.to(steps.ReduceToDataFrame(columns=["carrier", "delay"]))
    [frame] = graph.stream([("UA", 4), [("DL", 0)]])
    assert frame.to_dict("list") == {"carrier": ["UA", "DL"], "delay": [4, 0]}


def test_reduce_to_data_frame_of_nothing() -> None:
    graph = Graph("g")
    graph.to(steps.ReduceToDataFrame(index="carrier"))
    [frame] = graph.stream([])
    assert frame.empty


def test_a_queue_names_its_own_step_and_passes_on() -> None:
    graph = Graph("g")
    graph.to(steps.Queue("scored", key="card", shards=4)).to(len)
    assert (graph.run({"card": 1, "n": 2}), [step.name for step in graph.steps]) == (2, ["scored", "len"])
    with pytest.raises(StepError, match='Queue takes its key from the field "card"; the body has n'):
        graph.run({"n": 2})


def test_shards_need_a_key() -> None:
    with pytest.raises(GraphError, match='Queue "q" has 4 shards and no key'):
        steps.Queue("q", shards=4)
