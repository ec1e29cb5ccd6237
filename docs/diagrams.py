"""Writes the diagrams of ARCHITECTURE.md, drawn by nbgraph: `python docs/diagrams.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbgraph import Graph

IMAGES = Path(__file__).parent / "images"

# Who imports whom, from the top floor down; a folder may also use what its folders below use.
FLOORS = """%%graph floors
[magic, cli, testing] -> widgets
[magic, cli, testing] -> deploy
cli -> jobs
widgets -> debug -> engine
widgets -> render -> graph
jobs -> engine
deploy -> serve -> engine
deploy -> capture -> engine
features -> engine
serve -> monitor -> debug
engine -> steps -> streams -> graph -> event
"""

# One event: in the notebook through `engine`, in a container through `serve` and the same `engine`.
EVENT = """%%graph event
cell -> language -> graph -> compile -> plan
plan -> generated -> handler
plan -> interpreter if event["observed"]
interpreter -> handler
interpreter -> observers
request -> gateway -> plan
queue -> consumer -> plan
handler -> answer -> respond
"""


def drawing(text: str) -> str:
    """The SVG of a graph whose steps only have names."""
    words = {word for word in text.replace("[", " ").replace("]", " ").replace(",", " ").split() if word.isidentifier()}
    return Graph.parse(text, namespace={word: _named(word) for word in words}).svg()


def _named(word: str) -> Callable[[Any], Any]:
    """A handler of that name; it never runs."""

    def handler(body: Any) -> Any:
        return body

    handler.__name__ = handler.__qualname__ = word
    return handler


def main() -> None:
    for text in (FLOORS, EVENT):
        name = text.split()[1]
        (IMAGES / f"{name}.svg").write_text(drawing(text), encoding="utf-8")


if __name__ == "__main__":
    main()
