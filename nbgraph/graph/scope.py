"""Scope: where the names of a graph are looked up, how far its texts are trusted; Code: a text evaluated there."""

from __future__ import annotations

import ast
import builtins
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Scope:
    """The namespace that names are bound in, late; the modules a document may import from.

    `is_document` is True for a graph that was loaded (YAML, JSON, `Graph.parse`): its expressions are limited to
    the safe subset and its dotted names to `allow`. `is_given` is True when the loader named the namespace itself.
    `library` has the steps that stand behind the namespace. Without `io` a document's steps stay inside the graph.
    """

    namespace: Mapping[str, Any] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    is_document: bool = False
    is_given: bool = False
    io: bool = True
    library: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __deepcopy__(self, memo: Any) -> Scope:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """A module goes by its name, as pickle has functions; the names that a loader gave go along."""
        name = self.namespace.get("__name__")
        is_module = vars(sys.modules.get(name, object)) is self.namespace if isinstance(name, str) else False
        given = name if is_module else dict(self.namespace)
        return _restored, (given, self.allow, self.is_document, self.is_given, self.io, bool(self.library))

    def allows(self, module: str) -> bool:
        """Whether a document may import the module: it, or a package above it, is in `allow`.

        >>> Scope(allow=("json",), is_document=True).allows("json.decoder")
        True
        >>> Scope(is_document=True).allows("os")
        False
        """
        return not self.is_document or any(module == name or module.startswith(f"{name}.") for name in self.allow)

    def gives(self, name: str) -> bool:
        """Whether the namespace means something of its own by a name; what Python or the shell put there is none.

        >>> Scope({"open": open}, is_document=True).gives("open"), Scope({"open": open}).gives("open")
        (False, True)
        """
        if name not in self.namespace or (name in self.library and _is_reference(self.namespace[name])):
            return False
        if not self.is_document:
            return True
        own = getattr(self.namespace[name], "__module__", None) == self.namespace.get("__name__")
        return not name.startswith("__") and (self.is_given or own or not hasattr(builtins, name))

    def known(self, name: str) -> Any:
        """What a bare name stands for by now: the namespace's object, else a step of the library."""
        return self.namespace[name] if self.gives(name) else self.library.get(name)

    def as_own(self) -> Scope:
        """The same names, for what a user writes himself about a loaded graph."""
        return replace(self, is_document=False)


def _is_reference(value: Any) -> bool:
    """Whether MLRun or Storey has it: who comes from there has their steps imported, which run only there."""
    return str(getattr(value, "__module__", "")).partition(".")[0] in ("mlrun", "storey")


def _restored(
    given: str | dict[str, Any], allow: tuple[str, ...], is_document: bool, is_given: bool, io: bool, has_library: bool
) -> Scope:
    from nbgraph.graph.facade import library

    names = vars(importlib.import_module(given)) if isinstance(given, str) else given
    return Scope(names, allow, is_document, is_given, io, library() if has_library else {})


@dataclass(frozen=True, slots=True)
class Code:
    """An argument that was written as an expression: `customers` in `Enrich(table=customers)`.

    >>> Code("customers").text
    'customers'
    """

    text: str


# Spelling: the text of a part of an expression, so that it can stand on its own.


def spelling(node: ast.expr, source: str) -> str:
    """The text as it was written, or written anew where it can't stand alone (lines that only a bracket joined).

    >>> source = 'f(table=a  + b)'
    >>> spelling(ast.parse(source, mode="eval").body.keywords[0].value, source)
    'a  + b'
    """
    text = ast.get_source_segment(source, node) or ""
    try:
        alone = ast.parse(text, mode="eval").body
    except SyntaxError:
        return ast.unparse(node)
    return text if ast.dump(alone) == ast.dump(node) else ast.unparse(node)


def dotted(node: ast.expr) -> str | None:
    """`a.b.c` as text; None for any other expression.

    >>> dotted(ast.parse("json.dumps", mode="eval").body), dotted(ast.parse("a()", mode="eval").body)
    ('json.dumps', None)
    """
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            above = dotted(value)
            return above and f"{above}.{name}"
    return None
