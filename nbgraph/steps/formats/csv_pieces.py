"""Pieces of CSV files: where a file may be cut so that no record is, found by one quick look at all of its lines."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

# One byte a character, as far as commas, quotes and ends of lines are concerned.
PLAIN_ENCODINGS = ("utf-8", "utf-8-sig", "utf8", "ascii", "us-ascii", "latin-1", "iso-8859-", "cp125", "windows-125")


class Range(NamedTuple):
    """Bytes of a file that hold so many rows; `line` is the number of its first line."""

    start: int
    end: int
    line: int
    rows: int


def can_be_cut(encoding: str) -> bool:
    """Whether commas, quotes and ends of lines are told by single bytes.

    >>> can_be_cut("utf-8"), can_be_cut("utf-16")
    (True, False)
    """
    return encoding.lower().replace("_", "-").startswith(PLAIN_ENCODINGS)


def ranges_of(path: Path, form: dict[str, Any], rows: int, *, has_head: bool) -> Iterator[Range]:
    """The ranges of a file, of so many rows each; without the head, where there is one.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.csv")
    >>> _ = path.write_text('a,b\\n1,"x\\ny"\\n2,z\\n3,z\\n')
    >>> list(ranges_of(path, {"delimiter": ",", "quotechar": '"'}, 2, has_head=True))
    [Range(start=4, end=16, line=2, rows=2), Range(start=16, end=20, line=5, rows=1)]
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
            yield Range(start[0], end[0], start[1], rows)
            start, left = end, rows
    if start is not None and left < rows:
        yield Range(start[0], end[0], start[1], rows - left)


def _ends(path: Path, form: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Behind each record, the place in the file and the number of the line that follows."""
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
            with contextlib.suppress(csv.Error, StopIteration):  # a bad record is one, and who reads it tells of it
                next(csv.reader(counted, **form))
            offset, number = offset + counted.size, number + counted.lines
            yield offset, number


class _Counted:
    """Lines, and how much of them was read."""

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


def text_of(path: Path, start: int, end: int, encoding: str) -> io.StringIO:
    """That range of a file as text, with the ends of lines that it has."""
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(end - start)
    name = "utf-8" if start and encoding.lower().replace("_", "-") == "utf-8-sig" else encoding
    return io.StringIO(data.decode(name), newline="")
