"""Admission: which names and expressions of a text may enter a graph, and what they mean."""

from __future__ import annotations

import ast
import builtins
import re
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.edge import Condition
from nbgraph.graph.naming import attribute_of, is_dotted, name_of, object_of
from nbgraph.graph.safety.code_arguments import check_arguments, check_calls
from nbgraph.graph.safety.expression import SAFE_FUNCTIONS, check_safe, parsed
from nbgraph.graph.scope import Code, Scope
from nbgraph.graph.step import Handled, Step

_PREDICATE = re.compile(r"\s*([^\W\d][\w.]*)\(event\)\s*")
_TYPES = frozenset(["str", "bytes", "int", "float", "complex", "bool", "list", "tuple", "dict", "set", "frozenset"])


@dataclass(frozen=True)
class Admission:
    """Judges what a text names. A cell is the user's own, so everything in it is admitted; a loaded document is not.

    >>> Admission(Scope(is_document=True)).handler("os.system", "steps.a.handler")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: steps.a.handler: "os.system" is in module "os", which a loaded graph may not import; ...
    """

    scope: Scope

    def handler(self, text: str, where: str) -> Handled:
        """A handler's text as it is, to be bound late; the object itself where only a known object may be meant."""
        if text.lstrip().startswith("("):
            self._check(text, where)
            return text
        if not self.scope.io:
            self._stay_inside(self._kind(text), text, where)
        if "." not in text or not is_dotted(text):
            return text
        found: Handled | None = self._known(text)
        if found is not None:
            return found
        if self._is_attribute(text) or self.scope.allows(text.rpartition(".")[0]):
            return text
        raise self._refused(text, where)

    def code(self, text: str, where: str) -> Any:
        """An argument that was written as an expression."""
        if "." in text and is_dotted(text):
            return self._dotted_code(text, where)
        if self.scope.is_document:
            self._refuse_builtins(text, where)
            check_safe(text, self._names(), where, is_code=True)
            check_calls(text, self._kind, where, self._check_evaluated)
            self._refuse_io(text, where)
        return Code(text)

    def condition(self, text: str, where: str) -> Condition:
        """An expression over `event`, or the call of a predicate, `is_big(event)`, that the namespace has."""
        if not self.scope.is_document:
            return text
        call = _PREDICATE.fullmatch(text)
        if call and "." in call[1]:
            found: Condition = self._imported(call[1], where)
            return found
        if call and (self.scope.gives(call[1]) or not hasattr(builtins, call[1])) and call[1][0] != "_":
            return text
        self._check(text, where)
        return text

    def arguments(self, handler: Any, arguments: Mapping[str, Any], where: str) -> None:
        """Look at the texts among the arguments that the step will evaluate."""
        if self.scope.is_document:
            kind = self._kind(handler) if isinstance(handler, str) else handler
            if isinstance(kind, type):
                check_arguments(kind, arguments, where, self._check_evaluated)

    def caught(self, text: str, where: str) -> str:
        """The names of exceptions on the arrow to an error handler, `ValueError | KeyError`."""
        for name in text.split("|"):
            if not is_dotted(name.strip()):
                raise GraphError(
                    f'{where}: found {text!r}; expected names of exceptions, such as "ValueError | KeyError".'
                )
        return text

    def exception(self, text: str, where: str) -> type[BaseException]:
        """The exception type of a name: a builtin, one of the namespace, one of a module that may be imported."""
        found = getattr(builtins, text, None) if "." not in text else None
        found = self.scope.namespace.get(text, found)
        if found is None and "." in text and is_dotted(text):
            found = self._imported(text, where)
        if isinstance(found, type) and issubclass(found, BaseException):
            return found
        raise GraphError(
            f'{where}: "{text}" is not an exception that is known here; expected a builtin such as ValueError, or a '
            "class of the namespace."
        )

    def _check(self, text: str, where: str) -> None:
        if self.scope.is_document:
            check_safe(text, self._names() | {"event"}, where)

    def inside(self, found: Any, text: str, where: str) -> None:
        """Refuse a step that reads or writes outside of a graph that was loaded with io=False."""
        if self.scope.is_document and not self.scope.io:
            found = found.handler if isinstance(found, Step) else found
            self._stay_inside(found if isinstance(found, type) else type(found), text, where)

    def _stay_inside(self, kind: type | None, text: str, where: str) -> None:
        touched = getattr(kind, "io", "")
        if isinstance(touched, str) and touched:
            raise GraphError(
                f'{where}: "{text}" works with {touched}, and the graph is loaded without that (io=False, --no-io).'
            )

    def _refuse_io(self, text: str, where: str) -> None:
        if not self.scope.io:
            for node in ast.walk(parsed(text, where)):
                if isinstance(node, ast.Name):
                    self._stay_inside(self._kind(node.id), node.id, where)

    def _kind(self, name: str) -> type | None:
        """The class that a handler's name stands for, where it is known by now."""
        found = self.scope.known(name if "." not in name else name.rpartition(".")[2])
        return found if isinstance(found, type) else None

    def _check_evaluated(self, text: str, names: Collection[str], where: str) -> None:
        check_safe(text, names, where)

    def _names(self) -> set[str]:
        return set(self.scope.namespace) if self.scope.is_given else set()

    def _known(self, text: str) -> Any:
        """The namespace's object of exactly this name, or a method of a plain type, `str.strip`."""
        root, _, last = text.partition(".")
        if root in _TYPES and root not in self.scope.namespace and "." not in last and not last.startswith("_"):
            return getattr(getattr(builtins, root), last, None)
        given = self.scope.namespace.get(text.rpartition(".")[2])
        return given if given is not None and name_of(given) == text else None

    def _is_attribute(self, text: str) -> bool:
        """Whether the text leads into an object of the namespace; a module would lead anywhere."""
        root, *parts = text.split(".")
        found = self.scope.namespace.get(root)
        is_open = not isinstance(found, types.ModuleType) or not self.scope.is_document
        is_private = any(part.startswith("_") for part in parts) or root.startswith("__")
        return found is not None and is_open and not (is_private and self.scope.is_document)

    def _dotted_code(self, text: str, where: str) -> Any:
        if not self.scope.is_document:
            is_evaluable = text.partition(".")[0] in self.scope.namespace
            return Code(text) if is_evaluable or self._known(text) is None else self._known(text)
        if self.scope.is_given and self._is_attribute(text) and self._known(text) is None:
            return Code(text)
        return self._imported(text, where)

    def _imported(self, text: str, where: str) -> Any:
        """The object of a dotted name: one of the namespace, else from a module that may be imported."""
        if (found := self._known(text)) is not None:
            return found
        root, *parts = text.split(".")
        if not self.scope.is_document and self._is_attribute(text):
            return self._found(partial(attribute_of, self.scope.namespace[root], parts, text), where)
        if not self.scope.allows(text.rpartition(".")[0]):
            raise self._refused(text, where)
        return self._found(partial(object_of, text), where)

    def _found(self, find: Callable[[], Any], where: str) -> Any:
        try:
            return find()
        except GraphError as error:
            raise GraphError(f"{where}: {error}") from error.__cause__

    def _refuse_builtins(self, text: str, where: str) -> None:
        """`eval` handed to a step as its function would be full Python after all."""
        for node in ast.walk(parsed(text, where)):
            if isinstance(node, ast.Name) and node.id not in SAFE_FUNCTIONS and node.id not in self.scope.namespace:
                found = getattr(builtins, node.id, None)
                if found is not None and not (isinstance(found, type) and issubclass(found, BaseException)):
                    raise GraphError(f'{where}: "{node.id}" is not among the builtins that a loaded graph may use.')

    def _refused(self, text: str, where: str) -> GraphError:
        module, _, name = text.rpartition(".")
        return GraphError(
            f'{where}: "{text}" is in module "{module}", which a loaded graph may not import; allow it with '
            f'allow=["{module}"], or give the object: namespace={{"{name}": {text}}}.'
        )
