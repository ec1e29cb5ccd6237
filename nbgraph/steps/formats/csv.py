"""Column: what the cells of a column of a CSV file mean, and what is written into them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any
from uuid import UUID

from nbgraph.streams.codec.wire import encode
from nbgraph.values import is_missing, number_of

Read = Callable[[str], Any]
MISSING = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "None", "nan", "NaN", "NaT")
_WRITTEN = (int, float, complex, Decimal, Fraction, date, time, timedelta, UUID)
_FIRST = frozenset("123456789")  # what begins so, and is a number to Python, is one to us
_TRUTHS = {"true": True, "false": False}


def inferred(cells: Sequence[str], missing: frozenset[str] = frozenset([""]), decimal: str = ".") -> Read | None:
    """How to read a column that has these cells; None where all are missing, so that nothing is known of it.

    >>> inferred(["1", ""])("2"), inferred(["1", "2.5"])("2"), inferred(["007"])("1"), inferred(["true"])("false")
    (2, 2.0, '1', False)

    A later cell that is none of its column's kind stays text; `missing` counts where the column is not one of texts.
    """
    filled = [cell for cell in cells if cell not in missing]
    if not filled:
        return None
    as_number = number_with(decimal)
    if all(whole(cell) is not cell for cell in filled):
        return _wholes(missing, as_number)
    if all(as_number(cell) is not cell for cell in filled):
        return _numbers(missing) if decimal == "." else _all_but(missing, as_number)
    if all(truth(cell) is not cell for cell in filled):
        return _all_but(missing, truth)
    return text


def _wholes(missing: frozenset[str], as_number: Read) -> Read:
    def read(cell: str) -> Any:
        try:
            found = int(cell)
        except ValueError:
            return None if cell in missing else as_number(cell)
        return found if str(found) == cell or whole(cell) is not cell else cell

    return read


def _numbers(missing: frozenset[str]) -> Read:
    def read(cell: str) -> Any:
        try:
            found = float(cell)
        except ValueError:
            return None if cell in missing else cell
        return found if cell[0] in _FIRST and "_" not in cell else None if cell in missing else number(cell)

    return read


def _all_but(missing: frozenset[str], read: Read) -> Read:
    return lambda cell: None if cell in missing else read(cell)


def told(kind: Any, missing: frozenset[str], decimal: str = ".") -> Read:
    """How to read a column of a type that was told: a type, or a function of the cell's text.

    >>> told(int, frozenset(["", "NA"]))("NA"), told(bool, frozenset([""]))("False"), told(str, frozenset(["NA"]))("NA")
    (None, False, 'NA')
    """
    if kind is str:
        return text
    known: dict[Any, Read] = {
        int: int, float: number_with(decimal), bool: truth, Decimal: Decimal, datetime: datetime.fromisoformat,
        date: date.fromisoformat,
    }  # fmt: skip
    read = known.get(kind)
    if read is None:
        return lambda cell: kind(cell) if cell else None
    return lambda cell: None if cell in missing else _strictly(read, cell)


def _strictly(read: Read, cell: str) -> Any:
    try:
        value = read(cell)
    except InvalidOperation:
        value = cell
    if value is cell:
        raise ValueError("it can't be read so")
    return value


def text(cell: str) -> Any:
    return cell or None


def whole(cell: str) -> Any:
    """The cell itself where it is no whole number, or has leading zeros that a number would lose.

    >>> whole("12"), whole(" -3"), whole("007"), whole("1_000")
    (12, -3, '007', '1_000')
    """
    digits = cell.strip().removeprefix("-")
    is_plain = digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
    return int(cell) if is_plain else cell


def number_with(decimal: str) -> Read:
    """Numbers with that decimal mark."""
    return number if decimal == "." else lambda cell: _marked(cell, decimal)


def _marked(cell: str, decimal: str) -> Any:
    found = number(cell.replace(decimal, "."))
    return cell if isinstance(found, str) or "." in cell else found


def number(cell: str) -> Any:
    """The cell itself where it is no number, or has leading zeros that a number would lose.

    >>> number("1e3"), number("-0.5"), number("00.5"), number("x")
    (1000.0, -0.5, '00.5', 'x')
    """
    digits = cell.strip().removeprefix("-")
    has_leading_zero = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    try:
        return cell if has_leading_zero or "_" in cell else float(cell)
    except ValueError:
        return cell


def truth(cell: str) -> Any:
    """True or False; the cell itself where it is neither."""
    return _TRUTHS.get(cell.strip().lower(), cell)


def cell_of(value: Any) -> Any:
    """What stands in a cell for a value: nothing where it is missing, JSON of lists and dicts, else its text.

    >>> cell_of(None), cell_of("a"), cell_of([1, None]), cell_of(date(2013, 1, 2))
    ('', 'a', '[1,null]', '2013-01-02')
    >>> cell_of(b"a")
    Traceback (most recent call last):
    TypeError: bytes
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool:
        return value
    value = number_of(value)
    if is_missing(value):
        return ""
    if isinstance(value, str):
        return str.__str__(value)  # of an enumeration
    if isinstance(value, list | dict | tuple):
        return encode(value).decode()
    if isinstance(value, _WRITTEN) or type(value).__module__ == "numpy":
        return str(value)
    raise TypeError(kind.__name__)
