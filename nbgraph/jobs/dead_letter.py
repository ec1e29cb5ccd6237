"""Dead letters: rows that failed, as a line of JSON each, and back as failures for the debugger."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from nbgraph.debug.json_values import from_document, to_document
from nbgraph.debug.redact import Redaction
from nbgraph.errors import NbgraphError, RowError, StepError, text_of
from nbgraph.event import Event
from nbgraph.failure import Failure, RowOrigin
from nbgraph.graph.graph import Graph
from nbgraph.jobs.folder import JobFolder
from nbgraph.jobs.output.writers import aside
from nbgraph.jobs.part import FatalRow, Part
from nbgraph.jobs.payload import Payload

LONGEST = 20_000  # characters of a traceback


class DeadLetter(msgspec.Struct, kw_only=True):
    """A row that failed: `place` is that within its slice, None where no row was under way."""

    place: int | None
    step: str
    error: str
    trace: str = ""
    input: Any = None
    has_input: bool = False
    body: Any = None
    key: Any = None
    id: str = ""
    row: int | None = None
    time: float = 0.0


class DeadLetters:
    """Those of one part, with what is redacted in its graph as dots."""

    def __init__(self, graph: Graph) -> None:
        self._redaction = Redaction(graph)
        self._letters: list[DeadLetter] = []

    def add(self, error: Exception, place: int | None) -> None:
        """A row that failed, as far as its error tells; the row as it came is added at the end."""
        step, redaction = "", self._redaction
        cause: BaseException = error
        if isinstance(error, StepError):
            step, cause = error.step, error.__cause__ or error
            redaction.learn(error.event.body)
        trace = "".join(traceback.format_exception(cause))[-LONGEST:]
        letter = DeadLetter(
            place=place, step=step, error=redaction.text(f"{type(cause).__name__}: {text_of(cause)}"),
            trace=redaction.text(trace), time=time.time(),
        )  # fmt: skip
        if isinstance(error, StepError):
            letter.input, letter.has_input = to_document(redaction.value(error.event.body)), True
        self._letters.append(letter)

    def add_fatal(self, row: FatalRow, place: int) -> None:
        """A row that ended its process."""
        told = f"killed the worker ({row.reason})"
        self._letters.append(DeadLetter(place=place, step=row.step, error=told, time=time.time()))

    def count(self) -> Counter[str]:
        """How many there are, by what they say."""
        return Counter(letter.error for letter in self._letters)

    def steps(self) -> Counter[str]:
        """How many there are, by the step that failed; "" where it was none."""
        return Counter(letter.step for letter in self._letters)

    def write(self, path: Path, part: Part, payload: Payload) -> None:
        """All of them, with the rows as they came, which are read once more: steps may have changed them."""
        wanted = {letter.place for letter in self._letters if letter.place is not None}
        numbered = islice(part.slice.numbered(payload), max(wanted, default=-1) + 1)
        rows = {place: found for place, found in enumerate(numbered) if place in wanted}
        for letter in self._letters:
            if letter.place is not None:
                self._complete(letter, *rows[letter.place])
        self._letters.sort(key=lambda letter: (letter.row is None, letter.row))
        with aside(path) as draft:
            draft.write_bytes(msgspec.json.Encoder().encode_lines(self._letters))

    def _complete(self, letter: DeadLetter, number: int, entry: Any) -> None:
        entry = entry.event if isinstance(entry, RowError) else entry
        event, redaction = entry if isinstance(entry, Event) else Event(entry), self._redaction
        redaction.learn(event.body)
        letter.row, letter.id = number, event.id
        letter.body, letter.key = to_document(redaction.value(event.body)), to_document(redaction.value(event.key))
        letter.error, letter.trace = redaction.text(letter.error), redaction.text(letter.trace)


def amend(place: JobFolder, part: int, step: str, failures: Sequence[Failure], graph: Graph) -> Counter[str]:
    """Put failures into a part's letters, in the place of all of that step; what its letters say then, counted."""
    kept = [letter for number, line in place.failures() if number == part and (letter := read(line)).step != step]
    redaction = Redaction(graph)
    letters = [*kept, *(_letter_of(failure, redaction) for failure in failures)]
    path = place.inside / "failures" / f"{part:05}.jsonl"
    if letters:
        with aside(path) as draft:
            draft.write_bytes(msgspec.json.Encoder().encode_lines(letters))
    else:
        path.unlink(missing_ok=True)
    return Counter(letter.error for letter in letters)


def _letter_of(failure: Failure, redaction: Redaction) -> DeadLetter:
    """A failure of which only the answer is known, and not the row of the source."""
    redaction.learn(failure.event.body)
    return DeadLetter(
        place=None, step=failure.step, error=redaction.text(failure.error), id=failure.event.id, time=failure.time,
        body=to_document(redaction.value(failure.event.body)),
    )  # fmt: skip


def failure_of(letter: DeadLetter, part: int, name: str) -> Failure:
    """The failure that `graph.debug` takes."""
    event = Event(from_document(letter.body), from_document(letter.key), letter.id or None)
    known: dict[str, Any] = {"input": from_document(letter.input)} if letter.has_input else {}
    return Failure(
        event=event, step=letter.step, error=letter.error, trace=[letter.trace], time=letter.time,
        origin=RowOrigin(letter.row, part, name), **known,
    )  # fmt: skip


def read(line: bytes) -> DeadLetter:
    try:
        return msgspec.json.decode(line, type=DeadLetter)
    except msgspec.DecodeError as error:
        raise NbgraphError(f"A line of a job's failures is damaged: {error}.") from error
