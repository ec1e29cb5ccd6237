"""Readme: what the exported folder says to whoever opens it."""

from __future__ import annotations

from collections.abc import Iterable

from nbgraph.deploy.profile import PORT

_MEANING = {
    "graph.yaml": "the graph: steps, arrows, conditions",
    "handlers.py": "the functions, classes and constants that the steps call",
    "artifacts.json": "the data and models: type, format, size, SHA-256 of each",
    "requirements.txt": "the packages that the code needs, as they were in the notebook",
    "runtime/": "nbgraph itself, and the packages that its worker needs",
    "wheels/": "packages that no index has",
    "Dockerfile": "how the image is built",
    "compose.yaml": "how the container runs: not as root, without capabilities, on a read-only disk",
}
_TEXT = """\
# {title}

Written by nbgraph from a notebook; a change belongs there, since the next export writes this folder anew.

| file | holds |
|---|---|
{rows}

Build and start it, ask it something, stop it:

```
docker compose up --build --wait
curl -H 'Content-Type: application/json' -d '{{}}' http://127.0.0.1:{port}/
docker compose down
```

Without Docker, in an environment with the packages of both lists and the wheel in `runtime/`:

```
python -m nbgraph.serve --project . --port {port}
```

`GET /health/live` and `/health/ready` tell its state, `/openapi.json` describes it. Metrics for Prometheus are on
port 9090 inside the container's network. SIGTERM lets it finish what it has begun.
"""


def readme(graph: str, paths: Iterable[str]) -> str:
    """The text of README.md."""
    present = {*paths, *(f"{path.partition('/')[0]}/" for path in paths if "/" in path)}
    rows = [f"| `{name}` | {meaning} |" for name, meaning in _MEANING.items() if name in present]
    title = "".join(character if character.isalnum() or character in " -_." else " " for character in graph)
    return _TEXT.format(title=" ".join(title.split()) or "graph", rows="\n".join(rows), port=PORT)
