"""What was true of an event is told at the gateway, and joined with what was predicted of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from nbgraph import Graph
from nbgraph.monitor.ledger import EventLabel, Ledger, Prediction
from tests.serve.gateway.test_app import ask, gateway_of


def test_labels_are_joined_wait_or_repeat(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to("(event)", "score").respond()
    gateway = gateway_of(graph, keys=["k"])
    gateway.ledger = Ledger(tmp_path / "labels.db")
    gateway.ledger.predicted([Prediction(id, "score", 1.0, 0.9) for id in ("e1", "e2")])

    async def talk(caller: httpx.AsyncClient) -> list[Any]:
        key = {"Authorization": "Bearer k"}
        told: list[Any] = [(await caller.post("/labels", json=[])).status_code]
        for labels in (
            [{"id": "e1", "label": 1}, {"id": "e3", "label": 0}],
            [{"id": "e1", "label": True}, {"id": "e2", "label": 0, "time": "2026-03-01T12:00:00Z"}],
            [{"id": "e2"}],
            {"id": "e2"},
        ):
            answer = await caller.post("/labels", json=labels, headers=key)
            told.append((answer.status_code, answer.json()))
        return told

    refused, first, second, nameless, single = ask(gateway, talk)
    assert (refused, first, second) == (
        401,
        (202, {"accepted": 1, "unknown": 1, "repeated": 0}),
        (202, {"accepted": 1, "unknown": 0, "repeated": 1}),
    )
    assert [nameless[0], single[0], nameless[1]["error"][:26]] == [400, 400, 'Label 0 has no "label"; ex']


def test_without_a_monitor_labels_are_events_like_others() -> None:
    graph = Graph("g")
    graph.to("(len(event))", "count").respond()

    async def talk(caller: httpx.AsyncClient) -> Any:
        return (await caller.post("/labels", json=[1, 2])).json()

    assert ask(gateway_of(graph), talk) == 2


def test_whatever_the_order_the_last_label_of_a_prediction_stands(tmp_path: Path) -> None:
    first, second = Ledger(tmp_path / "labels.db"), Ledger(tmp_path / "labels.db")  # as of two processes
    early = first.label([EventLabel("e1", 0), EventLabel("e1", 1), EventLabel("e2", "fraud")])
    waiting = first.unknown
    second.predicted([Prediction("e1", "score", 5.0, 0.75, "m", "v2", {"country": "NL"})])
    late = second.label([EventLabel("e1", 1), EventLabel("e1", 0)])
    rows = [(row.prediction.score, row.prediction.segment, row.label) for row in first.rows(at="score")]
    second.forget(6.0)
    assert (early, waiting, late, first.unknown, rows, list(first.rows())) == (
        (0, 3, 0), 2, (1, 0, 1), 1, [(0.75, {"country": "NL"}, 0)], [],
    )  # fmt: skip
