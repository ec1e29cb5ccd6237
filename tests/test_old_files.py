"""What was written before steps stood in folders still loads and runs: exports, artifacts, documents, traces."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph, Trace, steps
from nbgraph.errors import GraphError
from nbgraph.steps.old_modules import MODULES, RENAMED, moved

FOLDER = Path(__file__).parent / "data" / "before_folders"
SEEN = json.loads((FOLDER / "answer.json").read_text())
RUN = """
import json, sys
from pathlib import Path
from nbgraph.serve.project import load_project
print(json.dumps(load_project(Path(sys.argv[1])).run(json.loads(sys.argv[2])), default=str))
"""


def answer_of(project: str, body: Any) -> Any:
    """What a worker would answer, in a process of its own, since the project's `handlers` is a module."""
    command = [sys.executable, "-W", "error", "-c", RUN, str(FOLDER / project), json.dumps(body)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_an_export_with_artifacts_answers_as_it_did() -> None:
    assert answer_of("export", SEEN["body"]) == SEEN["answer"]


def test_a_function_behind_a_queue_answers_as_it_did() -> None:
    assert answer_of("functions/doubling", {"card": 1, "amount": 5}) == {"card": 1, "amount": 5, "twice": 10}


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_document_that_names_modules_loads_where_they_are_allowed(suffix: str) -> None:
    graph = Graph.load(FOLDER / f"documents.{suffix}", allow=["nbgraph.steps"])
    assert (graph.run({"card": 1, "amount": 5}), graph.spec("cleaned").handler, graph.check()) == (
        {"card": 1, "amount": 5, "twice": 10},
        "Queue",
        [],
    )


def test_a_text_that_names_modules_loads_where_they_are_allowed() -> None:
    graph = Graph.parse((FOLDER / "documents.txt").read_text(), allow=["nbgraph.steps"])
    assert graph.run({"card": 1, "amount": 5}) == {"card": 1, "amount": 5, "twice": 10}


def test_a_document_reaches_no_module_that_is_not_allowed() -> None:
    with pytest.raises(GraphError, match=r'"nbgraph.steps.fields", which a loaded graph may not import'):
        Graph.load(FOLDER / "documents.yaml", allow=["nbgraph.steps.operators"])


def test_a_spec_of_mlrun_that_names_modules_is_translated() -> None:
    spec = """
    steps:
      big: {kind: task, class_name: nbgraph.steps.operators.Filter, class_args: {fn: "event > 3"}}
      twice: {kind: task, class_name: nbgraph.steps.fields.Extend, class_args: {fn: "{'twice': 2}"}, after: [big]}
    """
    assert [step.name for step in Graph.from_mlrun(spec, allow=["nbgraph.steps"]).steps] == ["big", "twice"]


def test_a_trace_loads() -> None:
    trace = Trace.load(FOLDER / "trace.json")
    assert [(frame.step, frame.error) for frame in trace.frames] == [
        (name, None) for name in ("big", "add_country", "spend", "with_policy", "extend")
    ]


def test_each_step_is_found_in_the_module_where_it_was() -> None:
    assert importlib.import_module("nbgraph.steps.target_csv").CSVTarget is steps.CSVTarget
    assert importlib.import_module("nbgraph.steps.windows").FixedWindows is steps.FixedWindows
    assert [moved("nbgraph.steps.table", name).__name__ for name in RENAMED] == [
        place.rpartition(".")[2] for place in RENAMED.values()
    ]


def test_no_module_that_is_there_stands_among_the_gone() -> None:
    found = {f"nbgraph.steps.{path.stem}" for path in Path(steps.__path__[0]).iterdir()}
    assert MODULES & found == set()


def test_a_module_that_never_was_is_none() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"nbgraph\.steps\.nothing"):
        importlib.import_module("nbgraph.steps.nothing")
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec("from nbgraph.steps.target_csv import Nothing")
