"""The Writer: how a value comes into the module: by an import, an alias, a literal, a call, a statement or a file.

The policy decides what goes by value, since its text was proven to make something else.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping
from typing import Any

from nbgraph.capture.module.definition import Definition, ModuleText
from nbgraph.capture.module.imports import Imports, home_of, is_notebook, place_of
from nbgraph.capture.module.literal import constructed, literal
from nbgraph.capture.module.notebook import Notebook
from nbgraph.capture.module.patch import Patches
from nbgraph.capture.module.statement import Statements
from nbgraph.capture.module.stock import RestartError, Stock
from nbgraph.capture.module.symbols import IMMUTABLE, SymbolCollector, SymbolTable
from nbgraph.capture.policy import CapturePolicy
from nbgraph.capture.refusal import Where, raise_if_secrets, secrets_in
from nbgraph.errors import ExportError
from nbgraph.introspection import attribute


class ModuleWriter:
    """Adds to the text of a module, and to the stock of files beside it.

    `plain` are the values of plain data that stand in the text.
    """

    def __init__(
        self,
        collector: SymbolCollector,
        symbols: SymbolTable,
        policy: CapturePolicy,
        namespace: Mapping[str, Any],
        notebook: Notebook,
    ) -> None:
        self.text = ModuleText()
        self.stock = Stock(namespace, policy, collector)
        self.plain: dict[str, Any] = {}
        self._collector, self._symbols, self._policy = collector, symbols, policy
        self._imports = Imports(namespace)
        self._patches = Patches(collector, symbols, policy)
        self._statements = Statements(collector, self, symbols, policy, namespace, notebook)

    def write(self, name: str, value: Any, where: Where) -> None:
        """Let the name, which is new, mean the value; with what was set on that after its text."""
        if not self._import(name, value) and not self._alias(name, value):
            self._write_value(name, value, where)
        for patch in self._patches.of(name, value, where):
            self.add(patch)

    def add(self, definition: Definition) -> None:
        """Add a statement."""
        for line in secrets_in(definition.text):
            found = definition.text.splitlines()[line - 1].strip()
            raise ExportError(
                f'"{definition.name}" has what looks like a secret in its text ({found[:20]}...); take it at run time '
                "from context.secret(name) instead."
            )
        self.text.definitions[definition.name] = definition

    def bind(self, definition: Definition, value: Any) -> None:
        """Add a statement whose name means the value."""
        self.add(definition)
        self._symbols.setdefault(definition.name, value)

    def bring(self, name: str, value: Any, line: Callable[[str], str]) -> str:
        """The name of what the module itself uses; `line` makes the statement that brings it in under a name."""
        name = self._symbols.bring(name, value)
        self.text.lines.add(line(name))
        return name

    def _import(self, name: str, value: Any) -> bool:
        if self._policy.is_changed(value):
            return False
        found = self._imports.of(name, value)
        for line in found:
            self.text.lines.add(line.line)
            self.text.modules.update(line.modules)
        return bool(found)

    def _alias(self, name: str, value: Any) -> bool:
        """Another name of what has one already."""
        if isinstance(value, IMMUTABLE):
            return False
        first = self._symbols.note_name(value, name)
        if first == name:
            return False
        self.bind(Definition(name, f"{name} = {first}", (first,)), value)
        return True

    def _write_value(self, name: str, value: Any, where: Where) -> None:
        if self._policy.is_by_value(value) and not isinstance(value, IMMUTABLE):
            raise_if_secrets(value, where)
            self._store(name, value, where)
            return
        text = literal(value)
        if text is not None:
            raise_if_secrets(value, where)
            self.plain[name] = value
            self.bind(Definition(name, f"{name} = {text}", is_data=True), value)
        elif not (self._write_call(name, value, where) or self._statements.write(name, value, where)):
            raise_if_secrets(value, where)
            self._store(name, value, where)

    def _write_call(self, name: str, value: Any, where: Where) -> bool:
        """A short call that makes the value: constants of the standard library, methods of what has a name."""
        if isinstance(value, types.MethodType | types.BuiltinMethodType) and _is_reached_by_name(value):
            owner = self._collector.name_of(value.__self__, f"{name}_object", where.through(name))
            self.bind(Definition(name, f"{name} = {owner}.{value.__name__}", (owner,)), value)
            return True
        if type(value) in (classmethod, staticmethod):
            inner = self._collector.name_of(value.__func__, f"{name}_function", where.through(name))
            self.bind(Definition(name, f"{name} = {type(value).__name__}({inner})", (inner,)), value)
            return True
        call = constructed(value)
        if call is None:
            return False
        text, callables = call
        for thing in callables:
            text = self._with_name(text, thing, name, where)
        names = (self._symbols.first_name(thing) for thing in callables)
        needed = tuple(found for found in names if found and found in self.text.definitions)
        self.bind(Definition(name, f"{name} = {text}", needed, is_data=not needed), value)
        return True

    def _with_name(self, text: str, thing: Any, name: str, where: Where) -> str:
        """The text of a call with the name that the module has for what is called."""
        own = thing.__name__
        if isinstance(thing, types.ModuleType):
            found = self.bring(own, thing, import_of(own))
        elif is_notebook(thing.__module__):
            found = self._collector.name_of(thing, own, where.through(name))
        else:
            found = self.bring(own, thing, import_from(thing.__module__.replace("pathlib._local", "pathlib"), own))
        self.text.modules.add(own if isinstance(thing, types.ModuleType) else thing.__module__)
        return re.sub(rf"^{own}\b", found, text)

    def _store(self, name: str, value: Any, where: Where) -> None:
        """A file beside the module, unless a library has the object under a name."""
        place = place_of(value)
        if place is not None and not self._policy.is_by_value(value):
            self.text.lines.add(import_from(*place)(name))
            self.text.modules.add(place[0])
            return
        for base in value.__mro__[1:] if isinstance(value, type) else ():
            if "__init_subclass__" in vars(base) and home_of(base) is None and not self._policy.is_by_value(base):
                self._policy.take(base, "its __init_subclass__ must not run again")
                raise RestartError
        self.bind(Definition(name, "", ()), value)
        self.stock.take(name, value, where)


def import_of(module: str) -> Callable[[str], str]:
    """The statement that imports the module under a name."""
    return lambda name: f"import {module}" + (f" as {name}" if name != module else "")


def import_from(module: str, attribute: str) -> Callable[[str], str]:
    """The statement that imports something of a module under a name."""
    return lambda name: f"from {module} import {attribute}" + (f" as {name}" if name != attribute else "")


def _is_reached_by_name(method: Any) -> bool:
    owner = method.__self__
    if owner is None or isinstance(owner, types.ModuleType) or not method.__name__.isidentifier():
        return False
    return bool(attribute(owner, method.__name__) == method)
