"""Recipe: how projects are made of a graph's functions, kept for the next time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nbgraph.deploy.project import project_files
from nbgraph.deploy.services import Projects
from nbgraph.deploy.split import Function


@dataclass(frozen=True, slots=True)
class Recipe:
    """The base of the images, where it is not the usual one, and what is to be installed beside what was found."""

    base_image: str | None = None
    requirements: tuple[str, ...] = ()

    def projects(self, functions: Iterable[Function]) -> Projects:
        """Each function with the files that it becomes."""
        return [(function, project_files(function, self.base_image, self.requirements)) for function in functions]
