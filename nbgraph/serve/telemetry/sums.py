"""Sums: what several workers tell of themselves, as if they were one."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from nbgraph.contract import Metric

# Gauges of which each worker has its own part; of all others (a queue's backlog, what steps report) the most counts.
ADDED = frozenset(
    [
        Metric.IN_FLIGHT, Metric.MESSAGES_IN_FLIGHT, "process_open_fds", "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
    ]
)  # fmt: skip
Key = tuple[str, tuple[tuple[str, str], ...]]


class Sums(Collector):
    """Numbers in Prometheus' text form, added up; what a worker had counted stays when it has ended.

    >>> sums = Sums()
    >>> text = '# TYPE calls_total counter\\ncalls_total{step="a"} 2.0\\n'
    >>> print(sums.text({1: text, 2: text}, {1, 2}).decode(), end="")
    # HELP calls_total
    # TYPE calls_total counter
    calls_total{step="a"} 4.0
    >>> b'calls_total{step="a"} 4.0' in sums.text({2: text}, {2})
    True
    """

    def __init__(self) -> None:
        self._last: dict[int, str] = {}
        self._ended: list[Family] = []
        self._now: list[Family] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def look(self, told: Mapping[int, str], living: Collection[int]) -> None:
        """Remember what is told, by a number for each worker, another one for who took the place of one that ended.

        Who is among the living and tells nothing will again: what he had counted is not given up.
        """
        self._last.update(told)
        gone = [self._last.pop(number) for number in list(self._last) if number not in living]
        self._ended = _added([*self._ended, *(family for text in gone for family in _counts(text))])

    def text(self, told: Mapping[int, str], living: Collection[int]) -> bytes:
        """All of it."""
        self.look(told, living)
        silent = [text for number, text in self._last.items() if number not in told]
        kept = [family for text in silent for family in _counts(text)]
        now = [family for text in told.values() for family in text_string_to_metric_families(text)]
        self._now = _added([*self._ended, *kept, *now])
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        yield from self._now


def listed(told: Iterable[bytes]) -> bytes:
    """Lists in JSON as one; what several tell alike (from a folder that they share) stands there once."""
    every = [one for text in told for one in json.loads(text or b"[]")]
    return json.dumps(list({json.dumps(one): one for one in every}.values())).encode()


def _counts(text: str) -> list[Family]:
    return [family for family in text_string_to_metric_families(text) if family.type != "gauge"]


def _added(families: Iterable[Family]) -> list[Family]:
    found: dict[str, Family] = {}
    values: dict[str, dict[Key, float]] = {}
    for family in families:
        found.setdefault(family.name, Family(family.name, family.documentation, family.type))
        sums = values.setdefault(family.name, {})
        for sample in family.samples:
            key = (sample.name, tuple(sample.labels.items()))
            sums[key] = _together(family, sums.get(key), sample.value)
    for name, family in found.items():
        family.samples = [Sample(key[0], dict(key[1]), value) for key, value in values[name].items()]
    return list(found.values())


def _together(family: Family, before: float | None, value: float) -> Any:
    if before is None:
        return value
    is_sum = family.type != "gauge" or family.name in ADDED
    return before + value if is_sum else max(before, value)
