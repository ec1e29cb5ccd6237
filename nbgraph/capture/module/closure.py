"""Live: what a function or class keeps of the place it was made in, read off the object itself."""

from __future__ import annotations

import ast
import functools
import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any

from nbgraph.capture.module.imports import is_notebook
from nbgraph.capture.module.source import source_of
from nbgraph.introspection import attribute

_MISSING = object()


def closure(plain: Any) -> Iterator[tuple[str, Any]]:
    """Variables of the surrounding function that a function, or a class's methods, keep."""
    for function in [plain] if isinstance(plain, types.FunctionType) else methods(plain):
        for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:  # not yet bound
                continue
            if value is not plain and variable != "__class__":
                yield variable, value


def methods(cls: Any) -> Iterator[types.FunctionType]:
    for value in vars(cls).values() if isinstance(cls, type) else ():
        function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        # The code's own name, since what a dataclass or a wrapper adds takes on the name of a method.
        if isinstance(function, types.FunctionType) and function.__code__.co_qualname.startswith(
            f"{cls.__qualname__}."
        ):
            yield function


def defaults(function: types.FunctionType, arguments: ast.arguments, names: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults written as a name that by now means something else, or is gone: `lambda x, i=i: ...` in a loop."""
    positional = [*arguments.posonlyargs, *arguments.args]
    written = [*zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True)]
    written += [(arg, given) for arg, given in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if given]
    signature = inspect.signature(function, follow_wrapped=False)
    kept = {}
    for argument, expression in written:
        live = signature.parameters[argument.arg].default
        if isinstance(expression, ast.Name) and names.get(expression.id, _MISSING) is not live:
            kept[expression.id] = live
    return kept


def decorated(value: Any, name: str) -> types.FunctionType | type | None:
    """The function or class that a decorator has put something around, when it was written under this name."""
    waiting, seen = [value], {id(value)}
    for found in waiting:  # grows while it is read
        if isinstance(found, types.FunctionType | type) and found is not value and _is_written_as(found, name):
            return found
        for inner in _inside(found) if len(waiting) < 100 else ():
            if id(inner) not in seen:
                seen.add(id(inner))
                waiting.append(inner)
    return None


def _inside(value: Any) -> Iterator[Any]:
    held = [attribute(value, "__wrapped__"), attribute(value, "__func__")]
    if isinstance(value, functools.partial):
        held.append(value.func)
    elif isinstance(value, types.FunctionType):
        held += [content for _, content in closure(value)]
    elif not isinstance(value, type) and callable(value):
        held += list(attribute(value, "__dict__", {}).values())
    yield from (thing for thing in held if thing is not None and callable(thing))


def _is_written_as(value: Any, name: str) -> bool:
    # The code's own name, since a wrapper takes on the name of what it wraps.
    own = value.__code__.co_qualname if isinstance(value, types.FunctionType) else value.__qualname__
    if own != name or not is_notebook(value.__module__):
        return False
    source = source_of(value, {})
    return source is not None and bool(getattr(source.node, "decorator_list", ()))
