"""Any graph with queues gives the same answers over a broker as without, error for error."""

import asyncio

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nbgraph import Graph, StepError


async def waits(body):
    await asyncio.sleep(0.001 * (body % 3) if isinstance(body, int) else 0)
    return body


STEPS = {
    "plus": ("(event + 1)", {}),
    "odd": ("Filter", {"fn": "event % 2"}),
    "both": ("FlatMap", {"fn": "[event, event + 10]"}),
    "inverse": ("(60 // (event % 4))", {}),  # fails now and then
    "waits": (waits, {"concurrency": 4}),
    "sum": ("MapWithState", {"initial_state": 0, "fn": lambda body, state: (body + state, body + state)}),
    "pairs": ("Batch", {"max_events": 2}),
    "first": ("(event[0] if isinstance(event, list) else event)", {}),
    "queue": ("Queue", {"max_size": 20}),
    "keyed": ("Queue", {"key": "$key", "shards": 3}),
}
chains = st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6)


def grown(graph, at, words, ending):
    """The chain of the words behind a step; numbers are made of the lists of batches at once."""
    for number, word in enumerate(word for one in words for word in ([one, "first"] if one == "pairs" else [one])):
        handler, arguments = STEPS[word]
        named = {"name": f"{word}-{ending}-{number}", **arguments}
        at = graph.to(handler, **named) if at is None else at.to(handler, **named)
    return at


def outcomes(graph, bodies, **over):
    """Answers, and errors as texts, in their order."""
    answers, found = graph.stream(bodies, **over), []
    for _ in range(10_000):
        try:
            found.append(next(answers))
        except StopIteration:
            return found
        except StepError as error:
            found.append(f"{error.step}: {error}")
    raise AssertionError("a stream without end")


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(chains, chains, chains, st.booleans(), st.booleans(), st.lists(st.integers(0, 50), max_size=8))
def test_the_answers_of_a_graph_do_not_depend_on_the_transport(stem, left, right, forks, responds, bodies):
    # What a failing event had answered before, and branches beside a concurrent one, come as it happens in any run.
    words = {*stem, *left, *(right if forks else ())}
    assume(not (words & {"inverse"} and (forks or words & {"both"})))
    assume(not (words & {"waits"} and forks))

    def made():
        graph = Graph("random")
        trunk = grown(graph, None, stem, "s")
        ends = [grown(graph, trunk, left, "l")]
        if forks:
            ends.append(grown(graph, trunk, right, "r"))
        if responds:
            ends[0].respond()
        return graph

    assert outcomes(made(), bodies, streams="nats") == outcomes(made(), bodies)
