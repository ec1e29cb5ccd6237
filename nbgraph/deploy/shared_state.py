"""Shared state: steps that keep one state for all events, behind a queue whose shards would have one each.

In the notebook there is one state; a deployment keeps one a shard. Where it is kept by the key of the queue that is the
same, and where it is not, another answer would come, so such a graph is refused before anything starts.
"""

from __future__ import annotations

import dis
import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any

from nbgraph.deploy.split import Function, split
from nbgraph.engine.call import call_of
from nbgraph.engine.remembers import remembers
from nbgraph.errors import DeployError
from nbgraph.graph import topology
from nbgraph.graph.graph import Graph
from nbgraph.graph.step import Step
from nbgraph.types import EdgeKind

KEYED = {"Batch": "key", "SampleWindow": "key", "MapWithState": "group_by_key"}  # built-in steps, and what keys them
WHOLE = ("Reduce", "ReduceToDataFrame")  # those that have one state for all
BY_KEY = "$key"  # the event's own, which a queue has set
KINDS = [EdgeKind.FLOW, EdgeKind.ERROR, EdgeKind.CYCLE]


def functions_of(graph: Graph) -> list[Function]:
    """The functions that a graph falls into, which answer together what it answers as a whole."""
    functions = split(graph)
    for function in functions:
        _check(function)
    return functions


def _check(function: Function) -> None:
    graph = function.graph
    following = topology.successors([step.name for step in graph.steps], graph.edges, kinds=KINDS)
    for queue in function.reads:
        given = graph.spec(queue).arguments
        shards = given.get("shards", 1)
        if given.get("key") is None or shards == 1:
            continue
        for name in sorted(topology.reachable(following, [queue]) - {queue}):
            if remembers(graph, graph.spec(name)) and not _is_by_key(graph, graph.spec(name), given["key"]):
                raise DeployError(
                    f'Step "{name}" keeps one state for all events, and each of the {shards} shards of the queue '
                    f'"{given["queue"]}" before it would have one of its own, with other answers than in the notebook: '
                    "give the queue one shard (shards=1), or keep the state by the queue's key "
                    f"({_advice(graph, name)})."
                )


def _advice(graph: Graph, name: str) -> str:
    kind = _kind(call_of(graph, graph.spec(name)).target)
    return {"key": 'key="$key"', "group_by_key": "group_by_key=True"}.get(KEYED.get(kind or "", ""), "self.state[key]")


def _is_by_key(graph: Graph, step: Step, queue_key: Any) -> bool:
    target = call_of(graph, step).target
    kind = _kind(target)
    if kind == "MapWithState":
        return bool(step.arguments.get("group_by_key"))
    if kind in KEYED:
        return step.arguments.get("key") in (BY_KEY, queue_key)
    if kind is not None:
        return kind not in WHOLE
    state = getattr(target, "state", None)
    if not isinstance(state, Mapping):
        return False
    has_own_dicts = all(isinstance(value, Mapping) for value in state.values())
    return has_own_dicts and not set(_fixed_names(type(target))) - set(state)


def _kind(target: Any) -> str | None:
    """The name of a built-in step; None for a step of one's own."""
    cls = type(target)
    return cls.__name__ if cls.__module__.startswith("nbgraph.") else None


def _fixed_names(cls: type) -> Iterator[Any]:
    """What the code of a class reaches for in its state under a name that is written there: `self.state["n"]`."""
    for kind in cls.__mro__:
        for member in vars(kind).values():
            function = inspect.unwrap(getattr(member, "__func__", member)) if callable(member) else None
            if isinstance(function, types.FunctionType) and not function.__module__.startswith("nbgraph."):
                yield from _names_in(function.__code__)


def _names_in(code: types.CodeType) -> Iterator[Any]:
    place = ""  # what came last: the state, or a method of it
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
