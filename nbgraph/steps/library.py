"""Library: the steps that a graph may name without an import, each loaded when first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

GROUP = "nbgraph.steps"  # the entry points by which a package offers steps of its own


class Library(Mapping[str, Any]):
    """Names and the objects they mean: built-in steps first, then those of installed packages.

    >>> steps = Library({"Map": "operators"})
    >>> steps["Map"].__name__, "Map" in steps
    ('Map', True)

    Packages are looked for only when a name is not a built-in one, since that reads the metadata of all of them.
    """

    def __init__(self, modules: Mapping[str, str]) -> None:
        self.modules = modules  # name -> module of nbgraph.steps; one of an upper floor has dots

    def __getitem__(self, name: str) -> Any:
        if name in self.modules:
            return getattr(self.module_of(name), name)
        return self.installed[name].load()

    def module_of(self, name: str) -> ModuleType:
        """The module of a built-in step, loaded when first asked for."""
        module = self.modules[name]
        return importlib.import_module(module if "." in module else f"{__package__}.{module}")

    def __contains__(self, name: object) -> bool:
        return name in self.modules or name in self.installed

    def __iter__(self) -> Iterator[str]:
        yield from self.modules
        yield from (name for name in self.installed if name not in self.modules)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @cached_property
    def installed(self) -> dict[str, EntryPoint]:
        """The steps of installed packages, by the names of their entry points."""
        return {point.name: point for point in entry_points(group=GROUP)}
