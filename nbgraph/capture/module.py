"""Module: grows from the graph's handlers by what each needs, until nothing is missing; then it is text.

Every name means in the module what it means in the notebook now: the live object decides, not the cell that was run
last. How a value gets there depends on what it is: an import, the statement it was written as, a literal, a file.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import types
from collections.abc import Callable, Mapping
from typing import Any

from nbgraph.capture.artifacts import Artifact, Stored, artifact_of, store
from nbgraph.capture.definition import Definition, ordered
from nbgraph.capture.imports import Imports, home_of
from nbgraph.capture.layout import ARTIFACT, Layout
from nbgraph.capture.literal import constructed, literal
from nbgraph.capture.live import SOMETHING, closure, decorated, defaults, written_in_class
from nbgraph.capture.local import imported_by
from nbgraph.capture.names import Names, names_in
from nbgraph.capture.notebook import BUILTINS, MISSING, NOTEBOOK_ONLY, Notebook, unknown
from nbgraph.capture.refusal import Where, raise_if_open, raise_if_secret, raise_if_secrets, refused, secrets_in
from nbgraph.capture.requirements import versions_of
from nbgraph.capture.source import Source, Written, indented, source_of
from nbgraph.errors import ExportError

OF_EVERY_MODULE = frozenset({"__name__", "__file__", "__doc__", "__builtins__", "__annotations__", "__dict__"})


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

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self.namespace = namespace
        self._notebook = Notebook(namespace)
        self.modules: set[str] = set()  # that are imported, by the text or by what is in the artifacts
        self.artifacts: dict[str, Artifact] = {}
        self.contents: dict[str, bytes] = {}
        self.exported: set[str] = set()  # what the graph itself names
        self._imports = Imports(namespace)
        self._lines: set[str] = set()
        self._values: dict[str, Any] = {}
        self._definitions: dict[str, Definition] = {}
        self._has_future_annotations = False

    # --- what the graph asks for ---

    def name_of(self, value: Any, preferred: str, where: Where) -> str:
        """A name that means the value: the one it has in the notebook, else the preferred one; defined if it is new."""
        for name, known in self._values.items():
            if known is value and not name.startswith("_"):
                return name
        own = getattr(value, "__name__", None)
        given = [own] if isinstance(own, str) and self.namespace.get(own, MISSING) is value else []
        given += [] if literal(value) is not None else [name for name, held in self._notebook.named() if held is value]
        name = next((name for name in given if _is_usable(name)), None) or self.free_name(preferred)
        return self.define(name, value, where)

    def expression(self, name: str, text: str, where: Where) -> str:
        """A name for what an expression of the notebook gives, evaluated anew where the module is imported."""
        name = self.free_name(name)
        needs = names_in(f"{name} = ({text}\n)")
        self._need_all(needs, self._notebook.lookup, text, where)
        self._add(Definition(name, f"{name} = {_on_one_line(text)}", needs.now, needs.later), MISSING)
        return name

    def function(self, name: str, text: str, where: Where) -> str:
        """A function of `event` for an expression that a document may not hold."""
        name = self.free_name(name)
        needs = names_in(f"def {name}(event):\n    return ({text}\n)")
        self._need_all(needs, self._notebook.lookup, text, where)
        body = f"def {name}(event):\n    return {_on_one_line(text)}"
        self._add(Definition(name, body, needs.now, needs.later), MISSING)
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
        taken = {*self._values, *self.namespace, *BUILTINS, *keyword.kwlist, ARTIFACT}
        numbered = (f"{name}_{number}" for number in range(2, len(taken) + 3))
        return name if name not in taken else next(other for other in numbered if other not in taken)

    def load_graph(self, name: str, graph: Any, file: str) -> str:
        """A graph of its own document; its names are looked up in the module, late."""
        self._lines |= {"from pathlib import Path", "from nbgraph import Graph"}
        text = f'{name} = Graph.load(Path(__file__).with_name("{file}"), namespace=globals())'
        self._add(Definition(name, text), graph)
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
            raise ExportError(
                f'{where}: "{name}" means two different things in what the graph uses ({_described(known)} and '
                f"{_described(value)}); rename one of them."
            )
        if isinstance(value, str | bytes):
            raise_if_secret(name, value, where)
        raise_if_open(value, where)
        self._values[name] = value
        if not self._import(name, value):
            self._write(name, value, where)
        return name

    def _import(self, name: str, value: Any) -> bool:
        found = self._imports.of(name, value)
        if not found and isinstance(value, types.ModuleType):
            raise ExportError(f'The module "{name}" was made in the notebook and can\'t be imported elsewhere.')
        for line in found:
            self._lines.add(line.line)
            self.modules.update(line.modules)
        return bool(found)

    def _write(self, name: str, value: Any, where: Where) -> None:
        text = literal(value)
        if text is not None:
            raise_if_secrets(value, where)
            self._add(Definition(name, f"{name} = {text}", is_data=True), value)
            return
        call = constructed(value)
        if call is not None:
            text, named = call
            needed = tuple(self.define(thing.__name__, thing, where.through(name)) for thing in named)
            self._add(Definition(name, f"{name} = {text}", needed, is_data=not self._are_written(needed)), value)
        elif not self._write_code(name, value, where):
            raise_if_secrets(value, where)
            self._write_artifact(name, value, where)

    def _are_written(self, names: tuple[str, ...]) -> bool:
        return any(name in self._definitions for name in names)

    def _add(self, definition: Definition, value: Any) -> None:
        for line in secrets_in(definition.text):
            found = definition.text.splitlines()[line - 1].strip()
            raise ExportError(
                f'"{definition.name}" has what looks like a secret in its text ({found[:20]}...); take it at run time '
                "from context.secret(name) instead."
            )
        self._values.setdefault(definition.name, value)
        self._definitions[definition.name] = definition

    # --- code ---

    def _write_code(self, name: str, value: Any, where: Where) -> bool:
        """Functions and classes of the notebook, also behind decorators; False for all other values."""
        plain = value if isinstance(value, type | types.FunctionType) else decorated(value, name)
        if plain is None:
            return False
        source = source_of(plain, self.namespace)
        if source is None:
            raise ExportError(
                f'{where}: the text of "{name}" is not found (it was made by exec, or its cell is gone); '
                "run the cell that defines it again."
            )
        if plain is value and isinstance(value, types.FunctionType) and value.__closure__:
            inner = decorated(value, name)  # @decorator without functools.wraps: the name is on the function inside
            inner_source = source_of(inner, self.namespace) if inner is not None else None
            if inner is not None and inner_source is not None:
                plain, source = inner, inner_source
        self._write_statement(name, value, plain, source, where.through(name, source.line))
        return True

    def _write_statement(self, name: str, value: Any, plain: Any, source: Source, where: Where) -> None:
        node = source.node
        if isinstance(plain, types.FunctionType) and plain.__code__.co_flags & _FUTURE_ANNOTATIONS:
            self._has_future_annotations = True
        enclosed = self._enclosed(plain, node, where)
        own = None if isinstance(node, ast.Lambda) else node.name
        if own is not None and own != name and not enclosed and self.namespace.get(own, MISSING) is value:
            self.define(own, value, where)
            self._add(Definition(name, f"{name} = {own}", (own,)), value)
            return
        self.modules |= imported_by(node)
        statement = f"{name} = {source.text}" if own is None else source.text
        needs = names_in(statement)
        self._need_all(needs, self._notebook.of(plain), source, where, skip={name, *enclosed})
        is_direct = not enclosed and own in (None, name)
        text = statement if is_direct else self._factory(name, own, source.text, enclosed, where)
        outer = tuple(n for n in needs.now if n not in enclosed)
        later = tuple(n for n in needs.later if n not in enclosed)
        now = (*outer, *later, *self._values_named(enclosed)) if not is_direct else outer
        self._add(Definition(name, text + self._changed_since(name, value, source, where), now, later), value)

    def _factory(self, name: str, own: str | None, text: str, enclosed: Mapping[str, str], where: Where) -> str:
        """A function's enclosed values as the arguments of a function around it."""
        factory = f"make_{name}"
        inner = indented(text) + f"\n    return {own}" if own is not None else f"    return {text}"
        arguments = ", ".join(f"{variable}={given}" for variable, given in enclosed.items())
        return f"def {factory}({', '.join(enclosed)}):\n{inner}\n\n\n{name} = {factory}({arguments})"

    def _enclosed(self, plain: Any, node: Written, where: Where) -> dict[str, str]:
        """The values a function keeps of the place it was made in (its closure, its defaults), as Python text."""
        kept = dict(closure(plain))
        if isinstance(plain, types.FunctionType) and not isinstance(node, ast.ClassDef):
            kept |= defaults(plain, node.args, plain.__globals__)
        return {variable: self._text_of(value, variable, where) for variable, value in sorted(kept.items())}

    def _text_of(self, value: Any, variable: str, where: Where) -> str:
        text = literal(value)
        if text is not None and "\n" not in text:
            raise_if_secret(variable, value, where.through(variable))
            return text
        preferred = f"{where.names[-1]}_{variable}" if where.names else variable
        return self.name_of(value, preferred, where.through(variable))

    def _values_named(self, enclosed: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(text for text in enclosed.values() if text in self._values)

    def _changed_since(self, name: str, cls: Any, source: Source, where: Where) -> str:
        """Attributes that were set on a class after it was written, since the live class is what counts."""
        if not isinstance(cls, type) or not isinstance(source.node, ast.ClassDef):
            return ""
        lines = []
        for attribute, value in sorted(vars(cls).items()):
            written = written_in_class(source.node, attribute)
            text = literal(value)
            if attribute.startswith("__") or text is None or text == written or written is SOMETHING:
                continue
            raise_if_secret(attribute, value, where.through(attribute))
            lines.append(f"{name}.{attribute} = {text}  # set after the class was written")
        return "\n\n\n" + "\n".join(lines) if lines else ""

    # --- names ---

    def _need_all(
        self, needs: Names, lookup: Callable[[str], Any], text: Source | str, where: Where, skip: set[str] | None = None
    ) -> None:
        for name in (*needs.now, *needs.later):
            if name in (skip or ()) or name in OF_EVERY_MODULE:
                continue
            value = lookup(name) if name not in NOTEBOOK_ONLY and name not in ("exit", "quit") else MISSING
            line = text.line_of(name) if isinstance(text, Source) else None
            if value is not MISSING:
                self.define(name, value, where.through(name, line))
            elif name not in BUILTINS:
                raise unknown(name, where.through(name, line))
        for name in needs.perhaps:
            if name not in (skip or ()) and lookup(name) is not MISSING:
                self.define(name, lookup(name), where.through(name))

    # --- text ---

    def text(self, title: str) -> str:
        """The whole module."""
        layout = Layout(self._lines, self.exported, bool(self.artifacts), self._has_future_annotations)
        return layout.text(title, ordered(self._definitions))

    # --- files ---

    def _write_artifact(self, name: str, value: Any, where: Where) -> None:
        stored = self._stored(name, value, where)
        self.modules.update(stored.modules)
        artifact = artifact_of(name, value, stored, versions_of(stored.modules))
        self.artifacts[name] = artifact
        self.contents[artifact.file] = stored.content
        is_data = not self._are_written(stored.names)
        self._add(Definition(name, f'{name} = {ARTIFACT}("{name}")', stored.names, is_data=is_data), value)

    def _stored(self, name: str, value: Any, where: Where) -> Stored:
        def name_in_pickle(part: Any) -> str | None:
            if part is not value:
                raise_if_open(part, where.through(f"a part of {name}"))
            if isinstance(part, str):
                raise_if_secret("", part, where.through(f"a part of {name}"))
            is_ours = isinstance(part, type | types.FunctionType) and home_of(part) is None
            return self.name_of(part, f"{name}_{_plain_name(part)}", where) if is_ours else None

        try:
            return store(value, name_in_pickle)
        except ExportError:
            raise
        except Exception as error:  # whatever a class of the user's or a library's raises from __reduce__
            what = f"a {_described(value)} that can't be written to a file ({type(error).__name__}: {error})"
            raise refused(where, what, "make it in the step's constructor or post_init()") from error


_FUTURE_ANNOTATIONS = 0x1000000  # CO_FUTURE_ANNOTATIONS


def _is_usable(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_") and name not in BUILTINS and name != ARTIFACT


def _plain_name(value: Any) -> str:
    return re.sub(r"\W+", "_", str(getattr(value, "__name__", "part"))).strip("_")


def _described(value: Any) -> str:
    return type(value).__name__


def _on_one_line(text: str) -> str:
    text = text.strip()
    return f"(\n    {text}\n)" if "\n" in text else text
