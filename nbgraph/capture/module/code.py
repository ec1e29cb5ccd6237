"""Code: what a code object names, and what it is beside its place in a file."""

from __future__ import annotations

import dis
import types
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache

GLOBAL = frozenset({"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})


@lru_cache(maxsize=4096)
def global_names(code: types.CodeType) -> tuple[str, ...]:
    """The names that a function looks up outside of itself, sorted; those of the functions inside it too.

    >>> global_names((lambda x: [math.floor(y + K) for y in x]).__code__)
    ('K', 'math')
    """
    found: set[str] = set()
    for part in codes(code):
        own: set[str] = set()
        for instruction in dis.get_instructions(part):
            if instruction.opname in GLOBAL:
                own.add(instruction.argval)
        found |= own - set(_stored(part))
    return tuple(sorted(found))


@lru_cache(maxsize=4096)
def attributes(code: types.CodeType) -> frozenset[str]:
    """All names in the code, among them every attribute that it looks at."""
    return frozenset(name for part in codes(code) for name in part.co_names)


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code and those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


def _stored(code: types.CodeType) -> Iterator[str]:
    """Names of the body of a class: they are its own."""
    if code.co_flags & 2:  # CO_NEWLOCALS: a function, which has fast locals instead
        return
    for instruction in dis.get_instructions(code):
        if instruction.opname == "STORE_NAME":
            yield instruction.argval


def without_place(code: types.CodeType) -> types.CodeType:
    """The same code without the name of the cell's file, which tells the process that it was run in."""
    inner = tuple(without_place(part) if isinstance(part, types.CodeType) else part for part in code.co_consts)
    return code.replace(co_filename="<notebook>", co_consts=inner)


def essence(code: types.CodeType) -> list[object]:
    """What a code object does, as plain data: two are equal where they do the same, wherever they were written.

    >>> essence((lambda x: x + 1).__code__) == essence((lambda x: x + 1).__code__) != essence((lambda x: x).__code__)
    True
    """
    return [
        _instructions(code),
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags & ~_OF_PLACE,
        [essence(part) for part in code.co_consts if isinstance(part, types.CodeType)],
        _documentation(code),
    ]


def _documentation(code: types.CodeType) -> str | None:
    """What stands where Python keeps the docstring."""
    first = code.co_consts[0] if code.co_consts else None
    return first if isinstance(first, str) else None


def _instructions(code: types.CodeType) -> list[tuple[str, object]]:
    """What is done, in order; jumps lead to a number among these.

    Python calls what it saw imported in the same cell in another way than what it did not (`LOAD_ATTR`, `LOAD_METHOD`),
    which comes to the same; so do the marks for its own bookkeeping.
    """
    every = [one for one in dis.get_instructions(code) if one.opname not in _BOOKKEEPING]
    numbers = {one.offset: number for number, one in enumerate(every)}
    offsets = sorted(numbers)

    def place(offset: int) -> int:
        return numbers[offsets[min(bisect_left(offsets, offset), len(offsets) - 1)]]

    told: list[tuple[str, object]] = []
    for one in every:
        name = "LOAD_ATTR" if one.opname == "LOAD_METHOD" else one.opname
        if one.opcode in _JUMPS:
            told.append((name, place(one.argval)))
        elif one.opcode in dis.hasconst:
            told.append((name, "code" if isinstance(one.argval, types.CodeType) else constant(one.argval)))
        else:
            told.append((name, one.argval))
    caught = getattr(dis.Bytecode(code), "exception_entries", ())
    return told + [("CATCH", (place(one.start), place(one.end), place(one.target), one.depth)) for one in caught]


_BOOKKEEPING = frozenset({"CACHE", "PRECALL", "NOP", "EXTENDED_ARG", "PUSH_NULL"})
_JUMPS = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)
_OF_PLACE = 0x1FF0010  # CO_NESTED, and `from __future__`: how the text was read, which the instructions show


def constant(value: object) -> str:
    """A constant with its type, since 1 == 1.0 == True; a set in one order.

    >>> constant((1, True, frozenset({"b", "a"})))
    "(int:1, bool:True, {str:'a', str:'b'})"
    """
    if isinstance(value, tuple):
        return f"({', '.join(map(constant, value))})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(constant, value)))}}}"
    return f"{type(value).__name__}:{value!r}"
