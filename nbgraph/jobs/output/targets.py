"""Targets: those of a job's graph write a file a part, so that a part that runs again replaces what it wrote."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nbgraph.engine.compile.bind import resolve
from nbgraph.engine.compile.call import call_of
from nbgraph.engine.compile.compile import compile
from nbgraph.engine.schedule.stream import stream
from nbgraph.errors import JobError
from nbgraph.graph.graph import Graph
from nbgraph.graph.step import Step
from nbgraph.steps.targets.base import Target
from nbgraph.types import Shape

PATH, CONTEXT = "path", "context"


class PartTargets:
    """The plan of a graph whose targets write the files of one part; `settle` gives these their names, when whole.

    `delays.csv` becomes `delays/part-00042.csv`, a folder of Parquet files `delays/part-00042/`.
    """

    def __init__(self, graph: Graph, part: str) -> None:
        self._drafts: dict[Path, Path] = {}
        found = [(step, target) for step in graph.steps if (target := file_target(graph, step)) is not None]
        self.plan = graph.plan()
        if found:
            own = copy.copy(graph)
            for step, (kind, arguments) in found:
                draft = self._draft(Path(arguments[PATH]), part)
                own.exchange(replace(step, handler=kind, arguments=MappingProxyType({**arguments, PATH: draft})))
            self.plan = compile(own, before=self.plan)  # all other steps stay as they are

    def abandon(self) -> None:
        """Remove what was written."""
        for draft in self._drafts:
            _remove(draft)

    def settle(self) -> None:
        for draft, path in self._drafts.items():
            if path.is_dir() or not draft.exists():  # nothing may have come to it
                _remove(path)
            if draft.exists():
                draft.replace(path)

    def _draft(self, path: Path, part: str) -> Path:
        final = part_of(path, part)
        final.parent.mkdir(parents=True, exist_ok=True)
        for left in final.parent.glob(f".*-{final.name}"):  # by a worker that was killed at this part
            _remove(left)
        draft = final.with_name(f".{os.getpid()}-{os.urandom(3).hex()}-{final.name}")
        self._drafts[draft] = final
        return draft

    @staticmethod
    def written(target: Target, part: str, answers: Iterator[Any]) -> int:
        """Write answers by a target that is no step of the graph; their number."""
        graph = Graph("target")
        graph.to(lambda body: body, "answer").to(target, "target")
        own = PartTargets(graph, part)
        try:
            number = sum(1 for _ in stream(own.plan, answers))
        except BaseException:
            own.abandon()
            raise
        own.settle()
        return number


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def part_of(path: Path, part: str) -> Path:
    """Where a part of a file, or of a folder, is.

    >>> str(part_of(Path("out/delays.csv.gz"), "part-00042")), str(part_of(Path("out"), "part-00042"))
    ('out/delays/part-00042.csv.gz', 'out/part-00042')
    """
    suffixes = "".join(path.suffixes)
    return path.with_name(path.name.removesuffix(suffixes)) / f"{part}{suffixes}"


def file_target(graph: Graph, step: Step) -> tuple[type[Target], dict[str, Any]] | None:
    """The class and arguments of a step that writes files at a path; None for all others."""
    handler = resolve(graph, step)
    kind = handler if isinstance(handler, type) else type(handler)
    if not issubclass(kind, Target) or kind.io != "files":
        return None
    target: Target = call_of(graph, step).target
    arguments = {name: value for name, value in target.arguments.items() if name != CONTEXT}
    return (kind, arguments) if PATH in arguments else None


def check_target(target: Target) -> None:
    """Refuse a target that asks for more of an event than an answer has."""
    if target.shape is Shape.EVENT:
        raise JobError(
            f"The {type(target).__name__} writes the event's own key, id or time, and answers have none; make it the "
            "last step of the graph, and give the job no target."
        )
