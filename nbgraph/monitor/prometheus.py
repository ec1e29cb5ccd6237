"""Prometheus: how it finds the workers, the rules by which it alerts, and tests that hold the rules.

What the monitor finds (`nbgraph_alerts`, the distances of fields) is found once, over all replicas; Prometheus takes it
over and does not judge again. Numbers of queues are told by each of their readers alike, so rules take their `max`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbgraph.contract import Metric
from nbgraph.graph.naming import slug
from nbgraph.monitor.monitor import Monitor
from nbgraph.monitor.rule import Backlog, Errors, Latency, Quality
from nbgraph.steps.windows.spec import duration

TARGETS_URL = "http://NBGRAPH_TARGETS/targets"  # to be replaced by where a gateway's inspection port is reached
SCRAPED, ASKED = "5s", "2s"  # between two looks at a worker; at which workers there are
OVER = "5m"
_STEP = "graph, function, step"


@dataclass(frozen=True, slots=True)
class PrometheusRule:
    """An alerting rule, with the numbers that make it fire in its test.

    Parameters
    ----------
    alert
        Its name.
    expression
        What must not be, in PromQL.
    held
        For how long it has to hold.
    text
        What is told; `{{ $labels.step }}` and its kin stand for labels.
    series
        Numbers of its test: the values, a minute apart, of each series.
    labels
        The labels of the alert that fires in the test.
    """

    alert: str
    expression: str
    held: str
    text: str
    series: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def rule(self) -> dict[str, Any]:
        """The rule as `rules.yml` has it."""
        return {
            "alert": self.alert,
            "expr": self.expression,
            "for": self.held,
            "labels": {"severity": "warning"},
            "annotations": {"summary": self.text},
        }

    def test(self) -> dict[str, Any]:
        """Its test, as `promtool test rules` runs it: what fires after an hour, and nothing without the numbers."""
        told = {"severity": "warning", **self.labels}
        summary = self.text
        for name, value in self.labels.items():
            summary = summary.replace("{{ $labels." + name + " }}", value)
        fired = [{"exp_labels": told, "exp_annotations": {"summary": summary}}]
        return {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in self.series.items()],
            "alert_rule_test": [{"eval_time": "1h", "alertname": self.alert, "exp_alerts": fired}],
        }


def configuration(deployment: str, targets_url: str = TARGETS_URL) -> dict[str, Any]:
    """`prometheus.yml`: the workers are found by asking one of them, so that a new one is seen by itself."""
    job = {
        "job_name": f"nbgraph-{slug(deployment)}",
        "http_sd_configs": [{"url": targets_url, "refresh_interval": ASKED}],
    }
    return {
        "global": {"scrape_interval": SCRAPED, "evaluation_interval": SCRAPED},
        "rule_files": ["rules.yml"],
        "scrape_configs": [job],
    }


def rules(graph: str | None, monitor: Monitor | None) -> list[PrometheusRule]:
    """The alerting rules of a graph, or of every graph where none is named.

    >>> [rule.alert for rule in rules("fraud", None)]
    ['NbgraphWorkerDown', 'NbgraphStepErrors', 'NbgraphDeadLetters', 'NbgraphQueueFull']
    """
    return [*_of_load(graph, monitor), *(_of_data(graph, monitor) if monitor is not None else ())]


def documents(graph: str | None, found: Sequence[PrometheusRule]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`rules.yml` and `rules_test.yml`."""
    group = {"name": f"nbgraph-{slug(graph)}" if graph else "nbgraph", "rules": [rule.rule() for rule in found]}
    return {"groups": [group]}, {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [rule.test() for rule in found],
    }


def selector(graph: str | None, *matchers: str) -> str:
    """What chooses the series of a graph.

    >>> selector("fraud", 'state="firing"'), selector(None)
    ('{graph="fraud",state="firing"}', '')
    """
    every = [*([f'graph="{_quoted(graph)}"'] if graph else []), *matchers]
    return "{" + ",".join(every) + "}" if every else ""


def _of_load(graph: str | None, monitor: Monitor | None) -> Iterator[PrometheusRule]:
    """Workers, steps and queues."""
    its, name = selector(graph), graph or "g"
    step = {"graph": name, "function": "f", "step": "s"}
    queue = {"graph": name, "queue": "q"}
    given = monitor.watched_rules if monitor is not None else ()
    share = next((rule.limit for rule in given if isinstance(rule, Errors)), Errors().limit)
    yield PrometheusRule(
        "NbgraphWorkerDown",
        'up{job=~"nbgraph-.*"} == 0',
        "1m",
        "The worker at {{ $labels.instance }} does not answer.",
        {'up{job="nbgraph-test",instance="w"}': "0x90"},
        {"job": "nbgraph-test", "instance": "w"},
    )
    errors, calls = (
        f"sum by ({_STEP}) (rate({one}_total{its}[{OVER}]))" for one in ("nbgraph_errors", "nbgraph_events")
    )
    yield PrometheusRule(
        "NbgraphStepErrors",
        f"{errors} / {calls} > {share:g}",
        "1m",
        "More than " + f"{share:.1%}" + " of the calls of {{ $labels.step }} raise.",
        {_series("nbgraph_errors_total", step): "0+60x90", _series("nbgraph_events_total", step): "0+60x90"},
        step,
    )
    yield PrometheusRule(
        "NbgraphDeadLetters",
        f"sum by (graph, function) (increase({Metric.DEAD}_total{its}[10m])) > 0",
        "0s",
        "{{ $labels.function }} has put events among the dead letters.",
        {_series(f"{Metric.DEAD}_total", {**step, "step": ""}): "0+1x90"},
        {"graph": name, "function": "f"},
    )
    fill = f"max by (graph, queue) ({Metric.BACKLOG}{its} / {Metric.CAPACITY}{its})"
    yield PrometheusRule(
        "NbgraphQueueFull",
        f"{fill} > 0.9",
        OVER,
        "The queue {{ $labels.queue }} is nearly full.",
        {_series(Metric.BACKLOG, queue): "95x90", _series(Metric.CAPACITY, queue): "100x90"},
        queue,
    )
    for rule in given:
        if isinstance(rule, Latency):
            slow = f"sum by ({_STEP}, le) (rate({Metric.STEP_SECONDS}_bucket{its}[{OVER}]))"
            top = {_series(f"{Metric.STEP_SECONDS}_bucket", {**step, "le": le}): n for le, n in _slow(rule.p95)}
            yield PrometheusRule(
                "NbgraphStepSlow",
                f"histogram_quantile(0.95, {slow}) > {rule.p95:g}",
                "1m",
                f"5 % of the calls of {{{{ $labels.step }}}} take longer than {rule.p95:g} s.",
                top,
                step,
            )
        elif isinstance(rule, Backlog):
            yield PrometheusRule(
                "NbgraphBacklog",
                f"max by (graph, queue) ({Metric.BACKLOG}{its}) > {rule.limit:g}",
                "1m",
                f"More than {rule.limit:g} events wait in {{{{ $labels.queue }}}}.",
                {_series(Metric.BACKLOG, queue): f"{rule.limit + 1:g}x90"},
                queue,
            )


def _of_data(graph: str | None, monitor: Monitor) -> Iterator[PrometheusRule]:
    """What the monitor has found."""
    its, name = selector(graph), graph or "g"
    where = {"graph": name, "edge": "a -> b", "field": "x"}
    apart = "max by (graph, edge, field) "
    yield PrometheusRule(
        "NbgraphDrift",
        f"{apart}({Metric.FIELD_DISTANCE}{its}) > {apart}({Metric.FIELD_LIMIT}{its})",
        _held(monitor),
        "{{ $labels.field }} at {{ $labels.edge }} is distributed in another way than in the baseline.",
        {_series(Metric.FIELD_DISTANCE, where): "0.3x90", _series(Metric.FIELD_LIMIT, where): "0.1x90"},
        where,
    )
    alert = {"graph": name, "rule": "missing", "at": "a -> b", "field": "x"}
    firing = selector(graph, 'state="firing"')
    yield PrometheusRule(
        "NbgraphAlert",
        f"max by (graph, rule, at, field) ({Metric.ALERTS}{firing}) > 0",
        "0s",
        "The monitor tells of {{ $labels.rule }}: {{ $labels.field }} at {{ $labels.at }}.",
        {_series(Metric.ALERTS, {**alert, "state": "firing"}): "1x90"},
        alert,
    )
    for rule in monitor.watched_rules:
        if isinstance(rule, Quality):
            chosen = selector(graph, f'metric="{_quoted(rule.metric)}"', 'segment=""')
            sign, limit = ("<", rule.below) if rule.below is not None else (">", rule.above)
            assert limit is not None
            wrong = limit - 1 if sign == "<" else limit + 1
            its_labels = {"graph": name, "metric": rule.metric}
            yield PrometheusRule(
                f"NbgraphQuality{rule.metric.title().replace('_', '')}",
                f"max by (graph, metric) ({Metric.QUALITY}{chosen}) {sign} {limit:g}",
                "0s",
                f"{{{{ $labels.metric }}}} of the predictions is beyond {limit:g}.",
                {_series(Metric.QUALITY, its_labels): f"{wrong:g}x90"},
                its_labels,
            )


def _held(monitor: Monitor) -> str:
    """Two windows in a row."""
    return f"{max(1, round(2 * duration(monitor.every)))}s" if isinstance(monitor.every, str) else "1m"


def _slow(p95: float) -> list[tuple[str, str]]:
    """Buckets of calls that all take longer."""
    return [(f"{p95:g}", "0x90"), (f"{4 * p95:g}", "0+60x90"), ("+Inf", "0+60x90")]


def _series(name: str, labels: Mapping[str, str]) -> str:
    return name + "{" + ",".join(f'{key}="{_quoted(value)}"' for key, value in labels.items() if value) + "}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
