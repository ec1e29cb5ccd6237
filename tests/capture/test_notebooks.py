"""Random notebooks answer there as they do here, or are refused by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from nbgraph.capture.project import capture
from nbgraph.errors import ExportError, StepError
from tests.capture.cells import Written, notebooks
from tests.lab.exported import Exported
from tests.lab.notebook import Notebook

BODIES = (1, 2, 3)
MANY = int(os.environ.get("NOTEBOOKS", "24"))


@pytest.fixture(scope="module")
def exported() -> Iterator[Exported]:
    found = Exported()
    yield found
    found.close()


@settings(
    max_examples=MANY, deadline=None, derandomize="NOTEBOOKS" not in os.environ, suppress_health_check=list(HealthCheck)
)
@given(written=notebooks())
def test_a_notebook_answers_there_as_here_or_is_refused(exported: Exported, written: Written) -> None:
    notebook = Notebook()
    notebook.cell("from nbgraph import Graph\ng = Graph('g')")
    for cell in written.cells:
        notebook.cell(cell)
    told = answered(notebook, exported)
    assert told == [answer(notebook, body) for body in BODIES] or (
        isinstance(told, str) and told.startswith('The graph "g" can\'t leave the notebook as it is: ')
    )


def answer(notebook: Notebook, body: int) -> Any:
    try:
        return notebook["g"].run(body)
    except StepError as error:
        return f"{error.step}: {type(error.__cause__).__name__}"


def answered(notebook: Notebook, exported: Exported) -> Any:
    """The answers of what left, or why nothing did."""
    try:
        project = capture(notebook["g"])
    except ExportError as refused:
        return str(refused)
    return exported.answers(project, *BODIES)
