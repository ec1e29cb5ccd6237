"""The Module: collects what the graph's handlers need until nothing is missing; then it is text.

Every name means in the module what it means in the notebook now: the live object decides, not the cell that was run
last. The `ModuleWriter` knows how a value is written, the `SymbolTable` which names there are.
"""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nbgraph.capture.module.code import attributes
from nbgraph.capture.module.definition import Definition
from nbgraph.capture.module.imports import home_of, is_notebook, kind_name
from nbgraph.capture.module.literal import literal
from nbgraph.capture.module.names import GlobalNames, names_in
from nbgraph.capture.module.notebook import BUILTINS, MISSING, NOTEBOOK_ONLY, Notebook, refuse_waiting, unknown
from nbgraph.capture.module.patch import library_settings
from nbgraph.capture.module.source import SourceText
from nbgraph.capture.module.statement import ClashError
from nbgraph.capture.module.symbols import IMMUTABLE, SymbolTable, is_usable
from nbgraph.capture.module.writer import ModuleWriter, import_from, import_of
from nbgraph.capture.policy import CapturePolicy
from nbgraph.capture.refusal import Where, raise_if_open, raise_if_secret
from nbgraph.introspection import attribute

OF_EVERY_MODULE = frozenset({"__name__", "__file__", "__doc__", "__builtins__", "__annotations__", "__dict__"})


class Module:
    """The module of one graph.

    `exported` are the names that the graph itself uses, `arguments` the plain data that stands in its document.

    >>> module = Module({"LIMIT": 3})
    >>> module.define("LIMIT", 3, Where("check"))
    'LIMIT'
    >>> print(module.text("The limit."), end="")
    \"\"\"The limit.\"\"\"
    <BLANKLINE>
    LIMIT = 3
    """

    def __init__(self, namespace: Mapping[str, Any], policy: CapturePolicy | None = None) -> None:
        self.policy = policy or CapturePolicy()
        self.exported: set[str] = set()
        self.arguments: list[Any] = []
        self._notebook = Notebook(namespace)
        self._symbols = SymbolTable(namespace, self._notebook)
        self._writer = ModuleWriter(self, self._symbols, self.policy, namespace, self._notebook)
        self.stock = self._writer.stock
        self.modules = self._writer.text.modules  # that are imported by the text or by its artifacts

    # --- what the graph uses ---

    def name_of(self, value: Any, preferred: str, where: Where) -> str:
        """A name that means the value: the one it has in the notebook, else the preferred one; defined if it is new."""
        known = self._symbols.public_name(value)
        return known if known is not None else self.define(self._symbols.choose(value, preferred), value, where)

    def free_name(self, preferred: str) -> str:
        """A name that nothing in the module or the notebook has."""
        return self._symbols.free(preferred)

    def expression(self, name: str, text: str, where: Where) -> str:
        """A name for the value of an expression of the notebook, evaluated anew where the module is imported."""
        name = self._symbols.free(name)
        if text.strip() in self.policy.evaluated:
            return self.define(name, self.policy.evaluated[text.strip()], where)
        needs = names_in(f"{name} = ({text}\n)")
        self.need_all(needs, self._notebook.lookup, text, where)
        self._writer.bind(Definition(name, f"{name} = {_in_brackets(text)}", needs.now, needs.later), MISSING)
        return name

    def function(self, name: str, text: str, where: Where) -> str:
        """A function of `event` for an expression that a document may not hold."""
        name = self._symbols.free(name)
        needs = names_in(f"def {name}(event):\n    return ({text}\n)")
        self.need_all(needs, self._notebook.lookup, text, where)
        body = f"def {name}(event):\n    return {_in_brackets(text)}"
        self._writer.bind(Definition(name, body, needs.now, needs.later), MISSING)
        return name

    def load_graph(self, name: str, graph: Any, file: str) -> str:
        """A graph of its own document; its names are looked up in the module, late."""
        path = self._writer.bring("Path", _path(), import_from("pathlib", "Path"))
        kind = self._writer.bring("Graph", type(graph), import_from("nbgraph", "Graph"))
        text = f'{name} = {kind}.load({path}(__file__).with_name("{file}"), namespace=globals())'
        self._writer.bind(Definition(name, text), graph)
        return name

    def lookup(self, name: str, where: Where) -> Any:
        """What a name means in the notebook, where the built-in steps are known too."""
        value = self._notebook.lookup(name)
        if value is MISSING and name in BUILTINS:
            return getattr(builtins, name)
        if value is MISSING:
            raise unknown(name, where)
        return value

    # --- what that needs ---

    def define(self, name: str, value: Any, where: Where) -> str:
        """Let the name mean the value in the module."""
        known = self._symbols.get(name)
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
        self._symbols[name] = value
        if type(value).__module__.startswith("nbgraph."):
            self.modules.update(attribute(value, "packages", ()))  # what it imports when it is first used
        self._writer.write(name, value, where)
        return name

    def text_of(self, value: Any, variable: str, where: Where) -> str:
        """A value inside of a text: a short literal, else its name."""
        is_anonymous = isinstance(value, IMMUTABLE) or not self._symbols.notebook_names(value)
        text = literal(value) if is_anonymous else None
        if text is not None and "\n" not in text and self._symbols.first_name(value) is None:
            raise_if_secret(variable, value, where.through(variable))
            self._writer.plain[f"{where} {variable}"] = value
            return text
        preferred = f"{where.names[-1]}_{variable}" if where.names else variable
        return self.name_of(value, preferred, where.through(variable))

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
        looked_up = text.looked_up() if isinstance(text, SourceText) else set()
        for name in (*needs.perhaps, *sorted(looked_up)):
            if name not in (skip or ()) and lookup(name) is not MISSING:
                self.define(name, lookup(name), where.through(name))

    def need(self, names: Iterable[str], function: Any, where: Where) -> None:
        """Define the names that a function looks up, which goes by value."""
        lookup = self._notebook.of(function)
        for name in names:
            is_known = name in BUILTINS or name in NOTEBOOK_ONLY or lookup(name) is not MISSING
            if name not in OF_EVERY_MODULE and is_known:
                self._need(name, lookup, where.through(name))

    def _need(self, name: str, lookup: Callable[[str], Any], where: Where) -> None:
        value = lookup(name)
        refuse_waiting(name, value, where)
        if value is not MISSING:
            self.define(name, value, where)
        elif name not in BUILTINS:
            raise unknown(name, where)

    def refer(self, part: Any, preferred: str, where: Where) -> str | None:
        """The name by which a pickle refers to something; None where it is written into it."""
        if isinstance(part, (types.ModuleType, *IMMUTABLE)):
            return None
        name = self._symbols.first_name(part)
        if name is not None:
            return name
        if not isinstance(part, type | types.FunctionType) or not _is_ours(part):
            return None
        return self.name_of(part, preferred, where) if any(map(is_usable, self._symbols.notebook_names(part))) else None

    # --- the text ---

    def text(self, title: str) -> str:
        """The whole module."""
        self._need_subclasses()
        self._write_settings()
        for holder, _ in list(self.policy.patches.values()):
            if isinstance(holder, types.ModuleType) or home_of(holder) is not None:
                self.name_of(holder, holder.__name__.replace(".", "_"), Where(holder.__name__))
        return self._writer.text.text(title, self.exported, self._write_stock())

    def _write_stock(self) -> str:
        """The statements that read the files; the one that defines what they call."""
        writer = self._writer
        if not self.stock:
            self.stock.packed({}, writer.plain, self.arguments, "")
            return ""
        call = self._symbols.bring("artifact", _ArtifactCall)
        reader = writer.bring("artifacts_of", _ArtifactCall, import_from("nbgraph.capture.artifacts", "artifacts_of"))
        for definition in self.stock.packed(writer.text.definitions, writer.plain, self.arguments, call):
            writer.text.definitions[definition.name] = definition
        return f"{call} = {reader}(globals())\n"

    def _write_settings(self) -> None:
        lines = list(library_settings(self.modules))
        if lines:
            name = self._writer.bring("decimal", sys.modules["decimal"], import_of("decimal"))
            text = "\n".join(lines).replace("decimal.", f"{name}.")
            settings = Definition("decimal context", f"# As it was set in the notebook.\n{text}", is_data=True)
            self._writer.bind(settings, MISSING)

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
        definitions = self._writer.text.definitions.values()
        return any("__subclasses__" in definition.text for definition in definitions) or any(
            "__subclasses__" in attributes(function.__code__) for function in self.stock.functions()
        )

    def _classes(self) -> list[type]:
        return [value for value in self._symbols.values() if isinstance(value, type) and _is_ours(value)]


class _ArtifactCall:
    """Stands for what reads artifacts, among the values of the module."""


def _path() -> type:
    import pathlib

    return pathlib.Path


def _is_ours(code: types.FunctionType | type) -> bool:
    """Whether a function or class was made in the notebook, so that the module has to have it."""
    if home_of(code) is not None:
        return False
    if isinstance(code, type):
        return code.__module__ != "builtins" or kind_name(code) is None
    return is_notebook(str(code.__globals__.get("__name__")))


def _described(value: Any) -> str:
    return type(value).__name__


def _in_brackets(text: str) -> str:
    """The expression as it can stand behind `=` or `return`: in brackets where it has several lines."""
    text = text.strip()
    return f"(\n    {text}\n)" if "\n" in text else text
