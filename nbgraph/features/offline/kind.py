"""Kinds: what a column of a feature set holds, and how values of any library become a column of one kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from nbgraph.introspection import shown
from nbgraph.values import is_missing, moment_of, number_of

Frame = Any  # polars' frames and columns; the library has no types of its own for mypy
TYPES: dict[str, Any] = {
    "int": pl.Int64, "float": pl.Float64, "text": pl.String, "bool": pl.Boolean,
    "time": pl.Datetime("us", "UTC"), "date": pl.Date, "bytes": pl.Binary,
}  # fmt: skip
LIST = "list of "
LARGEST = 2**63
WORDS: dict[Any, str] = {
    bool: "bool", int: "int", float: "float", str: "text", bytes: "bytes", datetime: "time", date: "date",
}  # fmt: skip


class UnfitValue(ValueError):  # noqa: N818 - what is wrong with one value, for the error that names its row
    """A value that a column of its kind can't hold."""


def type_of(kind: str) -> Any:
    """The polars type of a kind.

    >>> type_of("list of float")
    List(Float64)
    """
    return pl.List(type_of(kind.removeprefix(LIST))) if kind.startswith(LIST) else TYPES[kind]


def kind_of(dtype: Any) -> str | None:
    """The kind of a column of polars, of any width; None where it has no value at all.

    >>> kind_of(pl.Int8), kind_of(pl.Datetime("ns")), kind_of(pl.Null)
    ('int', 'time', None)
    """
    if dtype == pl.Null:
        return None
    if isinstance(dtype, pl.List | pl.Array):
        inner = kind_of(dtype.inner)
        return LIST + (inner or "float")
    for is_kind, kind in _OF_TYPES:
        if is_kind(dtype):
            return kind
    raise UnfitValue(f"has values of the type {dtype}, which a feature set does not keep")


_OF_TYPES: list[tuple[Callable[[Any], bool], str]] = [
    (lambda dtype: dtype.is_integer(), "int"),
    (lambda dtype: dtype.is_float(), "float"),
    (lambda dtype: dtype in (pl.String, pl.Categorical, pl.Enum), "text"),
    (lambda dtype: dtype == pl.Boolean, "bool"),
    (lambda dtype: dtype == pl.Datetime, "time"),
    (lambda dtype: dtype == pl.Date, "date"),
    (lambda dtype: dtype == pl.Binary, "bytes"),
]


def wider(was: str | None, found: str | None) -> str | None:
    """The kind that holds both; None where there is none.

    >>> wider("int", "float"), wider("int", "text"), wider(None, "int")
    ('float', None, 'int')
    """
    if was is None or found is None or was == found:
        return was or found
    if {was, found} == {"int", "float"}:
        return "float"
    if was.startswith(LIST) and found.startswith(LIST):
        inner = wider(was.removeprefix(LIST), found.removeprefix(LIST))
        return None if inner is None else LIST + inner
    return None


def cast(column: Frame, kind: str) -> Frame:
    """A column of polars in the type of its kind: NaN is null, a time without a zone is UTC."""
    if kind == "time":
        zone = column.dtype.time_zone
        column = column.dt.replace_time_zone("UTC") if zone is None else column.dt.convert_time_zone("UTC")
    if column.dtype.is_float():
        column = column.fill_nan(None)
    return column if column.dtype == type_of(kind) else column.cast(type_of(kind))


def column(name: str, values: Sequence[Any], kind: str | None = None) -> tuple[Frame, dict[int, str]]:
    """The values as a column, null where one does not fit, and what is wrong with those, by their place.

    Without a kind it is that of the first value; whole numbers give way to floats.

    >>> made, wrong = column("v", [1, 2.5, float("nan"), "a"])
    >>> made.to_list(), wrong
    ([1.0, 2.5, None, None], {3: "has the text 'a'"})
    """
    found, wrong = [_plain(value) for value in values], dict[int, str]()
    if kind is None:
        kind = _first_kind(found)
    if kind is None:
        odd = {place: value for place, value in enumerate(found) if value is not None}
        wrong = {place: f"has a {word_of(value)}, which a feature set does not keep" for place, value in odd.items()}
        return pl.Series(name, [None] * len(found), dtype=pl.Null), wrong
    fit = _FITTING.get(kind) or _list_of(kind)
    if set(map(type, found)) - {type(None)} - {_own_type(kind)}:
        for place, value in enumerate(found):
            found[place] = _fitted(fit, value, place, wrong)
    elif kind in ("int", "time"):  # of its type, and yet it may not fit: too large, or without a zone
        found = [value if value is None else _fitted(fit, value, place, wrong) for place, value in enumerate(found)]
    return pl.Series(name, found, dtype=type_of(kind), strict=True), wrong


def rows_in(frame: Frame) -> Iterator[dict[str, Any]]:
    """The rows of a frame of polars as dicts; times are in Python's own UTC, which every image knows."""
    times = [name for name, dtype in frame.schema.items() if dtype == pl.Datetime]
    for row in frame.iter_rows(named=True):
        for name in times:
            if row[name] is not None:
                row[name] = row[name].replace(tzinfo=UTC)
        yield row


def _own_type(kind: str) -> type | None:
    return next((own for own, word in WORDS.items() if word == kind), None)


def _fitted(fit: Callable[[Any], Any], value: Any, place: int, wrong: dict[int, str]) -> Any:
    if value is None:
        return None
    try:
        return fit(value)
    except UnfitValue as error:
        wrong[place] = str(error)
        return None


def _plain(value: Any) -> Any:
    """A value as Python's own; None where it is missing."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        return value if value == value else None
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, datetime | str | bytes):
        return None if is_missing(value) else value
    if getattr(getattr(value, "dtype", None), "kind", "") == "M":
        return None if is_missing(value) else moment_of(value)
    if hasattr(value, "tolist") and getattr(value, "shape", ()) != ():
        return value.tolist()
    found = number_of(value)
    return None if is_missing(found) else found


def word_of(value: Any) -> str:
    """The kind of one value, in a word.

    >>> word_of(1), word_of([1.5]), word_of({})
    ('int', 'list of float', 'dict')
    """
    if isinstance(value, list):
        return LIST + (_first_kind([_plain(each) for each in value]) or "float")
    return next((word for own, word in WORDS.items() if isinstance(value, own)), type(value).__name__)


def _first_kind(values: Sequence[Any]) -> str | None:
    kind: str | None = None
    for value in values:
        if value is None:
            continue
        if (kind is None or not isinstance(value, bool)) and (both := wider(kind, word_of(value))) is not None:
            kind = both
        if kind not in (None, "int") and not (kind or "").startswith(LIST):
            break
    return kind if kind is None or kind in TYPES or kind.startswith(LIST) else None


def _int(value: Any) -> int:
    if type(value) is not int:
        raise UnfitValue(f"has the {word_of(value)} {shown(value):.60}")
    if not -LARGEST <= value < LARGEST:
        raise UnfitValue(f"has {shown(value):.40}, which is beyond 64 bits")
    return value


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnfitValue(f"has the {word_of(value)} {shown(value):.60}")
    try:
        return float(value)
    except OverflowError:
        raise UnfitValue(f"has {shown(value):.40}, which no float is") from None


def _of(kind: type) -> Callable[[Any], Any]:
    def fit(value: Any) -> Any:
        if not isinstance(value, kind) or (kind is date and isinstance(value, datetime)):
            raise UnfitValue(f"has the {word_of(value)} {shown(value):.60}")
        return value

    return fit


def _time(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise UnfitValue(f"has the {word_of(value)} {shown(value):.60}")
    found = value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def moment(value: Any) -> datetime:
    """A value of the field of time: a datetime, a date, ISO 8601 text, or seconds since 1970."""
    try:
        return moment_of(value).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UnfitValue(f"is no time: {error}") from None


_FITTING: dict[str, Callable[[Any], Any]] = {
    "int": _int, "float": _float, "text": _of(str), "bool": _of(bool), "time": _time, "date": _of(date),
    "bytes": _of(bytes),
}  # fmt: skip


def _list_of(kind: str) -> Callable[[Any], Any]:
    inner = kind.removeprefix(LIST)
    fit = _FITTING.get(inner) or _list_of(inner)

    def fit_list(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise UnfitValue(f"has the {word_of(value)} {shown(value):.60}")
        return [None if (each := _plain(item)) is None else fit(each) for item in value]

    return fit_list
