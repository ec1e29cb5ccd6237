"""Instance: the content of an object of a class written in Python, also what its `__getstate__` leaves out."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE: the class was not compiled into Python
_POINTER = 8
_PICKLING = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")
_CONTENT: dict[type, Callable[[Any], Any]] = {  # content of a built-in type, bypassing overrides of a subclass
    object: lambda thing: None,
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    bytes: lambda thing: bytes.__getitem__(thing, slice(None)),
    tuple: lambda thing: tuple.__getitem__(thing, slice(None)),
    list: lambda thing: list.__getitem__(thing, slice(None)),
    dict: dict.copy,
    set: set.copy,
    frozenset: frozenset.copy,
    BaseException: lambda thing: BaseException.args.__get__(thing),  # type: ignore[attr-defined]  # a slot of C
}


@dataclass(frozen=True, slots=True)
class Instance:
    """`content` is the part stored by the built-in type `base`; `attributes` are all others, in slots too."""

    base: type
    content: Any
    attributes: dict[str, Any]


def instance_of(thing: Any) -> Instance | None:
    """The content of an object; None if a type written in C stores more than Python can see.

    >>> class Number(int):
    ...     def __reduce__(self): return Number, (0,)
    >>> number = Number(3)
    >>> number.unit = "m"
    >>> instance_of(number)
    Instance(base=<class 'int'>, content=3, attributes={'unit': 'm'})
    """
    base = _base(type(thing))
    if base is None:
        return None
    return Instance(base, _CONTENT[base](thing), _attributes(thing))


def has_own_pickling(thing: Any) -> bool:
    """Whether a class written in Python defines its own pickling.

    >>> class Part:
    ...     def __getstate__(self): return {}
    >>> has_own_pickling(Part()), has_own_pickling([]), has_own_pickling(Part)
    (True, False, False)
    """
    kind = type(thing)
    if isinstance(thing, type) or _base(kind) is None or not kind.__flags__ & _HEAP:
        return False
    return any(name in vars(one) for one in kind.__mro__[:-1] for name in _PICKLING)


def _base(kind: type) -> type | None:
    while kind.__flags__ & _HEAP:
        if not _is_written_in_python(kind) or kind.__base__ is None:
            return None
        kind = kind.__base__
    if issubclass(kind, BaseException):
        return BaseException if kind.__basicsize__ == BaseException.__basicsize__ else None
    return kind if kind in _CONTENT else None


def _is_written_in_python(kind: type) -> bool:
    """Whether it adds nothing to the memory layout of its base but slots, a dict and weak references."""
    own = vars(kind)
    added = sum(isinstance(value, types.MemberDescriptorType) for value in own.values())
    added += ("__dict__" in own) + ("__weakref__" in own)
    return kind.__base__ is None or kind.__basicsize__ - kind.__base__.__basicsize__ <= _POINTER * added


def _attributes(thing: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in reversed(type(thing).__mro__):
        for name, slot in vars(kind).items():
            if isinstance(slot, types.MemberDescriptorType):
                try:
                    found[name] = slot.__get__(thing)
                except AttributeError:  # an empty slot
                    continue
    try:
        own = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        return found
    return found | own if isinstance(own, dict) else found
