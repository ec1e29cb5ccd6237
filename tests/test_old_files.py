"""What earlier versions wrote still loads and runs: exports, artifacts, documents, traces, records of deployments."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbgraph import Deployment, Graph, Trace, steps
from nbgraph.deploy.deployed_function import DeployedFunction
from nbgraph.deploy.docker.client import DUTY
from nbgraph.deploy.operation.process_identity import born
from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.errors import DeployError, GraphError
from nbgraph.steps.old_modules import MODULES, RENAMED, moved
from nbgraph.streams.base import QueueSpec

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


RECORDS = Path(__file__).parent / "data" / "before_records"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a deployment of processes as it was written then; its owner is this process."""
    folder = tmp_path_factory.mktemp("temporary") / "nbgraph-orders-w9xs6fod"
    folder.mkdir(mode=0o700)
    written = json.loads((RECORDS / "deployment.json").read_text())
    written |= {"owner": os.getpid(), "born": born(os.getpid())}
    (folder / "deployment.json").write_text(json.dumps(written))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder.parent))
        yield folder


def test_a_deployment_of_processes_is_attached_to(folder: Path) -> None:
    found = Deployment.attach("orders", target="process")
    assert (found.functions, found.url, found.recipe.threads, found.recipe.given["rating"].env) == (
        ["orders", "rating"],
        "http://127.0.0.1:37813",
        {"orders": 1, "rating": 2},
        {"LEVEL": "info"},
    )


def test_its_owner_is_asked_and_answers_as_it_did(folder: Path) -> None:
    asked: list[Any] = []

    def answer() -> None:
        while not (found := list(folder.glob("*.ask"))):
            time.sleep(0.01)
        asked.append(json.loads(found[0].read_text()))
        unfinished = found[0].with_suffix(".part")
        unfinished.write_text('{"error": "no room"}')
        unfinished.replace(found[0].with_suffix(".done"))

    owner = threading.Thread(target=answer, daemon=True)
    owner.start()
    with pytest.raises(DeployError, match=r"^no room$"):
        Deployment.attach("orders", target="process").scale("rating", 2)
    assert asked == [{"what": "scale", "function": "rating", "n": 2}]


def test_the_specification_of_a_function_is_read() -> None:
    found = FunctionSpec.from_json((RECORDS / "function.json").read_bytes())
    assert found == FunctionSpec("rating", ("fees",), threads=2)


def test_the_labels_of_containers_are_read() -> None:
    labels = json.loads((RECORDS / "labels.json").read_text())
    found = {label["nbgraph.function"]: label.get(DUTY, "") for label in labels.values()}
    gateway, rating = [DeployedFunction.of_text(found[name]) for name in ("orders", "rating")]
    keyed = QueueSpec("fees", shards=2, is_keyed=True)
    assert (
        gateway.is_gateway,
        rating.reads,
        rating.queues,
        rating.threads,
        rating.most,
        rating.given.env,
        found["broker"],
    ) == (
        True,
        ("fees",),
        (keyed,),
        2,
        2,
        {"LEVEL": "info"},
        "",
    )
