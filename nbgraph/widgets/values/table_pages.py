"""Pages: the rows of a table that a view shows, sorted and filtered in the kernel, fifty at a time."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

from nbgraph.debug.redact import Redaction, redacted
from nbgraph.render.printable import printable

ROWS, COLUMNS = 50, 30
SEARCHED = 3_000_000  # cells that a filter looks at: about a second

_shown: WeakValueDictionary[str, Any] = WeakValueDictionary()  # tables by what views call them; it keeps none alive
_redacting: WeakValueDictionary[str, Redaction] = WeakValueDictionary()  # what must not be told of some of them


def is_table(value: Any) -> bool:
    """A pandas or polars DataFrame or Series, told without importing either."""
    module = type(value).__module__.partition(".")[0]
    return module in ("pandas", "polars") and type(value).__name__ in ("DataFrame", "Series")


def reference(table: Any, redaction: Redaction | None = None) -> str:
    """What a view may ask for more rows by; they are told as far as the redaction lets them be."""
    ref = str(id(table))
    _shown[ref] = table
    if redaction is not None:
        _redacting[ref] = redaction
    else:
        _redacting.pop(ref, None)
    return ref


def page(message: dict[str, Any]) -> dict[str, Any]:
    """The rows that a view asks for: `ref`, `page`, the column to `sort` by, `descending`, a `text` that cells contain.

    >>> import pandas
    >>> table = pandas.DataFrame({"n": [3, 1, 2], "of": ["a", "b", "ab"]})
    >>> page({"ref": reference(table), "sort": 0, "text": "A"})["rows"]
    [['2', '2', 'ab'], ['0', '3', 'a']]
    """
    ref = str(message.get("ref"))
    table = _shown.get(ref)
    if table is None:
        return {"kind": "rows", "ref": ref, "problem": "The table is not kept any more; run the step again."}
    found = _PagedTable(table, _redacting.get(ref))
    positions, searched = found.holding(str(message.get("text") or ""))
    positions = found.sorted(positions, int(message.get("sort", -1)), bool(message.get("descending")))
    last = max(0, (len(positions) - 1) // ROWS)
    number = min(max(0, int(message.get("page") or 0)), last)
    rows = found.rows(positions[number * ROWS : (number + 1) * ROWS])
    note = "" if searched >= len(found) else f"only the first {searched:,} rows were searched"
    where = {"page": number, "pages": last + 1, "total": len(positions), "note": note}
    return {"kind": "rows", "ref": ref, "rows": rows, **where}


class _PagedTable:
    """A table of either library, by the positions of its rows."""

    def __init__(self, table: Any, redaction: Redaction | None) -> None:
        frame = table.to_frame() if type(table).__name__ == "Series" else table
        self._frame = redacted(frame, redaction.fields) if redaction is not None else frame
        self._text = redaction.text if redaction is not None else str
        self._is_pandas = hasattr(self._frame, "iloc")
        self._width = min(COLUMNS, len(self._frame.columns))

    def __len__(self) -> int:
        return len(self._frame)

    def holding(self, text: str) -> tuple[Any, int]:
        """The positions of the rows with the text in any cell, and how many rows were looked at."""
        import numpy

        if not text:
            return numpy.arange(len(self)), len(self)
        most = min(len(self), SEARCHED // max(1, self._width))
        found = numpy.zeros(most, dtype=bool)
        for number in range(self._width):
            cells = self._column(number).iloc[:most].map(str)
            found |= cells.str.contains(text, case=False, regex=False).to_numpy(dtype=bool)
        return numpy.flatnonzero(found), most

    def sorted(self, positions: Any, column: int, is_descending: bool) -> Any:
        """The positions in the order of a column, missing values last; of mixed kinds by their text."""
        if not 0 <= column < self._width:
            return positions
        values = self._column(column).iloc[positions].reset_index(drop=True)
        try:
            order = values.sort_values(ascending=not is_descending, kind="stable").index
        except TypeError:
            order = values.map(str).sort_values(ascending=not is_descending, kind="stable").index
        return positions[order]

    def rows(self, positions: Any) -> list[list[str]]:
        if self._is_pandas:
            found = self._frame.iloc[positions, : self._width].itertuples(index=True, name=None)
        else:
            found = zip(
                positions, *(self._frame[positions.tolist(), number] for number in range(self._width)), strict=True
            )
        return [[printable(self._text(str(cell)), 200) for cell in row] for row in found]

    def _column(self, number: int) -> Any:
        import pandas

        if self._is_pandas:
            return self._frame.iloc[:, number].reset_index(drop=True)
        return pandas.Series(self._frame[:, number].to_list())
