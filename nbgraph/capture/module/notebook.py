"""Notebook: what names mean where a graph was written."""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nbgraph import steps
from nbgraph.capture.module.closure import methods
from nbgraph.capture.refusal import Where
from nbgraph.errors import ExportError

NOTEBOOK_ONLY = frozenset({"display", "get_ipython", "In", "Out"})
BUILTINS = (frozenset(dir(builtins)) | {"exit", "quit"}) - NOTEBOOK_ONLY  # IPython adds to them
WAITING = frozenset({"input", "breakpoint"})
MISSING = object()


class UnknownError(ExportError):
    """A name that means nothing."""


class Notebook:
    """Its own names, and behind them the built-in steps.

    >>> notebook = Notebook({"LIMIT": 3, "_": 4})
    >>> notebook.lookup("LIMIT"), notebook.lookup("limit") is MISSING, list(notebook.named())
    (3, True, [('LIMIT', 3)])
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace

    def lookup(self, name: str) -> Any:
        """What a name means; `MISSING` where it means nothing."""
        if name in self._namespace:
            return self._namespace[name]
        return steps.catalogue().get(name, MISSING)

    def of(self, plain: Any) -> Callable[[str], Any]:
        """Names as a function or class finds them itself: its own module's globals come first."""
        function = plain if isinstance(plain, types.FunctionType) else next(methods(plain), None)
        own: Mapping[str, Any] = function.__globals__ if function is not None else {}
        return lambda name: own[name] if name in own else self.lookup(name)

    def named(self) -> Iterator[tuple[str, Any]]:
        """The notebook's names, without those that IPython keeps for itself."""
        for name, value in list(self._namespace.items()):
            if not name.startswith("_") and name not in ("In", "Out"):
                yield name, value


def refuse_waiting(name: str, value: Any, where: Where) -> None:
    """Refuse what waits for somebody at a keyboard, where nobody is."""
    if name in NOTEBOOK_ONLY:
        raise unknown(name, where)
    is_asking = name in WAITING and value is MISSING
    if is_asking or (isinstance(value, types.FunctionType) and value.__module__ == "getpass"):
        raise ExportError(f"{where} waits for somebody at the keyboard, and a worker has nobody there; {_move(name)}.")


def _move(name: str) -> str:
    if name == "breakpoint":
        return "take it out: breakpoints of graph.debug() are set from outside"
    if name == "input":
        return "let the event bring what it asks for, or give it to the step as an argument"
    return "take the secret from context.secret(name)"


def unknown(name: str, where: Where) -> ExportError:
    """The sentence for a name that means nothing."""
    if name in NOTEBOOK_ONLY:
        return ExportError(f"{where} exists in a notebook only (magics use it too); print() shows in logs.")
    return UnknownError(f'{where}: the name "{name}" is not defined here; define it, or correct it.')
