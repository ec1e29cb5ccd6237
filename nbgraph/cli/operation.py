"""Commands on what is deployed: catalog, status, logs, scale, mend, prune, stop."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nbgraph.cli.document import Json

if TYPE_CHECKING:
    from nbgraph.deploy.deployment import Deployment

EVERY = 2.0  # seconds between two looks
Name = Annotated[str, typer.Argument(help="a deployment's name, or its graph's")]
Target = Annotated[str | None, typer.Option(help="where it is, if one of that name runs on several")]


def catalog(
    all: Annotated[bool, typer.Option("--all", help="also graphs that do not run")] = False, as_json: Json = False
) -> None:
    """What runs: graph, version, where, inputs, URL, and the graphs that call it."""
    from nbgraph.deploy.operation.catalogue import catalog as listed

    frame = listed(all=all)
    print(frame.to_json(orient="records") if as_json else frame.to_string(index=False) if len(frame) else "nothing")


def status(name: Name, target: Target = None, as_json: Json = False) -> None:
    """The replicas of a deployment."""
    frame = _attached(name, target).status()
    print(frame.to_json(orient="records", date_format="iso") if as_json else frame.to_string(index=False))


def logs(
    name: Name,
    function: Annotated[str | None, typer.Option(help="one function's only")] = None,
    lines: Annotated[int, typer.Option(help="the last ones of each worker")] = 100,
    target: Target = None,
    as_json: Json = False,
) -> None:
    """What the workers logged and the steps printed."""
    text = _attached(name, target).logs(function, lines)
    print(json.dumps(text.splitlines()) if as_json else text)


def monitor(
    name: Name,
    once: Annotated[bool, typer.Option("--once", help="tell it once, and end")] = False,
    html: Annotated[Path | None, typer.Option(help="write a page instead, one file")] = None,
    since: Annotated[str, typer.Option(help="windows of that time")] = "1h",
    target: Target = None,
) -> None:
    """What the monitor of a watched deployment finds: a line a field, the quality of predictions, alerts."""
    from rich.console import Console
    from rich.live import Live

    from nbgraph.monitor.overview.overview import Overview
    from nbgraph.monitor.overview.page import page
    from nbgraph.monitor.overview.terminal import shown

    deployment = _attached(name, target)
    found = Overview.of(deployment.name, deployment, since)
    if html is not None:
        html.write_text(page(found), encoding="utf-8")
        print(html)
        return
    console = Console()
    if once:
        console.print(shown(found))
        return
    with contextlib.suppress(KeyboardInterrupt), Live(shown(found), console=console) as live:
        while not deployment.is_stopped:
            time.sleep(EVERY)
            live.update(shown(Overview.of(deployment.name, deployment, since)))


def scale(name: Name, function: str, replicas: int, target: Target = None, as_json: Json = False) -> None:
    """Run that many replicas of a function."""
    deployment = _attached(name, target)
    deployment.scale(function, replicas)
    if as_json:
        print(json.dumps({"name": deployment.name, "function": function, "replicas": replicas}))


def mend(name: Name, target: Target = None, as_json: Json = False) -> None:
    """Start again the containers of a deployment that somebody has ended, which Docker leaves alone."""
    mended = _attached(name, target).mend()
    print(json.dumps(mended) if as_json else "\n".join(mended) or "all runs")


def prune(
    yes: Annotated[bool, typer.Option("--yes", help="remove it; else it is only listed")] = False, as_json: Json = False
) -> None:
    """List, or remove, what deployments and builds have left at the Docker daemon and nobody uses any more."""
    from dataclasses import asdict

    from nbgraph.deploy.docker.prune import prune as pruned

    found = pruned(is_meant=yes)
    if as_json:
        print(json.dumps([asdict(left) for left in found]))
        return
    for left in found:
        print(f"{left.kind} {left.name}" + (f" ({left.size / 2**20:.0f} MiB)" if left.size else ""))
    size = sum(left.size for left in found) / 2**20
    print(f"{len(found)} removed" if yes else f"{len(found)} things, images of {size:.0f} MiB; --yes removes them")


def stop(name: Name, target: Target = None, as_json: Json = False) -> None:
    """End a deployment; events in flight are finished first."""
    deployment = _attached(name, target)
    deployment.stop()
    if as_json:
        print(json.dumps({"name": deployment.name, "stopped": True}))


def _attached(name: str, target: str | None = None) -> Deployment:
    from nbgraph.deploy.deployment import Deployment

    return Deployment.attach(name, target=target)
