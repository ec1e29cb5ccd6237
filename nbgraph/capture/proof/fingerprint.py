"""Fingerprint: everything that a graph's steps reach, as data that two processes can compare.

An object is a node: its kind, and its parts by their labels. A part is a fact, or the number of another node. So one
object has one number, wherever it is referenced, and identity is compared as well.
"""

from __future__ import annotations

import hashlib
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbgraph.capture.proof.object_parts import ATOMS, Anatomy, Fact, Part

LONG = 200  # characters of a fact; longer ones are replaced by their hash
Token = Any  # a text, a number of a node, or a list of tokens
SUBCLASSES = "__subclasses__"


@dataclass(slots=True)
class FingerprintNode:
    """One object: `parts` are (label, token)."""

    kind: str
    parts: list[tuple[str, Token]] = field(default_factory=list)


class Fingerprint:
    """A graph of nodes, grown from roots.

    >>> def of(value):
    ...     found = Fingerprint(Anatomy(lambda module: False, lambda module: False))
    ...     found.grow([("value", value)])
    ...     return found.nodes
    >>> one = [1]
    >>> of([one, one]) == of([[1], [1]]), of([one, one]) == of([one, one])
    (False, True)
    """

    def __init__(self, anatomy: Anatomy, known: Mapping[int, str] | None = None, folders: Iterable[str] = ()) -> None:
        self.nodes: list[FingerprintNode] = []
        self.things: list[Any] = []  # by number; kept alive, so that ids are not reused
        self._anatomy, self._known = anatomy, known or {}  # hashes of artifacts, by the id of the object
        self._folders = tuple(sorted(folders, key=len, reverse=True))  # where the user's own modules are
        self._numbers: dict[int, int] = {}
        self._waiting: deque[int] = deque()
        self._kept: list[Any] = []

    def grow(self, roots: Iterable[Part]) -> None:
        """Add the roots, and all objects reachable from them."""
        self.nodes.append(FingerprintNode("graph"))
        self.things.append(None)
        self.nodes[0].parts = [(label, self._token(thing)) for label, thing in roots]
        self._drain()
        self._look_into_modules()
        if SUBCLASSES in self._anatomy.looked_at:
            self._follow_subclasses()

    def _look_into_modules(self) -> None:
        """Modules last, when it is known which attributes the code reads from them."""
        done: dict[int, int] = {}
        libraries: set[str] = set()
        while True:
            for name in sorted(self._anatomy.met & sys.modules.keys() - libraries):
                self.nodes[0].parts.append((f"module {name}", self._token(sys.modules[name])))
            libraries |= self._anatomy.met
            self._drain()
            modules = [n for n, thing in enumerate(self.things) if isinstance(thing, types.ModuleType)]
            size = len(self._anatomy.looked_at)
            fresh = [number for number in modules if done.get(number) != size]
            if not fresh:
                return
            for number in fresh:
                done[number] = size
                parts = self._anatomy.of_module(self.things[number])
                self.nodes[number].parts = [(label, self._token(part)) for label, part in parts]
            self._drain()

    def _follow_subclasses(self) -> None:
        number = 0
        while number < len(self.things):  # grows while it is read
            if self.nodes[number].kind == "class":
                below = type.__subclasses__(self.things[number])
                self.nodes[number].parts += [(f"subclass {n}", self._token(one)) for n, one in enumerate(below)]
                self._drain()
            number += 1

    def _drain(self) -> None:
        while self._waiting:
            number = self._waiting.popleft()
            thing = self.things[number]
            if id(thing) in self._known:
                self._anatomy.fact_of(type(thing))
                self.nodes[number] = FingerprintNode("artifact", [("hash", self._known[id(thing)])])
                continue
            kind, parts = self._parts(thing)
            self._kept.append(parts)  # keeps temporary parts alive
            self.nodes[number].kind = kind
            self.nodes[number].parts = [(label, self._token(part)) for label, part in parts]

    def _parts(self, thing: Any) -> tuple[str, list[Part]]:
        if type(thing) is list:
            if all(type(item) in ATOMS for item in thing):
                return "list", [("items", Fact(thing))]
            return "list", [(f"[{number}]", item) for number, item in enumerate(thing)]
        if type(thing) is dict:
            if all(type(key) in ATOMS and type(value) in ATOMS for key, value in thing.items()):
                return "dict", [("items", Fact(thing))]
            keys = [(f"key {number}", key) for number, key in enumerate(thing)]
            return "dict", [*keys, *((f"[{_short(key)}]", value) for key, value in thing.items())]
        if type(thing) is set:
            return "set", [("items", self._sorted(thing))]
        return self._anatomy.parts(thing)

    def _token(self, thing: Any) -> Token:
        if type(thing) is Fact:
            return _cut(thing)
        if type(thing) is str:
            return _cut(f"str:{self._placed(thing)!r}")
        if type(thing) is tuple:
            return ["tuple", *map(self._token, thing)]
        if type(thing) is frozenset:
            return ["frozenset", self._token(self._sorted(thing))]
        if type(thing) in ATOMS:
            return _cut(f"{type(thing).__name__}:{thing!r}")
        number = self._numbers.get(id(thing))
        if number is not None:
            return number
        fact = self._anatomy.fact_of(thing)
        if fact is not None:
            return _cut(fact)
        return self._number(thing)

    def _placed(self, text: str) -> str:
        """A text without the folder of the project, or of the user's modules."""
        for folder in self._folders:
            text = text.replace(folder, "<here>")
        return text

    def _number(self, thing: Any) -> int:
        number = len(self.nodes)
        self._numbers[id(thing)] = number
        self.nodes.append(FingerprintNode(type(thing).__name__))
        self.things.append(thing)
        self._waiting.append(number)
        return number

    def _sorted(self, things: Iterable[Any]) -> Any:
        """The members of a set in a stable order."""
        every = list(things)
        if all(type(one) in ATOMS for one in every):
            return Fact(sorted(f"{type(one).__name__}:{one!r}" for one in every))
        return tuple(sorted(every, key=_place))


def _place(thing: Any) -> str:
    if isinstance(thing, type | types.FunctionType):
        return thing.__qualname__
    return repr(thing) if type(thing) in (*ATOMS, tuple, frozenset) else type(thing).__qualname__


def _short(key: Any) -> str:
    return repr(key)[:80] if type(key) in ATOMS else f"a {type(key).__name__}"


def _cut(text: str) -> str:
    return str(text) if len(text) <= LONG else hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where the loaded project differs from the live objects.

    `way`: the numbers of the nodes from the graph on, with the label of the part that follows; `here` and `there`: the
    values found.
    """

    way: tuple[tuple[int, str], ...]
    here: str
    there: str
    others: tuple[int, ...] = ()  # nodes that should be the same object, or should not


Compare = Callable[[list[FingerprintNode], list[FingerprintNode]], list[Difference]]


def differences(here: list[FingerprintNode], there: list[FingerprintNode]) -> list[Difference]:
    """The first differences on each path of two fingerprints.

    >>> here, there = (FingerprintNode("graph", [("a", number)]) for number in ("int:1", "int:2"))
    >>> [found.way for found in differences([here], [there])]
    [((0, 'a'),)]
    """
    return list(_Comparison(here, there).found())


class _Comparison:
    def __init__(self, here: list[FingerprintNode], there: list[FingerprintNode]) -> None:
        self._here, self._there = here, there
        self._to: dict[int, int] = {0: 0}
        self._from: dict[int, int] = {0: 0}
        self._waiting: deque[tuple[int, int, tuple[tuple[int, str], ...]]] = deque([(0, 0, ())])
        self._found: list[Difference] = []

    def found(self) -> list[Difference]:
        while self._waiting:
            number, other, way = self._waiting.popleft()
            self._node(self._here[number], self._there[other], number, way)
        return self._found

    def _node(
        self, here: FingerprintNode, there: FingerprintNode, number: int, way: tuple[tuple[int, str], ...]
    ) -> None:
        if here.kind != there.kind:
            self._found.append(Difference((*way, (number, "")), here.kind, there.kind))
            return
        mine, theirs = dict(here.parts), dict(there.parts)
        for label in [*mine, *(label for label in theirs if label not in mine)]:
            on = (*way, (number, label))
            if label not in mine or label not in theirs:
                told = ("there", "missing") if label in mine else ("missing", "there")
                self._found.append(Difference(on, *told))
            else:
                self._token(mine[label], theirs[label], on)

    def _token(self, here: Token, there: Token, way: tuple[tuple[int, str], ...]) -> None:
        if type(here) is int and type(there) is int:
            self._pair(here, there, way)
        elif type(here) is list and type(there) is list and len(here) == len(there):
            for mine, theirs in zip(here, there, strict=True):
                self._token(mine, theirs, way)
        elif here != there:
            self._found.append(Difference(way, self._told(here, self._here), self._told(there, self._there)))

    def _pair(self, here: int, there: int, way: tuple[tuple[int, str], ...]) -> None:
        known, back = self._to.get(here), self._from.get(there)
        if known is None and back is None:
            self._to[here], self._from[there] = there, here
            self._waiting.append((here, there, way))
        elif known != there:
            is_one = known is not None
            told = ("one object", "several") if is_one else ("several objects", "one")
            self._found.append(Difference(way, *told, (here,) if back is None or is_one else (here, back)))

    def _told(self, token: Token, nodes: list[FingerprintNode]) -> str:
        if type(token) is int:
            return f"a {nodes[token].kind}"
        return f"a tuple of {len(token) - 1}" if type(token) is list else str(token)
