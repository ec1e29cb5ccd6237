"""A deployment records a sample of its events; they come home as traces, and run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph
from nbgraph.debug import Trace
from nbgraph.errors import DeployError


def total(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "total": body["amount"] * 2}


def flow() -> Graph:
    graph = Graph("flow")
    graph.redacted = {"card"}
    graph.to("({**event, 'fee': 1})", "fee").to("Queue", "paid").to(total, "total", function="sums").respond()
    return graph


def test_traces_of_all_functions_come_home_and_run_again(tmp_path: Path) -> None:
    graph = flow()
    with graph.deploy("process", capture=1.0, progress=False) as deployment:
        assert deployment.invoke({"amount": 5, "card": "4111-1111"})["total"] == 10
        (trace,) = deployment.captures()
    assert [frame.step for frame in trace if frame.step in graph] == ["fee", "paid", "total"]
    assert (trace.answer, trace.event and trace.event.body) == (
        {"amount": 5, "card": "•••", "fee": 1, "total": 10}, {"amount": 5, "card": "•••"},
    )  # fmt: skip
    loaded = Trace.load(trace.save(tmp_path / "trace.json"), namespace=globals())
    again = loaded.replay()
    assert again[["step", "equal"]].to_dict("list") == {"step": ["fee", "paid", "total"], "equal": [True] * 3}


def test_a_part_is_between_none_and_all() -> None:
    with pytest.raises(DeployError, match="capture=2 must be between 0 and 1"):
        flow().deploy("process", capture=2, progress=False)
