"""CSVSource: the rows of CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

from nbgraph.errors import GraphError, RowError
from nbgraph.event import Event
from nbgraph.steps.arguments import Names, names_of
from nbgraph.steps.formats.csv import (
    MISSING,
    Read,
    can_be_cut,
    inferred_reader,
    number,
    range_text,
    ranges_of,
    text,
    typed_reader,
)
from nbgraph.steps.formats.files import COMPRESSED, Paths, files_of, open_text
from nbgraph.steps.sources.base import Field, Fields, Piece, RowSource, listed

__all__ = ["CSVSource"]

SAMPLE = 1000  # rows that decide what type a column has
LONGEST = 2**31 - 1  # characters of a cell
Record = tuple[int, list[str] | csv.Error]  # the line it begins in, and its cells


class CSVSource(RowSource):
    """The rows of one or more CSV files, each a dict by the names in the first line.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "flights.csv")
    >>> _ = path.write_text("carrier,delay\\nUA,4\\nDL,NA\\n")
    >>> list(CSVSource(path))
    [{'carrier': 'UA', 'delay': 4}, {'carrier': 'DL', 'delay': None}]

    `paths` may hold `*`; files that end in gz, bz2, xz or zip are unpacked. Columns of whole numbers, numbers and
    true/false are found out from the first rows (text with leading zeros stays text; so does a later cell that does
    not fit); `types` says it outright: `{"zip": str}`. `parse_dates` names the columns of ISO times, or of times in
    `timestamp_format`; `time_field` is one of them unless it holds numbers. Empty cells are None, and so are those of
    `na_values` (NA, N/A, NULL, null, None, nan and their like) where a column else holds numbers, truths or times; a
    dict tells them by column, texts included.

    Without a first line of names, `header` has them: `["carrier", "delay"]`; or it is False, and rows are lists whose
    fields are named by their place, `key_field=0`. A row with more cells than names, and a cell that is not of the type
    it was given, go the way of errors, with file and line.

    Parameters
    ----------
    paths
        Path, pattern with `*`, or a list of them.
    type_inference
        Whether the types of columns are found out from the first rows.
    parse_dates
        Columns of times.
    types
        Types by column: `{"zip": str}`.
    header
        True: the first line has the names; a list: these are the names; False: rows are lists.
    encoding
        Encoding of the text.
    delimiter
        Character between cells.
    quotechar
        Character around cells that have the delimiter in them; None: there is none.
    decimal
        Decimal mark of numbers.
    na_values
        Texts that mean a missing value, for all columns or by column.
    """

    io = "files"

    def __init__(
        self,
        paths: Paths,
        key_field: Fields = None,
        time_field: Field | None = None,
        timestamp_format: str | None = None,
        id_field: Field | None = None,
        type_inference: bool = True,
        parse_dates: Fields = None,
        types: Mapping[Any, Any] | None = None,
        progress: bool = False,
        *,
        header: bool | Sequence[str] = True,
        encoding: str = "utf-8-sig",
        delimiter: str = ",",
        quotechar: str | None = '"',
        decimal: str = ".",
        na_values: Names | Mapping[Any, Names] | None = None,
        bad_rows: str = "error",
    ) -> None:
        super().__init__(key_field, time_field, timestamp_format, id_field, progress, bad_rows)
        self._paths = paths
        self._infers, self._decimal = type_inference, decimal
        self._dates = [parse_dates] if isinstance(parse_dates, str | int) else list(parse_dates or ())
        self._types = dict(types or {})
        self._header = header if isinstance(header, bool) else names_of(header, "CSVSource", "header")
        self._encoding = encoding
        self._format: dict[str, Any] = {"delimiter": delimiter, "strict": True}  # a quote that never ends is an error
        self._format |= {"quotechar": quotechar} if quotechar else {"quoting": csv.QUOTE_NONE}
        by_column = na_values if isinstance(na_values, Mapping) else {}
        self._missing = _with_empty(MISSING if na_values is None or isinstance(na_values, Mapping) else na_values)
        self._heads: dict[Path, tuple[list[Any], list[Read]]] = {}  # of files that are read in pieces
        self._missing_of = {name: _with_empty(values) for name, values in by_column.items()}

    def rows(self) -> Iterator[Any]:
        return self._read(is_placed=False)

    def placed(self) -> Iterator[tuple[Any, Any]]:
        return self._read(is_placed=True)

    def place(self, place: Any) -> str:
        path, line = place
        return f"{path}, line {line}"

    # --- in pieces ---

    def files(self) -> list[Path]:
        return files_of("CSVSource", self._paths)

    def pieces(self, rows: int) -> Iterator[Piece] | None:
        files = self.files()
        is_packed = any(path.suffix in (*COMPRESSED, ".zip") or path.is_dir() for path in files)
        is_whole = is_packed or self._bad_rows == "stop" or type(self) is not CSVSource
        return None if is_whole or not can_be_cut(self._encoding) else self._pieces(files, rows)

    def _pieces(self, files: list[Path], rows: int) -> Iterator[Piece]:
        first = 0
        csv.field_size_limit(LONGEST)
        for path in files:
            for found in ranges_of(path, self._format, rows, has_head=self._header is True):
                yield Piece(first, found.rows, [str(path), *found[:3]])
                first += found.rows

    def piece(self, piece: Piece) -> Iterator[tuple[Any, Any]]:
        given, start, end, line = piece.place
        path = Path(given)
        csv.field_size_limit(LONGEST)
        names, readers = self._head(path)
        try:
            text = range_text(path, start, end, self._encoding)
        except UnicodeError as error:
            raise self._not_in_encoding(path, error) from error
        records = _records(csv.reader(text, **self._format), line)
        yield from self._placed_rows(path, names, readers, records)

    def _head(self, path: Path) -> tuple[list[Any], list[Read]]:
        """The names of a file's columns, and how all of their cells are read; known from then on."""
        if path not in self._heads:
            with open_text(path, "r", self._encoding) as file:
                records = _records(csv.reader(file, **self._format))
                sample = list(islice(records, SAMPLE + 1))
                names = self._names(path, sample) or []
                readers: list[Read] = [text for _ in names]
                for found, block in self._blocks(path, names, sample, records):
                    readers = found
                    if type(block) is not list:  # from there on it is the same for all
                        break
            self._heads[path] = names, readers
        return self._heads[path]

    # --- as a whole ---

    def _read(self, *, is_placed: bool) -> Iterator[Any]:
        return self._rows_of_all(files_of("CSVSource", self._paths), is_placed=is_placed)

    def _rows_of_all(self, files: list[Path], *, is_placed: bool) -> Iterator[Any]:
        for path in files:
            yield from self._rows_of(path, is_placed=is_placed)

    def _rows_of(self, path: Path, *, is_placed: bool) -> Iterator[Any]:
        if path.is_dir():
            raise GraphError(f"CSVSource reads files, and {path} is a folder; name what is in it: {path}/*.csv")
        csv.field_size_limit(LONGEST)
        try:
            with open_text(path, "r", self._encoding) as file:
                yield from self._rows_in(path, _records(csv.reader(file, **self._format)), is_placed)
        except UnicodeError as error:
            raise self._not_in_encoding(path, error) from error

    def _not_in_encoding(self, path: Path, error: UnicodeError) -> GraphError:
        return GraphError(
            f"{path}{_line_that_is_not(path, self._encoding)} is not {self._encoding}: {error}; name the encoding "
            'that it has: encoding="cp1252".'
        )

    def _rows_in(self, path: Path, records: Iterator[Record], is_placed: bool) -> Iterator[Any]:
        sample = list(islice(records, SAMPLE + 1))
        names = self._names(path, sample)
        if names is None:
            return
        for readers, block in self._blocks(path, names, sample, records):
            placed = self._placed_rows(path, names, readers, block)
            yield from placed if is_placed else (row for _, row in placed)

    def _placed_rows(
        self, path: Path, names: list[Any], readers: list[Read], records: Iterable[Record]
    ) -> Iterator[tuple[Any, Any]]:
        """Each row with the file and the line that it begins in."""
        width, is_dict = len(names), self._header is not False
        for line, found in records:
            cells = found if type(found) is list and len(found) == width else self._even((path, line), names, found)
            row: Any = cells
            if type(cells) is list:
                try:
                    row = {name: read(cell) for name, read, cell in zip(names, readers, cells, strict=True)}
                except Exception:
                    row = self._unread((path, line), names, readers, cells)
                else:
                    row = row if is_dict else list(row.values())
            yield (path, line), row

    def _even(self, place: Any, names: list[Any], found: list[str] | csv.Error) -> list[str] | RowError:
        """A row that is too short is filled; one that is too long is refused, unless what is too much is empty."""
        if isinstance(found, csv.Error):
            return self._refused(place, None, f"{found}.")
        width = len(names)
        if not any(found[width:]):
            return [*found[:width], *[""] * (width - len(found))]
        more = f"it has {len(found)} cells, and there are {width} columns: {listed(names)}."
        return self._refused(place, found, more)

    def _names(self, path: Path, sample: list[Record]) -> list[Any] | None:
        """The names of the columns, once it is clear that each is there once and none is missed; None in no lines."""
        if not sample:
            return None
        line, first = sample[0]
        if isinstance(first, csv.Error):
            raise GraphError(f"{path}, line {line}: {first}.")
        if self._header is True:
            del sample[0]
        names: list[Any] = list(range(len(first))) if self._header is False else first
        names = self._header if isinstance(self._header, list) else names
        twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
        if twice is not None:
            raise GraphError(
                f'{path}, line {line}: two columns are named "{twice}"; give each a name of its own, there or, where '
                "the first line is a row, with header=[...]."
            )
        self.expect(names, str(path), {"parse_dates": self._dates, "types": self._types, "na_values": self._missing_of})
        return names

    # --- what the cells mean ---

    def _blocks(
        self, path: Path, names: list[Any], sample: list[Record], records: Iterator[Record]
    ) -> Iterator[tuple[list[Read], Iterable[Record]]]:
        """The rows, and how to read their cells; so many at once while there are columns that nothing tells of yet."""
        found: dict[Any, Read | None] = dict.fromkeys(names)
        block = sample
        while block:
            columns = {name: _column(block, at) for at, name in enumerate(names) if found[name] is None}
            found |= {name: self._reader(name, cells) for name, cells in columns.items()}
            if len(block) >= SAMPLE:  # in a column of numbers "NA" is none, in one that is nothing else it is a text
                marked = [name for name, cells in columns.items() if found[name] is None and any(cells)]
                found |= self._found_later(path, names, marked) if marked else {}
            readers = [read or self._unknown(name) for name, read in found.items()]
            if None not in found.values():
                yield readers, chain(block, records)
                return
            yield readers, block
            block = list(islice(records, SAMPLE))

    def _unknown(self, name: Any) -> Read:
        """How to read a column that is missing in all rows."""
        own = self._missing_of.get(name)
        return text if own is None else _but(own, text)

    def _reader(self, name: Any, cells: list[str]) -> Read | None:
        """How to read the column; None where nothing in it tells."""
        own = self._missing_of.get(name)
        missing = self._missing if own is None else own
        if name in self._types:
            read: Read | None = typed_reader(self._types[name], missing, self._decimal)
        elif name in self._dates or (name == self._time_field and not self._are_seconds(cells, missing)):
            read = _but(missing, self._date)
        elif self._infers or name == self._time_field:
            read = inferred_reader(cells, missing, self._decimal)
        else:
            read = text
        return _but(own, read) if own is not None and read is not None else read

    def _are_seconds(self, cells: list[str], missing: frozenset[str]) -> bool:
        """Whether times are numbers of seconds since 1970."""
        filled = [cell for cell in cells if cell not in missing]
        return self._timestamp_format is None and bool(filled) and all(number(cell) is not cell for cell in filled)

    def _found_later(self, path: Path, names: list[Any], unknown: list[Any]) -> dict[Any, Read]:
        """The readers of columns that are missing in all of the first rows, by the first rows where they are not."""
        found: dict[Any, Read] = {}
        with open_text(path, "r", self._encoding) as file:
            records = _records(csv.reader(file, **self._format))
            next(islice(records, SAMPLE, SAMPLE), None)
            while len(found) < len(unknown) and (block := list(islice(records, SAMPLE))):
                for name in unknown:
                    if name not in found and (read := self._reader(name, _column(block, names.index(name)))):
                        found[name] = read
        return {name: found.get(name) or self._unknown(name) for name in unknown}

    def _date(self, cell: str) -> datetime:
        form = self._timestamp_format
        if form:
            return datetime.strptime(cell, form)
        try:
            return datetime.fromisoformat(cell)
        except ValueError as error:
            raise ValueError(f"{error}; any other form is said by timestamp_format, such as '%d.%m.%Y'") from None

    # --- what can't be read ---

    def _refused(self, place: Any, body: Any, why: str) -> RowError:
        return RowError("CSVSource", Event(body), f"{self.place(place)}: {why}")

    def _unread(self, place: Any, names: list[Any], readers: list[Read], cells: list[str]) -> RowError:
        """The first cell that is not what its column holds."""
        raw = dict(zip(names, cells, strict=True))
        for (name, cell), read in zip(raw.items(), readers, strict=True):
            try:
                read(cell)
            except Exception as error:
                fault = self._refused(place, raw, f'the column "{name}" has {cell!r:.60}: {error}')
                fault.__cause__ = error
                return fault
        return self._refused(place, raw, "its cells can't be read twice alike.")


def _records(reader: Any, first: int = 1) -> Iterator[Record]:
    """The records with the lines they begin in; an error in the place of one that is no CSV. Empty lines are none."""
    line = first
    while True:
        try:
            for cells in reader:
                if cells:
                    yield line, cells
                line = first + reader.line_num
            return
        except csv.Error as error:
            yield line, error
            line = first + reader.line_num


def _column(records: Iterable[Record], at: int) -> list[str]:
    return [cells[at] for _, cells in records if isinstance(cells, list) and at < len(cells)]


def _with_empty(values: Names) -> frozenset[str]:
    return frozenset(["", *names_of(values, "CSVSource", "na_values")])


def _but(missing: frozenset[str], read: Read) -> Read:
    return lambda cell: None if cell in missing else read(cell)


def _line_that_is_not(path: Path, encoding: str) -> str:
    """The line that is not in an encoding, where lines can be found without knowing it."""
    with open_text(path, "r", "latin-1") as file:
        for number, line in enumerate(file, 1):
            try:
                line.encode("latin-1").decode(encoding)
            except UnicodeError:
                return f", line {number},"
    return ""
