"""Settings: what a worker is told when it starts."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from nbgraph.serve.limits import Limits

log = logging.getLogger("nbgraph.serve")


@dataclass(frozen=True)
class Settings:
    """Where a worker finds its project and keys, and where it listens.

    `drain_seconds`: how long it still answers after readiness has turned, so that load balancers notice.
    `grace_seconds`: how long events in flight may take then. `ready_file`: written with the ports when all is up.
    `listen_fd`: a socket that the parent opened, taken instead of `host` and `port`; the parent keeps it for the next
    gateway. `is_until_eof`: stop also when the standard input ends, which it does when the parent process dies.
    `certificate_file`, `certificate_key_file`: HTTPS instead of HTTP.
    `broker`: the URL of the NATS server that joins the functions of a graph. `data`: a folder for what callers were
    promised, which the next worker of its place finds; with `is_data_safe` that is on the disk before it is promised.
    `workers`: so many processes, of which this one is the parent.
    """

    project: Path
    host: str = "127.0.0.1"
    port: int = 8080
    listen_fd: int | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9090
    key_file: Path | None = None
    certificate_file: Path | None = None
    certificate_key_file: Path | None = None
    ready_file: Path | None = None
    is_until_eof: bool = False
    drain_seconds: float = 0
    grace_seconds: float = 25
    broker: str | None = None
    broker_token_file: Path | None = None
    data: Path | None = None
    is_data_safe: bool = False
    workers: int = 1
    limits: Limits = field(default_factory=Limits)


def report_ready(settings: Settings, port: int, metrics_port: int) -> None:
    """Tell whoever has started the worker that it is up, and where."""
    log.info("ready", extra={"host": settings.host, "port": port, "metrics_port": metrics_port})
    if settings.ready_file is not None:
        unfinished = settings.ready_file.with_suffix(".part")
        unfinished.write_text(json.dumps({"pid": os.getpid(), "port": port, "metrics_port": metrics_port}))
        unfinished.replace(settings.ready_file)  # whoever waits for the file finds it whole
