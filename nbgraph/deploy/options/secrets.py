"""Asked: the secrets that steps will ask for, read off their code before anything is started.

What is found are calls `context.secret("name")`, wherever the way from a step leads through code of the user's own,
with the name written there, or standing in a constant or a closure. A name that is made while running can't be known.
"""

from __future__ import annotations

import dis
import functools
import os
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from nbgraph.capture.local_modules import is_local
from nbgraph.capture.module.imports import is_notebook
from nbgraph.deploy.options.provision import Provision
from nbgraph.deploy.target import HostTarget
from nbgraph.engine.compile.bind import is_expression, resolve, value_of
from nbgraph.engine.context import SECRETS
from nbgraph.engine.partition import Function
from nbgraph.errors import DeployError
from nbgraph.graph.graph import Graph
from nbgraph.graph.step import Step

MOST = 10_000  # objects that are looked at for a step
FEW = 1_000  # items of a container
_BETWEEN = {"PRECALL", "PUSH_NULL", "CACHE", "EXTENDED_ARG", "NOP", "RESUME"}
_HOLDERS = (Mapping, list, tuple, set, frozenset, functools.partial, staticmethod, classmethod, property)
_MISSING = object()
OF_USERS = ("nbgraph.features.set", "nbgraph.features.vector")  # objects of these hold code and data of a user's own


def check_given(target: HostTarget, functions: Sequence[Function], given: Mapping[str, Provision]) -> None:
    """Refuse what a target can't give, and steps that ask for secrets which they are not given."""
    for function in functions:
        target.check(function.name, given[function.name])
    check_secrets(functions, given, here=os.environ if target.is_here else None)


def check_secrets(
    functions: Sequence[Function], provisions: Mapping[str, Provision], here: Mapping[str, str] | None = None
) -> None:
    """Refuse a step that asks for what its function is not given; `here`: the environment that workers inherit."""
    for function in functions:
        provision = provisions[function.name]
        for step, name in asked_in(function.graph):
            is_there = name in provision.secrets or name in provision.env
            if not is_there and not (here is not None and (name in here or (SECRETS / name).is_file())):
                raise DeployError(
                    f'Step "{step}" asks for context.secret("{name}"), which function "{function.name}" is not given: '
                    f'secrets={{"{name}": None}} takes it from the environment here, '
                    f'secrets={{"{name}": Path("FILE")}} from a file.'
                )


def asked_in(graph: Graph) -> list[tuple[str, str]]:
    """The steps of a graph with the secrets that each asks for, in the order of the graph.

    >>> __name__ = "__main__"  # as in a notebook
    >>> class Pay:
    ...     def __init__(self, context):
    ...         self.key = context.secret("shop_key")
    ...     def do(self, body):
    ...         return body
    >>> graph = Graph("shop")
    >>> _ = graph.to(Pay).respond()
    >>> asked_in(graph)
    [('Pay', 'shop_key')]
    """
    asked = dict.fromkeys(
        (step, name)
        for step, thing in reached(graph)
        if isinstance(thing, types.FunctionType)
        for name in _named_in(thing.__code__, thing)
    )
    order = [step.name for step in graph.steps]
    return sorted(asked, key=lambda pair: (order.index(pair[0]), pair[1]))


def reached(graph: Graph) -> Iterator[tuple[str, Any]]:
    """What the ways from each step lead to, as far as they lead through code of the user's own."""
    return ((step.name, thing) for step in graph.steps for thing in _reached(_things(graph, step)))


def _things(graph: Graph, step: Step) -> Iterator[Any]:
    """What a step is made of: its handler, and its arguments with the steps among them."""
    yield resolve(graph, step)
    waiting = list(step.arguments.values())
    while waiting:
        value = waiting.pop()
        if isinstance(value, Step):
            yield from _things(graph, value)
        elif isinstance(value, str) and is_expression(value):
            continue  # over the body alone
        elif type(value) in (list, tuple) and len(value) <= FEW:
            waiting += value
        elif type(value) is dict and len(value) <= FEW:
            waiting += value.values()
        else:
            yield value_of(value, graph.scope, step.name)


def _reached(things: Iterable[Any]) -> Iterator[Any]:
    waiting = list(things)
    homes = {root for thing in waiting if (root := _root(thing)) is not None}  # a step's own package is looked into
    seen: set[int] = set()
    kept: list[Any] = []  # so that no id means two things
    while waiting and len(seen) < MOST:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        kept.append(thing)
        yield thing
        waiting += [inner for inner in _inside(thing) if _is_own(inner, homes)]


def _inside(thing: Any) -> list[Any]:
    """What is reached from a thing without running it."""
    if isinstance(thing, types.FunctionType):
        cells = [_content(cell) for cell in thing.__closure__ or ()]
        defaults = [*(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()]
        return [*cells, *defaults, *_globals(thing.__code__, thing.__globals__), *vars(thing).values()]
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, staticmethod | classmethod):
        return [thing.__func__]
    if isinstance(thing, property):
        return [thing.fget, thing.fset]
    if isinstance(thing, type):
        return [*(value for value in vars(thing).values()), *thing.__mro__[1:]]
    if isinstance(thing, Graph):
        return [inner for step in thing.steps for inner in _things(thing, step)]
    if isinstance(thing, Mapping):
        return list(thing.values())[:FEW] if type(thing) is dict else []
    if type(thing) in (list, tuple, set, frozenset):
        return list(thing)[:FEW]
    return [type(thing), *list(getattr(thing, "__dict__", {}).values())[:FEW]]


def _globals(code: types.CodeType, names: Mapping[str, Any]) -> Iterator[Any]:
    """What the names of a function's code mean, those of modules of the user's own among them."""
    for name in code.co_names:
        value = names.get(name, _MISSING)
        if isinstance(value, types.ModuleType):
            if is_notebook(value.__name__) or is_local(value.__name__):
                yield from (vars(value)[inner] for inner in code.co_names if inner in vars(value))
        elif value is not _MISSING:
            yield value
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _globals(inner, names)


def _named_in(code: types.CodeType, function: types.FunctionType) -> Iterator[str]:
    """The names in calls of `.secret(...)`, here and in the functions that are defined within."""
    awaited = False
    for instruction in dis.get_instructions(code):
        if instruction.opname in _BETWEEN:
            continue
        if awaited and isinstance(name := _text(instruction, function), str):
            yield name
        awaited = instruction.opname in ("LOAD_METHOD", "LOAD_ATTR") and instruction.argval == "secret"
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _named_in(inner, function)


def _text(instruction: dis.Instruction, function: types.FunctionType) -> Any:
    """What an instruction loads, where that is known before it runs."""
    if instruction.opname.startswith("LOAD_CONST"):
        return instruction.argval
    if instruction.opname == "LOAD_GLOBAL":
        return function.__globals__.get(instruction.argval)
    if instruction.opname == "LOAD_DEREF":
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
        return _content(cells[instruction.argval]) if instruction.argval in cells else None
    return None


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet bound
        return None


def _is_own(thing: Any, homes: set[str]) -> bool:
    """Whether code of the user's own may stand behind it; other packages' code asks for no secrets of ours."""
    if thing is None or isinstance(thing, str | bytes | int | float | types.ModuleType):
        return False
    if isinstance(
        thing, Mapping | list | tuple | set | frozenset | functools.partial | staticmethod | classmethod | property
    ):
        return True
    root = _root(thing)
    return root is not None and (root in homes or is_notebook(root) or is_local(root))


def _root(thing: Any) -> str | None:
    """The package that a function, a class or an object's class comes from; None for Python's own and nbgraph's."""
    kind = thing if isinstance(thing, type | types.FunctionType | types.MethodType) else type(thing)
    module = getattr(kind, "__module__", None)
    root = module.partition(".")[0] if isinstance(module, str) else ""
    if isinstance(thing, Graph) or module in OF_USERS:
        return "__main__"
    return None if not root or root in sys.stdlib_module_names - {"__main__"} or root == "nbgraph" else root
