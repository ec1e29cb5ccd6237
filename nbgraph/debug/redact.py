"""Redaction: fields that nobody is to read, `graph.redacted = {"card"}`, stand as dots in what is kept and shown.

Runs see the true values; frames, saved traces and the previews of widgets do not. It is a setting of the graph object,
not a part of its spec.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from typing import Any

from nbgraph.debug.preview import Preview, snapshot
from nbgraph.graph.graph import Graph

DOTS = "•••"
_OPAQUE = frozenset({"numpy", "pandas", "polars", "pyarrow", "torch", "scipy", "sklearn", "matplotlib"})


def keeper(graph: Graph) -> Callable[[Any], Any]:
    """What keeps a value of the graph's runs: a snapshot, the fields dotted that are redacted by then."""
    return lambda value: snapshot(redacted(value, graph.redacted) if graph.redacted else value)


def redacted(value: Any, fields: Collection[str]) -> Any:
    """The value with dots for these fields, at any depth: keys, columns, attributes. The value itself is not changed.

    >>> redacted({"card": "4111", "items": [{"card": "5500", "n": 1}]}, {"card"})
    {'card': '•••', 'items': [{'card': '•••', 'n': 1}]}
    """
    if not fields:
        return value
    try:
        return _Dotted(frozenset(fields)).of(value)
    except Exception as error:  # better not shown at all than shown in full
        return Preview(type(value).__name__, f"its fields can't be redacted ({type(error).__name__})", DOTS)


def restored(value: Any, original: Any, fields: Collection[str]) -> Any:
    """A value that a person changed where it was dotted: what is still dotted is as it was.

    >>> restored({"card": "•••", "n": 2}, {"card": "4111", "n": 1}, {"card"})
    {'card': '4111', 'n': 2}
    """
    if isinstance(value, dict) and isinstance(original, Mapping):
        kept = {key: item for key, item in original.items() if key in fields}
        return {
            key: kept[key]
            if key in kept and isinstance(item, str) and item == DOTS
            else restored(item, original.get(key), fields)
            for key, item in value.items()
        }
    if isinstance(value, list) and isinstance(original, list) and len(value) == len(original):
        return [restored(item, before, fields) for item, before in zip(value, original, strict=True)]
    return value


def is_dotted(value: Any, fields: Collection[str]) -> bool:
    """Whether the value has a redacted field without its true value."""
    if isinstance(value, dict):
        return any(
            (key in fields and isinstance(item, str) and item == DOTS) or is_dotted(item, fields)
            for key, item in value.items()
        )
    return isinstance(value, list | tuple) and any(is_dotted(item, fields) for item in value)


class _Dotted:
    """Builds the containers anew that have such a field somewhere inside; a value that contains itself stays so."""

    def __init__(self, fields: frozenset[str]) -> None:
        self._fields = fields
        self._made: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        if value is None or isinstance(value, str | bytes | int | float | complex):
            return value
        if id(value) in self._made:
            return self._made[id(value)]
        if type(value) is dict:
            made = self._made[id(value)] = {}
            made.update((key, DOTS if key in self._fields else self.of(item)) for key, item in value.items())
            return made
        if type(value) is list:
            listed: list[Any] = []
            self._made[id(value)] = listed
            listed.extend(map(self.of, value))
            return listed
        if type(value) is tuple:
            return tuple(map(self.of, value))
        return self._object(value)

    def _object(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self.of(dict(value))
        if type(value).__name__ == "DataFrame":
            return self._table(value)
        if isinstance(value, type) or callable(value):
            return value
        return self._with_attributes(value)

    def _table(self, value: Any) -> Any:
        columns = [name for name in value.columns if name in self._fields]
        if not columns:
            return value
        if type(value).__module__.startswith("pandas"):
            return value.assign(**dict.fromkeys(columns, DOTS))
        import polars

        return value.with_columns(**{name: polars.lit(DOTS) for name in columns})

    def _with_attributes(self, value: Any) -> Any:
        changed = {name: DOTS for name in _attributes(value) if name in self._fields}
        if type(value).__module__.partition(".")[0] not in _OPAQUE:
            held = {name: getattr(value, name) for name in _attributes(value) if name not in changed}
            found = {name: self.of(item) for name, item in held.items()}
            changed |= {name: item for name, item in found.items() if item is not held[name] and item != held[name]}
        if not changed:
            return value
        made = self._made[id(value)] = copy.copy(value)
        for name, item in changed.items():
            object.__setattr__(made, name, item)  # of a frozen dataclass too
        return made


def _attributes(value: Any) -> list[str]:
    slots = getattr(type(value), "__slots__", ())
    named = [*getattr(value, "__dict__", ()), *([slots] if isinstance(slots, str) else slots)]
    return [name for name in named if hasattr(value, name)]
