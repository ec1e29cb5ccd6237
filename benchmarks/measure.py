"""Measures a row: contenders take turns round by round, so that a busy moment of the machine hits all of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from benchmarks.contender import Contender, ContenderError
from benchmarks.rows import SCRIPTS, Entry, Row

ROUNDS = 5
ROUND_SECONDS = 0.25


@dataclass(frozen=True)
class Result:
    """Seconds for one event in each round of so many events, or the reason why there are none."""

    entry: Entry
    events: int = 0
    rounds: tuple[float, ...] = ()
    problem: str = ""

    @property
    def seconds(self) -> float:
        return median(self.rounds)


def measure(row: Row) -> dict[str, Result]:
    contenders: dict[str, Contender] = {}
    problems: dict[str, str] = {}
    for name in dict.fromkeys(entry.contender for entry in row.entries):
        try:
            contenders[name] = Contender(*SCRIPTS[name])
        except ContenderError as error:
            problems[name] = str(error)
    try:
        return _take_turns(row, contenders, problems)
    finally:
        for contender in contenders.values():
            contender.end()


def _take_turns(row: Row, contenders: dict[str, Contender], problems: dict[str, str]) -> dict[str, Result]:
    results = {entry.label: Result(entry, problem=problems.get(entry.contender, "")) for entry in row.entries}
    expected = None
    events: dict[str, int] = {}
    for entry in row.entries:
        if results[entry.label].problem:
            continue
        try:
            answer = contenders[entry.contender].ask(entry.work, _in_multiples(row, row.warm_up))
            expected = answer.result if expected is None else expected
            if answer.result != expected:
                raise ContenderError(f"answers {answer.result}, the reference {expected}")
            events[entry.label] = _events(row, _seconds_an_event(row, contenders[entry.contender], entry))
        except ContenderError as error:
            results[entry.label] = Result(entry, problem=str(error))
    for _ in range(ROUNDS):
        results |= dict(_one_round(events, results, contenders))
    return results


def _one_round(
    events: dict[str, int], results: dict[str, Result], contenders: dict[str, Contender]
) -> Iterable[tuple[str, Result]]:
    for label, count in events.items():
        result = results[label]
        if result.problem:
            continue
        try:
            seconds = contenders[result.entry.contender].ask(result.entry.work, count).seconds
            yield label, Result(result.entry, count, (*result.rounds, seconds / count))
        except ContenderError as error:
            yield label, Result(result.entry, problem=str(error))


def _seconds_an_event(row: Row, contender: Contender, entry: Entry) -> float:
    """A first estimate, from enough events that the clock and the first call do not count."""
    most = row.events or sys.maxsize
    events, seconds = 0, 0.0
    while seconds < ROUND_SECONDS / (20 if row.events is None else 2) and events < most:
        events = _in_multiples(row, min(most, max(row.warm_up, events * 4)))
        seconds = contender.ask(entry.work, events).seconds
    return seconds / events


def _events(row: Row, seconds: float) -> int:
    """As many as the row says; but what is far slower than the others does fewer, and is counted by the event."""
    if row.events is None:
        return _in_multiples(row, max(int(ROUND_SECONDS / seconds), row.warm_up))
    return max(min(row.events, int(8 * ROUND_SECONDS / seconds)), row.warm_up)


def _in_multiples(row: Row, events: int) -> int:
    return -(-events // row.multiple) * row.multiple
