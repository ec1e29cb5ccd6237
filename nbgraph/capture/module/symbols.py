"""Symbols: the names of the captured module, what each means, and the protocol of what defines new ones."""

from __future__ import annotations

import keyword
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from nbgraph.capture.module.literal import literal
from nbgraph.capture.module.names import GlobalNames
from nbgraph.capture.module.notebook import BUILTINS, MISSING, Notebook
from nbgraph.capture.module.source import SourceText
from nbgraph.capture.refusal import Where

IMMUTABLE = (type(None), bool, int, float, complex, str, bytes, tuple, frozenset, range, slice)


class SymbolCollector(Protocol):
    """Defines in the module what the parts of it need."""

    def define(self, name: str, value: Any, where: Where) -> str:
        """Let the name mean the value in the module; the name."""

    def name_of(self, value: Any, preferred: str, where: Where) -> str:
        """The name of a value, which is defined if it has none yet."""

    def text_of(self, value: Any, variable: str, where: Where) -> str:
        """A value inside of a text: a short literal, else its name."""

    def need_all(
        self,
        needs: GlobalNames,
        lookup: Callable[[str], Any],
        text: SourceText | str,
        where: Where,
        skip: set[str] | None = None,
    ) -> None:
        """Define the names that a text needs."""

    def need(self, names: Iterable[str], function: Any, where: Where) -> None:
        """Define the names that a function looks up, which goes by value."""

    def refer(self, part: Any, preferred: str, where: Where) -> str | None:
        """The name by which a pickle refers to something; None where it is written into it."""


class SymbolTable:
    """The names of the module with their values, and the names of objects by their identity.

    >>> symbols = SymbolTable({"score": 1}, Notebook({"score": 1}))
    >>> symbols.free("score"), symbols.free("2 fast, <b>"), symbols.free("print")
    ('score_2', 'step_2_fast_b', 'print_2')
    """

    def __init__(self, namespace: Mapping[str, Any], notebook: Notebook) -> None:
        self._namespace, self._notebook = namespace, notebook
        self._values: dict[str, Any] = {}
        self._names: dict[int, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def get(self, name: str) -> Any:
        """What the name means in the module; `MISSING` where nothing."""
        return self._values.get(name, MISSING)

    def setdefault(self, name: str, value: Any) -> None:
        self._values.setdefault(name, value)

    def values(self) -> Iterator[Any]:
        return iter(self._values.values())

    # --- names of values ---

    def public_name(self, value: Any) -> str | None:
        """A public name in the module that means this very value."""
        return next((name for name, one in self._values.items() if one is value and not name.startswith("_")), None)

    def first_name(self, value: Any) -> str | None:
        """The first name that an object with an identity was given."""
        return self._names.get(id(value))

    def note_name(self, value: Any, name: str) -> str:
        """Note an object's name, unless it has one; its first name."""
        return self._names.setdefault(id(value), name)

    def forget(self, value: Any) -> None:
        """Let an object get another name than the one that was noted."""
        self._names.pop(id(value), None)

    def notebook_names(self, value: Any) -> list[str]:
        """The names that this very value has in the notebook."""
        return [name for name, one in self._notebook.named() if one is value]

    # --- new names ---

    def choose(self, value: Any, preferred: str) -> str:
        """A name for a value that has none: the one it has in the notebook, else the preferred one."""
        own = getattr(value, "__name__", None) if isinstance(value, type | types.FunctionType) else None
        candidates = [own] if isinstance(own, str) and self._namespace.get(own, MISSING) is value else []
        if literal(value) is None or not isinstance(value, IMMUTABLE):
            candidates += self.notebook_names(value)
        return next((name for name in candidates if is_usable(name)), None) or self.free(preferred)

    def free(self, preferred: str) -> str:
        """A name that nothing in the module or the notebook has."""
        name = re.sub(r"\W+", "_", preferred, flags=re.ASCII).strip("_").lower() or "value"
        if not preferred.isidentifier() or preferred.startswith("_"):
            name = name if not name[0].isdigit() else f"step_{name}"
        else:
            name = preferred
        taken = {*self._values, *self._namespace, *BUILTINS, *keyword.kwlist}
        numbered = (f"{name}_{number}" for number in range(2, len(taken) + 3))
        return name if name not in taken else next(other for other in numbered if other not in taken)

    def reserve(self, preferred: str) -> str:
        """A free name for something that only the text has."""
        name = self.free(preferred)
        self._values[name] = name
        return name

    def bring(self, name: str, value: Any) -> str:
        """A name for what the module itself uses: the usual one, or another where the notebook uses that otherwise."""
        if self._values.get(name, self._namespace.get(name, value)) is not value:
            name = self.free(name)
        self._values[name] = value
        return name


def is_usable(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_") and name not in BUILTINS
