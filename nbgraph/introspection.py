"""Values looked at without failing and without running their code; signatures and docstrings."""

from __future__ import annotations

import inspect
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, Concatenate, ForwardRef, ParamSpec, TypeVar

TEXT = 2_000  # characters of a preview
WIDEST = 50  # items of a container in a preview


def attribute(value: Any, name: str, default: Any = None) -> Any:
    """An attribute that a value has by its class or of its own, else the default.

    Never asks `__getattr__`, which may raise anything, or load what a proxy stands for.

    >>> class Settings(dict):
    ...     __getattr__ = dict.__getitem__
    >>> attribute(Settings(a=1), "dtype"), attribute(Settings(a=1), "keys")()
    (None, dict_keys(['a']))
    """
    if not any(name in vars(kind) for kind in type(value).__mro__) and name not in _own(value):
        return default
    try:
        return getattr(value, name)
    except Exception:  # a property that fails, a slot that is empty
        return default


def has_attribute(value: Any, name: str) -> bool:
    """Whether `attribute` finds something.

    >>> has_attribute([], "append"), has_attribute([], "dtype")
    (True, False)
    """
    return attribute(value, name, _NOTHING) is not _NOTHING


def shown(value: Any) -> str:
    """Its repr; where that fails, what can be said of it.

    >>> class Loud:
    ...     def __repr__(self): raise RuntimeError
    >>> shown([1, "a"]), shown([1, Loud()])
    ("[1, 'a']", '[1, <Loud: its repr failed: RuntimeError>]')
    """
    try:
        return repr(value)
    except Exception:
        return _careful(value, 1_000, 100_000)


def beginning(value: Any, most: int = TEXT) -> str:
    """The repr of as much of a value as will be shown, so that a huge one is not written out first.

    >>> beginning("x" * 10_000_000, 5)
    "'xxxx"
    """
    text = repr(value[:most]) if type(value) in (str, bytes) else _careful(value, WIDEST, most)
    return text[:most]


@dataclass(frozen=True, slots=True)
class Preview:
    """Stands for a value that is not here: its type, why, and the beginning of its text.

    >>> preview("x" * 2_000_000, "too big").text[:5]
    "'xxxx"
    """

    type: str
    why: str
    text: str

    def __repr__(self) -> str:
        return f"<not kept: {self.type}, {self.why}: {self.text}>"


def preview(value: Any, why: str) -> Preview:
    return Preview(type(value).__name__, why, beginning(value))


def speakable(value: Any) -> Any:
    """The value, with previews in the place of what has no text, for who asks for texts without care.

    >>> class Loud:
    ...     def __repr__(self): raise RuntimeError
    >>> speakable({"a": [1, Loud()]})["a"][1].type
    'Loud'
    """
    return _speakable(value, {})


_NOTHING = object()


def _speakable(value: Any, known: dict[int, Any]) -> Any:
    """`known`: what was looked at already, or is just looked at, as a value that holds itself."""
    kind = type(value)
    if kind in (str, bytes, float, bool, type(None)):
        return value
    if kind not in (dict, list, tuple):
        return value if _has_text(value) else preview(value, "its text can't be had")
    if id(value) not in known:
        known[id(value)] = value
        items = [_speakable(item, known) for item in (value.values() if kind is dict else value)]
        if any(new is not old for new, old in zip(items, value.values() if kind is dict else value, strict=True)):
            known[id(value)] = dict(zip(value, items, strict=True)) if kind is dict else kind(items)
    return known[id(value)]


def _has_text(value: Any) -> bool:
    try:
        return bool(isinstance(str(value), str))
    except Exception:
        return False


def _own(value: Any) -> Any:
    """What a value holds by itself; of a class also what it inherits."""
    if isinstance(value, type):
        return {name for kind in value.__mro__ for name in vars(kind)}
    try:
        own = object.__getattribute__(value, "__dict__")
    except Exception:  # it has slots, or a property of that name
        return ()
    return own if isinstance(own, dict) else ()


class _Careful(reprlib.Repr):
    """Writes containers item by item, so that one that fails is alone in it."""

    def repr1(self, x: Any, level: int) -> str:
        try:
            return super().repr1(x, level)
        except Exception as error:
            return f"<{type(x).__name__}: its repr failed: {type(error).__name__}>"

    def repr_instance(self, x: Any, level: int) -> str:
        text = repr(x)
        return text if len(text) <= self.maxother else f"{text[: self.maxother - 3]}..."


def _careful(value: Any, items: int, most: int) -> str:
    careful = _Careful()
    careful.maxlist = careful.maxtuple = careful.maxdict = careful.maxset = careful.maxfrozenset = items
    careful.maxdeque = careful.maxarray = items
    careful.maxstring = careful.maxother = careful.maxlong = most
    return careful.repr(value)


F = TypeVar("F", bound=Callable[..., Any])


def lists_keywords(fields: type, **defaults: Any) -> Callable[[F], F]:
    """Let signature and help of a function with `**options: Unpack[fields]` list the fields.

    >>> from typing import TypedDict, Unpack
    >>> class Options(TypedDict, total=False):
    ...     depth: int
    >>> @lists_keywords(Options, depth=1)
    ... def draw(name, **options: Unpack[Options]): ...
    >>> print(inspect.signature(draw))
    (name, *, depth: 'int' = 1)
    """
    listed = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=_text(kind))
        for name, kind in fields.__annotations__.items()
    ]

    def listing(function: F) -> F:
        signature = inspect.signature(function)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        function.__signature__ = signature.replace(parameters=[*own, *listed])  # type: ignore[attr-defined]  # PEP 362
        function.__doc__ = _with_parameters(
            function.__doc__, _documented(fields), [one.name for one in [*own, *listed]]
        )
        return function

    return listing


P = ParamSpec("P")
S = TypeVar("S")
R = TypeVar("R")
T = TypeVar("T")


def takes(record: Callable[P, R]) -> Callable[[Callable[[S, R], T]], Callable[Concatenate[S, P], T]]:
    """Let callers give the fields of a record to a method that gets the record: types, signature and help list them.

    >>> import msgspec
    >>> class Depth(msgspec.Struct, frozen=True, kw_only=True):
    ...     '''How deep.
    ...
    ...     Parameters
    ...     ----------
    ...     depth
    ...         Levels that are drawn.
    ...     '''
    ...     depth: int = 1
    >>> class Picture:
    ...     @takes(Depth)
    ...     def draw(self, options: Depth) -> int:
    ...         '''Draw it.'''
    ...         return options.depth
    >>> Picture().draw(depth=2), str(inspect.signature(Picture.draw))
    (2, "(self, *, depth: 'int' = 1) -> 'int'")
    >>> print(Picture.draw.__doc__)
    Draw it.
    <BLANKLINE>
    Parameters
    ----------
    depth
        Levels that are drawn.
    """
    fields = _fields(record)

    def taking(method: Callable[[S, R], T]) -> Callable[Concatenate[S, P], T]:
        @wraps(method)
        def called(self: S, /, *args: P.args, **options: P.kwargs) -> T:
            for name in options:
                if name not in fields:
                    raise TypeError(f'{method.__name__}() takes no "{name}"; it takes {", ".join(fields)}.')
            return method(self, record(*args, **options))

        own = inspect.signature(method)
        receiver = next(iter(own.parameters.values()))
        called.__signature__ = own.replace(parameters=[receiver, *fields.values()])  # type: ignore[attr-defined]  # PEP 362
        called.__doc__ = _with_parameters(method.__doc__, _inherited(record.__mro__), fields)  # type: ignore[attr-defined]
        return called

    return taking


def _fields(record: Any) -> dict[str, inspect.Parameter]:
    """The fields of a `msgspec.Struct` as parameters; annotations stay texts, as reading them would cost an import."""
    written = {name: kind for base in reversed(record.__mro__) for name, kind in inspect.get_annotations(base).items()}
    names = record.__struct_fields__
    defaults = dict(zip(reversed(names), reversed(record.__struct_defaults__), strict=False))
    found = {}
    for name in names:
        kind = (
            inspect.Parameter.POSITIONAL_OR_KEYWORD if name in record.__match_args__ else inspect.Parameter.KEYWORD_ONLY
        )
        default = defaults.get(name, inspect.Parameter.empty)
        found[name] = inspect.Parameter(name, kind, default=default, annotation=written[name])
    return found


def _text(annotation: Any) -> Any:
    return annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else annotation


_HEADING = "Parameters\n----------\n"
_SECTION = re.compile(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+$|\Z)", re.DOTALL | re.MULTILINE)
_ENTRY = re.compile(r"^(\S[^\n]*)\n((?:[ \t][^\n]*(?:\n|\Z)|\n)*)", re.MULTILINE)


def parameters_in(text: str) -> dict[str, str]:
    """The entries of a docstring's section Parameters, by the names of the parameters.

    >>> parameters_in("As it is.\\n\\nParameters\\n----------\\nlimit\\n    The most.\\n**rest\\n    All else.")
    {'limit': 'limit\\n    The most.', 'rest': '**rest\\n    All else.'}
    """
    section = _SECTION.search(text)
    entries = _ENTRY.finditer(section[1] if section else "")
    return {entry[1].partition(":")[0].strip("* "): entry[0].rstrip() for entry in entries}


def inheriting_parameters(kind: type) -> str | None:
    """The docstring of a class, with what its bases document of the parameters that it takes too.

    >>> class Base:
    ...     '''The base.
    ...
    ...     Parameters
    ...     ----------
    ...     limit
    ...         The most.
    ...     '''
    >>> class Own(Base):
    ...     '''Its own.'''
    ...     def __init__(self, limit): ...
    >>> print(inheriting_parameters(Own))
    Its own.
    <BLANKLINE>
    Parameters
    ----------
    limit
        The most.
    """
    inherited = _inherited(kind.__mro__[1:])
    return _with_parameters(kind.__doc__, inherited, inspect.signature(kind).parameters) if inherited else kind.__doc__


def documented_as(other: Callable[..., Any]) -> Callable[[F], F]:
    """Let a function document the parameters that its docstring leaves out as another function does.

    >>> def draw(depth):
    ...     '''Draw it.
    ...
    ...     Parameters
    ...     ----------
    ...     depth
    ...         Levels that are drawn.
    ...     '''
    >>> @documented_as(draw)
    ... def save(path, depth):
    ...     '''Save it.
    ...
    ...     Parameters
    ...     ----------
    ...     path
    ...         Path of the file.
    ...     '''
    >>> list(parameters_in(save.__doc__))
    ['path', 'depth']
    """

    def documenting(function: F) -> F:
        taken = inspect.signature(function).parameters
        function.__doc__ = _with_parameters(function.__doc__, _documented(other), taken)
        return function

    return documenting


def _with_parameters(text: str | None, inherited: Mapping[str, str], taken: Iterable[str]) -> str | None:
    """A docstring that documents all that is taken: in its own words, else in those that are inherited."""
    if not text or not inherited:
        return text
    text = inspect.cleandoc(text)
    own = parameters_in(text)
    entries = {**inherited, **own}
    known = {name: entries[name] for name in taken if name in entries}
    section = _HEADING + "\n".join((known | own).values()) + "\n"
    return _SECTION.sub(lambda _: section, text) if own else f"{text}\n\n{section}"


def _inherited(bases: Sequence[type]) -> dict[str, str]:
    return {name: entry for base in reversed(bases) for name, entry in _documented(base).items()}


def _documented(kind: Callable[..., Any]) -> dict[str, str]:
    return _entries_of(kind.__doc__) if kind.__doc__ and "Parameters" in kind.__doc__ else {}


@lru_cache(32)  # by the text, so that no class is kept; importing nbgraph reads some of them often
def _entries_of(docstring: str) -> dict[str, str]:
    return parameters_in(inspect.cleandoc(docstring))
