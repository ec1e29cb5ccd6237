"""Makers: what an artifact by value calls to become functions and classes again, in the image.

A thing is made empty first and filled then, so that it may hold itself: a function that calls itself through its
closure, a class whose attribute is one of its instances. No decorator runs, no `__init_subclass__`, no metaclass's own
code: what they did in the notebook is among what is filled in.
"""

from __future__ import annotations

import abc
import contextvars
import enum
import functools
import importlib
import io
import marshal
import pickle
import types
import typing
import weakref
from collections.abc import Mapping
from typing import Any

from nbgraph.contract import HANDLERS_MODULE

FUNCTION_PARTS = ("__defaults__", "__kwdefaults__", "__annotations__", "__doc__", "__qualname__", "__module__")
LATE = "__init_subclass__"  # set when all classes are there, since making a subclass would call it
_MISSING = object()


def code(content: bytes) -> types.CodeType:
    made = marshal.loads(content)
    assert isinstance(made, types.CodeType)
    return made


def function(
    made: types.CodeType, names: dict[str, Any], name: str, closure: tuple[types.CellType, ...] | None
) -> types.FunctionType:
    return types.FunctionType(made, names, name, None, closure)


def fill_function(made: types.FunctionType, state: Mapping[str, Any]) -> None:
    for part in FUNCTION_PARTS:
        if part in state:
            setattr(made, part, state[part])
    vars(made).update(state["__dict__"])
    for name, value in state["names"].items():
        made.__globals__.setdefault(name, value)


def instance(kind: type, base: type, content: Any) -> Any:
    """An object without its attributes; no constructor of the notebook's runs."""
    if base is BaseException:
        return BaseException.__new__(kind, *content)
    new: Any = base.__new__
    return new(kind) if base is object or base in CHANGING else new(kind, content)


def fill_instance(made: Any, state: tuple[Any, Mapping[str, Any]]) -> None:
    content, attributes = state
    for base, fill in CHANGING.items():
        if isinstance(made, base):
            fill(made, content)
    own = object.__getattribute__(made, "__dict__") if hasattr(type(made), "__dict__") else {}
    for name, value in attributes.items():
        slot = next((vars(kind)[name] for kind in type(made).__mro__ if name in vars(kind)), None)
        if isinstance(slot, types.MemberDescriptorType):
            slot.__set__(made, value)
        else:
            own[name] = value


def cell() -> types.CellType:
    return types.CellType()


def fill_cell(made: types.CellType, content: Any) -> None:
    made.cell_contents = content[0]


def kind(meta: type, name: str, bases: tuple[type, ...], early: dict[str, Any], names: Mapping[str, Any]) -> type:
    """A class without its members; `early` is what Python itself looks at when it makes one."""
    body = {"__module__": names.get("__name__", HANDLERS_MODULE), **early}
    if isinstance(meta, type) and issubclass(meta, abc.ABCMeta):
        made: type = abc.ABCMeta.__new__(meta, name, bases, body)
        return made
    return type.__new__(meta, name, bases, body)  # type: ignore[return-value]  # a metaclass gives a type


def enumeration(
    meta: Any, name: str, bases: tuple[type, ...], members: Mapping[str, Any], names: Mapping[str, Any]
) -> Any:
    body = meta.__prepare__(name, bases)
    body["__module__"] = names.get("__name__", HANDLERS_MODULE)
    for member, value in members.items():
        body[member] = value
    return meta.__new__(meta, name, bases, body)


def fill_kind(made: type, state: Mapping[str, Any]) -> None:
    for name, value in state["attributes"].items():
        type.__setattr__(made, name, value)
    for name in state["absent"]:  # Python itself sets it
        if name in vars(made):
            type.__delattr__(made, name)
    for name, attributes in state["members"].items():
        made.__members__[name].__dict__.update(attributes)  # type: ignore[attr-defined]  # only enumerations have members
    for registered in state["registered"]:
        abc.ABCMeta.register(made, registered)  # type: ignore[arg-type]  # only abstract classes have these


def module(name: str) -> types.ModuleType:
    return importlib.import_module(name)


def attribute(place: str, name: str) -> Any:
    """A thing that a module has one of, such as a sentinel."""
    return getattr(module(place), name)


def cached(function: Any, maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize=maxsize, typed=typed)(function)


def cached_property(function: Any, name: str | None) -> Any:
    made = functools.cached_property(function)
    made.attrname = name
    return made


def variable(name: str, default: tuple[Any, ...]) -> contextvars.ContextVar[Any]:
    return contextvars.ContextVar(name, default=default[0]) if default else contextvars.ContextVar(name)


def fill_weak(made: Any, items: list[tuple[Any, Any]]) -> None:
    made.update(items)


def fill_late(waiting: list[tuple[type, Any]]) -> None:
    for made, value in waiting:
        type.__setattr__(made, LATE, value)


class _MakerReader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, names: Mapping[str, Any]) -> None:
        super().__init__(file)
        self._names = names

    def persistent_load(self, name: str) -> Any:
        """A name of the module; `other:` are all names of another module, and `:` those of this one."""
        if name == ":":
            return self._names
        return vars(module(name[:-1])) if name.endswith(":") else self._names[name]


def read(content: bytes, names: Mapping[str, Any]) -> Any:
    """The value of a pickle; `names` are the module's."""
    file = io.BytesIO(content)
    reader = _MakerReader(file, names)
    value = reader.load()
    while file.tell() < len(content):
        reader.load()  # what is set when everything else is there
    return value


def type_variable(name: str, constraints: tuple[Any, ...], bound: Any, is_covariant: bool, is_contra: bool) -> Any:
    return typing.TypeVar(name, *constraints, bound=bound, covariant=is_covariant, contravariant=is_contra)


def new_type(name: str, supertype: Any) -> Any:
    return typing.NewType(name, supertype)


def default_of(variable: contextvars.ContextVar[Any]) -> tuple[Any, ...]:
    """The default of a context variable in a tuple; an empty one where it has none."""
    found = contextvars.Context().run(_asked, variable)
    return () if found is _MISSING else (found,)


def _asked(variable: contextvars.ContextVar[Any]) -> Any:
    try:
        return variable.get()
    except LookupError:
        return _MISSING


def is_enumeration(thing: type) -> bool:
    return issubclass(thing, enum.Enum)


CHANGING: dict[type, Any] = {list: list.extend, dict: dict.update, set: set.update}
WEAK = (weakref.WeakKeyDictionary, weakref.WeakValueDictionary)
