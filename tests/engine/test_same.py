"""The one promise: compiled, observed, streamed and stepped runs of any graph are the same."""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbgraph import Event, Graph
from nbgraph.steps import Filter, FlatMap, ForEach
from nbgraph.testing import assert_same
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


SYNC = [add, double, fail_on_odd, chunks, "(event - 3)", Filter("event % 3"), FlatMap("[event, event + 1]"),
        ForEach("event"), FlatMap(lambda body: [])]  # fmt: skip
ASYNC = [wait_and_add, wait_chunks]
CONDITIONS = ["event > 2", "event % 2 == 0", lambda body: body < 50, "1 // (event % 5)"]


@st.composite
def graphs(draw):
    graph = Graph("random", max_iterations=4)
    handlers = SYNC + (ASYNC if draw(st.booleans()) else [])
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
