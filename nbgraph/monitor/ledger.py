"""Ledger: what was predicted, and the truth about it that is told later, joined by the id of the event.

Labels may come before their predictions, twice, or again with another value; whatever the order, what stands in the end
is the same: each prediction with the last label that was told of its event. The book is one file, which several
processes may have open, or the memory of one.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from nbgraph.errors import NbgraphError
from nbgraph.values import number_of, seconds_of

PATIENCE = 10.0  # seconds that one process waits for another to have written
_TABLES = """
create table if not exists prediction (
    id text, at text, time real, score text, model text, version text, segment text, primary key (id, at)
) without rowid;
create index if not exists prediction_time on prediction (time);
create table if not exists label (id text primary key, label text, time real) without rowid;
create temp table told (number integer primary key, id text, label text, time real);
"""
_COUNTED = """
select (select count(*) from prediction where prediction.id = told.id), label.label = told.label
from told left join label on label.id = told.id order by number
"""
_KEPT = """
insert into label select id, label, time from told where true order by number
on conflict (id) do update set label = excluded.label, time = excluded.time where label <> excluded.label
"""


class Prediction(NamedTuple):
    """What a step said of an event, and when; `segment`: the fields by which quality is told apart."""

    id: str
    at: str
    time: float
    score: Any
    model: str = ""
    version: str = ""
    segment: Mapping[str, Any] = {}


class EventLabel(NamedTuple):
    """A label as it came: the truth about an event."""

    id: str
    label: Any
    time: float | None = None


class LabelledPrediction(NamedTuple):
    """A prediction with its label; `is_labelled` is False as long as there is none."""

    prediction: Prediction
    label: Any
    is_labelled: bool


class Receipt(NamedTuple):
    """What became of labels: joined with their predictions, kept until these come, told before."""

    accepted: int
    unknown: int
    repeated: int


class Ledger:
    """Predictions and labels of one graph.

    Parameters
    ----------
    path
        The file; None: the memory of this process.
    settle
        Called before anything is read or told, so that predictions that are noted elsewhere are written first.

    >>> ledger = Ledger()
    >>> ledger.predicted([Prediction("e1", "score", 1.0, 0.9), Prediction("e2", "score", 2.0, 0.2)])
    >>> ledger.label([EventLabel("e1", 1), EventLabel("nobody", 0), EventLabel("e1", 1)])
    Receipt(accepted=1, unknown=1, repeated=1)
    >>> [(row.prediction.id, row.label, row.is_labelled) for row in ledger.rows()], ledger.unknown
    ([('e1', 1, True), ('e2', None, False)], 1)
    """

    def __init__(self, path: Path | None = None, settle: Callable[[], None] = lambda: None) -> None:
        self._settle = settle
        self._turn = threading.Lock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._book = sqlite3.connect(
            path or ":memory:", timeout=PATIENCE, check_same_thread=False, isolation_level="IMMEDIATE"
        )
        self._book.execute("pragma journal_mode = wal")
        self._book.execute("pragma synchronous = normal")
        self._book.executescript(_TABLES)

    def predicted(self, predictions: Iterable[Prediction]) -> None:
        """Note what steps have said; the same event at the same step counts once, as it was said last."""
        rows = [(*one[:3], _text(one.score), *one[4:6], _text(dict(one.segment))) for one in predictions]
        with self._turn, self._book:
            self._book.executemany("insert or replace into prediction values (?, ?, ?, ?, ?, ?, ?)", rows)

    def label(self, labels: Iterable[EventLabel]) -> Receipt:
        """Note the truth about events; the same label again changes nothing, of two different ones the last counts."""
        self._settle()
        now = time.time()
        rows = {number: (number, one.id, _text(one.label), one.time or now) for number, one in enumerate(labels)}
        before: dict[str, str] = {}  # within what is told at once
        with self._turn, self._book:
            self._book.execute("delete from told")
            self._book.executemany("insert into told values (?, ?, ?, ?)", rows.values())
            counts = [0, 0, 0]
            for number, (is_known, is_same) in enumerate(self._book.execute(_COUNTED).fetchall()):
                _, id, text, _ = rows[number]
                is_repeated = before[id] == text if id in before else bool(is_same)
                counts[2 if is_repeated else 0 if is_known else 1] += 1
                before[id] = text
            self._book.execute(_KEPT)
        return Receipt(*counts)

    def rows(
        self, since: float = 0.0, until: float | None = None, at: str | None = None
    ) -> Iterator[LabelledPrediction]:
        """The predictions of that time, the oldest first, each with its label.

        Parameters
        ----------
        since, until
            Seconds of the epoch, the first included, the last not; None: now.
        at
            The step; None: all of them.
        """
        self._settle()
        asked = "select prediction.*, label.label from prediction left join label using (id)"
        where = " where prediction.time >= ? and (? is null or prediction.time < ?) and (? is null or at = ?)"
        with self._turn:
            found = self._book.execute(f"{asked}{where} order by prediction.time", (since, until, until, at, at))
            rows = found.fetchall()
        for id, step, moment, score, model, version, segment, label in rows:
            said = Prediction(id, step, moment, _value(score), model, version, _value(segment))
            yield LabelledPrediction(said, _value(label) if label is not None else None, label is not None)

    @property
    def unknown(self) -> int:
        """Labels whose event has not been predicted so far."""
        self._settle()
        asked = "select count(*) from label where not exists (select 1 from prediction where prediction.id = label.id)"
        with self._turn:
            return int(self._book.execute(asked).fetchone()[0])

    def forget(self, before: float) -> None:
        """Let go what is older: predictions with their labels, and labels that have waited since."""
        gone = "delete from label where time < :before or id in (select id from prediction where time < :before)"
        with self._turn, self._book:
            for change in (gone, "delete from prediction where time < :before"):
                self._book.execute(change, {"before": before})

    def close(self) -> None:
        with self._turn:
            self._book.close()


def told_labels(content: bytes) -> list[EventLabel]:
    """What a caller tells of events: a list of objects with `id`, `label`, and `time` where it is known.

    >>> told_labels(b'[{"id": "e1", "label": true}]')
    [EventLabel(id='e1', label=True, time=None)]
    >>> told_labels(b'[{"id": "e1"}]')
    Traceback (most recent call last):
    nbgraph.errors.NbgraphError: Label 0 has no "label"; expected such as {"id": "e1", "label": 1, "time": 5.0}.
    """
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NbgraphError(f"The labels are no JSON ({error}); {_EXPECTED}.") from None
    if not isinstance(found, list):
        raise NbgraphError(f"The labels are no list; {_EXPECTED}, in a list.")
    return [_told(number, one) for number, one in enumerate(found)]


_EXPECTED = 'expected such as {"id": "e1", "label": 1, "time": 5.0}'


def _told(number: int, given: Any) -> EventLabel:
    if not isinstance(given, dict):
        raise NbgraphError(f"Label {number} is {given!r:.60}; {_EXPECTED}.")
    for name in ("id", "label"):
        if name not in given:
            raise NbgraphError(f'Label {number} has no "{name}"; {_EXPECTED}.')
    if not isinstance(given["id"], str) or not given["id"]:
        raise NbgraphError(f"Label {number} has the id {given['id']!r:.60}; expected the text that the answer told.")
    moment = given.get("time")
    return EventLabel(given["id"], given["label"], None if moment is None else seconds_of(moment))


def _text(value: Any) -> str:
    """A score or a label, so that equal ones have one text."""
    plain = number_of(value)
    return _encoder.encode(float(plain) if type(plain) is bool or type(plain) is int else plain).decode()


def _value(text: str) -> Any:
    value = msgspec.json.decode(text)
    return int(value) if isinstance(value, float) and value.is_integer() else value


_encoder = msgspec.json.Encoder(enc_hook=str, order="sorted")
