"""Recipe: how projects are made of a graph's functions, kept for the next time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nbgraph.deploy.given import EVERYWHERE
from nbgraph.deploy.project import project_files
from nbgraph.deploy.services import Projects
from nbgraph.deploy.split import Function

CAPTURE = "capture.json"  # what a worker finds its sample in


@dataclass(frozen=True, slots=True)
class Recipe:
    """The base of the images, where it is not the usual one, and what is to be installed beside what was found.

    `capture`: the part of all events that the workers record, with dots for the fields that are `redacted`.
    """

    base_image: str | None = None
    requirements: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by function
    capture: float = 0.0
    redacted: tuple[str, ...] = ()

    def projects(self, functions: Iterable[Function]) -> Projects:
        """Each function with the files that it becomes."""
        more = {CAPTURE: self._capture()} if self.capture else {}
        return [(each, project_files(each, self.base_image, self._required(each.name), more)) for each in functions]

    def _required(self, function: str) -> list[str]:
        return [*self.requirements.get(EVERYWHERE, ()), *self.requirements.get(function, ())]

    def _capture(self) -> bytes:
        return json.dumps({"sample": self.capture, "redacted": list(self.redacted)}).encode() + b"\n"
