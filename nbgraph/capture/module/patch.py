"""Patches: what was set in the notebook after a text ran, set again by a statement of its own.

That is an attribute of a function, class or module, or a setting that a library keeps for the whole process.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterator
from typing import Any

from nbgraph.capture.module.definition import Definition
from nbgraph.capture.module.symbols import SymbolCollector, SymbolTable
from nbgraph.capture.policy import CapturePolicy
from nbgraph.capture.refusal import Where

SINCE = {types.FunctionType: "the function was written", types.ModuleType: "it was imported"}
CONTEXT = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


class Patches:
    """Sets the parts of a thing that its text does not make, as the policy knows them."""

    def __init__(self, collector: SymbolCollector, symbols: SymbolTable, policy: CapturePolicy) -> None:
        self._collector, self._symbols, self._policy = collector, symbols, policy

    def of(self, name: str, value: Any, where: Where) -> Iterator[Definition]:
        """The statements for one thing, by the name it has."""
        is_module = isinstance(value, types.ModuleType)
        if self._policy.is_by_value(value) and not is_module:
            return  # it goes as it lives
        since = SINCE.get(type(value), "the class was written")
        for label in sorted(self._policy.patches_of(value)):
            text, now = self._statement(name, value, label, where)
            own = () if is_module else (name,)
            yield Definition(f"{name}{label}", f"{text}  # set after {since}", (*own, *now))

    def _statement(self, name: str, value: Any, label: str, where: Where) -> tuple[str, tuple[str, ...]]:
        if label.startswith("default"):
            part = "__defaults__" if label == "defaults" else "__kwdefaults__"
            return self._set(name, part, getattr(value, part), where)
        *above, attribute = label[1:].split(".")  # on a class of a library, by the name of its module
        holder = functools.reduce(getattr, above, value)
        name = ".".join([name, *above])
        if attribute not in vars(holder):
            return f"del {name}.{attribute}", ()
        return self._set(name, attribute, vars(holder)[attribute], where)

    def _set(self, name: str, attribute: str, value: Any, where: Where) -> tuple[str, tuple[str, ...]]:
        text = self._collector.text_of(value, attribute.strip("_"), where.through(name))
        return f"{name}.{attribute} = {text}", (text,) if text in self._symbols else ()


def library_settings(modules: set[str]) -> Iterator[str]:
    """Statements that set again what the notebook has changed in the libraries that are imported.

    >>> import decimal
    >>> with decimal.localcontext(decimal.Context(prec=5)):
    ...     list(library_settings({"decimal"}))
    ['decimal.DefaultContext.prec = 5', 'decimal.setcontext(decimal.DefaultContext)']
    """
    decimal = sys.modules.get("decimal")
    if decimal is None or "decimal" not in modules:
        return
    here, usual = decimal.getcontext(), decimal.DefaultContext
    changed = [name for name in CONTEXT if getattr(here, name) != getattr(usual, name)]
    yield from (f"decimal.DefaultContext.{name} = {getattr(here, name)!r}" for name in changed)
    if changed:
        yield "decimal.setcontext(decimal.DefaultContext)"
