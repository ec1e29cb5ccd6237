"""Graphs that the tests of the picture draw, and the files that they compare it with."""

from pathlib import Path

import pytest

from nbgraph import Graph

HERE = Path(__file__).parent


def clean(body):
    return body


class Enrich:
    def __init__(self, table, on):
        self.table, self.on = table, on

    def do(self, body):
        return body


def fraud() -> Graph:
    graph = Graph("fraud")
    score = graph.to(clean).to(Enrich, "enrich", table={}, on="card").to("ModelRouter", "score")
    score.add_route("m1", "SklearnModel", model="a.skops").add_route("m2", "OnnxModel")
    score.to(print, "alert", when="event['p'] > 0.9")
    score.to(clean, "save", otherwise=True).respond().to("Queue", "scored", shards=16).to(
        clean, "report", function="reporting"
    ).to("ParquetTarget", "lake", path="x.parquet", function="reporting")
    score.to(clean, "retry", when="event['p'] is None").cycle_to("clean", max_iterations=3)
    score.error_handler(clean, "dead_letter")
    return graph.error_handler(print, "catcher")


def nested() -> Graph:
    inner = Graph("inner")
    inner.to(str.strip).to(str.upper).respond()
    graph = Graph("outer")
    graph.to(clean).to(inner, "tidy").to(len).respond()
    return graph


def saved(name: str, text: str) -> str:
    """The saved file; it is written when it is missing, so that a change is made by deleting it and looking."""
    path = HERE / name
    if not path.exists():
        path.write_text(text)
        pytest.fail(f"{path.name} was missing and is written now; look at it and run again")
    return path.read_text()
