"""Roots: the objects that a graph uses, by their places in the graph, live or loaded."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

from nbgraph import steps
from nbgraph.capture.local_modules import is_local
from nbgraph.capture.module.closure import methods
from nbgraph.capture.module.code import global_names
from nbgraph.capture.proof.object_parts import Fact, Part
from nbgraph.engine.compile.bind import evaluate, is_expression, resolve
from nbgraph.engine.compile.call import POSITIONAL
from nbgraph.graph.edge import Edge
from nbgraph.graph.graph import Graph
from nbgraph.graph.scope import Code
from nbgraph.graph.step import Step
from nbgraph.introspection import attribute


class Roots:
    """`written` is the exported graph; where it names a function for an expression, that is used."""

    def __init__(self, graph: Graph, written: Graph | None = None) -> None:
        self._graph, self._written = graph, written
        self._namespace = graph.scope.namespace
        self.evaluated: dict[str, Any] = {}  # the values of expressions of arguments

    def parts(self) -> Iterator[Part]:
        for number, step in enumerate(self._graph.steps):
            there = self._written.steps[number] if self._written is not None else step
            yield from self._step(step, there, f'step "{step.name}"')
        for number, edge in enumerate(self._graph.edges):
            there_edge = self._written.edges[number] if self._written is not None else edge
            if edge.when is not None:
                yield f"the arrow {edge.source} -> {edge.target}", self._condition(edge, there_edge)

    def _step(self, step: Step, there: Step, label: str) -> Iterator[Part]:
        yield from self._handler(self._resolved(step, there), label)
        for name, value in step.arguments.items():
            given = self._argument(value, there.arguments.get(name, value), label)
            yield f"{label}, {name}", tuple(given) if name == POSITIONAL else given
        if step.options.retry_on != (Exception,):
            yield f"{label}, retry_on", tuple(step.options.retry_on)

    def _handler(self, handler: Any, label: str) -> Iterator[Part]:
        if isinstance(handler, Graph):
            for inner, part in Roots(handler).parts():
                yield f"{label}, {inner}", part
        elif isinstance(handler, Step):
            yield from self._step(handler, handler, label)
        elif isinstance(handler, str):
            yield label, Fact(handler)
        else:
            yield label, handler

    def _resolved(self, step: Step, there: Step) -> Any:
        if is_expression(step.handler):
            assert isinstance(step.handler, str)
            return self._function(step.handler, there.handler)
        if isinstance(step.handler, str) and step.name == "":
            return Fact(step.handler)
        return resolve(self._graph, step)

    def _function(self, text: str, there: Any) -> Any:
        """The function for an expression that the exported graph names."""
        if not isinstance(there, Code):
            if not isinstance(there, str) or is_expression(there) or not there.isidentifier():
                return Fact(text)
            there = Code(there)
        made: dict[str, Any] = {}
        exec(compile(f"def {there.text}(event):\n    return ({text.strip()}\n)", "<expression>", "exec"), made)
        code = made[there.text].__code__
        names: Any = self._namespace if isinstance(self._namespace, dict) else dict(self._namespace)
        return types.FunctionType(code, names, there.text)

    def _argument(self, value: Any, there: Any, label: str) -> Any:
        if isinstance(value, Step):
            inner = there if isinstance(there, Step) else value
            return tuple(part for _, part in self._step(value, inner, label))
        if isinstance(value, Code):
            return self._value(value.text, label)
        if type(value) is dict and is_deep(value):
            others = there if isinstance(there, dict) else value
            return tuple((key, self._argument(item, others.get(key, item), label)) for key, item in value.items())
        if type(value) in (list, tuple) and is_deep(value):
            rest = there if type(there) in (list, tuple) else value
            return tuple(self._argument(item, other, label) for item, other in zip(value, rest, strict=False))
        return value

    def _value(self, text: str, label: str) -> Any:
        text = text.strip()
        if text not in self.evaluated:
            names = self._namespace
            known = names[text] if text in names else steps.catalogue().get(text, _MISSING)
            self.evaluated[text] = evaluate(text, self._graph.scope, label) if known is _MISSING else known
        return self.evaluated[text]

    def _condition(self, edge: Edge, there: Edge) -> Any:
        if edge.is_error:
            return Fact(edge.when)
        if isinstance(edge.when, Code):
            return self._value(edge.when.text, "condition")
        if isinstance(edge.when, str):
            called = edge.when.removesuffix("(event)")  # the form of a predicate in a document
            if self._written is None and called != edge.when and called in self._namespace:
                return self._namespace[called]
            return self._function(edge.when, there.when)
        return edge.when


def libraries_of(graph: Graph) -> list[str]:
    """The packages that functions of the steps use, which are slow to import."""
    names = graph.scope.namespace
    found: set[str] = set()
    for step in graph.steps:
        handler = names.get(step.handler) if isinstance(step.handler, str) else step.handler
        for function in [handler, *methods(handler)]:
            code = attribute(function, "__code__")
            for name in global_names(code) if isinstance(code, types.CodeType) else ():
                value = names.get(name)
                module = value.__name__ if isinstance(value, types.ModuleType) else type(value).__module__
                found.add(module.partition(".")[0])
    known = found & sys.modules.keys() - {"__main__", "nbgraph"} - sys.stdlib_module_names
    return sorted(name for name in known if not is_local(name))


_MISSING = object()


def is_deep(value: Any) -> bool:
    """Whether a container holds more than plain data, so that its items are compared one by one."""
    items = value.values() if isinstance(value, dict) else value
    return any(isinstance(item, Code | Step) or (type(item) in (dict, list, tuple) and is_deep(item)) for item in items)
