"""Hands: how many synchronous steps a function does at once (threads), in how many processes (workers)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from nbgraph.deploy.options.validation import whole
from nbgraph.engine.partition import Function
from nbgraph.engine.step_facts import remembers
from nbgraph.errors import DeployError

MOST = 64


def with_hands(functions: Sequence[Function], threads: Any, workers: Any) -> list[Function]:
    """The functions with as many threads, and the first of them with as many workers, as were asked for.

    `threads`: for all functions, or by name; `workers`: of the function that callers reach.

    >>> from nbgraph import Graph
    >>> both = [Function("split", asks=True, graph=Graph("g")), Function("score", graph=Graph("g"))]
    >>> [(one.threads, one.workers) for one in with_hands(both, {"score": 4}, 2)]
    [(1, 2), (4, 1)]
    """
    names = [function.name for function in functions]
    counts = _by_name(threads, names, names, "threads")
    processes = _by_name(workers, names, names[:1], "workers")
    found = [replace(one, threads=counts.get(one.name, 1), workers=processes.get(one.name, 1)) for one in functions]
    check_alone(found[0], found[0].threads, f"threads={found[0].threads}")
    check_alone(found[0], found[0].workers, f"workers={found[0].workers}")
    return found


def known(given: Any, functions: Sequence[Function]) -> Any:
    """What was asked for once, without functions that are no more."""
    names = {function.name for function in functions}
    return {name: n for name, n in given.items() if name in names} if isinstance(given, Mapping) else given


def check_alone(function: Function, n: int, asked: str) -> None:
    """Refuse several hands for steps of the first function that remember: what one knows, another would not."""
    step = remembering(function) if n > 1 else None
    if step is not None:
        raise DeployError(
            f'"{function.name}" can\'t have {asked}: its step "{step}" remembers what came before, and answers would '
            f'depend on who gets an event. Put Queue("name", key=...) before it, with another function behind it; '
            "what is behind a key is kept for it."
        )


def remembering(function: Function) -> str | None:
    """A step whose state goes from one event to the next; None where there is none."""
    return next((step.name for step in function.graph.steps if remembers(function.graph, step)), None)


def _by_name(given: Any, names: Sequence[str], allowed: Sequence[str], word: str) -> dict[str, int]:
    found = dict(given) if isinstance(given, Mapping) else dict.fromkeys(allowed, 1 if given is None else given)
    for name, n in found.items():
        if name not in names:
            raise DeployError(f'{word} names "{name}"; functions: {", ".join(names)}.')
        if name not in allowed:
            raise DeployError(
                f'{word} is for "{allowed[0]}", which callers reach; for "{name}" say replicas={{"{name}": {n!r}}}.'
            )
        if not 1 <= whole(n, f'The number of {word} of "{name}"') <= MOST:
            raise DeployError(f'"{name}" is to have {n} {word}; expected 1 to {MOST}.')
    return found
