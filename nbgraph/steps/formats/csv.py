"""CSV: reading and writing cells, and splitting a file into pieces.

A file is split between records: one quick pass over its lines finds where records end.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from nbgraph.streams.codec.wire import encode
from nbgraph.values import is_missing, number_of

Read = Callable[[str], Any]
MISSING = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "None", "nan", "NaN", "NaT")
_WRITTEN = (int, float, complex, Decimal, Fraction, date, time, timedelta, UUID)
_FIRST = frozenset("123456789")  # a number of Python that begins so is read as a number
_TRUTHS = {"true": True, "false": False}


def inferred_reader(cells: Sequence[str], missing: frozenset[str] = frozenset([""]), decimal: str = ".") -> Read | None:
    """The reader of a column with these cells; None if all are missing, so that its type is unknown.

    >>> inferred_reader(["1", ""])("2"), inferred_reader(["1", "2.5"])("2")
    (2, 2.0)
    >>> inferred_reader(["007"])("1"), inferred_reader(["true"])("false")
    ('1', False)

    A later cell of another kind stays text; `missing` applies to columns that are not text.
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


def typed_reader(kind: Any, missing: frozenset[str], decimal: str = ".") -> Read:
    """The reader of a column of a given type: a type, or a function of the cell's text.

    >>> typed_reader(int, frozenset(["", "NA"]))("NA"), typed_reader(bool, frozenset([""]))("False")
    (None, False)
    >>> typed_reader(str, frozenset(["NA"]))("NA")
    'NA'
    """
    if kind is str:
        return text
    known: dict[Any, Read] = {
        int: int,
        float: number_with(decimal),
        bool: truth,
        Decimal: Decimal,
        datetime: datetime.fromisoformat,
        date: date.fromisoformat,
    }
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
        raise ValueError("it can't be read as this type")
    return value


def text(cell: str) -> Any:
    return cell or None


def whole(cell: str) -> Any:
    """A whole number; the cell itself if it is none, or has leading zeros that a number would lose.

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
    """A number; the cell itself if it is none, or has leading zeros that a number would lose.

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
    """The cell of a value: empty if it is missing, JSON of lists and dicts, else its text.

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


# One byte a character, as far as commas, quotes and ends of lines are concerned.
PLAIN_ENCODINGS = ("utf-8", "utf-8-sig", "utf8", "ascii", "us-ascii", "latin-1", "iso-8859-", "cp125", "windows-125")


class RowRange(NamedTuple):
    """Bytes of a file that hold so many rows; `line` is the number of its first line."""

    start: int
    end: int
    line: int
    rows: int


def can_be_cut(encoding: str) -> bool:
    """Whether commas, quotes and ends of lines are single bytes.

    >>> can_be_cut("utf-8"), can_be_cut("utf-16")
    (True, False)
    """
    return encoding.lower().replace("_", "-").startswith(PLAIN_ENCODINGS)


def ranges_of(path: Path, form: dict[str, Any], rows: int, *, has_head: bool) -> Iterator[RowRange]:
    """The ranges of a file, of so many rows each; without the head, where there is one.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.csv")
    >>> _ = path.write_text('a,b\\n1,"x\\ny"\\n2,z\\n3,z\\n')
    >>> list(ranges_of(path, {"delimiter": ",", "quotechar": '"'}, 2, has_head=True))
    [RowRange(start=4, end=16, line=2, rows=2), RowRange(start=16, end=20, line=5, rows=1)]
    """
    left = rows
    start: tuple[int, int] | None = None if has_head else (0, 1)
    end = (0, 1)
    for end in _ends(path, form):
        if start is None:
            start = end
            continue
        left -= 1
        if not left:
            yield RowRange(start[0], end[0], start[1], rows)
            start, left = end, rows
    if start is not None and left < rows:
        yield RowRange(start[0], end[0], start[1], rows - left)


def _ends(path: Path, form: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """The offset of the end of each record, with the number of the next line."""
    quote, offset, number = form.get("quotechar"), 0, 1
    with path.open(encoding="latin-1", newline="") as file:
        lines = iter(file)
        for line in lines:
            if quote is None or quote not in line:
                offset, number = offset + len(line), number + 1
                if line.rstrip("\r\n"):
                    yield offset, number
                continue
            counted = _Counted(itertools.chain([line], lines))
            with contextlib.suppress(csv.Error, StopIteration):  # a bad record is one record; its reader reports it
                next(csv.reader(counted, **form))
            offset, number = offset + counted.size, number + counted.lines
            yield offset, number


class _Counted:
    """Lines, with the number of bytes read."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.size = self.lines = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.size += len(line)
        self.lines += 1
        return line


def range_text(path: Path, start: int, end: int, encoding: str) -> io.StringIO:
    """That range of a file as text, with its line ends."""
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(end - start)
    name = "utf-8" if start and encoding.lower().replace("_", "-") == "utf-8-sig" else encoding
    return io.StringIO(data.decode(name), newline="")
