"""Stock: the values that no text makes, each in a file, or several in one where they share something."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbgraph.capture.artifacts import Artifact, Stored, artifact_of, store
from nbgraph.capture.module.code import global_names
from nbgraph.capture.module.definition import Definition
from nbgraph.capture.module.literal import mutable_parts
from nbgraph.capture.module.symbols import SymbolCollector
from nbgraph.capture.pickles import Pickled, pickled
from nbgraph.capture.policy import CapturePolicy
from nbgraph.capture.refusal import Where, raise_if_open, raise_if_secret, refused
from nbgraph.capture.requirements import versions_of
from nbgraph.errors import ExportError


class RestartError(Exception):
    """The policy has changed; what was written so far is of no use."""


@dataclass(slots=True)
class StockItem:
    """One value: what it is as bytes, or, of a pickle, what was met when it was written for the first time."""

    name: str
    value: Any
    where: Where
    stored: Stored | None = None
    pickle: Pickled = field(default_factory=Pickled)
    later: tuple[str, ...] = ()


class Stock:
    """Grows with the module; `packed` gives the files when all is there."""

    def __init__(self, namespace: Mapping[str, Any], policy: CapturePolicy, collector: SymbolCollector) -> None:
        self._namespace, self._policy, self._collector = namespace, policy, collector
        self._items: dict[str, StockItem] = {}
        self._scanned: list[Pickled] = []  # kept, so that the ids of what is held stay taken
        self.artifacts: dict[str, Artifact] = {}
        self.contents: dict[str, bytes] = {}
        self.modules: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._items)

    def take(self, name: str, value: Any, where: Where) -> None:
        """Put a value in; what it needs is asked of the module."""
        item = self._items[name] = StockItem(name, value, where)
        if not self._policy.is_by_value(value) or not _is_code_or_container(value):
            item.stored = store(value)
        if item.stored is None:
            item.pickle = self._scan([item])
            found: dict[str, None] = {}
            for function in item.pickle.functions:
                names = global_names(function.__code__)
                self._collector.need(names, function, where.through(function.__name__))
                found |= dict.fromkeys(names)
            item.later = tuple(found)

    def functions(self) -> Iterator[types.FunctionType]:
        """The functions that go by value."""
        for item in self._items.values():
            yield from item.pickle.functions

    def hashes(self) -> dict[int, str]:
        """The hashes of files, by the ids of the live values, of those that are told by it."""
        rows = ((self._items[name].value, row) for name, row in self.artifacts.items() if name in self._items)
        return {id(value): row.sha256 for value, row in rows if row.is_compared_by_hash}

    # --- packing ---

    def packed(
        self, definitions: Mapping[str, Definition], texts: Mapping[str, Any], arguments: list[Any], call: str
    ) -> list[Definition]:
        """The statements that read the values.

        `texts` are the values of plain data that stand in the module, `arguments` those that stand in the document.
        """
        for item in self._items.values():
            if item.stored is None:
                item.pickle = self._scan([item])
        self._refuse_shared_texts(texts, arguments)
        return [one for group in self._groups(definitions) for one in self._written(group, call)]

    def _scan(self, items: list[StockItem]) -> Pickled:
        """The pickle of one value, or of several together."""
        value = items[0].value if len(items) == 1 else tuple(item.value for item in items)
        own = {id(item.value): item for item in items}
        item = items[0]
        closed: set[type] = set()  # types that were looked at and can leave

        def refer(part: Any) -> str | None:
            if id(part) in own:
                return None
            return self._collector.refer(part, f"{item.name}_{_plain_name(part)}", item.where)

        def look(part: Any) -> None:
            if type(part) not in closed and id(part) not in own:
                raise_if_open(part, item.where.through(f"a part of {item.name}"))
                closed.add(type(part))
            for text in _texts_in(part):
                raise_if_secret("", text, item.where.through(f"a part of {item.name}"))

        try:
            found = pickled(value, self._namespace, refer, look, self._policy)
        except (ExportError, RestartError):
            raise
        except Exception as error:  # whatever a class of the user's or a library's raises from __reduce__
            what = f"a {type(item.value).__name__} that can't be written to a file ({type(error).__name__}: {error})"
            raise refused(item.where, what, "make it in the step's constructor or post_init()") from error
        self._scanned.append(found)
        return found

    def _refuse_shared_texts(self, texts: Mapping[str, Any], arguments: list[Any]) -> None:
        """What is shared between two texts, or a text and a pickle, goes under one name, or else by value."""
        plain = [item.value for item in self._items.values() if item.stored and item.stored.format == "json"]
        held = {number for item in self._items.values() for number in item.pickle.held}
        parts: dict[int, list[Any]] = {}
        for value in (*texts.values(), *plain, *arguments):
            for part in mutable_parts(value):
                parts.setdefault(id(part), []).append(value)
        entangled = [value for number, values in parts.items() for value in values if len(values) > 1 or number in held]
        unnamed = [value for value in entangled if any(value is one for one in arguments)]
        if any(id(value) not in self._policy.named for value in unnamed):
            self._policy.named |= {id(value) for value in unnamed}
            raise RestartError
        taken = [self._policy.take(value, "it shares something with others") for value in entangled]
        if any(taken):
            raise RestartError

    def _groups(self, definitions: Mapping[str, Definition]) -> Iterator[list[StockItem]]:
        """The values that must be in one file: they hold the same object, or each other."""
        pickles = {name: item for name, item in self._items.items() if item.stored is None}
        above = {name: name for name in pickles}

        def top(name: str) -> str:
            while above[name] != name:
                name = above[name]
            return name

        owners: dict[int, str] = {}
        for name, item in pickles.items():
            if self._policy.is_all:
                above[top(name)] = top(next(iter(pickles)))
            for number in item.pickle.held:
                above[top(name)] = top(owners.setdefault(number, name))
        for ring in _rings(definitions, {name: tuple(item.pickle.names) for name, item in pickles.items()}):
            self._refuse_ring(ring, pickles)
            for name in ring:
                above[top(name)] = top(ring[0])
        groups: dict[str, list[StockItem]] = {}
        for name in sorted(pickles):
            groups.setdefault(top(name), []).append(pickles[name])
        yield from ([item] for item in self._items.values() if item.stored is not None)
        yield from groups.values()

    def _refuse_ring(self, ring: list[str], pickles: Mapping[str, StockItem]) -> None:
        texts = [name for name in ring if name not in pickles]
        if texts and not self._policy.is_all:
            self._policy.is_all = True  # a text needs a value that needs what the text makes
            raise RestartError

    def _written(self, group: list[StockItem], call: str) -> Iterator[Definition]:
        first, names = group[0], [item.name for item in group]
        if first.stored is None and len(group) > 1:
            first.pickle = self._scan(group)
        content = first.pickle.content
        has_code = b"nbgraph.capture.makers" in content or bool(first.pickle.functions)
        stored = first.stored or Stored("pickle", content, tuple(sorted(first.pickle.modules)), has_code)
        self.modules.update(stored.modules)
        artifact = artifact_of(first.name, first.value, stored, versions_of(stored.modules))
        self.artifacts[first.name] = artifact
        self.contents[artifact.file] = stored.content
        now = tuple(name for name in first.pickle.names if name not in names)
        later = tuple(name for item in group for name in item.later if name not in names)
        text = f'{", ".join(names)} = {call}("{first.name}")'
        reasons = {self._policy.reason(item.value) for item in group if self._policy.is_by_value(item.value)}
        if len(group) > 1:
            reasons = reasons or {"they share what they hold"}
        if reasons:
            text = f"# By value: {'; '.join(sorted(reasons))}.\n{text}"
        yield Definition(first.name, text, now, later, is_data=not now and not has_code)
        yield from (Definition(name, "", (first.name,)) for name in names[1:])


def _rings(definitions: Mapping[str, Definition], refs: Mapping[str, tuple[str, ...]]) -> Iterator[list[str]]:
    """The rings of names that need each other before they are there."""
    needs = {name: definition.now for name, definition in definitions.items()} | dict(refs)
    for name in refs:
        way = _way(name, needs)
        if way:
            yield way


def _way(start: str, needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Names on a way that leads back to where it began."""
    came: dict[str, str] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        for needed in needs.get(name, ()):
            if needed == start:
                way = [name]
                while way[-1] != start:
                    way.append(came[way[-1]])
                return way[::-1]
            if needed not in came:
                came[needed] = name
                waiting.append(needed)
    return []


def _is_code_or_container(value: Any) -> bool:
    return isinstance(value, type) or callable(value) or type(value) in (list, dict, set)


def _texts_in(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif type(part).__name__ == "code":
        yield from (constant for constant in part.co_consts if isinstance(constant, str))


def _plain_name(value: Any) -> str:
    name = getattr(value, "__name__", "part") if isinstance(value, type) or callable(value) else "part"
    return "".join(letter if letter.isalnum() else "_" for letter in str(name)).strip("_") or "part"
