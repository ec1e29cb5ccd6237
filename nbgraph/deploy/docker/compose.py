"""Compose: the file that `docker compose up` reads, with the same services that deploy("docker") starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbgraph.contract import KEY_SECRET, PORT, PROMISED_FOLDER
from nbgraph.deploy.project.dockerfile import asking
from nbgraph.deploy.project.export_spec import ExportSpec
from nbgraph.deploy.project.hardening import GRACE_SECONDS, LOCKED, LOG, labels
from nbgraph.deploy.project.readme import readme
from nbgraph.deploy.project.secret_files import HOME, SCRIPT, secrets_script
from nbgraph.deploy.project.services import BROKER, CONFIG, CONFIG_PATH, SERVER, Service, promising
from nbgraph.deploy.project.yaml_dump import plain_yaml

DATA_VOLUME, VOLUME = "data", "promised"  # of the broker, of the gateway
PRIVATE = "queues"  # the network of the broker, which leads nowhere else
_HEAD = """\
# {secrets}docker compose up --build --wait
"""
_CLOSED = """\
# Reachable from this machine only. To open it to others, run `sh {script}`, give the service "{gateway}" the secret
# "{key}", and drop "127.0.0.1:"; callers then need a key of that file.
"""
_GUARDED = """\
# Callers need a key of the file "{key}", which `sh {script}` makes.
"""
_RUN = """\
Build and start it, ask it something, stop it:

```
{secrets}docker compose up --build --wait
curl {key}-H 'Content-Type: application/json' -d '{{}}' http://127.0.0.1:{port}/
docker compose down
```
"""
_ALONE = """
Without Docker, in an environment with the packages of both lists and the wheel in `runtime/`:

```
python -m nbgraph.serve --project . --port {port}
```
"""


def compose_files(order: ExportSpec) -> dict[str, bytes]:
    """The folder: a project for each function, or one at the top; how they run together; how to begin."""
    files = order.folders() if order.is_parted else dict(order.projects[0].files)
    files["compose.yaml"] = compose(order).encode()
    files[".env"] = f"COMPOSE_PROJECT_NAME={order.name}\n".encode()  # docker-compose 1 takes no `name:` in the file
    files[SCRIPT] = secrets_script(order)
    files["README.md"] = readme(order, _run(order), files).encode()
    return files


def compose(order: ExportSpec) -> str:
    """The text of compose.yaml."""
    services = {service.name: _service(order, service) for service in order.services}
    document: dict[str, Any] = {"services": services, "secrets": _secrets(order)}
    if order.broker is not None:
        document |= {"networks": {PRIVATE: {"internal": True}}}
    own = {volume.key: {"name": volume.source} for service in order.services for volume in service.given.volumes
           if not volume.is_folder}  # fmt: skip
    document["volumes"] = {VOLUME: {}, **({DATA_VOLUME: {}} if order.broker is not None else {}), **own}
    first = f"sh {SCRIPT} && " if order.has_secrets else ""
    head = _HEAD.format(secrets=first) + (_GUARDED if order.is_guarded else _CLOSED).format(
        script=SCRIPT, gateway=order.functions[0].name, key=KEY_SECRET
    )
    return head + plain_yaml(document)


def _run(order: ExportSpec) -> str:
    key = f'-H "Authorization: Bearer $(cat "$(sh {SCRIPT})/{KEY_SECRET}")" ' if order.is_guarded else ""
    secrets = f"sh {SCRIPT}\n" if order.has_secrets else ""
    text = _RUN if order.is_parted else _RUN + _ALONE
    return text.format(port=order.port, secrets=secrets, key=key)


def _secrets(order: ExportSpec) -> dict[str, Any]:
    """All the files that the services may ask for; one that nobody asks for need not be there."""
    names = sorted({name for service in order.services for name in service.secrets})
    return {name: {"file": f"{HOME}/{order.name}/{name}"} for name in names}


def _service(order: ExportSpec, service: Service) -> dict[str, Any]:
    wanted = [name for name in service.secrets if name != KEY_SECRET or order.is_guarded]
    return {
        "build": f"./{service.folder}" if order.is_parted else ".",
        "image": service.image,
        **({"command": list(options)} if (options := promising(service, is_safe=order.is_safe)) else {}),
        **({"environment": _escaped(service.given.env)} if service.given.env else {}),
        **(_broker() if service.function is None else _worker(order, service)),
        **({"secrets": wanted} if wanted else {}),
        **LOCKED,
        "tmpfs": [f"/tmp:{service.profile.tmpfs}"],
        **({"cpus": service.profile.cpus} if service.profile.cpus is not None else {}),
        "mem_limit": service.profile.megabytes,
        "memswap_limit": service.profile.megabytes,
        "restart": "unless-stopped",
        "stop_grace_period": f"{GRACE_SECONDS}s",
        "logging": {"driver": "json-file", "options": dict(LOG)},
        "labels": _escaped(labels(order.graph, service.name, order.name)),
    }


def _broker() -> dict[str, Any]:
    """Healthy when it takes messages; what it keeps outlives its container."""
    return {
        "networks": [PRIVATE],
        "volumes": [f"{DATA_VOLUME}:{SERVER.data}", f"./{BROKER}/{CONFIG}:{CONFIG_PATH}:ro"],
        "healthcheck": {
            "test": ["CMD", *asking("python3", SERVER.monitor_port, "/healthz")],
            "interval": "2s", "timeout": "5s", "retries": 15,
        },
    }  # fmt: skip


def _worker(order: ExportSpec, service: Service) -> dict[str, Any]:
    """Its image knows how to ask it for its health; steps may call out by the other network."""
    joined = {"networks": ["default", PRIVATE], "depends_on": {BROKER: {"condition": "service_healthy"}}}
    return {
        **({"ports": [_published(order)]} if service.is_gateway else {}),
        **({"volumes": volumes} if (volumes := _volumes(service)) else {}),
        **({"deploy": deployed} if (deployed := _deployed(service)) else {}),
        **(joined if order.broker is not None else {}),
    }


def _deployed(service: Service) -> dict[str, Any]:
    """How many there are, and the devices of each."""
    gpus = {"capabilities": ["gpu"], "count": service.profile.gpus}
    return {
        **({"replicas": service.replicas} if not service.is_gateway else {}),
        **({"resources": {"reservations": {"devices": [gpus]}}} if service.profile.gpus else {}),
    }


def _volumes(service: Service) -> list[Any]:
    """What callers were promised outlives its container; then a person's own."""
    own: list[Any] = [
        {
            "type": volume.kind, "source": volume.key, "target": volume.path,
            **({"read_only": True} if volume.is_read_only else {}),
        }
        for volume in service.given.volumes
    ]  # fmt: skip
    return [*([f"{VOLUME}:{PROMISED_FOLDER}"] if service.is_gateway else []), *own]


def _published(order: ExportSpec) -> str:
    host = f"[{order.host}]" if ":" in order.host else order.host
    return f"{host}:{order.port}:{PORT}"


def _escaped(labels: Mapping[str, str]) -> dict[str, str]:
    """Compose takes a dollar for the start of a variable."""
    return {name: value.replace("$", "$$") for name, value in labels.items()}
