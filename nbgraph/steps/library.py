"""Library: the steps that a graph may name without an import, each loaded when first asked for."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbgraph.handler import Handler
from nbgraph.types import Section

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from importlib.resources.abc import Traversable

GROUP = "nbgraph.steps"  # the entry points by which a package offers steps of its own
INJECTED = ("context", "name")  # what the engine gives a constructor by itself


class BuiltInSteps(Mapping[str, Any]):
    """The names that nbgraph's own modules offer, and the objects they mean.

    >>> steps = BuiltInSteps({"Map": "nbgraph.steps.operators.stateless"})
    >>> steps["Map"].__name__, "Map" in steps
    ('Map', True)
    """

    def __init__(self, modules: Mapping[str, str]) -> None:
        self.modules = modules  # name -> module

    def __getitem__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.modules[name]), name)

    def __contains__(self, name: object) -> bool:
        return name in self.modules

    def __iter__(self) -> Iterator[str]:
        return iter(self.modules)

    def __len__(self) -> int:
        return len(self.modules)


class Library(BuiltInSteps):
    """Names and the objects they mean: built-in steps first, then those of installed packages.

    Packages are looked for only when a name is not a built-in one, since that reads the metadata of all of them.
    """

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(name) if name in self.modules else self.installed[name].load()

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
        from importlib.metadata import entry_points

        return {point.name: point for point in entry_points(group=GROUP)}


def offered() -> dict[str, str]:
    """Each name that a module of steps has in its `__all__`, and the module; read as text, so nothing is imported.

    >>> offered()["Map"]
    'nbgraph.steps.operators.stateless'
    """
    return {name: module for module, text in sorted(_modules()) for name in names_in(text)}


def names_in(text: bytes) -> list[str]:
    """The names that a module has in its `__all__`.

    >>> names_in(b"import json\\n\\n__all__ = ['Map', 'Filter']\\n")
    ['Map', 'Filter']
    """
    return re.findall(r"\w+", text.partition(b"\n__all__ = [")[2].partition(b"]")[0].decode())


def _modules() -> Iterator[tuple[str, bytes]]:
    """The modules of steps and their texts: all below `nbgraph/steps`, and the `steps.py` of each other folder."""
    package: Traversable = Path(__file__).parent.parent
    if not package.is_dir():  # in a zip file
        from importlib.resources import files

        package = files("nbgraph")
    for folder in package.iterdir():
        if folder.name == "steps":
            yield from _modules_in(folder, "nbgraph.steps")
        elif "." not in folder.name and (module := folder / "steps.py").is_file():
            yield f"nbgraph.{folder.name}.steps", module.read_bytes()


def _modules_in(folder: Traversable, package: str) -> Iterator[tuple[str, bytes]]:
    for item in folder.iterdir():
        name, dot, _ = item.name.partition(".")
        if item.name.endswith(".py"):
            yield f"{package}.{name}", item.read_bytes()
        elif not dot and name != "__pycache__":
            yield from _modules_in(item, f"{package}.{name}")


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One name of the catalogue; `is_step` is False for what steps' arguments are made of, a Table say."""

    name: str
    section: Section
    signature: str
    summary: str
    is_step: bool


def entry_of(name: str, library: Library) -> CatalogueEntry:
    """The entry of a name.

    >>> from nbgraph import steps
    >>> entry = entry_of("Batch", steps.catalogue())
    >>> entry.section.value, entry.signature
    ('Operators', 'Batch(max_events=None, flush_after_seconds=None, key=None)')
    """
    found = library[name]
    text = inspect.getdoc(found) or ""
    is_step = not inspect.isclass(found) or issubclass(found, Handler) or callable(getattr(found, "do", None))
    summary = " ".join(text.partition("\n\n")[0].split())
    section = getattr(found, "section", Section.OPERATORS) if name in library.modules else Section.INSTALLED
    return CatalogueEntry(name, section, name + signature_of(found), summary, is_step)


def signature_of(found: Any) -> str:
    """The arguments with their defaults, as one would write them."""
    if inspect.isclass(found) and found.__init__ is object.__init__:
        return "()"
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return "(...)"
    plain = [
        parameter.replace(annotation=parameter.empty)
        for parameter in parameters
        if not (parameter.name in INJECTED and parameter.kind is parameter.KEYWORD_ONLY)
    ]
    return str(inspect.Signature(plain)).replace("(*)", "()").replace(", *)", ")")
