"""Step facts, found before the graph runs: whether a step is stateful, whether by key, whether it is a model."""

from __future__ import annotations

import dis
import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any

from nbgraph.engine.compile.bind import resolve
from nbgraph.engine.compile.call import call_of
from nbgraph.engine.compile.flatten import inner_graph
from nbgraph.engine.compile.state import may_have_state
from nbgraph.errors import GraphError
from nbgraph.graph.graph import Graph
from nbgraph.graph.step import Step
from nbgraph.handler import Handler
from nbgraph.steps.models.server import ModelServer
from nbgraph.steps.routers.router import Router

KEYED = {
    "Batch": "key",
    "SampleWindow": "key",
    "MapWithState": "group_by_key",
}  # built-in steps, and the argument with their key
WHOLE = ("Reduce", "ReduceToDataFrame")  # those with one state for all keys
BY_KEY = "$key"  # the event's own key


def remembers(graph: Graph, step: Step) -> bool:
    """Whether a step, or a step of its nested graph, has a state that outlives an event.

    >>> graph = Graph("g")
    >>> _ = graph.to(str.strip, "strip").to("Batch", max_events=2)
    >>> [remembers(graph, step) for step in graph.steps]
    [False, True]
    """
    inner = inner_graph(graph, step)
    if inner is not None:
        return any(remembers(inner, one) for one in inner.steps)
    try:
        return _may(resolve(graph, step)) and call_of(graph, step).remembers
    except GraphError:
        return False  # compile raises it


def _may(handler: Any) -> bool:
    """Whether the step must be built to find out."""
    if isinstance(handler, Step):
        return _may(handler.handler)
    return may_have_state(handler) if inspect.isclass(handler) else not inspect.isroutine(handler)


def is_by_key(graph: Graph, step: Step, key: Any) -> bool:
    """Whether a stateful step has a separate state for each key: the event's own, which was taken from `key`.

    >>> graph = Graph("g")
    >>> _ = graph.to("Batch", max_events=2, key="card").to("Reduce", initial_value=0, fn="state + event")
    >>> [is_by_key(graph, step, "card") for step in graph.steps]
    [True, False]
    """
    target = call_of(graph, step).target
    kind = built_in(target)
    given = target.arguments if isinstance(target, Handler) else {}
    if kind == "MapWithState":
        return bool(given.get("group_by_key"))
    if kind in KEYED:
        return given.get("key") in (BY_KEY, key)
    if kind == "AggregateByKey":  # with `expire` it depends on the newest time of all keys
        return _has(given.get("key"), key) and given.get("expire") is None
    if kind is not None:
        return kind not in WHOLE
    state = getattr(target, "state", None)
    if not isinstance(state, Mapping):
        return False
    has_own_dicts = all(isinstance(value, Mapping) for value in state.values())
    return has_own_dicts and not set(_fixed_names(type(target))) - set(state)


def _has(own: Any, key: Any) -> bool:
    """Whether events of the same own key also have the same `key`."""
    return own in (None, BY_KEY, key) or (isinstance(own, list | tuple) and key in own)


def how_to_key(graph: Graph, step: Step) -> str:
    """What to write so that the step keeps its state by key."""
    kind = built_in(call_of(graph, step).target)
    return {"key": 'key="$key"', "group_by_key": "group_by_key=True"}.get(KEYED.get(kind or "", ""), "self.state[key]")


def built_in(target: Any) -> str | None:
    """The name of a built-in step; None for a user's step."""
    cls = type(target)
    return cls.__name__ if cls.__module__.startswith("nbgraph.") else None


def _fixed_names(cls: type) -> Iterator[Any]:
    """The constant keys that the code of a class uses in its state: `self.state["n"]`."""
    for kind in cls.__mro__:
        for member in vars(kind).values():
            function = inspect.unwrap(getattr(member, "__func__", member)) if callable(member) else None
            if isinstance(function, types.FunctionType) and not function.__module__.startswith("nbgraph."):
                yield from _names_in(function.__code__)


def _names_in(code: types.CodeType) -> Iterator[Any]:
    place = ""  # the last operand: the state, or a method of it
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("PRECALL", "PUSH_NULL", "CACHE", "EXTENDED_ARG"):
            continue
        if place and instruction.opname.startswith("LOAD_CONST") and instruction.argval is not None:
            yield instruction.argval
        is_attribute = instruction.opname in ("LOAD_ATTR", "LOAD_METHOD")
        if is_attribute and instruction.argval == "state":
            place = "state"
        elif is_attribute and place == "state" and instruction.argval in ("get", "setdefault", "pop"):
            place = "method"
        else:
            place = ""
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names_in(inner)


def has_models(graph: Graph, step: Step) -> bool:
    """Whether callers may ask a step about models, by the Open Inference Protocol.

    >>> graph = Graph("g")
    >>> _ = graph.to(str.strip, "strip").to("ModelRouter")
    >>> [has_models(graph, step) for step in graph.steps]
    [False, True]
    """
    inner = inner_graph(graph, step)
    if inner is not None:
        return any(has_models(inner, one) for one in inner.steps)
    try:
        return _is_model(resolve(graph, step))
    except GraphError:
        return False  # compile raises it


def _is_model(handler: Any) -> bool:
    if isinstance(handler, Step):
        return _is_model(handler.handler)
    return issubclass(handler if inspect.isclass(handler) else type(handler), Router | ModelServer)
