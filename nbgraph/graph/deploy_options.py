"""Options of `Graph.deploy`, `Graph.export` and `Deployment.update`: name, type, default and meaning of each, once.

The methods take the fields of these records as arguments (`nbgraph.introspection.takes`), the command line fills them.
What can be given by position stands in a class of its own, since `kw_only` holds for all fields of a class.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from nbgraph.graph.graph import Graph


class FunctionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the functions of a graph run with; an update may change it.

    Parameters
    ----------
    replicas
        Workers of the functions behind queues, a number for all or by name; None: one.
    threads
        Synchronous steps that a worker runs at once: a number for all functions, or by name; None: one.
    workers
        Processes of the function that callers reach; None: one.
    base_image
        Image that the functions' images are built from, for all or by function: `{"score": "python:3.12-slim"}`.
    env
        Variables for all functions, by function, or the path of a file: `{"LEVEL": "info"}`,
        `{"score": {"LEVEL": None}}` (None: taken from here), `"prod.env"`.
    secrets
        As `env`, or a list of names; a `Path` is a file that holds one. They stand in no image, label or log, and
        steps get them from `context.secret(name)`.
    resources
        `{"score": {"cpus": 1.5, "memory": "512m", "gpus": 1, "tmp": "64m"}}`.
    volumes
        `{"/data/models": "/models:ro"}`: a folder of the host or the name of a volume, and its place in containers.
    """

    replicas: int | Mapping[str, int] | None = None
    threads: int | Mapping[str, int] | None = None
    workers: int | Mapping[str, int] | None = None
    base_image: str | Mapping[str, str] | None = None
    env: str | Path | Mapping[str, Any] | None = None
    secrets: str | Path | Collection[str] | Mapping[str, Any] | None = None
    resources: Mapping[str, Any] | None = None
    volumes: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        """The names of what is given; values may be secrets."""
        names, nothing = self.__struct_fields__, object()  # those without a default come first
        usual = dict(zip(reversed(names), reversed(self.__struct_defaults__), strict=False))
        given = [name for name in names if getattr(self, name) != usual.get(name, nothing)]
        return f"{type(self).__name__}({', '.join(given)})"


class ServiceOptions(FunctionOptions, frozen=True, kw_only=True):
    """How a graph is served, in a deployment and in an export.

    Parameters
    ----------
    name
        Name of the deployment, in small letters, digits and `-`; None: a new one, in an export the graph's.
    port
        Port that callers reach; None: a free one, in an export 8080.
    host
        Address that callers reach; others than this machine's own need an `api_key`.
    api_key
        Key that callers have to send; None: they need none. In an export True as well: `secrets.sh` makes it.
    requirements
        Packages to install beside those that were found, for all functions or by function: lines as pip reads them
        (hashes, folders, wheels and repositories too), or the path of a file of such lines.
    index_url
        Index that packages are taken from; a login in it stands in no file and no image.
    cors
        Sites whose pages may call from a browser: `["https://shop.example"]`; none by default.
    certificate
        Files of a certificate (PEM, with its chain) and of its key: callers come by HTTPS. An export takes none.
    autoscale
        By function the least and the most replicas, and the messages that each may have before it:
        `{"score": (1, 8, 100)}`.
    durability
        `"sync"`: what is acknowledged is on the disk; `"fast"`: in memory, and on the disk a little later. None: as
        the target has it, on the disk but for processes.
    registry
        Where images are pushed to, and where the nodes of a Swarm pull them from.
    streams
        What joins the functions: `"nats"`, a server of the deployment's own, or an existing Kafka cluster,
        `"kafka://host:9092"` or `"kafka://user:password@host:9093"`, with librdkafka's options behind a `?`. What
        is secret in it travels as a secret.
    capture
        Part of all events, 0 to 1, that is recorded with the frames of its steps, for `Deployment.captures`.
    include
        Files and folders in this one that the steps read, `["data/words.txt"]`: they are at the same place there.
    snapshot
        Whether the online rows that feature vectors read go along as they are now, to be read only: 200 MB at most.
    """

    name: str | None = None
    port: int | None = None
    host: str = "127.0.0.1"
    api_key: str | bool | None = None
    requirements: str | Path | Sequence[str | Path] | Mapping[str, Any] | None = None
    index_url: str | None = None
    cors: Sequence[str] | None = None
    certificate: tuple[str | Path, str | Path] | None = None
    autoscale: Mapping[str, tuple[int, int, float]] | None = None
    durability: str | None = None
    registry: str | None = None
    streams: str = "nats"
    capture: float = 0.0
    include: Sequence[str] = ()
    snapshot: bool = False


class ExportOptions(ServiceOptions, frozen=True):
    """All options of `Graph.export`.

    Parameters
    ----------
    folder
        Where the project is written; a folder that an export wrote is replaced.
    target
        `"compose"`, `"swarm"`, `"kubernetes"` or `"nuclio"`.
    """

    folder: str | Path
    target: str = "compose"


class HostingOptions(ServiceOptions, frozen=True, kw_only=True):
    """What a deployment needs besides, that starts now.

    Parameters
    ----------
    version
        What it is, `"1.2"`, for graphs that call it and for the catalogue; None: a count that goes up.
    timeout
        Seconds until all has to be ready.
    progress
        Whether a line tells how far it is; a function is told instead.
    """

    version: str | None = None
    timeout: float = 180
    progress: bool | Callable[[str], None] = True


class DeployOptions(HostingOptions, frozen=True):
    """All options of `Graph.deploy`.

    >>> DeployOptions("docker", env={"LEVEL": "info"}, secrets={"key": "k3y"})
    DeployOptions(target, env, secrets)

    Parameters
    ----------
    target
        `"process"`, `"docker"` or `"swarm"`.
    """

    target: str = "process"


class RenewalOptions(FunctionOptions, frozen=True, kw_only=True):
    """What an update is told besides.

    Parameters
    ----------
    version
        What it is from now on; None: one more than the count so far, where anything has changed.
    progress
        Whether a line tells how far it is; a function is told instead.
    """

    version: str | None = None
    progress: bool | Callable[[str], None] = True


class UpdateOptions(RenewalOptions, frozen=True):
    """All options of `Deployment.update`.

    Parameters
    ----------
    graph
        The graph to go on with; None: the same, as it is now.
    """

    graph: Graph | None = None
