"""The library of built-in steps; every name of `__all__` can be used in a cell without an import."""

from __future__ import annotations

from functools import cache
from typing import Any

from nbgraph.steps.operators import Filter, FlatMap, Flatten, ForEach, Map

__all__ = ["Filter", "FlatMap", "Flatten", "ForEach", "Map"]


@cache
def catalogue() -> dict[str, Any]:
    """The built-in steps, and what their arguments are made of, by name."""
    return {name: globals()[name] for name in __all__}
