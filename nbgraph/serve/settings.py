"""Settings: what a worker is told when it starts."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from nbgraph.contract import METRICS_PORT, PORT, DeploymentVersion, Ready
from nbgraph.engine.context import RESERVED, SECRETS
from nbgraph.serve.gateway.limits import Limits

log = logging.getLogger("nbgraph.serve")


@dataclass(frozen=True)
class Settings:
    """Where a worker finds its project and keys, and where it listens.

    `drain_seconds`: how long it still answers after readiness has turned, so that load balancers notice.
    `grace_seconds`: how long events in flight may take then. `ready_file`: written with the ports when all is up.
    `listen_fd`: a socket that the parent opened, taken instead of `host` and `port`; the parent keeps it for the next
    gateway. `is_until_eof`: stop also when the standard input ends, which it does when the parent process dies.
    `certificate_file`, `certificate_key_file`: HTTPS instead of HTTP.
    `broker`: the URL of the broker that joins the functions of a graph. `data`: a folder for what callers were
    promised, which the next worker of its place finds; with `is_data_safe` that is on the disk before it is promised.
    `workers`: so many processes, of which this one is the parent. `targets_file`: where the deployment's owner writes
    which workers there are, for Prometheus. `watch_folder`: where the workers of a watched graph
    keep what they count, all in one place. `version`: the deployment that it belongs to.
    """

    project: Path
    host: str = "127.0.0.1"
    port: int = PORT
    listen_fd: int | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: int = METRICS_PORT
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
    targets_file: Path | None = None
    watch_folder: Path | None = None
    version: DeploymentVersion | None = None
    limits: Limits = field(default_factory=Limits)


def report_ready(settings: Settings, port: int, metrics_port: int) -> None:
    """Tell whoever has started the worker that it is up, and where."""
    log.info("ready", extra={"host": settings.host, "port": port, "metrics_port": metrics_port})
    if settings.ready_file is not None:
        unfinished = settings.ready_file.with_suffix(".part")
        unfinished.write_bytes(msgspec.json.encode(Ready(os.getpid(), port, metrics_port)))
        unfinished.replace(settings.ready_file)  # whoever waits for the file finds it whole


# Secret variables: the secrets of a container as variables too, where packages look for their keys.
#
# In a notebook and in processes they stand in the environment; a container has them as files, so that nobody who may
# inspect it reads them. What a worker finds there it puts into its own environment, which is seen from within alone.


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def set_variables(folder: Path = SECRETS) -> None:
    """Set a variable for each secret that has the name of one; what is set already stays."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name not in RESERVED and _VARIABLE.fullmatch(path.name) and path.is_file():
            os.environ.setdefault(path.name, path.read_text(encoding="utf-8").rstrip("\n"))
