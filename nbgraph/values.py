"""Values: what a number, a missing value, a time and a key is, whichever library it comes from.

One reading for all steps, so that an event means the same as a row of a frame, a table the same as another. No library
is imported for it: values of NumPy, pandas and others are known by what they can do.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from nbgraph.introspection import shown

_PRESENT = frozenset({str, int, bool, bytes, list, dict, tuple})  # kinds of values that are never missing
_NO_NUMBERS = frozenset("MmV")  # NumPy's times, spans of time and records
_EPOCH = datetime(1970, 1, 1)
_LARGEST = 1 << 63  # beyond it a Decimal is not made an int: it may have more digits than memory
_FORMS = "a datetime, a date, ISO 8601 text, or seconds since 1970"


def number_of(value: Any) -> Any:
    """Python's own number for one of NumPy, of any width, or of a tensor of no dimension; else the value itself.

    >>> import numpy as np
    >>> number_of(np.int8(100)) + number_of(np.int8(100)), type(number_of(np.float16(0.5))), number_of("a")
    (200, <class 'float'>, 'a')
    """
    if type(value) in _PRESENT or getattr(value, "shape", None) != ():
        return value
    if getattr(value.dtype, "kind", "") in _NO_NUMBERS:
        return value
    found = value.item()
    if type(found).__module__ == "numpy":  # wider than Python's
        return complex(found) if found.dtype.kind == "c" else float(found)
    return found


def is_missing(value: Any) -> bool:
    """Whether a value is None, a NaN of any kind, NaT, or pandas' NA.

    >>> is_missing(None), is_missing(float("nan")), is_missing(Decimal("NaN")), is_missing(0), is_missing([])
    (True, True, True, False, False)
    """
    kind = type(value)
    if value is None or kind in _PRESENT:
        return value is None
    if kind is Decimal:
        return bool(value.is_nan())  # one that signals can't even be compared
    try:
        found = value != value
    except (TypeError, ValueError):
        return False
    if found is True or (type(found).__module__ == "numpy" and getattr(found, "shape", None) == ()):
        return bool(found)
    return kind.__name__ == "NAType"  # neither equal nor unequal to itself; arrays and frames are there


def counted(value: Any) -> Any:
    """A value as it is counted and added up: None where it is missing, a number as Python's own.

    >>> counted(float("nan")), counted(3)
    (None, 3)
    """
    found = number_of(value)
    return None if is_missing(found) else found


# --- times ---


def moment_of(value: Any, field: str | None = None, form: str | None = None) -> datetime:
    """The point in time that a value means, in its own zone, or in UTC where it has none.

    A datetime, a date (its midnight), a time of pandas or NumPy, ISO 8601 text or text of the given form, or a number
    of seconds since 1970, of any kind. What is none, or is missing, is an error that names `field`.

    >>> moment_of("2013-01-01T05:00").isoformat(), moment_of(date(2013, 1, 1)).isoformat(), moment_of(0).year
    ('2013-01-01T05:00:00+00:00', '2013-01-01T00:00:00+00:00', 1970)
    >>> moment_of("1/2/13", form="%d/%m/%y").month
    2
    >>> moment_of(None, "paid_at")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: The time "paid_at" is missing: got None; expected a datetime, a date, ISO 8601 text, or ...
    """
    found = _time_of(value, field, form)
    if isinstance(found, datetime):
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    try:
        return datetime.fromtimestamp(found, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{_named(field)} is {shown(value)}, which no calendar has: {error}.") from None


def seconds_of(value: Any, field: str | None = None, form: str | None = None) -> float:
    """A point in time as seconds since 1970 in UTC; what is taken for one is told at `moment_of`.

    >>> seconds_of("1970-01-01T01:00"), seconds_of(datetime(1970, 1, 1, 1, tzinfo=UTC)), seconds_of(5)
    (3600.0, 3600.0, 5)
    """
    found = _time_of(value, field, form)
    if not isinstance(found, datetime):
        return found
    # without a zone it is taken as UTC, so that results do not depend on the machine they are made on
    return (found - _EPOCH).total_seconds() if found.tzinfo is None else found.timestamp()


def _time_of(value: Any, field: str | None, form: str | None) -> datetime | float:
    """The value as a datetime, or as a finite number of seconds."""
    if is_missing(value):
        raise ValueError(f"{_named(field)} is missing: got {shown(value)}; expected {_FORMS}.")
    if isinstance(value, str):
        return _read(value, field, form)
    if isinstance(value, datetime):
        # one of pandas is a datetime with nanoseconds of its own
        return value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if getattr(getattr(value, "dtype", None), "kind", "") == "M":  # numpy.datetime64
        return float(value.astype("datetime64[us]").astype(int)) / 1e6
    found = number_of(value)
    if isinstance(found, Decimal | Fraction):
        found = float(found)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(f"{_named(field)} is {value!r:.80}, of {type(value).__name__}; expected {_FORMS}.")
    if isinstance(found, float) and found - found != 0:
        raise ValueError(f"{_named(field)} is {shown(value)}; expected {_FORMS}.")
    return found


def _read(text: str, field: str | None, form: str | None) -> datetime:
    try:
        return datetime.strptime(text, form) if form else datetime.fromisoformat(text)
    except ValueError:
        expected = f'text of the form "{form}"' if form else _FORMS
        raise ValueError(f"{_named(field)} is {text!r:.80}; expected {expected}.") from None


def _named(field: str | None) -> str:
    return f'The time "{field}"' if field else "The time"


# --- keys ---


def normal_key(key: Any) -> Any:
    """The one form of all keys that mean the same: whatever keeps something by key keeps it under this.

    What is missing, be it None, NaN, NaT or NA, is one key, None; a number is the number that it is, however wide; a
    list is a tuple; a time of pandas or NumPy is a datetime. As in Python's dicts, and as pandas groups, equal keys
    are one: 7, 7.0 and Decimal(7), and True and 1.

    >>> normal_key(7.0), normal_key(float("nan")), normal_key(["a", Decimal("1.50")]), normal_key(7.5)
    (7, None, ('a', 1.5), 7.5)
    """
    kind = type(key)
    if kind is str or kind is int or kind is bool or key is None:
        return key
    if isinstance(key, tuple | list):
        return tuple(map(normal_key, key))
    if is_missing(key):
        return None
    if isinstance(key, datetime | timedelta):
        return _without_nanoseconds(key)
    if isinstance(key, float | Decimal | Fraction):
        return _number_key(number_of(key))
    if getattr(getattr(key, "dtype", None), "kind", "") in ("M", "m"):
        return _python_time(key)
    for base in (str, int, bytes):
        if isinstance(key, base):  # of an enumeration, or of NumPy
            return str.__str__(key) if base is str else base(key)  # type: ignore[arg-type]  # `base` is the type of the key
    found = number_of(key)
    return key if found is key else normal_key(found)


def _number_key(key: Any) -> Any:
    """The int or the float of that very value; where there is none, the number itself."""
    whole = float(key) if isinstance(key, float) else key
    if abs(whole) < _LARGEST and whole == int(whole):
        return int(whole)
    if isinstance(whole, float):
        return int(whole) if whole - whole == 0 and whole.is_integer() else whole
    try:
        return float(whole) if float(whole) == whole else whole
    except OverflowError:
        return whole


def _python_time(key: Any) -> Any:
    """The date, the datetime or the span of a time of NumPy; one of parts of microseconds stays."""
    found = key.item()
    if isinstance(found, date | timedelta):
        return found
    in_microseconds = key.astype(f"{'datetime' if key.dtype.kind == 'M' else 'timedelta'}64[us]")
    found = in_microseconds.item()
    return found if isinstance(found, date | timedelta) and in_microseconds == key else key


def _without_nanoseconds(key: Any) -> Any:
    """Python's own datetime or timedelta for one of pandas, which may have nanoseconds."""
    for python in ("to_pydatetime", "to_pytimedelta"):
        if hasattr(key, python):
            return key if getattr(key, "nanosecond", 0) or getattr(key, "nanoseconds", 0) else getattr(key, python)()
    return key


def same_for_equal(key: Any) -> Any:
    """A key's normal form, in which also those are alike that are equal and yet differ: True and 1, times by zone.

    >>> same_for_equal(True), same_for_equal(datetime.fromisoformat("2026-01-01T02:00+02:00")).hour
    (1, 0)
    """
    key = normal_key(key)
    if isinstance(key, tuple):
        return tuple(map(same_for_equal, key))
    if isinstance(key, bool):
        return int(key)
    if isinstance(key, datetime) and key.tzinfo is not None:
        return key.astimezone(UTC)
    return key.normalize() if isinstance(key, Decimal) else key
