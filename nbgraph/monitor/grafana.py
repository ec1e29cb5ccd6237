"""Grafana: a dashboard of a graph that can be imported anywhere: the data source is a variable, nothing has an id."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from nbgraph.contract import Metric

WIDTH, HEIGHT, ACROSS = 8, 8, 3  # of a panel, in Grafana's units, and panels beside each other
RATE = "$__rate_interval"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


class Panel(NamedTuple):
    """A picture: its title, unit, what the lines are called, and the expression behind them."""

    title: str
    unit: str
    legend: str
    expression: str


def dashboard(
    graph: str | None,
    *,
    has_queues: bool = True,
    is_watched: bool = False,
    has_quality: bool = False,
    has_own: bool = False,
) -> dict[str, Any]:
    """The dashboard of a graph, or of all of them.

    Parameters
    ----------
    graph
        The graph that is shown first; None: all.
    has_queues
        Whether functions are joined by queues.
    is_watched
        Whether there is a monitor.
    has_quality
        Whether it compares scores with labels.
    has_own
        Whether steps report numbers of their own.

    >>> found = dashboard("fraud", has_queues=False)
    >>> found["title"], len(found["panels"]), found["id"]
    ('nbgraph: fraud', 10, None)
    """
    panels = [*_load()]
    panels += [*_queues()] if has_queues else []
    panels += [*_data()] if is_watched else []
    panels += [*_quality()] if has_quality else []
    panels += [*_own()] if has_own else []
    name = graph or "all graphs"
    return {
        "id": None,
        "uid": f"nbgraph-{hashlib.sha256(name.encode()).hexdigest()[:12]}",
        "title": f"nbgraph: {name}",
        "tags": ["nbgraph"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables(graph)},
        "panels": [_drawn(number, panel) for number, panel in enumerate(panels)],
    }


def expressions(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The panels' titles and what they ask Prometheus, with a range that any server knows and every function."""
    for panel in found["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace(RATE, "1m").replace("$function", ".*").replace("$graph", ".*")


_ITS = 'graph=~"$graph",function=~"$function"'
_WORKERS = f"count by (graph, function) ({Metric.IN_FLIGHT}{{{_ITS}}})"


def _load() -> Iterator[Panel]:
    def rate(counter: str, by: str = "step", more: str = "") -> str:
        return f"sum by ({by}) (rate({counter}{{{_ITS}{more}}}[{RATE}]))"

    seconds = rate(f"{Metric.STEP_SECONDS}_sum", "graph, function, step")
    yield Panel("Events a second", "ops", "{{step}}", rate("nbgraph_events_total"))
    yield Panel("Errors a second", "ops", "{{step}}", rate("nbgraph_errors_total"))
    yield Panel("Time in a step, 95 %", "s", "{{step}}", _p95(Metric.STEP_SECONDS, "step"))
    yield Panel(
        "Busy share of the workers",
        "percentunit",
        "{{step}}",
        f"{seconds} / on (graph, function) group_left {_WORKERS}",
    )
    yield Panel("Processor time of a step", "percentunit", "{{step}}", rate(f"{Metric.STEP_CPU}_total"))
    yield Panel("Bytes that a step gives", "Bps", "{{step}}", rate(f"{Metric.STEP_BYTES}_total"))
    yield Panel("Answers a second", "reqps", "{{status}}", rate(f"{Metric.REQUESTS}_total", "status"))
    yield Panel("Time to an answer, 95 %", "s", "{{function}}", _p95("nbgraph_request_seconds", "function"))
    yield Panel("Requests in flight", "short", "{{function}}", f"sum by (function) ({Metric.IN_FLIGHT}{{{_ITS}}})")
    yield Panel("Memory", "bytes", "{{function}}", f"sum by (function) (process_resident_memory_bytes{{{_ITS}}})")


def _queues() -> Iterator[Panel]:
    backlog, capacity = (f"{one}{{{_ITS}}}" for one in (Metric.BACKLOG, Metric.CAPACITY))
    yield Panel("Waiting in queues", "short", "{{queue}}", f"max by (queue) ({backlog})")
    yield Panel("Fill of queues", "percentunit", "{{queue}}", f"max by (queue) ({backlog} / {capacity})")
    yield Panel("Age of the oldest message", "s", "{{queue}}", f"max by (queue) ({Metric.AGE}{{{_ITS}}})")
    dead = " or ".join(
        f'label_replace(sum by (function) (rate({one}_total{{{_ITS}}}[{RATE}])), "what", "{what}", "", "")'
        for what, one in (("failed", Metric.FAILED), ("again", Metric.REDELIVERED), ("dead", Metric.DEAD))
    )
    yield Panel("Messages that go wrong", "ops", "{{function}} {{what}}", dead)


def _data() -> Iterator[Panel]:
    def most(metric: str, by: str = "edge, field") -> str:
        return f"max by ({by}) ({metric}{{{_ITS}}})"

    name = "{{field}} at {{edge}}"
    distance, limit = most(Metric.FIELD_DISTANCE), most(Metric.FIELD_LIMIT)
    yield Panel("Drift: distance from the baseline", "short", name, distance)
    yield Panel("Drift: distance as a part of its limit", "percentunit", name, f"{distance} / {limit}")
    yield Panel("Missing values", "percentunit", name, most(Metric.FIELD_MISSING))
    yield Panel("Unseen classes", "percentunit", name, most(Metric.FIELD_UNSEEN))
    yield Panel("Alerts", "short", "{{state}}", f"sum by (state) ({most(Metric.ALERTS, 'rule, at, field, state')})")


def _quality() -> Iterator[Panel]:
    whole = f'{{{_ITS},segment=""}}'
    yield Panel("Quality of predictions", "short", "{{metric}}", f"max by (metric) ({Metric.QUALITY}{whole})")
    yield Panel("Labels that have come", "percentunit", "coverage", f"max({Metric.COVERAGE}{{{_ITS}}})")


def _own() -> Iterator[Panel]:
    name = "{{name}} of {{step}}"
    yield Panel("Numbers of one's own", "short", name, f"max by (step, name) (nbgraph_user{{{_ITS}}})")
    counts = f"sum by (step, name) (rate(nbgraph_user_counts_total{{{_ITS}}}[{RATE}]))"
    yield Panel("Counts of one's own, a second", "ops", name, counts)
    yield Panel("Values of one's own, 95 %", "short", name, _p95("nbgraph_user_values", "step, name"))


def _p95(histogram: str, by: str) -> str:
    return f"histogram_quantile(0.95, sum by ({by}, le) (rate({histogram}_bucket{{{_ITS}}}[{RATE}])))"


def _drawn(number: int, panel: Panel) -> dict[str, Any]:
    place = {"x": number % ACROSS * WIDTH, "y": number // ACROSS * HEIGHT, "w": WIDTH, "h": HEIGHT}
    target = {"refId": "A", "datasource": SOURCE, "expr": panel.expression, "legendFormat": panel.legend}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [target],
    }


def _variables(graph: str | None) -> Sequence[dict[str, Any]]:
    def chosen(name: str, query: str, current: str) -> dict[str, Any]:
        shown = {"text": current, "value": current} if current else {"text": "All", "value": "$__all"}
        return {
            "name": name,
            "type": "query",
            "datasource": SOURCE,
            "query": query,
            "refresh": 2,
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "current": shown,
            "label": name,
        }

    of_graph = f'label_values({Metric.IN_FLIGHT}{{graph=~"$graph"}}, function)'
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "data source"},
        chosen("graph", f"label_values({Metric.IN_FLIGHT}, graph)", graph or ""),
        chosen("function", of_graph, ""),
    ]
