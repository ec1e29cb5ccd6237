"""A kit for testing graphs: a clock moved by hand, events, a target that keeps what it gets, samples, `assert_same`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nbgraph.debug.samples import Sample as Sample  # for tests that write theirs as code
from nbgraph.debug.samples import SampleCheck, Samples
from nbgraph.engine import loop
from nbgraph.engine.interpret.observer import Observer
from nbgraph.engine.schedule.stream import stream
from nbgraph.errors import NbgraphError, StepError
from nbgraph.event import Event, entering
from nbgraph.graph.graph import Graph
from nbgraph.handler import Handler
from nbgraph.types import Shape


class FakeClock:
    """A clock that stands until it is moved.

    >>> clock = FakeClock()
    >>> clock.move(2.5)
    >>> clock()
    2.5
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def __call__(self) -> float:
        return self._now

    def move(self, seconds: float) -> None:
        self._now += seconds


class ListTarget(Handler):
    """Keeps every body it gets in `bodies`, a list that the test gives it.

    >>> bodies = []
    >>> graph = Graph("kept")
    >>> _ = graph.to(str.upper).to(ListTarget(bodies))
    >>> list(graph.stream(["a", "b"])), bodies
    (['A', 'B'], ['A', 'B'])
    """

    shape = Shape.EACH

    def __init__(self, bodies: list[Any]) -> None:
        self.do = bodies.append


def events(*bodies: Any, key: str | None = None) -> list[Event]:
    """Events with ids `event-0`, `event-1` …; `key` is the field whose value is the key.

    >>> [(event.id, event.key) for event in events({"card": 7}, key="card")]
    [('event-0', 7)]
    """
    return [
        Event(body, id=f"event-{number}", key=None if key is None else body[key]) for number, body in enumerate(bodies)
    ]


@dataclass(frozen=True)
class RunOutcome:
    """What one event came to: its answers, or the error with what had been answered before."""

    answers: tuple[Any, ...]
    error: str | None = None

    @classmethod
    def of(cls, run: Callable[[], Iterable[Any]]) -> RunOutcome:
        try:
            return cls(tuple(run()))
        except StepError as error:
            return cls(() if error.answer is None else (error.answer,), f"{error} | got {error.event.body!r}")


def fresh(graph: Graph) -> Graph:
    """The same spec, with steps of its own: nothing that was remembered is shared.

    >>> graph = Graph("twin")
    >>> _ = graph.to(len)
    >>> fresh(graph) == graph
    True
    """
    twin = Graph(graph.name)
    twin.become(graph)
    return twin


def compiled(graph: Graph, events: Sequence[Any]) -> list[RunOutcome]:
    """Every event through the generated functions."""
    return [RunOutcome.of(partial(_handled, graph, event)) for event in copy.deepcopy(events)]


def observed(graph: Graph, events: Sequence[Any]) -> list[RunOutcome]:
    """Every event move by move, with somebody watching."""
    graph.observers.append(Observer())
    try:
        return compiled(graph, events)
    finally:
        graph.observers.pop()


def streamed(graph: Graph, events: Sequence[Any]) -> list[RunOutcome]:
    """Every event through the form that streams use."""
    return [RunOutcome.of(partial(stream, graph.plan(), [event], is_whole=False)) for event in copy.deepcopy(events)]


def stepped(graph: Graph, events: Sequence[Any]) -> list[RunOutcome]:
    """Every event in the debugger, step by step."""
    return [RunOutcome.of(partial(_stepped, graph, event)) for event in copy.deepcopy(events)]


def assert_same(graph: Graph, events: Sequence[Any]) -> list[RunOutcome]:
    """Hold compiled, observed, streamed and stepped runs against each other; returns what they all came to.

    >>> graph = Graph("same")
    >>> _ = graph.to(lambda body: 1 / body, "inverse")
    >>> [outcome.answers for outcome in assert_same(graph, [1, 2, 0])]
    [(1.0,), (0.5,), ()]
    """
    expected = compiled(fresh(graph), events)
    for way in (observed, streamed, stepped):
        found = way(fresh(graph), events)
        for event, one, other in zip(events, expected, found, strict=True):
            # A stream has handed out what came before an error; the error itself is what must agree.
            same = one == other or (way is streamed and one.error == other.error and one.error is not None)
            assert same, (
                f"{way.__name__} differs for {event!r}:\n  compiled {one}\n  {way.__name__} {other}\n{_arrows(graph)}"
            )
    return expected


def assert_samples(graph: Graph, samples: Samples | str | Path) -> SampleCheck:
    """Hold a graph against kept samples, or their file: each is answered as it was kept.

    >>> import tempfile
    >>> graph = Graph("shout")
    >>> _ = graph.to(str.upper)
    >>> samples = Samples(Path(tempfile.mkdtemp()) / "shout.samples.yaml")
    >>> _ = samples.keep("hi", answer="HI", name="short")
    >>> assert_samples(graph, samples)
    1 of 1 samples are answered as they were kept.
    """
    kept = samples if isinstance(samples, Samples) else Samples(samples)
    if not kept:
        raise NbgraphError(f"{kept.path} has no samples, or is not there; keep some with Samples({str(kept.path)!r}).")
    found = kept.check(graph)
    assert found.equal, str(found)
    return found


def _arrows(graph: Graph) -> str:
    return "\n".join(f"  {edge}" for edge in (*graph.steps, *graph.edges))


def _handled(graph: Graph, event: Any) -> list[Any]:
    plan, entered = graph.plan(), entering(event)
    if plan.is_async:
        return loop.complete(plan.aanswers(entered)).all()
    return plan.handle(entered).all()


def _stepped(graph: Graph, event: Any) -> list[Any]:
    debugger = graph.debug(event)
    while debugger.next() is not None:
        pass
    if debugger.error is not None:
        raise debugger.error
    return debugger.answers
