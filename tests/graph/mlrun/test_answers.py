"""What MLRun's own mock server answered (`tests/mlrun_reference/record.py`) is what the imported graph answers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nbgraph import Event, Graph, NbgraphError
from tests.mlrun_reference import cases
from tests.mlrun_reference.answers import plain

STORED = Path(__file__).parent / "data" / "mlrun_answers.json"
RECORDED = json.loads(Path(os.environ.get("NBGRAPH_MLRUN_ANSWERS", STORED)).read_text())["cases"]
KNOWN = {name: case for name, case in RECORDED.items() if "spec" in case and name in cases.CASES}


def answered(graph: Graph, case: cases.Case) -> dict[str, Any]:
    cases.SEEN.clear()
    ask = {"path": "/", "method": None if case.bodies == (None,) else "POST", **case.ask}
    if case.is_stream:
        found = []
        list(graph.stream([Event(body, **ask) for body in case.bodies]))
    else:
        found = [_asked(graph, body, ask) for body in case.bodies]
    lines = cases.OUTPUT.read_text().splitlines() if cases.OUTPUT.exists() else []
    return {"answers": found, "seen": plain(cases.SEEN), "file": lines}


def _asked(graph: Graph, body: Any, ask: dict[str, Any]) -> Any:
    try:
        return plain(graph.run(body, **ask))
    except NbgraphError:
        return {"failed": True}


@pytest.mark.parametrize("name", KNOWN)
def test_an_imported_graph_answers_as_there(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recorded = KNOWN[name]
    graph = Graph.from_mlrun(recorded["spec"], namespace=vars(cases), allow=["json"])
    assert answered(graph, cases.CASES[name]) == {key: recorded[key] for key in ("answers", "seen", "file")}
