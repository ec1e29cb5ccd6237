"""Counts: what the workers of a deployment have counted, those that have ended included."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping

import httpx

MOST = 512  # workers whose counts are kept one by one, also those that are not there: they may only be paused
Key = tuple[str | None, str]  # the step or queue, the number's name
Number = tuple[Key, float, bool]  # and whether it is a count
Row = tuple[str, str | None, str, float]  # the function before it, the value behind it
Told = tuple[str, str, str]  # a worker's function, its address, what it tells in Prometheus' text form


class Counts:
    """No sum over all rows of a count ever falls, as long as somebody looked before a worker ended.

    >>> counts = Counts()
    >>> text = '# TYPE calls counter\\ncalls_total{step="a"} 3.0\\n'
    >>> counts.rows([("score", "http://one", text)])
    [('score', 'a', 'calls_total', 3.0)]
    >>> counts.rows([("score", "http://two", text.replace("3.0", "1.0"))])
    [('score', 'a', 'calls_total', 4.0)]
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], dict[Key, float]] = {}
        self._ended: dict[str, dict[Key, float]] = {}
        self._turn = threading.Lock()  # several may look at once

    def rows(self, told: Iterable[Told]) -> list[Row]:
        """A row for each number of a worker that is there; the first one's counts go on from those that have ended.

        What is told is best read on the way (a generator), so that nobody puts something older over it.
        """
        with self._turn:
            found: list[Row] = []
            there = set()
            for function, place, text in told:
                there.add((function, place))
                numbers = list(_numbers(text))
                self._keep(function, place, numbers)
                silent = {} if numbers else self._last.get((function, place), {})
                found += [(function, *key, value) for key, value, _ in numbers]
                found += [(function, *key, value) for key, value in silent.items()]
            return list(_with(found, self._gone(there)))

    def look(self, told: Iterable[Told]) -> None:
        """Remember what these workers have counted."""
        with self._turn:
            for function, place, text in told:
                self._keep(function, place, _numbers(text))

    def _keep(self, function: str, place: str, numbers: Iterable[Number]) -> None:
        counts: dict[Key, float] = {}
        for key, value, is_count in numbers:
            if is_count:
                counts[key] = counts.get(key, 0) + value
        if not counts:
            return  # it did not answer
        before = self._last.pop((function, place), {})
        if any(value < before.get(key, 0) for key, value in counts.items()):  # another worker at the same address
            _add(self._ended.setdefault(function, {}), before)
            before = {}
        self._last[function, place] = {**before, **counts}
        if len(self._last) > MOST:
            oldest = next(iter(self._last))
            _add(self._ended.setdefault(oldest[0], {}), self._last.pop(oldest))

    def _gone(self, there: set[tuple[str, str]]) -> dict[str, dict[Key, float]]:
        """By function, what those had counted that are not there."""
        found = {function: dict(counts) for function, counts in self._ended.items()}
        for (function, place), counts in self._last.items():
            if (function, place) not in there:
                _add(found.setdefault(function, {}), counts)
        return found


def told_at(url: str) -> str:
    """What a worker tells there; nothing where it is gone, or not there yet."""
    try:
        response = httpx.get(url, trust_env=False)
    except httpx.HTTPError:
        return ""
    return response.text if response.is_success else ""


def _add(counts: dict[Key, float], more: Mapping[Key, float]) -> None:
    for key, value in more.items():
        counts[key] = counts.get(key, 0) + value


def _with(rows: Iterable[Row], gone: Mapping[str, dict[Key, float]]) -> Iterator[Row]:
    """The rows, the first of each count with what those had counted that have ended; what has no row gets one."""
    for function, step, name, value in rows:
        yield function, step, name, value + gone.get(function, {}).pop((step, name), 0)
    for function, counts in gone.items():
        yield from ((function, *key, value) for key, value in counts.items() if value)


def _numbers(text: str) -> Iterator[Number]:
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if not sample.name.endswith(("_bucket", "_created")):
                labels = sample.labels
                key = labels.get("step", labels.get("queue")), _name(labels.get("name"), family.name, sample.name)
                yield key, sample.value, family.type != "gauge"


def _name(own: str | None, family: str, sample: str) -> str:
    """What a number is called: a user's by the name that he gave it, of a distribution with `_count` or `_sum`.

    >>> _name(None, "calls", "calls_total"), _name("amount", "nbgraph_user_values", "nbgraph_user_values_sum")
    ('calls_total', 'amount_sum')
    """
    return sample if own is None else own + sample.removeprefix(family).removesuffix("_total")
