"""Readme: what the exported folder says to whoever opens it."""

from __future__ import annotations

from collections.abc import Iterable

from nbgraph.contract import (
    ARTIFACTS_FILE,
    FUNCTION_FILE,
    GRAPH_FILE,
    HANDLERS_MODULE,
    LIVE_PATH,
    METRICS_PORT,
    READY_PATH,
    REQUIREMENTS_FILE,
)
from nbgraph.deploy.project.export_spec import ExportSpec
from nbgraph.deploy.project.secret_files import SCRIPT
from nbgraph.deploy.project.services import BROKER, SERVER

_FILES = {
    GRAPH_FILE: "the graph: steps, arrows, conditions",
    f"{HANDLERS_MODULE}.py": "the functions, classes and constants that the steps call",
    ARTIFACTS_FILE: "the data and models: type, format, size, SHA-256 of each",
    FUNCTION_FILE: "the queues that the function reads, and whether callers are answered by it",
    REQUIREMENTS_FILE: "the packages that the code needs, as they were in the notebook",
    "runtime/": "nbgraph itself, and the packages that its worker needs",
    "wheels/": "packages that no index has",
    "Dockerfile": "how the image is built",
    "function.yaml": "what Nuclio is told of the function",
    "nuclio_handler.py": "what Nuclio calls: it hands events to the worker",
    "compose.yaml": "how the containers run: not as root, without capabilities, on a read-only disk",
    "stack.yaml": "how the services run on a Swarm, as little as possible allowed to each",
    SCRIPT: "makes the secrets, once, outside this folder",
    "manifests/": "what the cluster is told: `kustomization.yaml` lists the files",
    f"{BROKER}/": SERVER.summary,
}
_TEXT = """\
# {title}

Written by nbgraph from a notebook; a change belongs there, since the next export writes this folder anew.

{parts}| file | holds |
|---|---|
{rows}

{run}
`GET {live}` and `{ready}` tell its state, `/openapi.json` describes it. Metrics for Prometheus are on
port {metrics} inside the containers' network; `monitoring/` has its configuration, rules and a dashboard for Grafana.
SIGTERM lets a container finish what it has begun.
"""


def readme(order: ExportSpec, run: str, paths: Iterable[str]) -> str:
    """The text of README.md; `run` says how to begin, in the target's words."""
    return _TEXT.format(
        title=_title(order.graph), parts=_parts(order), rows=_rows(paths), run=run, live=LIVE_PATH, ready=READY_PATH,
        metrics=METRICS_PORT,
    )  # fmt: skip


def _title(graph: str) -> str:
    """A graph's name without what Markdown could take for its own."""
    title = "".join(character if character.isalnum() or character in " -_." else " " for character in graph)
    return " ".join(title.split()) or "graph"


def _rows(paths: Iterable[str]) -> str:
    """A row for each kind of file that is there, at the top or in a function's folder."""
    present = {path.rpartition("/")[2] for path in paths} | {f"{part}/" for path in paths for part in path.split("/")}
    return "\n".join(f"| `{name}` | {meaning} |" for name, meaning in _FILES.items() if name in present)


def _parts(order: ExportSpec) -> str:
    """The functions of a graph that has several, and the queues between them."""
    if not order.is_parted:
        return ""
    rows = []
    for service in order.functions:
        assert service.function is not None
        reads = ", ".join(f"`{name}`" for name in service.function.reads) or "callers"
        rows.append(f"| `{service.name}/` | {reads} | {service.replicas} | `{service.image}` |")
    return "\n".join(["| function | takes events from | replicas | image |", "|---|---|---|---|", *rows, "", ""])
