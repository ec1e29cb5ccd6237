"""A graph that is watched, and the payments that go through it."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbgraph import Graph

COUNTRIES = ("NL", "DE", "FR")


def payments(count: int, seed: int = 0, **changed: Any) -> list[dict[str, Any]]:
    """Payments; what is given takes the place of a field."""
    rng = np.random.default_rng(seed)
    amounts, countries = rng.gamma(2.0, 30.0, count).tolist(), rng.choice(COUNTRIES, count).tolist()
    rows = zip(amounts, countries, strict=True)
    return [{"amount": amount, "country": country} | changed for amount, country in rows]


class Clean:
    """Tells amounts in pence from event `since` on."""

    def __init__(self, since: int = 10**9) -> None:
        self.since, self.count = since, 0

    def do(self, body: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        return body | {"amount": body["amount"] * (100 if self.count > self.since else 1)}


def score(body: dict[str, Any]) -> dict[str, Any]:
    return {"p": min(body["amount"] / 300, 1.0), "country": body["country"]}


def scoring(since: int = 10**9) -> Graph:
    graph = Graph("fraud")
    graph.to(Clean(since), "clean").to(score, "score").respond()
    return graph
