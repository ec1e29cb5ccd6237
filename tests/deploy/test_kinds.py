"""The kinds of notebooks that changed most on their way out, deployed: they answer as they do here."""

from __future__ import annotations

from typing import Any

import pytest

from tests.capture.test_kinds import KINDS
from tests.lab.notebook import Notebook

WORST = [
    "two methods of one object", "two closures over one variable", "two names of one list", "a method set later",
    "a default computed from a global", "a registry in a dict", "__init_subclass__", "__subclasses__", "singledispatch",
    "%%time", "a function called make_...", "Generic",
]  # fmt: skip


def answers(kind: str, **options: Any) -> tuple[list[Any], list[Any]]:
    """From the deployment, and from here."""
    cells, bodies, _ = KINDS[kind]
    notebook = Notebook()
    notebook.cell("from nbgraph import Graph\ng = Graph('g')")
    for cell in [*cells, "_ = g.respond(g.steps[-1].name)"]:
        notebook.cell(cell)
    graph = notebook["g"]
    with graph.deploy(progress=False, **options) as deployment:
        there = [deployment.invoke(body) for body in bodies]
    return there, [graph.run(body) for body in bodies]


@pytest.mark.parametrize("kind", WORST)
def test_processes_answer_as_the_notebook(kind: str) -> None:
    right = KINDS[kind][2]
    assert answers(kind, target="process") == (right, right)


@pytest.mark.parametrize("kind", ["two methods of one object", "a method set later", "singledispatch"])
def test_containers_answer_as_the_notebook(a_docker_daemon: None, kind: str) -> None:
    right = KINDS[kind][2]
    assert answers(kind, target="docker") == (right, right)
