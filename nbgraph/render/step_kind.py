"""The kind of a step, inferred from its handler alone, and the words under its name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from nbgraph.graph.documents.deployment_call import call_of, graph_called
from nbgraph.graph.facade import built_in_steps
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import is_endpoint
from nbgraph.graph.scope import Code
from nbgraph.graph.step import Step, handler_name
from nbgraph.types import StepKind

TASK, MODEL, ROUTER, QUEUE, SOURCE, TARGET = (kind.value for kind in StepKind)
ERROR, GRAPH, ANY, FOLD = "error", "graph", "any", "fold"  # other kinds of a picture
# Names of classes that are not built in, by their endings.
BY_NAME = {
    "Queue": QUEUE,
    "Source": SOURCE,
    "Target": TARGET,
    "Model": MODEL,
    "ModelServer": MODEL,
    "BaseEstimator": MODEL,
}


def resolved(step: Step, graph: Graph) -> Any:
    """The handler itself where it is a name that the notebook knows; nothing is imported or evaluated for a picture."""
    if isinstance(step.handler, str) and step.handler.isidentifier():
        return graph.scope.namespace.get(step.handler, step.handler)
    return step.handler


def spec_of(graph: Graph, path: str) -> tuple[Step, Graph]:
    """A step by its path, `inner/step` in an inner graph, `router/route`; and the graph that it stands in."""
    while path not in graph:
        name, _, rest = path.partition("/")
        step = graph.spec(name)
        inner = resolved(step, graph)
        if (call := call_of(step, graph)) is not None:
            inner = graph_called(call)
        if not isinstance(inner, Graph):
            return _route(step, rest) or graph.spec(path), graph
        graph, path = inner, rest
    return graph.spec(path), graph


def _route(step: Step, path: str) -> Step | None:
    """A router's route, or one of the routes of that."""
    for name in path.split("/"):
        routes: Any = step.arguments.get("routes")
        if not isinstance(routes, Mapping) or name not in routes:
            return None
        route = routes[name]
        step = route if isinstance(route, Step) else Step(name, route)
    return step


def kind_of(step: Step, handler: Any) -> str:
    """The kind of a step that handles no errors.

    >>> kind_of(Step("q", "Queue"), "Queue"), kind_of(Step("a", len), len)
    ('queue', 'task')
    """
    if isinstance(handler, Graph):
        return GRAPH
    if "routes" in step.arguments:
        return ROUTER
    declared = getattr(_class_of(handler), "kind", None)
    if isinstance(declared, StepKind) and declared is not StepKind.TASK:
        return declared.value
    names = _class_names(handler)
    return next((kind for word, kind in BY_NAME.items() if any(name.endswith(word) for name in names)), TASK)


def words_of(step: Step, handler: Any, kind: str) -> str:
    """The words under the name: the handler where the step has another name, else what the handler is.

    >>> words_of(Step("size", len), len, "task"), words_of(Step("len", len), len, "task")
    ('len()', 'function')
    """
    if isinstance(step.handler, str) and step.handler.lstrip().startswith("("):
        return step.handler
    if is_endpoint(step):
        return _words_of_route(step)
    if kind == GRAPH:
        return f"graph of {len(handler.steps)} steps"
    called = handler_name(handler) or (handler_name(step.handler)) or type(handler).__name__
    if isinstance(handler, type) or step.arguments:
        return f"{called}({', '.join(_argument(*item) for item in step.arguments.items() if item[0] != 'routes')})"
    if not inspect.isroutine(handler):
        return f"{type(handler).__name__} object" if not isinstance(handler, str) else handler
    return f"{called}()" if called != step.name else _manner(handler)


def _words_of_route(step: Step) -> str:
    """What happens to a request: the path is the step's name already."""
    if step.arguments.get("forbid"):
        return "forbidden"
    body = step.arguments.get("body")
    return f"body: {', '.join(map(str, body))}" if isinstance(body, Mapping) else "route"


def _class_of(handler: Any) -> type | None:
    """The class that a step is made of; of a name that of the built-in step."""
    if isinstance(handler, str):
        handler = built_in_steps().get(handler.rpartition(".")[2])
    if handler is None or inspect.isroutine(handler):
        return None
    return handler if isinstance(handler, type) else type(handler)


def _class_names(handler: Any) -> set[str]:
    if isinstance(handler, str):
        return {handler.rpartition(".")[2]}
    kind = _class_of(handler)
    return set() if kind is None else {base.__name__ for base in kind.__mro__}


def _argument(name: str, value: Any) -> str:
    if isinstance(value, Code):
        return f"{name}={value.text}"
    if isinstance(value, str | int | float | bool | None):
        return f"{name}={value!r}"
    return name


def _manner(handler: Any) -> str:
    if inspect.isasyncgenfunction(handler):
        return "async generator"
    if inspect.iscoroutinefunction(handler):
        return "async function"
    return "generator" if inspect.isgeneratorfunction(handler) else "function"
