"""Object parts: an object is taken apart, to be compared with that of another process."""

from __future__ import annotations

import contextvars
import copyreg
import enum
import functools
import gc
import re
import struct
import sys
import types
import typing
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from nbgraph.capture.makers import default_of
from nbgraph.capture.module.code import attributes, essence, global_names
from nbgraph.capture.module.imports import home_of, kind_name, place_of, registered
from nbgraph.capture.proof.instance import instance_of
from nbgraph.introspection import attribute

Part = tuple[str, Any]
ATOMS = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented))
SETTABLE = (*ATOMS, types.ModuleType)  # settings in a library's module; or a submodule
OF_EVERY_MODULE = frozenset({"__name__", "__file__", "__doc__", "__builtins__", "__annotations__", "__dict__"})
NOT_COMPARED = frozenset(
    [
        "__dict__",
        "__weakref__",
        "__module__",
        "__qualname__",
        "_abc_impl",
        "__firstlineno__",
        "__type_params__",
        "__static_attributes__",
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__slotnames__",
        "__subclasshook__",
    ]
)
OF_PYTHON = frozenset(
    [
        "__doc__",
        "__slots__",
        "__annotations__",
        "__match_args__",
        "__orig_bases__",
        "__parameters__",
        "__hash__",
        "__abstractmethods__",
        "__dataclass_fields__",
        "__dataclass_params__",
        "__required_keys__",
        "__optional_keys__",
        "__total__",
    ]
)
OF_A_MEMBER = frozenset({"_value_", "__objclass__", "_sort_order_"})
NATIVE = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
)
CACHED = type(functools.lru_cache(lambda: None))
VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
PLACE = re.compile(r" at 0x[0-9a-f]+|\b(__main__|handlers)\.")


class Fact(str):
    """A fact about an object, as opposed to a text that is itself a part."""

    __slots__ = ()


class Anatomy:
    """Takes objects apart; `is_own` tells which modules are the notebook, or were generated from it."""

    def __init__(self, is_own: Callable[[str], bool], is_local: Callable[[str], bool]) -> None:
        self._is_own, self._is_local = is_own, is_local
        self.looked_at: set[str] = set()  # attributes that the code reads
        self.met: set[str] = set()  # libraries whose classes were found

    def fact_of(self, thing: Any) -> Fact | None:
        """The fact of an atom or of an object of a library; None for an object with parts."""
        kind = type(thing)
        if kind in ATOMS:
            return Fact(f"{kind.__name__}:{thing!r}")
        if isinstance(thing, types.ModuleType):
            return None
        if isinstance(thing, type) or callable(thing):
            return self._of_library(thing)
        return self._of_instance(thing)

    def _of_library(self, thing: Any) -> Fact | None:
        if isinstance(thing, type) and (name := kind_name(thing)) is not None and thing.__module__ == "builtins":
            return Fact(f"types.{name}")
        home = home_of(thing)
        if home is not None and not self._is_own(home) and not self._is_local(home):
            self.met.add(home.partition(".")[0])
            return Fact(f"{home}.{thing.__qualname__}")
        if isinstance(thing, types.WrapperDescriptorType | types.MethodDescriptorType):
            return Fact(f"{thing.__objclass__.__name__}.{thing.__name__}")
        if isinstance(thing, types.BuiltinFunctionType) and isinstance(thing.__self__, types.ModuleType | type(None)):
            return Fact(f"{thing.__module__}.{thing.__qualname__}")
        return None if isinstance(thing, type | types.FunctionType) else self._of_instance(thing)

    def _of_instance(self, thing: Any) -> Fact | None:
        kind = type(thing)
        if isinstance(thing, types.GetSetDescriptorType | types.MemberDescriptorType):
            return Fact(f"descriptor {thing.__name__}")
        if not self._is_own(kind.__module__) and not self._is_local(kind.__module__):
            place = place_of(thing)
            return None if place is None else Fact(".".join(place))
        return None

    def parts(self, thing: Any) -> tuple[str, list[Part]]:
        """The kind of an object, and its parts by label."""
        for kinds, read in self._readers():
            if isinstance(thing, kinds):
                return read(thing)
        return self._instance(thing)

    def _readers(self) -> tuple[tuple[Any, Callable[[Any], tuple[str, list[Part]]]], ...]:
        return (
            (types.FunctionType, self._function),
            (type, self._kind),
            (types.ModuleType, self._module),
            (types.CodeType, lambda code: ("code", [("code", Fact(essence(code)))])),
            (types.CellType, _cell),
            (types.MethodType, lambda method: ("method", [("", method.__func__), ("self", method.__self__)])),
            (types.BuiltinFunctionType, lambda one: ("method", [("name", Fact(one.__name__)), ("self", one.__self__)])),
            ((classmethod, staticmethod), lambda one: (type(one).__name__, [("", one.__func__)])),
            (property, lambda one: ("property", [("get", one.fget), ("set", one.fset), ("delete", one.fdel)])),
            (CACHED, _cached),
            (struct.Struct, lambda one: ("Struct", [("format", one.format)])),
            (contextvars.ContextVar, lambda one: ("ContextVar", [("name", one.name), ("default", default_of(one))])),
            (weakref.ref, lambda one: ("weak reference", [("", one())])),
            ((weakref.WeakKeyDictionary, weakref.WeakValueDictionary), lambda one: ("weak", [("type", type(one))])),
            ((types.MappingProxyType, *VIEWS), lambda one: ("view", [("of", gc.get_referents(one)[0])])),
            ((typing.TypeVar, typing.ParamSpec), _type_variable),
            (typing.NewType, lambda one: ("NewType", [("name", one.__name__), ("of", one.__supertype__)])),
        )

    # --- code ---

    def _function(self, function: types.FunctionType) -> tuple[str, list[Part]]:
        code = function.__code__
        self.looked_at |= attributes(code)
        keyword = function.__kwdefaults__ or {}
        parts: list[Part] = [
            ("name", Fact(function.__name__)),
            ("code", Fact(essence(code))),
            ("doc", function.__doc__),
            ("defaults", function.__defaults__),
            *((f"default of {name}", keyword[name]) for name in sorted(keyword)),
            *((f"annotation of {name}", value) for name, value in sorted(function.__annotations__.items())),
        ]
        parts += [(f".{name}", value) for name, value in sorted(vars(function).items())]
        parts += [*zip((f"({name})" for name in code.co_freevars), function.__closure__ or (), strict=True)]
        return "function", parts + list(self._globals(function))

    def _globals(self, function: types.FunctionType) -> Iterator[Part]:
        names, builtin = function.__globals__, function.__globals__.get("__builtins__", {})
        builtin = builtin if isinstance(builtin, dict) else vars(builtin)
        for name in global_names(function.__code__):
            if name in names and name not in OF_EVERY_MODULE:
                yield f" {name}", names[name]
            elif name in names or name in builtin:
                yield f" {name}", Fact("as in every module")
            else:
                yield f" {name}", Fact("not there")

    def _module(self, module: types.ModuleType) -> tuple[str, list[Part]]:
        return f"module {module.__name__}", []

    def of_module(self, module: types.ModuleType) -> list[Part]:
        """The attributes of a module that the code reads; of a library, only those that may have been set."""
        own = vars(module)
        found = [(f".{name}", own[name]) for name in sorted(self.looked_at & own.keys()) if not name.startswith("__")]
        if self._is_local(module.__name__) or self._is_own(module.__name__):
            return found
        found = [(label, value) for label, value in found if type(value) in SETTABLE or self._is_of_ours(value)]
        return found + [part for name, value in sorted(own.items()) for part in self._set_on(name, value)]

    def _set_on(self, name: str, kind: Any) -> Iterator[Part]:
        """Attributes that the notebook set on a class of a library: a method, an accessor of tables."""
        if isinstance(kind, type) and not self._is_own(kind.__module__):
            for member in sorted(self.looked_at & vars(kind).keys()):
                if self._is_of_ours(vars(kind)[member]):
                    yield f".{name}.{member}", vars(kind)[member]

    def _is_of_ours(self, value: Any) -> bool:
        """Whether it is a function or class of the notebook, or directly holds one."""
        held = (value, *_held(value))
        return any(self._is_own(str(part.__module__)) for part in held if isinstance(part, types.FunctionType | type))

    # --- classes ---

    def _kind(self, kind: type) -> tuple[str, list[Part]]:
        is_plain = type(kind).__module__ in ("builtins", "abc", "enum", "typing") or self._is_own(type(kind).__module__)
        parts: list[Part] = [("name", Fact(kind.__name__)), ("metaclass", type(kind))]
        parts += [(f"base {number}", base) for number, base in enumerate(kind.__bases__)]
        for name, value in sorted(vars(kind).items()):
            is_made = (
                name.startswith("__") and name not in OF_PYTHON and not callable(getattr(value, "__func__", value))
            )
            if name in NOT_COMPARED or (is_made and not is_plain) or name == "__doc__":
                continue
            if name == "__abstractmethods__":
                value = tuple(sorted(value))
            parts.append((f".{name}", value))
        parts += [(f"registered {number}", one) for number, one in enumerate(registered(kind))]
        doc = kind.__doc__
        parts.append(("doc", Fact(PLACE.sub("", doc) if isinstance(doc, str) else doc)))
        return "class", parts

    # --- other objects ---

    def _instance(self, thing: Any) -> tuple[str, list[Part]]:
        kind = type(thing)
        special = _SPECIAL.get(f"{kind.__module__}.{kind.__qualname__}")
        if special is not None:
            return special(thing)
        if isinstance(thing, enum.Enum):
            more = [(f".{name}", value) for name, value in sorted(vars(thing).items()) if name not in OF_A_MEMBER]
            return "member", [("type", kind), ("value", thing._value_), *more]
        whole = instance_of(thing) if self._is_own(kind.__module__) or self._is_local(kind.__module__) else None
        if whole is not None:
            held = [(f".{name}", value) for name, value in whole.attributes.items()]
            return "object", [("type", kind), ("content", whole.content), *held]
        try:
            made = _reduced(thing)
        except Exception:  # locks, generators, classes that refuse: compared by type and attributes
            own = getattr(thing, "__dict__", None)
            inside: list[Part] = [(f".{name}", own[name]) for name in own] if isinstance(own, dict) else []
            return "object", [("type", kind), *inside]
        if isinstance(made, str):
            return "object", [("type", kind), ("name", Fact(made))]
        _, arguments, state, items, pairs = (*made, None, None, None, None)[:5]
        parts: list[Part] = [("type", kind), ("made by", made[0])]
        parts += [(f"argument {number}", part) for number, part in enumerate(arguments) if part is not kind]
        if type(state) is dict:
            parts += [(f".{name}", value) for name, value in state.items()]
        elif state is not None:
            parts.append(("state", state))
        parts += [(f"[{number}]", item) for number, item in enumerate(items or ())]
        for number, (key, value) in enumerate(pairs or ()):
            parts += [(f"key {number}", key), (f"[{_short(key)}]", value)]
        return "object", parts


def _held(value: Any) -> Iterator[Any]:
    if isinstance(value, property):
        yield from (value.fget, value.fset)
    elif isinstance(value, classmethod | staticmethod | types.MethodType):
        yield value.__func__
    elif not isinstance(value, type | types.ModuleType):
        yield type(value)
        own = attribute(value, "__dict__")
        yield from own.values() if type(own) is dict else ()


def _reduced(thing: Any) -> Any:
    import cloudpickle  # not installed in images, where a module may still name Job

    kind = type(thing)
    reduce = copyreg.dispatch_table.get(kind) or cloudpickle.CloudPickler.dispatch_table.get(kind)
    return reduce(thing) if reduce is not None else kind.__reduce_ex__(thing, 4)  # type: ignore[call-arg]  # bound to an instance it takes the protocol alone


def _cell(cell: types.CellType) -> tuple[str, list[Part]]:
    try:
        return "variable", [("", cell.cell_contents)]
    except ValueError:
        return "variable", []


def _cached(function: Any) -> tuple[str, list[Part]]:
    chosen = [(name, value) for name, value in function.cache_parameters().items()]
    return "cache", [("", function.__wrapped__), *chosen]


def _type_variable(one: Any) -> tuple[str, list[Part]]:
    return type(one).__name__, [("name", one.__name__), ("bound", getattr(one, "__bound__", None))]


def _short(key: Any) -> str:
    return repr(key)[:80] if type(key) in ATOMS else f"a {type(key).__name__}"


def _array(value: Any) -> tuple[str, list[Part]]:
    import hashlib

    described = [("dtype", Fact(value.dtype)), ("shape", Fact(value.shape))]
    if value.dtype.hasobject:
        return "array", [*described, ("items", value.tolist())]
    return "array", [*described, ("hash", Fact(hashlib.sha256(value.tobytes()).hexdigest()))]


def _frame(value: Any) -> tuple[str, list[Part]]:
    columns: list[Part] = [(f"column {number}", _values(value.iloc[:, number])) for number in range(value.shape[1])]
    return "table", [("columns", _values(value.columns)), ("index", _values(value.index)), *columns]


def _series(value: Any) -> tuple[str, list[Part]]:
    return "series", [("values", _values(value)), ("index", _values(value.index))]


def _values(value: Any) -> Any:
    """A column or an index as its name, type and hash; mixed objects as their types and texts."""
    import hashlib

    pandas = sys.modules["pandas"]
    whole = hashlib.sha256(f"{list(getattr(value, 'names', None) or [value.name])!r} {value.dtype}".encode())
    is_mixed = isinstance(value, pandas.MultiIndex) or (
        value.dtype == object and pandas.api.types.infer_dtype(value, skipna=False) != "string"
    )
    if is_mixed:
        whole.update(repr([(type(item).__name__, item) for item in value.tolist()]).encode(errors="replace"))
    else:
        whole.update(pandas.util.hash_pandas_object(value, index=False).to_numpy().tobytes())
    return Fact(whole.hexdigest())


def _polars(value: Any) -> tuple[str, list[Part]]:
    return "table", [("columns", Fact(value.schema)), ("rows", Fact(value.rows()))]


_SPECIAL: dict[str, Callable[[Any], tuple[str, list[Part]]]] = {
    "pathlib.PosixPath": lambda value: ("path", [("", str(value))]),
    "pathlib._local.PosixPath": lambda value: ("path", [("", str(value))]),
    "numpy.ndarray": _array,
    "numpy.dtype": lambda value: ("dtype", [("", Fact(value))]),
    "pandas.core.frame.DataFrame": _frame,
    "pandas.core.series.Series": _series,
    "pandas.DataFrame": _frame,
    "pandas.Series": _series,
    "polars.dataframe.frame.DataFrame": _polars,
}
