"""CSVTarget: rows into a CSV file."""

from __future__ import annotations

import csv
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from nbgraph.errors import GraphError, NbgraphError
from nbgraph.handler import Counterpart
from nbgraph.introspection import shown
from nbgraph.steps.arguments import Names
from nbgraph.steps.context import StepContext
from nbgraph.steps.formats.csv import cell_of
from nbgraph.steps.formats.files import ends_with_line, open_text
from nbgraph.steps.targets.base import WHOLE_BODY, Row, RowTarget, union_of

__all__ = ["CSVTarget"]

_WHOLE = frozenset({int, bool})  # values that are written as they are


class CSVTarget(RowTarget):
    """Write each body, a dict, as a line of a CSV file.

    >>> import tempfile, pathlib
    >>> from nbgraph import Graph
    >>> path = pathlib.Path(tempfile.mkdtemp(), "delays.csv")
    >>> graph = Graph("g")
    >>> _ = graph.to(CSVTarget(path, columns=["carrier", "minutes=delay"]))
    >>> _ = list(graph.stream([{"carrier": "UA", "delay": 4}, {"carrier": "DL", "delay": 0}]))
    >>> print(path.read_text())
    carrier,minutes
    UA,4
    DL,0

    The file is begun anew when the graph is made ready, then added to; `append=True` adds to one that is there, in the
    order of its own first line. Without `columns` the first row's fields are the columns. For those of `columns` see
    `RowTarget`. What is missing is an empty cell, lists and dicts are JSON; what has no text form is an error. A name
    that ends in gz, bz2 or xz is compressed so.

    Parameters
    ----------
    path
        Path; one that ends in gz, bz2 or xz is compressed.
    header
        Whether the first line has the names.
    append
        Whether a file that is there is added to.
    encoding
        Encoding of the text.
    delimiter
        Character between cells.
    """

    counterpart = Counterpart(
        "CSVTarget",
        unused={"infer_columns_from_data": (True, False)},
        preset={"header": False, "append": True},
        note="None is an empty cell, not NaN, and a line is written at once unless max_events says otherwise",
    )
    io = "files"

    def __init__(
        self,
        path: str | Path,
        columns: Names | None = None,
        header: bool = True,
        append: bool = False,
        max_events: int = 1,
        flush_after_seconds: float | None = None,
        *,
        encoding: str = "utf-8",
        delimiter: str = ",",
        time_field: str | None = None,
        context: StepContext | None = None,
    ) -> None:
        super().__init__(columns, max_events, flush_after_seconds, time_field=time_field, context=context)
        self._path, self._header, self._append = Path(path), header, append
        self._encoding, self._delimiter = encoding, delimiter
        named = [name for name, _ in self._columns or ()]
        self._names = named if named and WHOLE_BODY not in named else None  # else the first rows' fields
        self._file: TextIO | None = None
        self._writer: Any = None

    def write(self, items: list[Row]) -> None:
        names = self._names_for(items)
        lines = [
            [value if type(value) in _WHOLE else self._cell(name, value) for name, value in self._cells(names, row)]
            for row in items
        ]
        file = self._file or self._opened(names)
        self._writer.writerows(lines)
        file.flush()

    def _cells(self, names: list[str], row: Row) -> Iterable[tuple[str, Any]]:
        """The values by the names of the columns; most rows have just these."""
        return row.items() if list(row) == names else [(name, row.get(name)) for name in names]

    def _names_for(self, items: list[Row]) -> list[str]:
        """The columns of the file, once it is clear that all fields have one."""
        there = union_of(items)
        if self._file is None and self._append and self._header:
            self._names = self._names_there() or self._names
        names = self._names or there
        if self._file is not None and there == names:
            return names
        extra = next((name for name in there if name not in names), None)
        if extra is not None:
            raise GraphError(
                f'CSVTarget has no column "{extra}" in {self._path}, which has: {", ".join(names)}; name all columns '
                "with columns=[...]."
            )
        if not all(isinstance(name, str) for name in names):
            raise GraphError(f"CSVTarget writes fields whose names are texts, and got: {names!r:.80}.")
        self._names = names
        return names

    def _cell(self, name: str, value: Any) -> Any:
        if type(value) is str and value.isascii():
            return value
        try:
            cell = cell_of(value)
            if type(cell) is str and not cell.isascii():
                cell.encode(self._encoding)
        except (NbgraphError, TypeError, UnicodeError) as error:
            kind = type(value).__name__
            why = f"has no character for: {error}" if isinstance(error, UnicodeError) else "has no text form in CSV"
            raise GraphError(
                f'CSVTarget, column "{name}" of {self._path}: got a {kind} that {why}: {shown(value)}. Make a text of '
                "it before this step."
            ) from error
        return cell

    def _names_there(self) -> list[str] | None:
        """The first line of a file that is there."""
        if not self._has_begun():
            return None
        with open_text(self._path, "r", "utf-8-sig" if self._encoding == "utf-8" else self._encoding) as file:
            return next(csv.reader(file, delimiter=self._delimiter), None)

    def _has_begun(self) -> bool:
        return self._path.exists() and self._path.stat().st_size > 0

    def _opened(self, names: list[str]) -> TextIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        goes_on = self._append and self._has_begun()
        is_cut = goes_on and not ends_with_line(self._path)
        file = open_text(self._path, "a" if self._append else "w", self._encoding)
        weakref.finalize(self, file.close)
        if is_cut:
            file.write("\n")
        self._writer = csv.writer(_Lines(file), delimiter=self._delimiter)
        if self._header and not goes_on:
            self._writer.writerow(names)
        self._file, self._append = file, True  # whoever opens it again goes on where this one ends
        return file

    def release(self) -> tuple[()]:
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None
        return ()


class _Lines:
    """A file whose lines end in \\n. The writer ends them in \\r\\n, since only so does it quote cells with either."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(line[:-2] + "\n")
