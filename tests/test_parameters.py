"""What a public callable takes is documented, each parameter by its name, in the order of its signature."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import pytest

import nbgraph
from nbgraph import steps
from nbgraph.introspection import parameters_in

# What other parts of nbgraph call, and users do not.
INTERNAL = {
    *(
        ("Graph", name)
        for name in (
            "assemble",
            "become",
            "connect",
            "exchange",
            "limit",
            "place",
            "place_alert_handler",
            "place_cycle",
            "watch",
            "spec",
        )
    ),
    *(("Graph", name) for name in ("place_endpoint", "place_error_handler", "place_route", "respond")),
    ("Job", "begin"),
    ("Run", "answers"),
}
INJECTED = ("context", "name")  # what the engine gives by itself


def taken(found: Any) -> list[str]:
    parameters = inspect.signature(found).parameters.values()
    given = INJECTED if inspect.isclass(found) else ()
    return [p.name for p in parameters if not (p.name in given and p.kind is p.KEYWORD_ONLY) and p.name != "self"]


def methods() -> list[tuple[str, str]]:
    """The public methods of what a user holds in the hand, and those of the graph's own parts."""
    owners = ["Debugger", "Deployment", "Graph", "Job", "Observer", "Run", "StepRef", "Trace"]
    found = [(owner, name) for owner in owners for name in dir(getattr(nbgraph, owner)) if not name.startswith("_")]
    return [each for each in found if each not in INTERNAL and takes(getattr(getattr(nbgraph, each[0]), each[1]))]


def takes(found: Any) -> bool:
    return inspect.isroutine(found) and bool(taken(found))


def documented(found: Any) -> list[str]:
    labels = parameters_in(inspect.getdoc(found) or "")
    return [name.strip("* ") for label in labels for name in label.split(",")]


CLASSES = [name for name in steps.__all__ if inspect.isclass(getattr(steps, name))]


@pytest.mark.parametrize("name", CLASSES)
def test_the_parameters_of_a_step(name: str) -> None:
    step = getattr(steps, name)
    assert documented(step) == taken(step)


def written(kind: type) -> dict[str, str]:
    """What a class itself documents, without what it inherits."""
    (node,) = ast.parse(inspect.getsource(kind)).body
    return parameters_in(ast.get_docstring(node) or "") if isinstance(node, ast.ClassDef) else {}


@pytest.mark.parametrize("name", CLASSES)
def test_a_parameter_is_documented_once(name: str) -> None:
    step = getattr(steps, name)
    bases = [base for base in step.__mro__[1:] if base.__module__.startswith("nbgraph")]
    assert not [again for base in bases for again in written(step).items() & written(base).items()]


@pytest.mark.parametrize(("owner", "name"), methods(), ids=lambda name: name)
def test_the_parameters_of_a_method(owner: str, name: str) -> None:
    method = getattr(getattr(nbgraph, owner), name)
    assert documented(method) == taken(method)
