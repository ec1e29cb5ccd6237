"""A call in a cell, `Enrich(table=customers)` or `step(clean, retries=3)`, as a step."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.documents import literal
from nbgraph.graph.documents.argument import POSITIONAL, STEP, named_first
from nbgraph.graph.graph import Graph
from nbgraph.graph.safety.admission import Admission
from nbgraph.graph.scope import Code, dotted, spelling
from nbgraph.graph.step import OPTIONS, Step, handler_name, step

Parse = Callable[[str], Graph]


@dataclasses.dataclass(frozen=True)
class Calls:
    """Reads calls of one text.

    >>> from nbgraph.graph.scope import Scope
    >>> text = 'Enrich(table=customers, on="card")'
    >>> read = Calls(Admission(Scope()), parse=None)
    >>> read.step(ast.parse(text, mode="eval").body, text).arguments["table"]
    Code(text='customers')
    """

    admission: Admission
    parse: Parse  # parses the text of a nested graph

    def step(self, call: ast.Call, source: str) -> Step:
        """The step of a call; its name is empty if the call gives none."""
        function = dotted(call.func)
        if function is None:
            raise GraphError(f"found `{ast.unparse(call.func)}(...)`; expected the name of a step and its arguments.")
        if function == STEP:
            return self._options_call(call, source)
        arguments = named_first(function, self._arguments(call, source))
        self.admission.arguments(function, arguments, function)
        return Step("", self.admission.handler(function, function), MappingProxyType(dict(arguments)))

    def argument(self, node: ast.expr, source: str) -> Any:
        """The value of an expression: a literal as it is, everything else as code."""
        return self._argument("", node, source)

    def _options_call(self, call: ast.Call, source: str) -> Step:
        if not call.args or len(call.args) > 2 or any(isinstance(arg, ast.Starred) for arg in call.args):
            raise GraphError("found `step(...)`; expected a handler, and perhaps a name: `step(clean, retries=3)`.")
        declared = self._handler(call.args[0], source)
        given = dict(self._named(call, source))
        if len(call.args) == 2:
            given["name"] = self._argument("name", call.args[1], source)
        options = {name: self._literal(name, given.pop(name)) for name in OPTIONS if name in given}
        name, function = (self._literal(key, given.pop(key, None)) for key in ("name", "function"))
        if not isinstance(name, str | None) or not isinstance(function, str | None):
            raise GraphError(f"found name={name!r}, function={function!r}; expected texts.")
        arguments = {**declared.arguments, **given}
        self.admission.arguments(declared.handler, arguments, "step")
        checked = step("x", name or declared.name or handler_name(declared.handler) or "step", **options).options
        return Step(name or declared.name, declared.handler, MappingProxyType(arguments), function, checked)

    def _handler(self, node: ast.expr, source: str) -> Step:
        """The first argument of `step`: a name, a call, a text, a graph's text, or an expression over `event`."""
        name = dotted(node)
        match node:
            case ast.Constant(value=str() as text):
                return Step("", self.admission.handler(text, "the handler of step(...)"))
            case ast.Call(args=[ast.Constant(value=str() as text)]) if dotted(node.func) == "Graph.parse":
                return Step("", self.parse(text))
            case ast.Call() if dotted(node.func):
                return self.step(node, source)
        text = spelling(node, source)
        handler = name or (f"(({text})(event))" if isinstance(node, ast.Lambda) else f"({text})")
        return Step("", self.admission.handler(handler, "the handler of step(...)"))

    def _arguments(self, call: ast.Call, source: str) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for position, node in enumerate(call.args):
            if isinstance(node, ast.Starred):
                raise GraphError(f"found `*{ast.unparse(node.value)}`; expected each argument on its own.")
            arguments.setdefault(POSITIONAL, []).append(self._argument(str(position), node, source))
        return {**arguments, **dict(self._named(call, source))}

    def _named(self, call: ast.Call, source: str) -> Iterator[tuple[str, Any]]:
        for keyword in call.keywords:
            if keyword.arg is not None:
                yield keyword.arg, self._argument(keyword.arg, keyword.value, source)
                continue
            if not isinstance(keyword.value, ast.Dict):
                raise GraphError(f"found `**{ast.unparse(keyword.value)}`; expected each argument on its own.")
            for key, value in zip(keyword.value.keys, keyword.value.values, strict=True):
                if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                    raise GraphError("found `**` with a key that is no text; expected names of arguments.")
                yield key.value, self._unpacked(key.value, value, source)

    def _unpacked(self, name: str, node: ast.expr, source: str) -> Any:
        if name == POSITIONAL and isinstance(node, ast.List):
            return [self._argument(str(position), item, source) for position, item in enumerate(node.elts)]
        return self._argument(name, node, source)

    def _argument(self, name: str, node: ast.expr, source: str) -> Any:
        """A literal as its value, routes as steps, everything else as code."""
        if name == "retry_on":
            return self._exceptions(node)
        if name == "routes" and isinstance(node, ast.Dict) and (routes := self._routes(node, source)) is not None:
            return routes
        return literal.read(node, lambda part: self._code(part, name, source))

    def _code(self, node: ast.expr, name: str, source: str) -> Any:
        match node:
            case ast.Call(func=ast.Name(id="Code"), args=[ast.Constant(value=str() as text)], keywords=[]):
                return self.admission.code(text, f'argument "{name}"')
        return self.admission.code(spelling(node, source), f'argument "{name}"')

    def _routes(self, node: ast.Dict, source: str) -> dict[str, Step] | None:
        routes = {}
        for key, value in zip(node.keys, node.values, strict=True):
            is_step = dotted(value) or (isinstance(value, ast.Call) and dotted(value.func))
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str) or not is_step:
                return None
            route = self.step(value, source) if isinstance(value, ast.Call) else self._handler(value, source)
            routes[key.value] = route.named(key.value)
        return routes

    def _exceptions(self, node: ast.expr) -> tuple[type[BaseException], ...]:
        nodes = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
        names = [dotted(item) or ast.unparse(item) for item in nodes]
        return tuple(self.admission.exception(name, "retry_on") for name in names)

    def _literal(self, name: str, value: Any) -> Any:
        if isinstance(value, Code):
            raise GraphError(f"found {name}={value.text}; an option is written out, such as {name}=3.")
        return value
