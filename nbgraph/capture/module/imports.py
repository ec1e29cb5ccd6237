"""Imports: the line that gives a name its module or object, as the user wrote it where that can be found."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nbgraph.capture.module.source import parsed, written
from nbgraph.introspection import attribute


@dataclass(frozen=True, slots=True)
class Import:
    """One line of import, and the modules that must be there for it."""

    line: str
    modules: tuple[str, ...]


class Imports:
    """The imports among the cells of a notebook, by the names they bind.

    >>> import json
    >>> Imports({"In": ["import json as j"]}).of("j", json)
    [Import(line='import json as j', modules=('json',))]
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._written: dict[str, list[Import | _From]] = {}
        for text in written(namespace):
            for name, found in _imports_in(text):
                entries = self._written.setdefault(name, [])
                if found not in entries:
                    entries.append(found)

    def of(self, name: str, value: Any) -> list[Import]:
        """Lines that bind the name to this very value; an empty list where the value is not imported."""
        if isinstance(value, types.ModuleType):
            return self._of_module(name, value)
        for found in reversed(self._written.get(name, [])):
            if isinstance(found, _From) and _attribute(found.module, found.attribute) is value:
                return [Import(_from(found.module, found.attribute, name), (found.module,))]
        module = home_of(value)
        if module is None:
            return []
        qualified = value.__qualname__
        if "." not in qualified:
            return [Import(_from(module, qualified, name), (module,))]
        owner, _, rest = qualified.partition(".")  # a method: `str.strip`
        if module == "builtins":
            return [Import(f"{name} = {qualified}", ())]
        hidden = f"_{owner}"
        return [Import(_from(module, owner, hidden), (module,)), Import(f"{name} = {hidden}.{rest}", ())]

    def _of_module(self, name: str, module: types.ModuleType) -> list[Import]:
        lines = []
        for found in self._written.get(name, []):
            if isinstance(found, _From):
                if _attribute(found.module, found.attribute) is module:
                    lines.append(Import(_from(found.module, found.attribute, name), (module.__name__,)))
            elif all(wanted in sys.modules for wanted in found.modules) and _bound_by(found) is module:
                lines.append(found)
        if lines:
            return lines
        if sys.modules.get(module.__name__) is not module or is_notebook(module.__name__):
            return []
        line = f"import {module.__name__}"
        return [Import(line if name == module.__name__ else f"{line} as {name}", (module.__name__,))]


@dataclass(frozen=True, slots=True)
class _From:
    """`from module import attribute`, not yet looked up."""

    module: str
    attribute: str


def _from(module: str, attribute: str, name: str) -> str:
    line = f"from {module} import {attribute}"
    return line if attribute == name else f"{line} as {name}"


def _imports_in(text: str) -> Iterator[tuple[str, Import | _From]]:
    tree = parsed(text)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                line = f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                yield alias.asname or alias.name.partition(".")[0], Import(line, (alias.name,))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, _From(node.module, alias.name)


def _bound_by(found: Import) -> types.ModuleType | None:
    (module,) = found.modules
    bound = module if " as " in found.line else module.partition(".")[0]
    return sys.modules.get(bound)


def _attribute(module: str, attribute: str) -> Any:
    found = sys.modules.get(module)
    return getattr(found, attribute, sys.modules.get(f"{module}.{attribute}", _MISSING))


_MISSING = object()


def home_of(value: Any) -> str | None:
    """The module from which a function, class or builtin can be imported by its own name; None where from none.

    >>> import textwrap
    >>> home_of(textwrap.dedent), home_of(len), home_of(lambda: 1), home_of(3)
    ('textwrap', 'builtins', None, None)
    """
    module, qualified = attribute(value, "__module__"), attribute(value, "__qualname__")
    if module is None and qualified is not None and isinstance(value, types.MethodDescriptorType):
        module = "builtins"
    if not isinstance(module, str) or not isinstance(qualified, str) or is_notebook(module):
        return None
    found: Any = builtins if module == "builtins" else sys.modules.get(module)
    for part in qualified.split("."):
        found = attribute(found, part)
    return module if found is value and value is not None else None


@functools.lru_cache(maxsize=4096)
def kind_name(kind: type) -> str | None:
    """What `types` calls a type of Python's own that no other module has a name for: `NoneType`, `FunctionType`."""
    return next((name for name, found in vars(types).items() if found is kind), None)


def registered(kind: type) -> list[type]:
    """Classes that were registered with an abstract one."""
    if "_abc_impl" not in vars(kind):
        return []
    dump = importlib.import_module("_abc")._get_dump
    found = [reference() for reference in dump(kind)[0]]
    return sorted((one for one in found if one is not None), key=lambda one: f"{one.__module__}.{one.__qualname__}")


def place_of(value: Any) -> tuple[str, str] | None:
    """The module and the name of an object that the module of its class has one of: a sentinel, a registry.

    >>> import dataclasses
    >>> place_of(dataclasses.MISSING), place_of([])
    (('dataclasses', 'MISSING'), None)
    """
    module = type(value).__module__
    if module == "builtins" or is_notebook(module) or module not in sys.modules:
        return None
    name = next((name for name, found in list(vars(sys.modules[module]).items()) if found is value), None)
    return None if name is None else (module, name)


def is_notebook(module: str) -> bool:
    """Whether a module is the notebook (or script) itself, which nothing can be imported from elsewhere."""
    found = sys.modules.get(module)
    if module == "__main__" or found is None:
        return module == "__main__"
    # Compiled libraries register modules without a spec as well, in which no Python ever ran.
    return getattr(found, "__spec__", None) is None and "__builtins__" in vars(found)


def is_importable(module: str) -> bool:
    try:
        return module in sys.modules or importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
