"""CSVTarget: rows into a CSV file."""

from __future__ import annotations

import csv
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from nbgraph.errors import GraphError
from nbgraph.steps.context import StepContext
from nbgraph.steps.target import WHOLE_BODY, Row, RowTarget, union_of


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

    The file is begun anew when the graph is made ready, then added to; `append=True` adds to one that is there.
    Without `columns` the first row's fields are the columns. For those of `columns` see `RowTarget`.
    """

    io = "files"

    def __init__(
        self,
        path: str | Path,
        columns: Sequence[str] | None = None,
        header: bool = True,
        append: bool = False,
        max_events: int = 1,
        flush_after_seconds: float | None = None,
        *,
        context: StepContext | None = None,
    ) -> None:
        super().__init__(columns, max_events, flush_after_seconds, context=context)
        self._path, self._header, self._append = Path(path), header, append
        named = [name for name, _ in self._columns or ()]
        self._names = named if named and WHOLE_BODY not in named else None  # else the first rows' fields
        self._file: TextIO | None = None
        self._writer: Any = None

    def write(self, items: list[Row]) -> None:
        names = self._names = self._names or union_of(items)
        extra = [name for name in union_of(items) if name not in names]
        if extra:
            raise GraphError(
                f'CSVTarget has no column "{extra[0]}" in {self._path}, which has: {", ".join(names)}; '
                "name all columns with columns=[...]."
            )
        file = self._file or self._opened(names)
        self._writer.writerows(items)
        file.flush()

    def _opened(self, names: list[str]) -> TextIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self._append or not self._path.exists() or not self._path.stat().st_size
        file = self._path.open("a" if self._append else "w", newline="", encoding="utf-8")
        weakref.finalize(self, file.close)
        self._writer = csv.DictWriter(file, names, lineterminator="\n")
        if is_new and self._header:
            self._writer.writeheader()
        self._file, self._append = file, True  # whoever opens it again goes on where this one ends
        return file

    def release(self) -> tuple[()]:
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None
        return ()
