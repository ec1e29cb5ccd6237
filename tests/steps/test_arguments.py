"""Counts and spans of time that are none are told where they are given, and by check()."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nbgraph import Graph, GraphError, steps

COUNTS: dict[str, Callable[[Any], Any]] = {
    "Batch got max_events": lambda value: steps.Batch(value),
    "SampleWindow got window_size": lambda value: steps.SampleWindow(value),
    'Queue "q" got shards': lambda value: steps.Queue("q", "k", value),
    'Queue "q" got max_size': lambda value: steps.Queue("q", max_size=value),
    "Merge got max_behind": lambda value: steps.Merge(max_behind=value),
    "CSVTarget got max_events": lambda value: steps.CSVTarget("a.csv", max_events=value),
    "TableTarget got max_events": lambda value: steps.TableTarget({}, max_events=value),
    "RemoteStep got retries": lambda value: steps.RemoteStep("http://127.0.0.1", retries=value),
    "BatchHttpRequests got max_in_flight": lambda value: steps.BatchHttpRequests("http://a", max_in_flight=value),
    'Graph "g" has max_iterations': lambda value: Graph("g", max_iterations=value),
}


@pytest.mark.parametrize("value", ["10", 1.5, -1, True, [1]])
@pytest.mark.parametrize("says", COUNTS)
def test_a_count_is_a_whole_number(says: str, value: Any) -> None:
    with pytest.raises(GraphError) as caught:
        COUNTS[says](value)
    assert str(caught.value).startswith(f"{says}={value!r}; expected a whole number of at least ")


SPANS: dict[str, Callable[[Any], Any]] = {
    "Batch got flush_after_seconds": lambda value: steps.Batch(2, value),
    "CSVTarget got flush_after_seconds": lambda value: steps.CSVTarget("a.csv", flush_after_seconds=value),
    "HttpTarget got timeout": lambda value: steps.HttpTarget("http://127.0.0.1", timeout=value),
}


@pytest.mark.parametrize("value", ["1m", -1, True, [1]])
@pytest.mark.parametrize("says", SPANS)
def test_a_span_of_time_is_a_number_of_seconds(says: str, value: Any) -> None:
    with pytest.raises(GraphError) as caught:
        SPANS[says](value)
    assert str(caught.value) == f"{says}={value!r}; expected a number of seconds, or None."


def test_check_tells_it() -> None:
    graph = Graph.parse('%%graph g\nBatch("ten") -> respond\n', namespace={})
    assert graph.check() == ["Step \"Batch\": Batch got max_events='ten'; expected a whole number of at least 1."]
