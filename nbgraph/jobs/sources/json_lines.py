"""JSONLinesSource: files of JSON, one value a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from nbgraph.errors import RowError
from nbgraph.event import Event
from nbgraph.steps.formats.files import COMPRESSED, Paths, files_of, open_text
from nbgraph.steps.sources.base import Piece, RowSource


class JSONLinesSource(RowSource):
    """The values of one or more files of JSON lines; empty lines are none.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.jsonl")
    >>> _ = path.write_text('{"a": 1}\\n\\n{"a": 2}\\n')
    >>> list(JSONLinesSource(path)), [piece.rows for piece in JSONLinesSource(path).pieces(1)]
    ([{'a': 1}, {'a': 2}], [1, 1])
    """

    io = "files"

    def __init__(self, paths: Paths) -> None:
        super().__init__()
        self._paths = paths

    def rows(self) -> Iterator[Any]:
        return (row for _, row in self.placed())

    def placed(self) -> Iterator[tuple[Any, Any]]:
        for path in self.files():
            with open_text(path, "r", "utf-8-sig") as file:
                yield from _read(path, enumerate(file, 1))

    def files(self) -> list[Path]:
        return files_of("A job", self._paths)

    def pieces(self, rows: int) -> Iterator[Piece] | None:
        return None if any(path.suffix in COMPRESSED for path in self.files()) else self._pieces(rows)

    def _pieces(self, rows: int) -> Iterator[Piece]:
        first = 0
        for path in self.files():
            start, line, offset, held, number = 0, 1, 0, 0, 0
            with path.open("rb") as file:
                for number, text in enumerate(file, 1):
                    offset += len(text)
                    held += bool(text.strip())
                    if held == rows:
                        yield Piece(first, held, [str(path), start, offset, line])
                        first, start, line, held = first + held, offset, number + 1, 0
            if held:
                yield Piece(first, held, [str(path), start, offset, line])
                first += held

    def piece(self, piece: Piece) -> Iterator[tuple[Any, Any]]:
        path, start, end, line = piece.place
        with open(path, "rb") as file:
            file.seek(start)
            lines = file.read(end - start).decode("utf-8-sig" if not start else "utf-8").split("\n")
        yield from _read(Path(path), enumerate(lines, line))


def _read(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[Any, Any]]:
    decoder = msgspec.json.Decoder()
    for number, text in lines:
        if not text.strip():
            continue
        try:
            row: Any = decoder.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            row = RowError("A job", Event(text), f"{path}, line {number}: it is no JSON: {error}.")
        yield (path, number), row
