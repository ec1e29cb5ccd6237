"""The catalogue: what is told to run is found by name, and what has ended is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbgraph import DeployError
from nbgraph.graph.documents.catalogue import MOST, GraphCatalogue, RunningGraph


def entered(folder: Path, *names: str, graph: str = "models", owner: int | None = None) -> GraphCatalogue:
    catalogue = GraphCatalogue(folder)
    place = (owner, "") if owner is not None else None
    for name in names:
        told = RunningGraph(name=name, graph=graph, version="1", target="process", url="http://[::1]:9", owner=place)
        catalogue.enter(told)
    return catalogue


def test_a_name_is_a_deployments_or_that_of_a_graph_which_is_deployed_once(tmp_path: Path) -> None:
    catalogue = entered(tmp_path, "first", owner=os.getpid())
    found = [catalogue.named(name).name for name in ("first", "models")]
    entered(tmp_path, "second")
    with pytest.raises(DeployError, match='"models" is deployed more than once: "first" on process, "second" on'):
        catalogue.find("models")
    assert (found, catalogue.named("second").name) == (["first", "first"], "second")


def test_what_ended_with_its_process_is_not_found(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    entered(tmp_path, "gone", owner=ended.pid)
    assert [one.name for one in entered(tmp_path, "there", owner=os.getpid()).running()] == ["there"]


def test_documents_are_counted_and_the_oldest_forgotten(tmp_path: Path) -> None:
    catalogue = GraphCatalogue(tmp_path)
    for number in range(MOST + 2):
        catalogue.keep("rates", str(number + 1), f"{number}")
    catalogue.keep("rates", "1.2", "last")
    newest = catalogue.document("rates")
    assert newest is not None
    assert (newest.read_text(), catalogue.next_version("rates"), len(catalogue.graphs()["rates"])) == (
        "last", str(MOST + 3), MOST,
    )  # fmt: skip
