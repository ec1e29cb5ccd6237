"""What is written for Prometheus and Grafana is what their own tools take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nbgraph.monitor import Backlog, Drift, Errors, Latency, Missing, Monitor, Quality, Rule
from nbgraph.monitor.export import files_of, write
from tests.lab.needs import needs_prometheus
from tests.lab.promtool import promtool

WATCHED = Monitor(
    every="10s",
    score="p",
    label="fraud",
    rules=[
        Drift(),
        Missing(),
        Errors(0.02),
        Latency(0.2),
        Backlog(1000),
        Quality("auc", below=0.8),
        Quality("log_loss", above=0.7),
        Rule("event_rate < 1", over="5m"),
    ],
)
CHECKS = (["check", "config", "prometheus.yml"], ["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"])


@needs_prometheus()
@pytest.mark.parametrize(
    ("graph", "monitor"), [("fraud", WATCHED), ("fraud", None), ('a "b"\\', WATCHED), (None, None)]
)
def test_the_rules_fire_where_they_should(graph: str | None, monitor: Monitor | None, tmp_path: Path) -> None:
    folder = write(tmp_path / "monitoring", files_of(graph, monitor))
    assert [promtool(*check, folder=folder)[0] for check in CHECKS] == [0, 0, 0]


@needs_prometheus()
def test_a_rule_with_another_limit_fails_its_test(tmp_path: Path) -> None:
    folder = WATCHED.export(tmp_path)
    (folder / "rules.yml").write_text((folder / "rules.yml").read_text().replace("> 1000", "> 2000"))
    status, said = promtool("test", "rules", "rules_test.yml", folder=folder)
    assert (status, "NbgraphBacklog" in said) == (1, True)


def test_the_dashboard_goes_anywhere(tmp_path: Path) -> None:
    board = json.loads((WATCHED.export(tmp_path) / "grafana.json").read_text())
    again = json.loads(files_of(None, WATCHED)["grafana.json"])
    sources = {target["datasource"]["uid"] for panel in board["panels"] for target in panel["targets"]}
    variables = [variable["name"] for variable in board["templating"]["list"]]
    assert (board, board["id"], "__inputs" in board, sources, variables) == (
        again,
        None,
        False,
        {"${datasource}"},
        ["datasource", "graph", "function"],
    )
