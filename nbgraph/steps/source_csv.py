"""CSVSource: the rows of CSV files."""

from __future__ import annotations

import csv
import glob
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.steps.source import Fields, Row, RowSource

SAMPLE = 1000  # rows that decide what type a column has
Reader = Callable[[str], Any]


class CSVSource(RowSource):
    """The rows of one or more CSV files, each a dict by the names in the first line.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "flights.csv")
    >>> _ = path.write_text("carrier,delay\\nUA,4\\nDL,\\n")
    >>> list(CSVSource(path))
    [{'carrier': 'UA', 'delay': 4}, {'carrier': 'DL', 'delay': None}]

    `paths` may hold `*`. Columns of whole numbers, numbers and true/false are found out from the first rows (text
    with leading zeros stays text; so does a later cell that does not fit); `types` says it outright:
    `{"zip": str}`. `parse_dates` names the columns of ISO times, or of times in `timestamp_format`. Empty cells are
    None.
    """

    io = "files"

    def __init__(
        self,
        paths: str | Path | Sequence[str | Path],
        key_field: Fields = None,
        time_field: str | None = None,
        timestamp_format: str | None = None,
        id_field: str | None = None,
        type_inference: bool = True,
        parse_dates: str | Sequence[str] | None = None,
        types: Mapping[str, Reader] | None = None,
        progress: bool = False,
    ) -> None:
        super().__init__(key_field, time_field, timestamp_format, id_field, progress)
        self._paths = [paths] if isinstance(paths, str | Path) else list(paths)
        self._infers = type_inference
        dates = [parse_dates] if isinstance(parse_dates, str) else parse_dates or []
        self._types: dict[str, Reader] = {**dict.fromkeys(dates, self._date), **(types or {})}

    def rows(self) -> Iterator[Row]:
        return chain.from_iterable(map(self._rows_of, self._files()))

    def _files(self) -> list[Path]:
        found = [Path(name) for path in self._paths for name in sorted(glob.glob(str(path))) or [str(path)]]
        missing = [path for path in found if not path.is_file()]
        if missing:
            raise GraphError(f"CSVSource finds no file {missing[0]}; its folder is {missing[0].absolute().parent}.")
        return found

    def _rows_of(self, path: Path) -> Iterator[Row]:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            names = next(reader, [])
            sample = list(islice(reader, SAMPLE))
            columns = [
                self._reader(name, [row[at] for row in sample if at < len(row)]) for at, name in enumerate(names)
            ]
            for cells in chain(sample, reader):
                if cells:
                    yield {name: read(cell) for name, read, cell in zip(names, columns, cells, strict=False)}

    def _reader(self, name: str, cells: Sequence[str]) -> Reader:
        if name in self._types:
            read = self._types[name]
            return lambda cell: read(cell) if cell else None
        return inferred(cells) if self._infers else _text

    def _date(self, cell: str) -> datetime:
        form = self._timestamp_format
        return datetime.strptime(cell, form) if form else datetime.fromisoformat(cell)


def inferred(cells: Sequence[str]) -> Reader:
    """How to read the cells of a column that has these.

    >>> inferred(["1", ""])("2"), inferred(["1", "2.5"])("2"), inferred(["007"])("1"), inferred(["true"])("false")
    (2, 2.0, '1', False)
    """
    filled = [cell for cell in cells if cell]
    for read in (_whole, _number, _truth):
        if filled and all(read(cell) is not cell for cell in filled):
            return read
    return _text


def _text(cell: str) -> Any:
    return cell or None


def _whole(cell: str) -> Any:
    """The cell itself where it is no whole number, or has leading zeros that a number would lose."""
    if not cell:
        return None
    digits = cell.removeprefix("-")
    is_plain = digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
    return int(cell) if is_plain else cell


def _number(cell: str) -> Any:
    if not cell:
        return None
    has_leading_zero = len(cell) > 1 and cell[0] == "0" and cell[1].isdigit()
    try:
        return cell if has_leading_zero or "_" in cell else float(cell)
    except ValueError:
        return cell


def _truth(cell: str) -> Any:
    return {"": None, "true": True, "false": False}.get(cell.lower(), cell)
