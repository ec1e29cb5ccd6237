"""The one promise: compiled, observed, streamed and stepped runs of any graph are the same, also of its texts.

The long mode: NBGRAPH_EXAMPLES=1000 pytest tests/engine/test_same.py.
"""

import asyncio
import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbgraph import Event, Graph
from nbgraph.engine.interpret.observer import Observer
from nbgraph.errors import StepError
from nbgraph.steps import Batch, Filter, FlatMap, ForEach, MapWithState, Reduce, SampleWindow
from nbgraph.testing import assert_same, compiled, fresh
from nbgraph.types import EdgeKind

EXAMPLES = int(os.environ.get("NBGRAPH_EXAMPLES", "150"))


def add(body):
    return body + 1


def double(body):
    return body * 2


def fail_on_odd(body):
    if body % 2:
        raise ValueError(f"odd: {body}")
    return body


def chunks(body):
    for number in range(body % 3):
        if body % 7 == 6 and number == 1:
            raise RuntimeError(f"broke at {number}")
        yield body + number


class Stop(BaseException):
    """No Exception, but a step's own."""


ENDS = [SystemExit, GeneratorExit, asyncio.CancelledError, Stop]


def leave(body):
    if body % 4 == 3:
        raise ENDS[body % 5 % 4](body)
    return body + 2


def chunks_that_leave(body):
    for number in range(body % 4):
        if number == 2:
            raise ENDS[body % 3](body)
        yield body + number


async def wait_and_leave(body):
    if body % 3 == 1:
        inner = asyncio.ensure_future(asyncio.sleep(9))
        inner.cancel()
        await inner
    return leave(body)


async def wait_chunks_that_leave(body):
    for chunk in chunks_that_leave(body):
        yield chunk


async def wait_and_add(body):
    return body + 10


async def wait_chunks(body):
    for number in range(body % 3):
        yield body * 10 + number


class Sender:
    """Chooses its next steps by the body."""

    def __init__(self, names):
        self.names = names

    def select_outlets(self, body):
        return [name for index, name in enumerate(self.names) if (body >> index) & 1]


def by_event(event):
    event.body += 100


def new_event(event):
    return Event(event.body + 1000)


def caught(event):
    event.body = -abs(hash(event.origin) % 5) - len(str(event.error))
    return event


SYNC = [add, double, fail_on_odd, chunks, leave, chunks_that_leave, "(event - 3)", Filter("event % 3"),
        FlatMap("[event, event + 1]"), ForEach("event"), FlatMap(lambda body: [])]  # fmt: skip
ASYNC = [wait_and_add, wait_chunks, wait_and_leave, wait_chunks_that_leave]
CONDITIONS = ["event > 2", "event % 2 == 0", "1 // (event % 5)"]


def is_small(body):
    if body == 31:
        raise SystemExit(31)
    return body < 50


CONDITIONS.append(is_small)


def total(body):
    return sum(body) if isinstance(body, list) else body


def count_on(body, state):
    return total(body) + state, state + 1


def add_up(state, body):
    return state + total(body)


NAMED = [add, double, fail_on_odd, chunks, leave, chunks_that_leave, "(event - 3)"]
HOLDING = [
    lambda: Batch(2), lambda: Batch(3), lambda: MapWithState(0, count_on), lambda: Reduce(0, add_up),
    lambda: SampleWindow(2), lambda: SampleWindow(3, "last", emit_before_termination=True),
]  # fmt: skip


@st.composite
def graphs(draw, sync=SYNC):
    graph = Graph("random", max_iterations=4)
    handlers = sync + (ASYNC if draw(st.booleans()) else [])
    count = draw(st.integers(1, 7))
    for number in range(count):
        full = draw(st.integers(0, 9))
        handler, options = draw(st.sampled_from(handlers)), {}
        if full == 0:
            handler, options = draw(st.sampled_from([by_event, new_event])), {"full_event": True}
        parents = (
            draw(st.lists(st.sampled_from([f"s{n}" for n in range(number)]), max_size=3, unique=True)) if number else []
        )
        graph.add_step(handler, f"s{number}", **options)
        for parent in parents:
            graph.connect(parent, f"s{number}", when=draw(st.none() | st.sampled_from(CONDITIONS)))
    for number in range(count):
        _decorate(draw, graph, f"s{number}", count)
    if draw(st.booleans()):
        graph.respond(f"s{draw(st.integers(0, count - 1))}")
    if draw(st.integers(0, 3)) == 0:
        graph.error_handler(caught, "all_errors", full_event=True)
    return graph


def _decorate(draw, graph, name, count):
    """Now and then an else, an error handler (that goes on), a way back."""
    leaving = [edge for edge in graph.edges if edge.source == name]
    if any(edge.when for edge in leaving) and draw(st.booleans()):
        graph.step(name).to(add, f"{name}_else", otherwise=True)
    chance = draw(st.integers(0, 11))
    later = [f"s{number}" for number in range(count) if f"s{number}" > name]
    if chance == 0:
        graph.step(name).error_handler(caught, f"{name}_caught", full_event=True)
    elif chance == 1 and later:
        graph.step(name).error_handler(caught, f"{name}_caught", full_event=True, before=draw(st.sampled_from(later)))
    elif chance == 2:
        back = f"s{draw(st.integers(0, int(name[1:])))}"
        graph.connect(name, back, when=draw(st.none() | st.sampled_from(CONDITIONS)), kind=EdgeKind.CYCLE)
    elif chance == 3:
        targets = [edge.target for edge in leaving]
        if targets and not any(edge.when or edge.otherwise for edge in graph.edges if edge.source == name):
            graph.add_step(Sender, f"{name}_sender", after=name, names=targets)
            for target in targets:
                graph.connect(f"{name}_sender", target)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(), st.lists(st.integers(0, 60), min_size=1, max_size=4))
def test_all_ways_of_running_a_graph_agree(graph, bodies):
    if not graph.check():
        assert_same(graph, bodies)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(NAMED), st.lists(st.integers(0, 60), min_size=1, max_size=4))
def test_a_graph_read_from_its_texts_gives_the_same(graph, bodies):
    if graph.check():
        return
    expected = compiled(fresh(graph), bodies)
    texts = [
        Graph.from_dict(graph.to_dict(), namespace=globals()),
        Graph.from_yaml(graph.to_yaml(), namespace=globals()),
        Graph.parse(graph.source(), namespace=globals()),
    ]
    for read in texts:
        assert read == graph
        assert compiled(read, bodies) == expected


@st.composite
def streams(draw):
    """Graphs in which some steps hold events back, or remember."""
    graph = Graph("holding")
    graph.to(add, "s0")
    for number in range(1, draw(st.integers(2, 6))):
        makes = draw(st.booleans())
        handler = draw(st.sampled_from(HOLDING))() if makes else draw(st.sampled_from([total, chunks_of, wait_total]))
        parents = draw(st.lists(st.sampled_from([f"s{n}" for n in range(number)]), min_size=1, max_size=2, unique=True))
        graph.add_step(handler, f"s{number}", after=parents)
    if draw(st.booleans()):
        graph.error_handler("(-1)", "all_errors")
    return graph


def chunks_of(body):
    if total(body) % 11 == 10:
        raise ValueError(f"no chunks of {body}")
    yield total(body)
    yield 1


async def wait_total(body):
    return total(body)


def collected(graph, bodies):
    answers, found = graph.stream(bodies), []
    while True:
        try:
            found.append(next(answers))
        except StopIteration:
            return found
        except StepError as error:
            found.append(str(error))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(streams(), st.lists(st.integers(0, 60), max_size=8))
def test_whole_streams_through_steps_that_hold_are_the_same_when_watched(graph, bodies):
    if graph.check():
        return
    watched, concurrent = fresh(graph), fresh(graph)
    watched.observers.append(Observer())
    concurrent.add_step("(event)", "wide", before="s0", concurrency=3)
    expected = collected(fresh(graph), bodies)
    errors = [one for one in expected if isinstance(one, str)]
    for found in (collected(watched, bodies), collected(concurrent, bodies)):
        # What came before an error of the same event may be handed out or not; the errors are the same.
        assert found == expected if not errors else [one for one in found if isinstance(one, str)] == errors
