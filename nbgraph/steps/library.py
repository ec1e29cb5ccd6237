"""Library: the steps that a graph may name without an import, each loaded when first asked for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from nbgraph.handler import Handler

GROUP = "nbgraph.steps"  # the entry points by which a package offers steps of its own


class Library(Mapping[str, Any]):
    """Names and the objects they mean: built-in steps first, then those of installed packages.

    >>> steps = Library({"Map": "operators.stateless"})
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
        return importlib.import_module(module if module.startswith("nbgraph.") else f"{__package__}.{module}")

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


# Entry: what the catalogue says of a step: its section, signature, and first sentence.


# The section of a module is that of the longest beginning of its name.
SECTIONS = {
    "operators": "Operators",
    "operators.queue": "Queues",
    "operators.endpoint": "Queues",
    "windows": "Windows",
    "features": "Features",
    "nbgraph.features": "Features",
    "tables": "Tables",
    "sources": "Sources",
    "targets": "Targets",
    "http": "Remote",
    "models": "Models",
    "routers": "Routers",
}
INJECTED = ("context", "name")  # what the engine gives a constructor by itself
INSTALLED = "Installed packages"


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One name of the catalogue; `is_step` is False for what steps' arguments are made of, a Table say."""

    name: str
    section: str
    signature: str
    summary: str
    is_step: bool


def entry_of(name: str, library: Library) -> CatalogueEntry:
    """The entry of a name.

    >>> from nbgraph import steps
    >>> entry = entry_of("Batch", steps.catalogue())
    >>> entry.section, entry.signature
    ('Operators', 'Batch(max_events=None, flush_after_seconds=None, key=None)')
    """
    found = library[name]
    text = inspect.getdoc(found) or ""
    is_step = not inspect.isclass(found) or issubclass(found, Handler) or callable(getattr(found, "do", None))
    summary = " ".join(text.partition("\n\n")[0].split())
    return CatalogueEntry(name, section_of(library.modules.get(name)), name + signature_of(found), summary, is_step)


def section_of(module: str | None) -> str:
    """The section of a built-in module; None for what an installed package offers.

    >>> section_of("sources.csv"), section_of("operators.batch"), section_of(None)
    ('Sources', 'Operators', 'Installed packages')
    """
    if module is None:
        return INSTALLED
    return SECTIONS[max((start for start in SECTIONS if module.startswith(start)), key=len)]


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
