"""Reference: what a vector names, "cards.country as home", a set in a role, and what it comes to: parts of sets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nbgraph.errors import FeatureError, GraphError

if TYPE_CHECKING:
    from nbgraph.features.online.record import Windowing
    from nbgraph.features.set import FeatureSet
    from nbgraph.features.store import FeatureStore


class Role:
    """What `set.on(...)` gives: `fields` has the field of the rows for each key of the set."""

    def __init__(self, set: FeatureSet, roles: Mapping[str, str], prefix: str = "") -> None:
        for key in roles:
            if key not in set.key:
                raise GraphError(f'The set "{set.name}" has no key "{key}"; its keys: {", ".join(set.key)}.')
        self.set, self.prefix = set, prefix
        self.fields = tuple(roles.get(key, key) for key in set.key)

    def __repr__(self) -> str:
        return f"<{self.set.id} on {', '.join(self.fields)}, prefix {self.prefix!r}>"


TEXT = re.compile(r"\s*([\w-]+)(?:@(\d+))?\.(\*|[^\s*]+)(?:\s+as\s+(\S+))?\s*")


@dataclass(frozen=True)
class Reference:
    """A set, one of its features or "*", under which name, with which keys from which fields."""

    set: str
    version: int | None
    feature: str
    name: str | None = None
    prefix: str = ""
    fields: tuple[str, ...] | None = None  # of the rows, for each key of the set; None: those of the keys' names

    def document(self) -> dict[str, Any]:
        fields = None if self.fields is None else list(self.fields)
        return {
            "set": self.set, "version": self.version, "feature": self.feature, "name": self.name,
            "prefix": self.prefix, "fields": fields,
        }  # fmt: skip

    @classmethod
    def of_document(cls, told: Mapping[str, Any]) -> Reference:
        fields = None if told["fields"] is None else tuple(told["fields"])
        return cls(told["set"], told["version"], told["feature"], told["name"], told["prefix"], fields)

    def __str__(self) -> str:
        version = "" if self.version is None else f"@{self.version}"
        return f"{self.set}{version}.{self.feature}" + (f" as {self.name}" if self.name else "")


def reference_of(given: Any, vector: str) -> Reference:
    """What one item of a vector's features means.

    >>> reference_of("cards.country as home", "v")
    Reference(set='cards', version=None, feature='country', name='home', prefix='', fields=None)
    """
    from nbgraph.features.set import FeatureSet

    if isinstance(given, FeatureSet):
        return Reference(given.name, given.version, "*")
    if isinstance(given, Role):
        return Reference(given.set.name, given.set.version, "*", None, given.prefix, given.fields)
    match = TEXT.fullmatch(given) if isinstance(given, str) else None
    if match is None or (match[3] == "*" and match[4]):
        raise GraphError(
            f'The vector "{vector}" names {given!r}; expected "set.feature", "set.feature as name", "set.*", a set, or '
            "set.on(key=field)."
        )
    return Reference(match[1], int(match[2]) if match[2] else None, match[3], match[4])


@dataclass(frozen=True)
class ReferencePart:
    """The features that a vector takes of one set under the same fields: {feature: its name in the vector}."""

    set: FeatureSet
    fields: tuple[str, ...]
    names: Mapping[str, str]

    @cached_property
    def held(self) -> list[str]:
        windows = {*self.set.windows}
        return [feature for feature in self.names if feature not in windows]

    @cached_property
    def windows(self) -> list[str]:
        windows = {*self.set.windows}
        return [feature for feature in self.names if feature in windows]

    @cached_property
    def id(self) -> str:
        return self.set.id

    @cached_property
    def windowing(self) -> Windowing:
        return self.set.windowing

    @cached_property
    def kinds(self) -> tuple[str | None, ...]:
        """The kinds of the set's keys."""
        schema = self.set.schema
        return tuple(schema.get(name) for name in self.set.key)


@dataclass(frozen=True)
class FeatureSelection:
    """All parts of a vector, and its features in the order in which they were named; `keys` is what rows must have."""

    parts: tuple[ReferencePart, ...]
    features: tuple[str, ...]
    keys: tuple[str, ...]

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(self.features)


def selected(vector: str, references: Sequence[Reference], store: FeatureStore) -> FeatureSelection:
    """What references come to in a store."""
    parts: dict[tuple[str, tuple[str, ...]], tuple[FeatureSet, dict[str, str]]] = {}
    sources: dict[str, str] = {}
    for reference in references:
        set = set_of(reference, store, vector)
        fields = reference.fields or set.key
        _, names = parts.setdefault((set.id, fields), (set, {}))
        for feature in _features(reference, set, vector):
            name = reference.name or f"{reference.prefix}{feature}"
            source = f"{set.name}.{feature}"
            if feature in names and names[feature] == name:
                continue
            if name in sources:
                raise GraphError(
                    f'The vector "{vector}" has two features "{name}": of {sources[name]} and of {source}. Give one '
                    f'another name: "{source} as {set.name}_{feature}", or set.on(..., prefix="{set.name}_").'
                )
            if feature in names:  # the same value under a second name
                parts[f"{set.id} {name}", fields] = (set, {feature: name})
            else:
                names[feature] = name
            sources[name] = source
    found = tuple(ReferencePart(set, fields, names) for (_, fields), (set, names) in parts.items())
    return FeatureSelection(found, tuple(sources), _keys(found))


def set_of(reference: Reference, store: FeatureStore, vector: str) -> FeatureSet:
    found = store.find_set(reference.set, reference.version)
    if found is None:
        known = ", ".join(store.sets) or "none"
        name = reference.set if reference.version is None else f"{reference.set}@{reference.version}"
        raise GraphError(f'The vector "{vector}" names {reference}, and there is no set "{name}"; the sets: {known}.')
    return found


def _features(reference: Reference, set: FeatureSet, vector: str) -> list[str]:
    if reference.feature == "*":
        if not set.columns:
            raise FeatureError(f'The features of the set "{set.name}" are known once it has rows; ingest some first.')
        return set.columns
    if reference.feature not in set.columns and (set.features is not None or set.schema):
        known = ", ".join(set.columns) or "none"
        raise GraphError(f'The vector "{vector}" names {reference}; the features of "{set.name}": {known}.')
    return [reference.feature]


def _keys(parts: Sequence[ReferencePart]) -> tuple[str, ...]:
    """The fields that no part before gives."""
    given: list[str] = []
    keys: dict[str, None] = {}
    for part in parts:
        keys |= dict.fromkeys(field for field in part.fields if field not in given)
        given += part.names.values()
    return tuple(keys)
