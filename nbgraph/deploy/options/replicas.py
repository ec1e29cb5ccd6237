"""Replicas: how many workers each function is to have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbgraph.deploy.backend import alone, wrong_count
from nbgraph.deploy.broker import MOST, most_workers
from nbgraph.deploy.options.workers import check_alone
from nbgraph.engine.partition import Function
from nbgraph.errors import DeployError


def replicas_of(
    functions: Sequence[Function], given: Any, *, has_one_port: bool = True, readers: int = MOST
) -> dict[str, int]:
    """A number for all functions that stand behind a queue, or a number by name.

    `has_one_port`: callers reach one port, so the first function has one worker. `readers`: workers that are of use
    behind a queue without a key.

    >>> from nbgraph import Graph
    >>> both = [Function("split", asks=True, graph=Graph("g")), Function("score", graph=Graph("g"))]
    >>> replicas_of(both, 3), replicas_of(both, None), replicas_of(both, {"split": 2}, has_one_port=False)
    ({'score': 3}, {'score': 1}, {'split': 2})
    """
    names = [function.name for function in functions]
    wanted = (
        dict(given) if isinstance(given, Mapping) else dict.fromkeys(names[1:] or names, 1 if given is None else given)
    )
    for name, number in wanted.items():
        if name not in names:
            raise DeployError(f'replicas names "{name}"; functions: {", ".join(names)}.')
        if not isinstance(number, int) or number < 1:
            raise DeployError(f'"{name}" is to have {number!r} replicas; expected a whole number of at least 1.')
    for function in functions:
        check_most(function, wanted.get(function.name, 1), readers)
    n = wanted.get(names[0], 1)
    if has_one_port and n != 1:
        raise alone(names[0])
    check_alone(functions[0], n, f"replicas={n}")
    return wanted


def check_most(function: Function, number: int, readers: int = MOST) -> None:
    """Refuse workers that would have nothing to read."""
    most = most_workers(function, readers)
    if number > most:
        raise DeployError(
            f"{wrong_count(function.name, most, number)} A worker has at least one shard "
            'of its queues, so give them more: Queue("name", key="card", shards=16). Behind a queue without a key, '
            "steps that remember (Batch, Reduce, windows) get all events one by one, in one shard."
        )
