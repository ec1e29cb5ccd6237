"""Services: what runs of a graph in containers, in the words of no platform; every target writes or starts these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nbgraph.contract import KEY_SECRET, PROMISED_FOLDER, SECRETS_FOLDER, TOKEN_SECRET, Option, secret_path
from nbgraph.deploy.broker import broker_files, broker_options, broker_tag, server_image
from nbgraph.deploy.options.provision import Provision
from nbgraph.deploy.project.function_project import FunctionProject, Projects
from nbgraph.deploy.project.hardening import Hardening
from nbgraph.deploy.project.image import tag_of
from nbgraph.deploy.project.project import digest, profile_of
from nbgraph.engine.partition import Function
from nbgraph.errors import ExportError
from nbgraph.streams.transport import OWN, StreamAddress

BROKER = "broker"
BROKER_MEMORY = Hardening(memory=512 * 2**20)
SERVER = server_image()
CONFIG, CONFIG_PATH = SERVER.config_name, f"{SERVER.config_folder}/{SERVER.config_name}"
TOKEN_LINE = "broker_auth"  # what the broker reads: the same token, in the words of its configuration
TAKEN = {BROKER: "the name of the service that joins the functions", "manifests": "the folder of an export's own files"}


@dataclass(frozen=True, slots=True)
class Service:
    """Containers of one image, all alike; `function` is None for the broker.

    `folder`: what the image is built from. `options`: what is added to the image's own command. `secrets`: the files
    that it finds in /run/secrets. `is_gateway`: callers come to it. `given`: what a person gave to its function.
    """

    name: str
    image: str
    folder: str
    options: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    profile: Hardening = field(default_factory=Hardening)
    replicas: int = 1
    function: Function | None = None
    is_gateway: bool = False
    given: Provision = field(default_factory=Provision)


def services_of(
    projects: Projects,
    replicas: Mapping[str, int],
    *,
    registry: str | None = None,
    base_image: str | None = None,
    streams: StreamAddress = OWN,
) -> list[Service]:
    """The gateway, the other functions, and last the broker where there is one of their own."""
    found = [_service(part, replicas, registry, streams) for part in projects]
    if len(found) == 1:
        return found
    for service in found:
        if service.name in TAKEN:
            raise ExportError(f'A function is called "{service.name}", which is {TAKEN[service.name]}; rename it.')
    return found if streams.is_external else [*found, broker_service(registry, base_image)]


def broker_service(registry: str | None = None, base_image: str | None = None) -> Service:
    """The server that joins the functions.

    >>> broker_service().options, broker_service().secrets
    (('-c', '/etc/nats/server.conf'), ('broker_auth',))
    """
    image = placed(broker_tag(base_image), registry)
    options = ("-c", CONFIG_PATH)
    return Service(BROKER, image, BROKER, options, (TOKEN_LINE,), BROKER_MEMORY)


def broker_folder(base_image: str | None = None, *, is_safe: bool = True) -> dict[str, bytes]:
    """What stands in the broker's folder: what its image is built from, and its configuration."""
    return {**broker_files(base_image), CONFIG: broker_config(is_safe=is_safe).encode()}


def broker_config(*, is_safe: bool = True) -> str:
    """The server's configuration, the token in a secret beside it; with `is_safe` it acknowledges what is on disk.

    >>> print(broker_config(), end="")
    listen: "0.0.0.0:4222"
    http: "0.0.0.0:8222"
    authorization { include "../../run/secrets/broker_auth" }
    max_payload: 31MB
    jetstream { store_dir: "/data", sync_interval: always }
    """
    secret = f"../..{SECRETS_FOLDER}/{TOKEN_LINE}"  # the server takes every path for one relative to its configuration
    return SERVER.config("", is_safe=is_safe, token_file=secret, is_monitored=True)


def promising(service: Service, *, is_safe: bool = True) -> tuple[str, ...]:
    """The options of a service; a gateway keeps accepted events in a folder that outlives its container."""
    return (*service.options, *data_options(is_safe=is_safe)) if service.is_gateway else service.options


def data_options(*, is_safe: bool) -> tuple[str, ...]:
    """The options by which a gateway keeps accepted events.

    >>> data_options(is_safe=False)
    ('--data', '/promised')
    """
    return (Option.DATA, PROMISED_FOLDER, *((Option.DATA_SYNC,) if is_safe else ()))


def worker_options(function: Function, streams: StreamAddress = OWN, broker: str = BROKER) -> tuple[str, ...]:
    """The options of a function's worker: where the broker is, and the number of its processes.

    `broker`: the host of the server, where it is the graph's own.
    """
    own = StreamAddress.of_url(f"{streams.transport}://{broker}:{SERVER.port}", "made when it is started")
    joined = broker_options(streams if streams.is_external else own, secret_path(TOKEN_SECRET))
    return (*(joined if function.is_part else ()), *processes(function.workers))


def processes(workers: int) -> tuple[str, ...]:
    """How a worker is told to be so many processes.

    >>> processes(1), processes(3)
    ((), ('--workers', '3'))
    """
    return (Option.WORKERS, str(workers)) if workers > 1 else ()


def placed(image: str, registry: str | None) -> str:
    """The image's name in a registry.

    >>> placed("nbgraph/score:12", "registry.example.com/team/"), placed("nbgraph/score:12", None)
    ('registry.example.com/team/nbgraph/score:12', 'nbgraph/score:12')
    """
    return f"{registry.rstrip('/')}/{image}" if registry else image


def _service(
    part: FunctionProject, replicas: Mapping[str, int], registry: str | None, streams: StreamAddress
) -> Service:
    function, files, given = part.function, part.files, part.given
    secrets = (
        *((KEY_SECRET,) if function.is_gateway else ()),
        *((TOKEN_SECRET,) if function.is_part and (streams.secret or not streams.is_external) else ()),
        *given.secrets,
    )
    return Service(
        function.name, placed(tag_of(function.name, digest(files)), registry), function.name,
        worker_options(function, streams),
        secrets, profile_of(files, given.resources, function.workers), replicas.get(function.name, 1), function,
        function.is_gateway, given,
    )  # fmt: skip
