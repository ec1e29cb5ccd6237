"""What gathers the parts of an event stands in the function of those that make them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nbgraph import DeployError, Graph
from nbgraph.engine.partition import split


def chunks(count: int) -> Iterator[int]:
    yield from range(count)


class Chunks:
    def do(self, count: int) -> Iterator[int]:
        yield from range(count)


@pytest.mark.parametrize(
    ("body", "source"),
    [
        ('chunks -> Queue("q") -> ten@back -> Collector -> respond', "chunks"),
        ("Chunks -> ten@back -> Collector -> respond", "Chunks"),
        ("chunks -> ten -> Gather@back", "chunks"),
        ('Flatten -> ten -> Queue("q") -> Gather@back', "Flatten"),
        ("ten -> [plus, minus] -> Gather@back", "ten"),
    ],
)
def test_parts_that_come_from_another_function_are_refused(body: str, source: str) -> None:
    graph = Graph.parse(f"%%graph g\n{body}\n", namespace=NAMES)
    with pytest.raises(DeployError, match=f'gathers what "{source}" gives'):
        split(graph)


@pytest.mark.parametrize(
    "body",
    [
        'ten -> Queue("q") -> chunks@back -> plus -> Collector -> respond',
        "chunks -> Collector -> ten@back -> respond",
        "Flatten -> ten@back -> Collector",
        "ten -> Gather@back",
    ],
)
def test_what_is_made_and_gathered_in_one_function_is_deployed(body: str) -> None:
    graph = Graph.parse(f"%%graph g\n{body}\n", namespace=NAMES)
    assert len(split(graph)) == 2


def ten(body: int) -> int:
    return body * 10


NAMES = {"chunks": chunks, "Chunks": Chunks, "ten": ten, "plus": ten, "minus": ten}
