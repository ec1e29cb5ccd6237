"""Dead letters: rows that failed, as a line of JSON each, and back as failures for the debugger."""

from __future__ import annotations

import time
import traceback
from typing import Any

import msgspec

from nbgraph.debug.json_values import from_document, to_document
from nbgraph.debug.redact import Redaction
from nbgraph.errors import NbgraphError, StepError, text_of
from nbgraph.event import Event
from nbgraph.failure import Failure
from nbgraph.jobs.part import FatalRow

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


def of_error(error: Exception, place: int | None, redaction: Redaction) -> DeadLetter:
    """What an error tells; the event as it came is added when the part is done."""
    is_step = isinstance(error, StepError)
    cause = error.__cause__ if is_step and error.__cause__ is not None else error
    if isinstance(error, StepError):
        redaction.learn(error.event.body)
    lines = "".join(traceback.format_exception(cause))[-LONGEST:]
    letter = DeadLetter(
        place=place, step=error.step if isinstance(error, StepError) else "", time=time.time(),
        error=redaction.text(f"{type(cause).__name__}: {text_of(cause)}"), trace=redaction.text(lines),
    )  # fmt: skip
    if isinstance(error, StepError):
        letter.input, letter.has_input = to_document(redaction.value(error.event.body)), True
    return letter


def of_killer(killer: FatalRow, place: int) -> DeadLetter:
    return DeadLetter(
        place=place, step=killer.step, error=f"killed the worker ({killer.reason})", time=time.time(),
    )  # fmt: skip


def completed(letter: DeadLetter, row: int | None, entry: Any, redaction: Redaction) -> DeadLetter:
    """The letter with the row as it came."""
    event = entry if isinstance(entry, Event) else getattr(entry, "event", None)
    event = event if isinstance(event, Event) else Event(entry)
    redaction.learn(event.body)
    letter.row, letter.id = row, event.id
    letter.body, letter.key = to_document(redaction.value(event.body)), to_document(redaction.value(event.key))
    letter.error, letter.trace = redaction.text(letter.error), redaction.text(letter.trace)
    return letter


def failure_of(letter: DeadLetter, part: int, name: str) -> Failure:
    """The failure that `graph.debug` takes."""
    event = Event(from_document(letter.body), from_document(letter.key), letter.id or None)
    known: dict[str, Any] = {"input": from_document(letter.input)} if letter.has_input else {}
    return Failure(
        event=event, step=letter.step, error=letter.error, trace=[letter.trace], time=letter.time, part=part,
        row=letter.row, job=name, **known,
    )  # fmt: skip


def read(line: bytes) -> DeadLetter:
    try:
        return msgspec.json.decode(line, type=DeadLetter)
    except msgspec.DecodeError as error:
        raise NbgraphError(f"A line of a job's failures is damaged: {error}.") from error
