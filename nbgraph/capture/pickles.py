"""Pickles: objects as they live, by value: functions and classes of the notebook too, never a reference into it.

What the written module has under a name is referred to by that name. A function's globals are the module's own, so that
all functions go on sharing them. Everything in one pickle keeps its identity: what is one object is one object there.
"""

from __future__ import annotations

import contextvars
import functools
import gc
import io
import marshal
import struct
import sys
import types
import typing
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cloudpickle

from nbgraph.capture import makers
from nbgraph.capture.module.code import global_names, without_place
from nbgraph.capture.module.imports import home_of, kind_name, place_of, registered
from nbgraph.capture.policy import CapturePolicy
from nbgraph.capture.proof.instance import Instance, instance_of
from nbgraph.contract import HANDLERS_MODULE

Refer = Callable[[Any], str | None]
NUMBERS = frozenset({type(None), bool, int, float})
PLAIN = (type(None), bool, int, float, complex, str, bytes, tuple, frozenset, types.CodeType)
NOT_OF_A_CLASS = frozenset({"__dict__", "__weakref__", "__module__", "_abc_impl", "__firstlineno__", "__slotnames__"})
OF_A_MEMBER = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})  # Enum itself sets these
EARLY = ("__slots__", "__orig_bases__", "__qualname__", "__annotations__")
CACHED = type(functools.lru_cache(lambda: None))


@dataclass(slots=True)
class Pickled:
    """The bytes, and what was met on the way.

    `names`: referred to in the module. `functions`: written by value, whose names the module has to have. `held`: what
    is inside and may be shared with others, kept alive so that none takes another's id.
    """

    content: bytes = b""
    modules: set[str] = field(default_factory=set)
    names: dict[str, None] = field(default_factory=dict)
    functions: list[types.FunctionType] = field(default_factory=list)
    held: dict[int, Any] = field(default_factory=dict)


def pickled(
    value: Any,
    namespace: Mapping[str, Any],
    refer: Refer,
    look: Callable[[Any], None],
    policy: CapturePolicy,
) -> Pickled:
    """The value by value.

    `refer` gives the name of what the module has already, `look` may refuse a part.
    """
    found = Pickled()
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, namespace, refer, look, policy, found)
    pickler.dump(value)
    while pickler.late:
        waiting, pickler.late = pickler.late, []
        pickler.dump(_SubclassHooks(waiting))
    found.content = buffer.getvalue()
    if b"cloudpickle" in found.content:
        found.modules.add("cloudpickle")
    return found


class _SubclassHooks:
    """`__init_subclass__` of classes, set when it is read."""

    def __init__(self, waiting: list[tuple[type, Any]]) -> None:
        self._waiting = waiting

    def __reduce__(self) -> Any:
        return makers.fill_late, (self._waiting,)


class _Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]  # cloudpickle has no types
    def __init__(
        self,
        file: io.BytesIO,
        namespace: Mapping[str, Any],
        refer: Refer,
        look: Callable[[Any], None],
        policy: CapturePolicy,
        found: Pickled,
    ) -> None:
        super().__init__(file, protocol=5)
        self._namespace, self._refer, self._look, self._found = namespace, refer, look, found
        self._policy = policy
        self._foreign: dict[int, dict[str, Any]] = {}  # globals of functions that came from elsewhere
        self._globals: dict[int, str] = {id(namespace): ":"}
        self.late: list[tuple[type, Any]] = []

    def persistent_id(self, value: Any) -> str | None:
        if type(value) in NUMBERS:  # most of a big table or model
            return None
        if id(value) in self._globals:
            return self._globals[id(value)]
        self._look(value)
        if isinstance(value, types.ModuleType):
            self._found.modules.add(value.__name__)
            return None
        if isinstance(value, PLAIN):
            return None
        name = self._refer(value)
        if name is not None:
            self._found.names[name] = None
            return name
        module = self._home_of(value) if isinstance(value, type) or callable(value) else None
        if module is not None:
            self._found.modules.add(module)
        else:
            self._found.held[id(value)] = value
        return None

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, types.FunctionType):
            return NotImplemented if self._home_of(value) is not None else self._function(value)
        if isinstance(value, type):
            return self._type(value)
        for kinds, reduce in _REDUCERS:
            if isinstance(value, kinds):
                return reduce(value)
        place = place_of(value)
        if place is not None:
            return makers.attribute, place
        is_whole = self._policy.is_whole(value) or (
            isinstance(value, BaseException) and self._home_of(type(value)) is None
        )
        held = instance_of(value) if is_whole else None
        if held is not None:
            return _instance(value, held)
        return super().reducer_override(value)

    def _home_of(self, value: Any) -> str | None:
        return None if self._policy.is_changed(value) else home_of(value)

    # --- functions ---

    def _function(self, function: types.FunctionType) -> Any:
        names = self._globals_of(function)
        made = (function.__code__, names, function.__name__, function.__closure__)
        state: dict[str, Any] = {part: getattr(function, part) for part in makers.FUNCTION_PARTS}
        state |= {"__dict__": dict(vars(function)), "names": {}}
        if names is self._namespace:
            self._found.functions.append(function)
            del state["__module__"]
        elif isinstance(names, dict) and id(names) not in self._globals:
            own = function.__globals__
            state["names"] = {name: own[name] for name in global_names(function.__code__) if name in own}
        if state["__kwdefaults__"] is not None:
            state["__kwdefaults__"] = dict(state["__kwdefaults__"])
        return makers.function, made, state, None, None, makers.fill_function

    def _globals_of(self, function: types.FunctionType) -> Any:
        names = function.__globals__
        if names is self._namespace:
            return names
        module = sys.modules.get(str(names.get("__name__")))
        if module is not None and vars(module) is names and module.__spec__ is not None:
            self._globals[id(names)] = f"{module.__name__}:"
            self._found.modules.add(module.__name__)
            return names
        return self._foreign.setdefault(id(names), {"__name__": HANDLERS_MODULE})

    # --- classes ---

    def _type(self, kind: type) -> Any:
        if self._home_of(kind) is not None:
            return NotImplemented
        if kind.__module__ == "builtins" and (name := kind_name(kind)) is not None:
            return makers.attribute, ("types", name)
        return self._kind(kind)

    def _kind(self, kind: type) -> Any:
        attributes = {name: value for name, value in vars(kind).items() if name not in NOT_OF_A_CLASS}
        slots = attributes.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else tuple(slots):
            attributes.pop(slot, None)
        attributes = {name: value for name, value in attributes.items() if not _is_bookkeeping(value)}
        late = attributes.pop(makers.LATE, None)
        if late is not None:
            self.late.append((kind, late))
        state: dict[str, Any] = {"attributes": attributes, "absent": (), "members": {}, "registered": registered(kind)}
        if makers.is_enumeration(kind):
            return self._enumeration(kind, attributes, state)
        early = {name: attributes.pop(name) for name in EARLY if name in attributes}
        early.setdefault("__doc__", None)
        state["absent"] = [name for name in ("__hash__",) if name not in vars(kind) and "__eq__" in vars(kind)]
        made = (type(kind), kind.__name__, kind.__bases__, early, self._namespace)
        return makers.kind, made, state, None, None, makers.fill_kind

    def _enumeration(self, kind: Any, attributes: dict[str, Any], state: dict[str, Any]) -> Any:
        members = {name: member.value for name, member in kind.__members__.items()}
        state["members"] = {
            name: {key: value for key, value in vars(member).items() if key not in OF_A_MEMBER}
            for name, member in kind.__members__.items()
        }
        for name in ("_member_names_", "_member_map_", "_member_type_", "_value2member_map_", "__new__", *members):
            attributes.pop(name, None)
        made = (type(kind), kind.__name__, kind.__bases__, members, self._namespace)
        return makers.enumeration, made, state, None, None, makers.fill_kind


def _is_bookkeeping(value: Any) -> bool:
    return isinstance(value, types.GetSetDescriptorType | types.MemberDescriptorType)


def _instance(value: Any, held: Instance) -> Any:
    early = None if held.base in makers.CHANGING else held.content
    state = (held.content if early is None else None, held.attributes)
    return makers.instance, (type(value), held.base, early), state, None, None, makers.fill_instance


def _cell(cell: types.CellType) -> Any:
    try:
        content = (cell.cell_contents,)
    except ValueError:  # not yet bound
        return makers.cell, ()
    return makers.cell, (), content, None, None, makers.fill_cell


def _cached(function: Any) -> Any:
    chosen = function.cache_parameters()
    if home_of(function) is not None:
        return function.__qualname__
    return makers.cached, (function.__wrapped__, chosen["maxsize"], chosen["typed"])


def _weak(value: Any) -> Any:
    return type(value), (), list(value.items()), None, None, makers.fill_weak


def _type_variable(value: Any) -> Any:
    if place_of_typing(value) is not None:
        return value.__name__
    described = (value.__name__, value.__constraints__, value.__bound__, value.__covariant__, value.__contravariant__)
    return makers.type_variable, described


def place_of_typing(value: Any) -> str | None:
    """The library module that has the type variable under its own name."""
    module = getattr(value, "__module__", None)
    there = sys.modules.get(module) if isinstance(module, str) and module != "__main__" else None
    is_there = there is not None and there.__spec__ is not None and getattr(there, value.__name__, None) is value
    return module if is_there else None


def _parameters(value: Any) -> Any:
    return type(value), (value.__name__,)


def _new_type(value: Any) -> Any:
    return value.__name__ if place_of_typing(value) else (makers.new_type, (value.__name__, value.__supertype__))


_REDUCERS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (types.CodeType, lambda code: (makers.code, (marshal.dumps(without_place(code), 2),))),
    (types.CellType, _cell),
    (CACHED, _cached),
    (struct.Struct, lambda value: (struct.Struct, (value.format,))),
    (contextvars.ContextVar, lambda value: (makers.variable, (value.name, makers.default_of(value)))),
    (functools.cached_property, lambda value: (makers.cached_property, (value.func, value.attrname))),
    (makers.WEAK, _weak),
    (weakref.ref, lambda value: (weakref.ref, (value(),))),
    (typing.TypeVar, _type_variable),
    (typing.ParamSpec, _parameters),
    (typing.NewType, _new_type),
    (types.MappingProxyType, lambda value: (types.MappingProxyType, (gc.get_referents(value)[0],))),
    (type({}.keys()), lambda value: (dict.keys, (gc.get_referents(value)[0],))),  # a view goes on seeing its dict
    (type({}.values()), lambda value: (dict.values, (gc.get_referents(value)[0],))),
    (type({}.items()), lambda value: (dict.items, (gc.get_referents(value)[0],))),
)
