"""Statements: the text of a function or class as it can stand in a module, with what it encloses."""

from __future__ import annotations

import ast
import types
from collections.abc import Mapping
from typing import Any, Protocol

from nbgraph.capture.local_modules import imported_by
from nbgraph.capture.module.closure import closure, decorated, defaults
from nbgraph.capture.module.definition import Definition, ModuleText
from nbgraph.capture.module.imports import home_of
from nbgraph.capture.module.names import GlobalNames, names_in
from nbgraph.capture.module.notebook import MISSING, Notebook, UnknownError
from nbgraph.capture.module.source import SourceText, Written, indented, source_of
from nbgraph.capture.module.stock import RestartError
from nbgraph.capture.module.symbols import SymbolCollector, SymbolTable
from nbgraph.capture.policy import CapturePolicy
from nbgraph.capture.refusal import Where
from nbgraph.errors import ExportError

_FUTURE_ANNOTATIONS = 0x1000000  # CO_FUTURE_ANNOTATIONS


class ClashError(ExportError):
    """One name means two things."""


class StatementWriter(Protocol):
    """Where statements are written to."""

    text: ModuleText

    def bind(self, definition: Definition, value: Any) -> None:
        """Add a statement whose name means the value."""


class Statements:
    """Writes functions and classes into the module as the statements they were written as."""

    def __init__(
        self,
        collector: SymbolCollector,
        writer: StatementWriter,
        symbols: SymbolTable,
        policy: CapturePolicy,
        namespace: Mapping[str, Any],
        notebook: Notebook,
    ) -> None:
        self._collector, self._writer, self._symbols = collector, writer, symbols
        self._policy, self._namespace, self._notebook = policy, namespace, notebook

    def write(self, name: str, value: Any, where: Where) -> bool:
        """Functions and classes of the notebook, also behind decorators; False for all other values."""
        plain = value if isinstance(value, type | types.FunctionType) else decorated(value, name)
        if plain is None or self._policy.is_by_value(plain) or (plain is value and home_of(plain) is not None):
            return False
        source = self._source_of(plain)
        if source is None:
            self._policy.take(value, "no text of it is left")
            return False
        if plain is value and isinstance(value, types.FunctionType) and value.__closure__:
            inner = decorated(value, name)  # @decorator without functools.wraps: the name is on the function inside
            inner_source = source_of(inner, self._namespace) if inner is not None else None
            if inner is not None and inner_source is not None:
                plain, source = inner, inner_source
        try:
            self._write_statement(name, value, plain, source, where.through(name, source.line))
        except SyntaxError:
            self._policy.take(value, "its text can't stand alone")
            raise RestartError from None
        except UnknownError:
            if not _is_made_in_a_call(plain) or not self._policy.take(value, "its text names what only that call had"):
                raise
            raise RestartError from None
        except ClashError:
            if not self._policy.leave_apart(plain, self._namespace):
                raise
            raise RestartError from None
        return True

    def _source_of(self, plain: Any) -> SourceText | None:
        if self._policy.is_apart(plain, self._namespace):
            return None
        try:
            return source_of(plain, self._namespace)
        except Exception:  # a text that Python can't read again
            return None

    def _write_statement(self, name: str, value: Any, plain: Any, source: SourceText, where: Where) -> None:
        node = source.node
        is_future = bool(isinstance(plain, types.FunctionType) and plain.__code__.co_flags & _FUTURE_ANNOTATIONS)
        self._writer.text.has_future_annotations |= is_future
        enclosed = self._enclosed(plain, node, where)
        own = None if isinstance(node, ast.Lambda) else node.name
        if own is not None and own != name and not enclosed and self._namespace.get(own, MISSING) is value:
            self._symbols.forget(value)
            self._collector.define(own, value, where)
            self._writer.bind(Definition(name, f"{name} = {own}", (own,)), value)
            return
        self._writer.text.modules |= imported_by(node)
        if source.looks_up_by_event():
            raise ExportError(
                f"{where} looks up names of the notebook by globals() that depend on the event; put what they may mean "
                "into a dict, and look there."
            )
        needs = needs_of(name, own, source, enclosed, is_future=is_future)
        self._collector.need_all(needs, self._notebook.of(plain), source, where, skip={name, *enclosed})
        outer = tuple(n for n in needs.now if n not in enclosed)
        later = tuple(n for n in needs.later if n not in enclosed)
        if not enclosed and own in (None, name):
            self._writer.bind(Definition(name, plain_text(name, own, source.text), outer, later), value)
            return
        maker = self._symbols.reserve(f"make_{name}")
        now = (*outer, *later, *(text for text in enclosed.values() if text in self._symbols))
        self._writer.bind(Definition(name, factory(name, maker, own, source.text, enclosed), now, later), value)

    def _enclosed(self, plain: Any, node: Written, where: Where) -> dict[str, str]:
        """The values a function keeps of the place it was made in (its closure, its defaults), as Python text."""
        kept = dict(closure(plain))
        if isinstance(plain, types.FunctionType) and not isinstance(node, ast.ClassDef):
            kept |= defaults(plain, node.args, plain.__globals__)
        return {variable: self._collector.text_of(value, variable, where) for variable, value in sorted(kept.items())}


def plain_text(name: str, own: str | None, text: str) -> str:
    """The text itself; a lambda is given its name."""
    return f"{name} = {text}" if own is None else text


def factory(name: str, maker: str, own: str | None, text: str, enclosed: Mapping[str, str]) -> str:
    """A function's enclosed values as the arguments of a function around it.

    >>> print(factory("rated", "make_rated", None, "lambda x: x * rate", {"rate": "2"}))
    def make_rated(rate):
        return lambda x: x * rate
    <BLANKLINE>
    <BLANKLINE>
    rated = make_rated(rate=2)
    """
    arguments = ", ".join(f"{variable}={given}" for variable, given in enclosed.items())
    return f"{_definition(maker, own, text, enclosed)}\n\n\n{name} = {maker}({arguments})"


def _definition(maker: str, own: str | None, text: str, enclosed: Mapping[str, str]) -> str:
    inner = indented(text) + f"\n    return {own}" if own is not None else f"    return {text}"
    return f"def {maker}({', '.join(enclosed)}):\n{inner}"


def needs_of(
    name: str, own: str | None, source: SourceText, enclosed: Mapping[str, str], *, is_future: bool
) -> GlobalNames:
    """The names that the statement needs; `is_future` where annotations are not evaluated."""
    if enclosed:
        return names_in(_definition(name, own, source.text, enclosed), is_future=is_future)
    return names_in(plain_text(name, own, source.text), is_future=is_future)


def _is_made_in_a_call(code: types.FunctionType | type) -> bool:
    return "<locals>" in (code.__qualname__ if isinstance(code, type) else code.__code__.co_qualname)
