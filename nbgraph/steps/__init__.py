"""The library of built-in steps; each name of it can be used in a cell without an import.

A module offers its steps, and what their arguments are made of, in its `__all__`; it is loaded when one of these names
is first asked for, so that the library may grow and its import stays small.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from nbgraph.steps.library import BuiltInSteps, Library, offered
from nbgraph.steps.old_modules import MovedModules


@cache
def built_in() -> BuiltInSteps:
    """The steps of nbgraph itself."""
    return BuiltInSteps(offered())


@cache
def catalogue() -> Library:
    """Everything that a graph may name: the built-in steps, then those of installed packages.

    >>> catalogue()["Map"].__name__, "Nothing" in catalogue()
    ('Map', False)
    """
    return Library(built_in().modules)


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted(built_in())
    if name.startswith("_") or name not in built_in():
        raise AttributeError(f"module 'nbgraph.steps' has no attribute {name!r}")
    return built_in()[name]


def __dir__() -> list[str]:
    return [*globals(), *built_in()]


sys.meta_path.append(MovedModules())
