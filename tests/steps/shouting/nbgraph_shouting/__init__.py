"""A package that adds a step, a source, a target and a model to nbgraph: what docs/extending.md shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbgraph.handler import Handler
from nbgraph.steps import ModelServer, Source, Target


class Shout(Handler):
    """The text, louder."""

    def __init__(self, marks: int = 1) -> None:
        self.marks = marks

    def do(self, body: str) -> str:
        return body.upper() + "!" * self.marks


class Countdown(Source):
    """The numbers down to one."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, 0, -1))


class Notebook(Target):
    """A file with a line for each body."""

    def __init__(self, path: str, max_events: int = 1) -> None:
        super().__init__(max_events)
        self.path = Path(path)

    def write(self, items: list[Any]) -> None:
        with self.path.open("a") as file:
            file.writelines(f"{item}\n" for item in items)


class Tenfold(ModelServer):
    """A model that predicts ten times what it gets."""

    def predict(self, request: dict[str, Any]) -> list[Any]:
        return [row[0] * 10 for row in request["inputs"]]
