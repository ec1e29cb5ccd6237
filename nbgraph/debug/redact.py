"""Redaction: the fields of `graph.redacted = {"card"}` are replaced by dots wherever values are recorded or shown.

Runs see the true values; frames, saved traces, the previews of widgets and the texts of errors do not. It is a setting
of the graph object, not a part of its spec.
"""

from __future__ import annotations

import copy
import re
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from nbgraph.debug.copies import snapshot
from nbgraph.errors import RecordedError, text_of
from nbgraph.graph.graph import Graph
from nbgraph.introspection import Preview, attribute, has_attribute

DOTS = "•••"
REMEMBERED, ROWS, LOOKED_AT = 1_000, 1_000, 10_000  # secrets of a run, of a column; containers that are looked into
SHORTEST, SHORT = 3, 6  # characters: below the first no secret, below the second only as a whole word
NOTHING: frozenset[str] = frozenset()
_OPAQUE = frozenset({"numpy", "pandas", "polars", "pyarrow", "torch", "scipy", "sklearn", "matplotlib"})


class Redaction:
    """The redacted fields of a graph, and their values, wherever these occur again.

    >>> graph = Graph("shop")
    >>> graph.redacted = {"card"}
    >>> redaction = Redaction(graph)
    >>> redaction.keep({"card": "4111-1111", "note": "paid with 4111-1111"})
    {'card': '•••', 'note': 'paid with •••'}
    >>> redaction.text("no card 4111-1111 is known")
    'no card ••• is known'
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = weakref.ref(graph)
        self._values: dict[str, None] = {}  # of the fields, as texts; the oldest are dropped first

    @property
    def fields(self) -> frozenset[str]:
        graph = self._graph()
        return frozenset(graph.redacted) if graph is not None and graph.redacted else NOTHING

    def keep(self, value: Any) -> Any:
        """A snapshot of the redacted value."""
        return snapshot(self.value(value) if self.fields else value)

    def value(self, value: Any) -> Any:
        """The value with dots; from now on the hidden values are replaced in texts too."""
        fields = self.fields
        if not fields:
            return value
        self.learn(value)
        return redacted(value, fields, self.text)

    def learn(self, value: Any) -> None:
        """Remember the values of these fields."""
        fields = self.fields
        if not fields:
            return
        for secret in secrets(value, fields):
            self._values.pop(secret, None)
            self._values[secret] = None
        for oldest in list(self._values)[:-REMEMBERED]:
            del self._values[oldest]

    def text(self, text: str) -> str:
        """The text with dots for all values of the fields."""
        for secret in tuple(self._values):
            if secret in text:
                pattern = rf"(?<!\w){re.escape(secret)}(?!\w)" if len(secret) < SHORT else re.escape(secret)
                text = re.sub(pattern, DOTS, text)
        return text

    def error(self, error: BaseException | None) -> BaseException | None:
        """The error, or a copy of it with dots in its text."""
        if error is None or not self._values:
            return error
        message = text_of(error)
        if (dotted := self.text(message)) == message:
            return error
        return RecordedError(type(error).__name__, dotted).with_traceback(error.__traceback__)


def secrets(value: Any, fields: Collection[str]) -> Iterator[str]:
    """The values of these fields, at any depth, as texts; of a table the first thousand of a column.

    >>> list(secrets({"card": "4111", "items": [{"card": 5500, "n": 1}]}, {"card"}))
    ['4111', '5500']
    """
    waiting: list[tuple[Any, bool]] = [(value, False)]
    seen: set[int] = set()
    while waiting:
        found, is_hidden = waiting.pop(0)
        if isinstance(found, str | int | float) and not isinstance(found, bool):
            if is_hidden and len(str(found)) >= SHORTEST:
                yield str(found)
        elif id(found) not in seen and found is not None and len(seen) < LOOKED_AT:
            seen.add(id(found))
            waiting += [(item, is_hidden or key in fields) for key, item in _items(found, fields)]


def _items(value: Any, fields: Collection[str]) -> Iterable[tuple[Any, Any]]:
    """What a value holds, by name; the rows of a table only where its column is hidden."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return [(None, item) for item in value]
    if type(value).__name__ == "DataFrame":
        return [(name, value[name][:ROWS].to_list()) for name in value.columns if name in fields]
    if isinstance(value, type | str | bytes) or callable(value) or type(value).__module__.partition(".")[0] in _OPAQUE:
        return ()
    return [(name, attribute(value, name)) for name in _attributes(value)]


def redacted(value: Any, fields: Collection[str], text: Callable[[str], str] = str) -> Any:
    """The value with dots for these fields, at any depth: keys, columns, attributes. The value itself is not changed.

    `text` is applied to all other texts in it.

    >>> redacted({"card": "4111", "items": [{"card": "5500", "n": 1}]}, {"card"})
    {'card': '•••', 'items': [{'card': '•••', 'n': 1}]}
    """
    if not fields:
        return value
    try:
        return _Redactor(frozenset(fields), text).redact(value)
    except Exception as error:  # hide the value rather than show it in full
        return Preview(type(value).__name__, f"its fields can't be redacted ({type(error).__name__})", DOTS)


def restored(value: Any, original: Any, fields: Collection[str]) -> Any:
    """A redacted value after an edit: fields that are still dotted get their original value.

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


class _Redactor:
    """Rebuilds the containers that have such a field somewhere inside; a value that contains itself stays so."""

    def __init__(self, fields: frozenset[str], text: Callable[[str], str]) -> None:
        self._fields, self._text = fields, text
        self._made: dict[int, Any] = {}

    def redact(self, value: Any) -> Any:
        if type(value) is str:
            return self._text(value)
        if value is None or isinstance(value, str | bytes | int | float | complex):
            return value
        if id(value) in self._made:
            return self._made[id(value)]
        if type(value) is dict:
            made = self._made[id(value)] = {}
            made.update((key, DOTS if key in self._fields else self.redact(item)) for key, item in value.items())
            return made
        if type(value) is list:
            listed: list[Any] = []
            self._made[id(value)] = listed
            listed.extend(map(self.redact, value))
            return listed
        if type(value) is tuple:
            return tuple(map(self.redact, value))
        return self._object(value)

    def _object(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self.redact(dict(value))
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
            held = {name: attribute(value, name) for name in _attributes(value) if name not in changed}
            found = {name: self.redact(item) for name, item in held.items()}
            changed |= {name: item for name, item in found.items() if item is not held[name] and item != held[name]}
        if not changed:
            return value
        made = self._made[id(value)] = copy.copy(value)
        for name, item in changed.items():
            object.__setattr__(made, name, item)  # of a frozen dataclass too
        return made


def _attributes(value: Any) -> list[str]:
    slots = attribute(type(value), "__slots__", ())
    named = [*attribute(value, "__dict__", ()), *([slots] if isinstance(slots, str) else slots)]
    return [name for name in named if has_attribute(value, name)]
