"""Module: grows from the graph's handlers by what each needs, until nothing is missing; then it is text.

Every name means in the module what it means in the notebook now: the live object decides, not the cell that was run
last. How a value gets there depends on what it is: an import, the statement it was written as, a literal, a file.
"""

from __future__ import annotations

import builtins
import keyword
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nbgraph.capture.module.code import attributes
from nbgraph.capture.module.definition import Definition, ModuleOrder, ordered
from nbgraph.capture.module.imports import Imports, home_of, is_notebook, kind_name, place_of
from nbgraph.capture.module.literal import constructed, literal
from nbgraph.capture.module.names import GlobalNames, names_in
from nbgraph.capture.module.notebook import BUILTINS, MISSING, NOTEBOOK_ONLY, Notebook, refuse_waiting, unknown
from nbgraph.capture.module.patch import Patches
from nbgraph.capture.module.source import SourceText
from nbgraph.capture.module.statement import ClashError, Statements
from nbgraph.capture.module.stock import RestartError, Stock
from nbgraph.capture.policy import CapturePolicy
from nbgraph.capture.proof.settings import settings
from nbgraph.capture.refusal import Where, raise_if_open, raise_if_secret, raise_if_secrets, secrets_in
from nbgraph.errors import ExportError
from nbgraph.introspection import attribute

OF_EVERY_MODULE = frozenset({"__name__", "__file__", "__doc__", "__builtins__", "__annotations__", "__dict__"})
IMMUTABLE = (type(None), bool, int, float, complex, str, bytes, tuple, frozenset, range, slice)


class Module:
    """The module of one graph.

    >>> module = Module({"LIMIT": 3})
    >>> module.define("LIMIT", 3, Where("check"))
    'LIMIT'
    >>> print(module.text("The limit."), end="")
    \"\"\"The limit.\"\"\"
    <BLANKLINE>
    LIMIT = 3
    """

    def __init__(self, namespace: Mapping[str, Any], choice: CapturePolicy | None = None) -> None:
        self.namespace = namespace
        self.choice = choice or CapturePolicy()
        self.modules: set[str] = set()  # that are imported, by the text or by what is in the artifacts
        self.stock = Stock(namespace, self.choice, self)
        self.exported: set[str] = set()  # what the graph itself names
        self.arguments: list[Any] = []  # plain data that stands in the document
        self._notebook = Notebook(namespace)
        self._imports = Imports(namespace)
        self._lines: set[str] = set()
        self._values: dict[str, Any] = {}
        self._names: dict[int, str] = {}  # of what has an identity, by its id
        self._texts: dict[str, Any] = {}  # plain data
        self._definitions: dict[str, Definition] = {}
        self._patches = Patches(self)
        self._statements = Statements(self, self._notebook)

    # --- what the graph asks for ---

    def name_of(self, value: Any, preferred: str, where: Where) -> str:
        """A name that means the value: the one it has in the notebook, else the preferred one; defined if it is new."""
        for name, known in self._values.items():
            if known is value and not name.startswith("_"):
                return name
        own = getattr(value, "__name__", None) if isinstance(value, type | types.FunctionType) else None
        given = [own] if isinstance(own, str) and self.namespace.get(own, MISSING) is value else []
        given += [] if literal(value) is not None and isinstance(value, IMMUTABLE) else self._held_as(value)
        name = next((name for name in given if _is_usable(name)), None) or self.free_name(preferred)
        return self.define(name, value, where)

    def _held_as(self, value: Any) -> list[str]:
        return [name for name, held in self._notebook.named() if held is value]

    def expression(self, name: str, text: str, where: Where) -> str:
        """A name for what an expression of the notebook gives, evaluated anew where the module is imported."""
        name = self.free_name(name)
        if text.strip() in self.choice.evaluated:
            return self.define(name, self.choice.evaluated[text.strip()], where)
        needs = names_in(f"{name} = ({text}\n)")
        self.need_all(needs, self._notebook.lookup, text, where)
        self.add(Definition(name, f"{name} = {_on_one_line(text)}", needs.now, needs.later), MISSING)
        return name

    def function(self, name: str, text: str, where: Where) -> str:
        """A function of `event` for an expression that a document may not hold."""
        name = self.free_name(name)
        needs = names_in(f"def {name}(event):\n    return ({text}\n)")
        self.need_all(needs, self._notebook.lookup, text, where)
        body = f"def {name}(event):\n    return {_on_one_line(text)}"
        self.add(Definition(name, body, needs.now, needs.later), MISSING)
        return name

    def free_name(self, preferred: str) -> str:
        """A name that nothing in the module or the notebook has.

        >>> Module({"score": 1}).free_name("score"), Module({}).free_name("2 fast, <b>"), Module({}).free_name("print")
        ('score_2', 'step_2_fast_b', 'print_2')
        """
        name = re.sub(r"\W+", "_", preferred, flags=re.ASCII).strip("_").lower() or "value"
        if not preferred.isidentifier() or preferred.startswith("_"):
            name = name if not name[0].isdigit() else f"step_{name}"
        else:
            name = preferred
        taken = {*self._values, *self.namespace, *BUILTINS, *keyword.kwlist}
        numbered = (f"{name}_{number}" for number in range(2, len(taken) + 3))
        return name if name not in taken else next(other for other in numbered if other not in taken)

    def brought(self, name: str, value: Any, line: Callable[[str], str]) -> str:
        """A name that the module needs for itself: the usual one, or another where the notebook has that for something.

        `line` writes the statement that brings the value in under a name.
        """
        if self._values.get(name, self.namespace.get(name, value)) is not value:
            name = self.free_name(name)
        self._values[name] = value
        self._lines.add(line(name))
        return name

    def load_graph(self, name: str, graph: Any, file: str) -> str:
        """A graph of its own document; its names are looked up in the module, late."""
        path = self.brought("Path", _path(), _from("pathlib", "Path"))
        kind = self.brought("Graph", type(graph), _from("nbgraph", "Graph"))
        text = f'{name} = {kind}.load({path}(__file__).with_name("{file}"), namespace=globals())'
        self.add(Definition(name, text), graph)
        return name

    def lookup(self, name: str, where: Where) -> Any:
        """What a name means in the notebook, where the built-in steps are known too."""
        value = self._notebook.lookup(name)
        if value is MISSING and name in BUILTINS:
            return getattr(builtins, name)
        if value is MISSING:
            raise unknown(name, where)
        return value

    # --- growing ---

    def define(self, name: str, value: Any, where: Where) -> str:
        """Let the name mean the value in the module."""
        known = self._values.get(name, MISSING)
        if known is not MISSING:
            if known is value or (literal(known) is not None and literal(known) == literal(value)):
                return name
            raise ClashError(
                f'{where}: "{name}" means two different things in what the graph uses ({_described(known)} and '
                f"{_described(value)}); rename one of them."
            )
        if isinstance(value, str | bytes):
            raise_if_secret(name, value, where)
        raise_if_open(value, where)
        self._values[name] = value
        if type(value).__module__.startswith("nbgraph."):
            self.modules.update(attribute(value, "packages", ()))  # what it imports when it is first used
        if not self._import(name, value) and not self._alias(name, value):
            self._write(name, value, where)
        self._patch(name, value, where)
        return name

    def _import(self, name: str, value: Any) -> bool:
        if self.choice.is_changed(value):
            return False
        found = self._imports.of(name, value)
        for line in found:
            self._lines.add(line.line)
            self.modules.update(line.modules)
        return bool(found)

    def _alias(self, name: str, value: Any) -> bool:
        """Another name of what has one already."""
        if isinstance(value, IMMUTABLE):
            return False
        other = self._names.setdefault(id(value), name)
        if other == name:
            return False
        self.add(Definition(name, f"{name} = {other}", (other,)), value)
        return True

    def _write(self, name: str, value: Any, where: Where) -> None:
        if self.choice.is_by_value(value) and not isinstance(value, IMMUTABLE):
            raise_if_secrets(value, where)
            self._store(name, value, where)
            return
        text = literal(value)
        if text is not None:
            raise_if_secrets(value, where)
            self._texts[name] = value
            self.add(Definition(name, f"{name} = {text}", is_data=True), value)
        elif not (self._write_call(name, value, where) or self._statements.write(name, value, where)):
            raise_if_secrets(value, where)
            self._store(name, value, where)

    def _write_call(self, name: str, value: Any, where: Where) -> bool:
        """What a short call makes again: constants of the standard library, methods of something that has a name."""
        if isinstance(value, types.MethodType | types.BuiltinMethodType) and _is_reached_by_name(value):
            owner = self.name_of(value.__self__, f"{name}_object", where.through(name))
            self.add(Definition(name, f"{name} = {owner}.{value.__name__}", (owner,)), value)
            return True
        if type(value) in (classmethod, staticmethod):
            inner = self.name_of(value.__func__, f"{name}_function", where.through(name))
            self.add(Definition(name, f"{name} = {type(value).__name__}({inner})", (inner,)), value)
            return True
        call = constructed(value)
        if call is None:
            return False
        text, named = call
        for thing in named:
            text = self._with_name(text, thing, name, where)
        needed = tuple(found for thing in named if (found := self._names.get(id(thing))) in self._definitions and found)
        self.add(Definition(name, f"{name} = {text}", needed, is_data=not needed), value)
        return True

    def _with_name(self, text: str, thing: Any, name: str, where: Where) -> str:
        """The text of a call with the name that the module has for what is called."""
        own = thing.__name__
        if isinstance(thing, types.ModuleType):
            found = self.brought(own, thing, lambda name: f"import {own}" + (f" as {name}" if name != own else ""))
        elif is_notebook(thing.__module__):
            found = self.name_of(thing, own, where.through(name))
        else:
            found = self.brought(own, thing, _from(thing.__module__.replace("pathlib._local", "pathlib"), own))
        self.modules.add(own if isinstance(thing, types.ModuleType) else thing.__module__)
        return re.sub(rf"^{own}\b", found, text)

    def add(self, definition: Definition, value: Any) -> None:
        """Put a statement in; `value` is what its name means."""
        for line in secrets_in(definition.text):
            found = definition.text.splitlines()[line - 1].strip()
            raise ExportError(
                f'"{definition.name}" has what looks like a secret in its text ({found[:20]}...); take it at run time '
                "from context.secret(name) instead."
            )
        self._values.setdefault(definition.name, value)
        self._definitions[definition.name] = definition

    # --- code ---

    def text_of(self, value: Any, variable: str, where: Where) -> str:
        """A value inside of a text: what is small as it is, all else by its name."""
        text = literal(value) if isinstance(value, IMMUTABLE) or not self._held_as(value) else None
        if text is not None and "\n" not in text and id(value) not in self._names:
            raise_if_secret(variable, value, where.through(variable))
            self._texts[f"{where} {variable}"] = value
            return text
        preferred = f"{where.names[-1]}_{variable}" if where.names else variable
        return self.name_of(value, preferred, where.through(variable))

    def forget(self, value: Any) -> None:
        """Let it get another name than the one it was to have."""
        self._names.pop(id(value), None)

    def reserve(self, preferred: str) -> str:
        """A free name for something that only the text has."""
        name = self.free_name(preferred)
        self._values[name] = name
        return name

    def knows(self, name: str) -> bool:
        return name in self._values

    def _patch(self, name: str, value: Any, where: Where) -> None:
        for patch in self._patches.of(name, value, where):
            self.add(patch, MISSING)

    # --- names ---

    def need_all(
        self,
        needs: GlobalNames,
        lookup: Callable[[str], Any],
        text: SourceText | str,
        where: Where,
        skip: set[str] | None = None,
    ) -> None:
        """Let the names that a text needs mean here what they mean where it was written."""
        for name in (*needs.now, *needs.later):
            if name in (skip or ()) or name in OF_EVERY_MODULE:
                continue
            line = text.line_of(name) if isinstance(text, SourceText) else None
            if lookup(name) is not MISSING or not (isinstance(text, SourceText) and text.guards(name)):
                self._need(name, lookup, where.through(name, line))
        asked_for = text.asked_for() if isinstance(text, SourceText) else set()
        for name in (*needs.perhaps, *sorted(asked_for)):
            if name not in (skip or ()) and lookup(name) is not MISSING:
                self.define(name, lookup(name), where.through(name))

    def _need(self, name: str, lookup: Callable[[str], Any], where: Where) -> None:
        value = lookup(name)
        refuse_waiting(name, value, where)
        if value is not MISSING:
            self.define(name, value, where)
        elif name not in BUILTINS:
            raise unknown(name, where)

    def need(self, names: Iterable[str], function: Any, where: Where) -> None:
        """The names that a function looks up, which goes by value."""
        lookup = self._notebook.of(function)
        for name in names:
            is_known = name in BUILTINS or name in NOTEBOOK_ONLY or lookup(name) is not MISSING
            if name not in OF_EVERY_MODULE and is_known:
                self._need(name, lookup, where.through(name))

    def _need_subclasses(self) -> None:
        """Classes that the code finds by asking their base for them."""
        done: set[int] = set()
        while self._looks_at_subclasses() and (fresh := [kind for kind in self._classes() if id(kind) not in done]):
            for kind in fresh:
                done.add(id(kind))
                every: list[type] = type.__subclasses__(kind)
                for below in every:
                    self.name_of(below, below.__name__, Where(kind.__name__))

    def _looks_at_subclasses(self) -> bool:
        return any("__subclasses__" in definition.text for definition in self._definitions.values()) or any(
            "__subclasses__" in attributes(function.__code__) for function in self.stock.functions()
        )

    def _write_settings(self) -> None:
        lines = list(settings(self.modules))
        if lines:
            decimal = sys.modules["decimal"]
            name = self.brought(
                "decimal", decimal, lambda name: "import decimal" + (f" as {name}" * (name != "decimal"))
            )
            text = "\n".join(lines).replace("decimal.", f"{name}.")
            self.add(Definition("decimal context", f"# As it was set in the notebook.\n{text}", is_data=True), MISSING)

    def _classes(self) -> list[type]:
        return [value for value in self._values.values() if isinstance(value, type) and _is_ours(value)]

    def refer(self, part: Any, preferred: str, where: Where) -> str | None:
        """The name by which a pickle refers to something; None where it is written into it."""
        if isinstance(part, (types.ModuleType, *IMMUTABLE)):
            return None
        if id(part) in self._names:
            return self._names[id(part)]
        if not isinstance(part, type | types.FunctionType) or not _is_ours(part):
            return None
        return self.name_of(part, preferred, where) if any(map(_is_usable, self._held_as(part))) else None

    # --- files ---

    def _store(self, name: str, value: Any, where: Where) -> None:
        place = place_of(value)
        if place is not None and not self.choice.is_by_value(value):
            self._lines.add(_from(*place)(name))
            self.modules.add(place[0])
            return
        for base in value.__mro__[1:] if isinstance(value, type) else ():
            if "__init_subclass__" in vars(base) and home_of(base) is None and not self.choice.is_by_value(base):
                self.choice.take(base, "its __init_subclass__ must not run again")
                raise RestartError
        self.add(Definition(name, "", ()), value)
        self.stock.take(name, value, where)

    # --- text ---

    def text(self, title: str) -> str:
        """The whole module."""
        self._need_subclasses()
        self._write_settings()
        for holder, _ in list(self.choice.patches.values()):
            if isinstance(holder, types.ModuleType) or home_of(holder) is not None:
                self.name_of(holder, holder.__name__.replace(".", "_"), Where(holder.__name__))
        call = ""
        if self.stock:
            call = self.brought("artifact", _ArtifactCall, lambda name: "")
            of = self.brought("artifacts_of", _ArtifactCall, _from("nbgraph.capture.artifacts", "artifacts_of"))
            for definition in self.stock.packed(self._definitions, self._texts, self.arguments, call):
                self._definitions[definition.name] = definition
            call = f"{call} = {of}(globals())\n"
        else:
            self.stock.packed({}, self._texts, self.arguments, "")
        self._lines.discard("")
        layout = ModuleOrder(self._lines, self.exported, call, self._statements.has_future_annotations)
        return layout.text(title, ordered(self._definitions))


class _ArtifactCall:
    """Stands for what reads artifacts, among the values of the module."""


def _path() -> type:
    import pathlib

    return pathlib.Path


def _from(module: str, attribute: str) -> Callable[[str], str]:
    return lambda name: f"from {module} import {attribute}" + (f" as {name}" if name != attribute else "")


def _is_ours(code: types.FunctionType | type) -> bool:
    """Whether a function or class was made in the notebook, so that the module has to have it."""
    if home_of(code) is not None:
        return False
    if isinstance(code, type):
        return code.__module__ != "builtins" or kind_name(code) is None
    return is_notebook(str(code.__globals__.get("__name__")))


def _is_reached_by_name(method: Any) -> bool:
    owner = method.__self__
    if owner is None or isinstance(owner, types.ModuleType) or not method.__name__.isidentifier():
        return False
    return bool(attribute(owner, method.__name__) == method)


def _is_usable(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_") and name not in BUILTINS


def _described(value: Any) -> str:
    return type(value).__name__


def _on_one_line(text: str) -> str:
    text = text.strip()
    return f"(\n    {text}\n)" if "\n" in text else text
