"""Contract: what workers, and whoever builds, starts or asks them, both know: files, places, ports, paths, options.

`serve`, `jobs` and `deploy` do not see each other; a name that several of them use stands here, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

import msgspec

# Files of a function's project.
GRAPH_FILE: Final = "graph.yaml"
HANDLERS_MODULE: Final = "handlers"
FUNCTION_FILE: Final = "function.json"  # a FunctionSpec
CAPTURE_FILE: Final = "capture.json"  # a CaptureSpec
GATEWAY_FILE: Final = "gateway.json"  # a GatewaySpec
ARTIFACTS_FILE: Final = "artifacts.json"
REQUIREMENTS_FILE: Final = "requirements.txt"
SNAPSHOTS: Final = "features"  # a folder with snapshots of feature stores

# Places in a container.
SECRETS_FOLDER: Final = "/run/secrets"  # where Docker and Kubernetes put secrets as files
PROMISED_FOLDER: Final = "/promised"  # where a gateway keeps accepted events until they are done
VERSION_FILE: Final = "version.json"  # there as well: a DeploymentVersion, for a gateway that runs already
KEY_SECRET: Final = "api_key"  # the keys of callers, one a line
TOKEN_SECRET: Final = "broker_token"

# A job whose workers run in containers: files beneath its folder, which all of them see at its own path.
PROJECT_FOLDER: Final = "/graph"  # where an image has its project
HOSTED_FOLDER: Final = "_job/hosted"
PAYLOAD_FILE: Final = "payload"
INBOX_FILE: Final = "inbox"  # the address at the broker where the job's own process hears of its workers

# Ports of a worker.
PORT: Final = 8080  # callers
METRICS_PORT: Final = 9090  # Prometheus, failures, captures
BROKER_PORT: Final = 4222

# Paths on the callers' port, and the first two of the worker's readiness on its metrics port as well.
LIVE_PATH: Final = "/health/live"
READY_PATH: Final = "/health/ready"

# Where a worker that sees no catalogue finds the deployments that its steps call, and the keys of those that need one:
# "NAME=URL NAME=URL", "NAME=KEY".
PLACES_VARIABLE: Final = "NBGRAPH_DEPLOYED"
KEYS_VARIABLE: Final = "NBGRAPH_DEPLOYED_KEYS"

# Headers by which a graph that calls another deployment says which it means.
DEPLOYMENT_HEADER: Final = "x-nbgraph-deployment"
VERSION_HEADER: Final = "x-nbgraph-version"

# On the callers' port too, where the graph is watched: what was true of events is told here.
LABELS_PATH: Final = "/labels"

# Paths on the metrics port.
METRICS_PATH: Final = "/metrics"
COUNTS_PATH: Final = "/counts"  # what /metrics has, without what the broker has to be asked for
FAILURES_PATH: Final = "/failures"
CAPTURES_PATH: Final = "/captures"
PROFILES_PATH: Final = "/profiles"  # what a watched graph was counted to have, in MessagePack
TARGETS_PATH: Final = "/targets"  # where the workers of the deployment tell their numbers, as Prometheus' http_sd asks

# Labels of containers.
GRAPH_LABEL: Final = "nbgraph.graph"
FUNCTION_LABEL: Final = "nbgraph.function"
DEPLOYMENT_LABEL: Final = "nbgraph.deployment"

# The module that a container runs, and variables by which Nuclio's processor tells it more.
WORKER_MODULE: Final = "nbgraph.serve"
TUNNEL_MODULE: Final = "nbgraph.serve.tunnel"
JOB_MODULE: Final = "nbgraph.jobs.engines.container_worker"
OPTIONS_VARIABLE: Final = "NBGRAPH_OPTIONS"  # further options of the worker, as a shell would read them
PORT_VARIABLE: Final = "NBGRAPH_PORT"


class Option:
    """Options of `python -m nbgraph.serve` that others give."""

    PROJECT: Final = "--project"
    HOST: Final = "--host"
    PORT: Final = "--port"
    LISTEN_FD: Final = "--listen-fd"
    METRICS_HOST: Final = "--metrics-host"
    METRICS_PORT: Final = "--metrics-port"
    KEY_FILE: Final = "--key-file"
    CERTIFICATE_FILE: Final = "--certificate-file"
    CERTIFICATE_KEY_FILE: Final = "--certificate-key-file"
    READY_FILE: Final = "--ready-file"
    UNTIL_EOF: Final = "--until-eof"
    BROKER: Final = "--broker"
    BROKER_TOKEN_FILE: Final = "--broker-token-file"
    DATA: Final = "--data"
    DATA_SYNC: Final = "--data-sync"
    VERSION: Final = "--version"
    WORKERS: Final = "--workers"
    TARGETS_FILE: Final = "--targets-file"
    WATCH_FOLDER: Final = "--watch-folder"
    DRAIN_SECONDS: Final = "--drain-seconds"


class JobOption:
    """Options of `python -m nbgraph.jobs.engines.container_worker`."""

    FOLDER: Final = "--folder"
    BROKER: Final = "--broker"


class TunnelOption:
    """Options of `python -m nbgraph.serve.tunnel`."""

    HOST: Final = "--host"
    GATEWAY: Final = "--gateway"
    BROKER: Final = "--broker"


class Metric:
    """Metrics of a worker that others read; a counter's samples have `_total` behind their name."""

    REQUESTS: Final = "nbgraph_requests"
    IN_FLIGHT: Final = "nbgraph_in_flight"
    STEP_SECONDS: Final = "nbgraph_step_seconds"
    STEP_CPU: Final = "nbgraph_step_cpu_seconds"
    STEP_BYTES: Final = "nbgraph_step_bytes"
    PROCESSED: Final = "nbgraph_messages_processed"
    FAILED: Final = "nbgraph_messages_failed"
    REDELIVERED: Final = "nbgraph_messages_redelivered"
    DEAD: Final = "nbgraph_messages_dead"
    MESSAGES_IN_FLIGHT: Final = "nbgraph_messages_in_flight"
    BACKLOG: Final = "nbgraph_queue_backlog"
    CAPACITY: Final = "nbgraph_queue_capacity"
    AGE: Final = "nbgraph_queue_age_seconds"
    FIELD_DISTANCE: Final = "nbgraph_field_distance"
    FIELD_LIMIT: Final = "nbgraph_field_limit"
    FIELD_MISSING: Final = "nbgraph_field_missing_ratio"
    FIELD_UNSEEN: Final = "nbgraph_field_unseen_ratio"
    FIELD_EVENTS: Final = "nbgraph_field_events"
    FIELD_QUANTILE: Final = "nbgraph_field_quantile"
    QUALITY: Final = "nbgraph_quality"
    COVERAGE: Final = "nbgraph_label_coverage_ratio"
    ALERTS: Final = "nbgraph_alerts"
    MONITOR_DROPPED: Final = "nbgraph_monitor_dropped"


class CaptureSpec(msgspec.Struct, frozen=True):
    """Which part of all events a worker records, and the fields that are dots in what it records."""

    sample: float = 0.0
    redacted: tuple[str, ...] = ()


class GatewaySpec(msgspec.Struct, frozen=True):
    """What the gateway alone has to know: the sites whose pages may call."""

    cors: tuple[str, ...] = ()


class DeploymentVersion(msgspec.Struct, frozen=True):
    """Which deployment a gateway belongs to, and in which version it runs since a time (seconds since 1970).

    >>> DeploymentVersion.of_text(DeploymentVersion("rates", "1.2", 0.0).text()).version
    '1.2'
    """

    name: str
    version: str
    time: float

    @classmethod
    def of_text(cls, text: str | bytes) -> DeploymentVersion:
        return msgspec.json.decode(text, type=cls)

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


class Ready(msgspec.Struct, frozen=True):
    """What a worker writes into its ready file once it is up."""

    pid: int
    port: int
    metrics_port: int


def to_file(spec: CaptureSpec | GatewaySpec) -> bytes:
    """The text of a specification's file.

    >>> to_file(CaptureSpec(0.5, ("card",)))
    b'{"sample": 0.5, "redacted": ["card"]}\\n'
    """
    return msgspec.json.format(msgspec.json.encode(spec), indent=0) + b"\n"


def places_in(text: str) -> dict[str, str]:
    """What a variable says of deployments, by their names.

    >>> places_in("rates=http://rates:8080 users=https://users.example")
    {'rates': 'http://rates:8080', 'users': 'https://users.example'}
    """
    return {name: told for name, _, told in (word.partition("=") for word in text.split())}


def places_text(places: Mapping[str, str]) -> str:
    """The text that `places_in` reads."""
    return " ".join(f"{name}={told}" for name, told in sorted(places.items()))


def secret_path(name: str) -> str:
    """Where a container finds a secret.

    >>> secret_path(KEY_SECRET)
    '/run/secrets/api_key'
    """
    return str(PurePosixPath(SECRETS_FOLDER) / name)


class ScrapeTarget(msgspec.Struct, frozen=True):
    """Workers with the same labels, in the form of Prometheus' service discovery."""

    targets: tuple[str, ...]
    labels: dict[str, str] = {}


def targets_of(metrics_urls: Iterable[str], deployment: str) -> bytes:
    """The workers whose numbers are there, for Prometheus' `http_sd_configs`.

    >>> targets_of(["http://127.0.0.1:9090/metrics", "http://127.0.0.1:80/10.0.0.7/metrics"], "fraud").decode()
    '[{"targets":["127.0.0.1:9090"],"labels":{"deployment":"fraud"}},{"targets":["127.0.0.1:80"],"labels":{"deployment":"fraud","__metrics_path__":"/10.0.0.7/metrics"}}]'
    """
    places = [urlsplit(url) for url in metrics_urls]
    usual = tuple(place.netloc for place in places if place.path == METRICS_PATH)
    labels = {"deployment": deployment}
    found = [ScrapeTarget(usual, labels)] if usual else []
    found += [
        ScrapeTarget((place.netloc,), {**labels, "__metrics_path__": place.path})
        for place in places
        if place.path != METRICS_PATH
    ]
    return msgspec.json.encode(found)


def beside_metrics(url: str, path: str) -> str:
    """The URL of another path on the port that a metrics URL leads to.

    >>> beside_metrics("http://127.0.0.1:9090/10.0.0.7/metrics", FAILURES_PATH)
    'http://127.0.0.1:9090/10.0.0.7/failures'
    """
    return url.removesuffix(METRICS_PATH) + path
