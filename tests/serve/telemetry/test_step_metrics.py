"""Steps are counted and timed, whatever their kind; the graph still runs as its generated function."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from prometheus_client import CollectorRegistry

from nbgraph import Event, Graph
from nbgraph.errors import StepError
from nbgraph.serve.telemetry.step_metrics import StepMetrics
from nbgraph.types import EdgeKind


def counted(graph: Graph, *bodies: Any) -> tuple[list[Any], dict[str, tuple[float, float]]]:
    """Answers, or the failed steps' names; and calls and errors of every step."""
    names = [step.name for step in graph.steps]
    tally = StepMetrics(names)
    plan = tally.watching(graph.plan())
    registry = CollectorRegistry()
    registry.register(tally)
    answers = []
    for body in bodies:
        try:
            answers.append(plan.run(Event(body)))
        except StepError as error:
            answers.append(error.step)
    numbers = {
        name: tuple(registry.get_sample_value(f"nbgraph_{kind}_total", {"step": name}) for kind in ("events", "errors"))
        for name in names
    }
    return answers, numbers  # type: ignore[return-value]


def test_branches_are_counted_apart() -> None:
    graph = Graph("g")
    start = graph.to("(event)", "start")
    start.to("(1 / event)", "big", when="event > 1").to("(event)", "end").respond()
    start.to("(event)", "rest", otherwise=True).to(graph.step("end"))
    assert counted(graph, 2, 1, 4) == ([0.5, 1, 0.25], {"start": (3, 0), "big": (2, 0), "rest": (1, 0), "end": (3, 0)})


def test_errors_are_counted_also_where_a_handler_takes_them() -> None:
    graph = Graph("g")
    graph.to("(1 / event)", "divide").error_handler(lambda body: "saved", "save")
    assert counted(graph, 1, 0) == ([1.0, "saved"], {"divide": (2, 1), "save": (1, 0)})
    plain = Graph("g")
    plain.to("(1 / event)", "divide")
    assert counted(plain, 0, 2) == (["divide", 0.5], {"divide": (2, 1)})


def test_all_kinds_of_steps_mean_the_same() -> None:
    def several(body: int) -> Iterator[int]:
        yield from range(body)

    async def waits(body: int) -> int:
        return body + 1

    async def draws(body: int) -> AsyncIterator[int]:
        yield body

    def whole(event: Event) -> None:
        event.body *= 10

    for handler, options, answer in (
        (several, {}, 0), (waits, {}, 3), (draws, {}, 2), (whole, {"full_event": True}, 20),
        ("(event)", {"input_path": "a", "result_path": "b"}, {"a": 2, "b": 2}),
    ):  # fmt: skip
        graph = Graph("g")
        graph.to(handler, "it", **options).respond()  # type: ignore[arg-type]
        assert counted(graph, {"a": 2} if options.get("input_path") else 2) == ([answer], {"it": (1, 0)})


def test_cycles_count_every_visit() -> None:
    graph = Graph("g")
    graph.to("(event + 1)", "add").to("(event)", "check")
    graph.step("check").to("(event)", "end", when="event >= 3").respond()
    graph.connect("check", "add", when="event < 3", kind=EdgeKind.CYCLE)
    assert counted(graph, 0) == ([3], {"add": (3, 0), "check": (3, 0), "end": (1, 0)})


def test_steps_of_a_graph_in_the_graph_are_counted_by_their_full_names() -> None:
    inner, graph, tally = Graph("inner"), Graph("g"), StepMetrics(["inner"])
    inner.to("(event + 1)", "add").to("(event * 2)", "double")
    graph.to(inner, "inner").respond()
    answer = tally.watching(graph.plan()).run(Event(4))
    events, *_ = tally.collect()
    counts = {sample.labels["step"]: sample.value for sample in events.samples}
    assert (answer, counts["inner/add"], counts["inner/double"]) == (10, 1, 1)
