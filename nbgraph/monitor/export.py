"""Export: a folder for Prometheus and Grafana: how workers are found, rules with their tests, a dashboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from nbgraph.monitor import grafana, prometheus
from nbgraph.monitor.monitor import Monitor

FOLDER = "monitoring"
_README = """\
# Monitoring {name}

| file | what |
|---|---|
| `prometheus.yml` | how Prometheus finds the workers: `http_sd_configs`, asked every {asked} |
| `rules.yml` | alerts: workers that do not answer, steps that fail, queues that fill{data} |
| `rules_test.yml` | a test of each: `promtool test rules rules_test.yml` |
| `grafana.json` | a dashboard: import it and choose the data source |

    promtool check config prometheus.yml
    promtool test rules rules_test.yml
    prometheus --config.file=prometheus.yml --web.listen-address=127.0.0.1:9091

{where}
Numbers of queues are told by each of their readers alike: take `max by (queue)`, never `sum`.
"""
_RUNS = """\
The workers of the running deployment are found at `{url}`, for as long as it runs and whoever wrote this is there.
"""
_PLACEHOLDER = """\
`NBGRAPH_TARGETS` in `prometheus.yml` stands for host and port of a worker's inspection port (9090 in its container),
which nobody knows before it runs: put them there. `deployment.export_monitoring(folder)` writes them for a deployment
that runs. In Kubernetes and on a network of Docker, `kubernetes_sd_configs` or `dns_sd_configs` (port 9090) find all
replicas instead; a container knows of itself alone.
"""


def files_of(
    graph: str | None,
    monitor: Monitor | None,
    *,
    deployment: str | None = None,
    targets_url: str | None = None,
    has_queues: bool = True,
    has_own: bool = False,
) -> dict[str, bytes]:
    """The files by name.

    Parameters
    ----------
    graph
        The graph; None: every graph.
    monitor
        What is watched of it.
    deployment
        Its name, where it runs.
    targets_url
        Where its workers are found; None: a placeholder.
    has_queues
        Whether its functions are joined by queues.
    has_own
        Whether its steps report numbers of their own.

    >>> sorted(files_of("fraud", None))
    ['README.md', 'grafana.json', 'prometheus.yml', 'rules.yml', 'rules_test.yml']
    """
    name = deployment or graph or "all graphs"
    rules, tests = prometheus.documents(graph, prometheus.rules(graph, monitor))
    board = grafana.dashboard(
        graph,
        has_queues=has_queues,
        is_watched=monitor is not None,
        has_quality=monitor is not None and monitor.label is not None,
        has_own=has_own,
    )
    told = _README.format(
        name=name,
        asked=prometheus.ASKED,
        data=", fields that drift" if monitor is not None else "",
        where=_RUNS.format(url=targets_url) if targets_url is not None else _PLACEHOLDER,
    )
    url = targets_url or prometheus.TARGETS_URL
    return {
        "README.md": told.encode(),
        "grafana.json": (json.dumps(board, indent=2) + "\n").encode(),
        "prometheus.yml": _yaml(prometheus.configuration(name, url)),
        "rules.yml": _yaml(rules),
        "rules_test.yml": _yaml(tests),
    }


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write them into the folder, which is made where it is not there."""
    folder = folder.expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def _yaml(document: Any) -> bytes:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110).encode()
