"""Compose: the file that `docker compose up` reads, with the same services that deploy("docker") starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbgraph.deploy.dockerfile import asking
from nbgraph.deploy.order import Order
from nbgraph.deploy.plain_yaml import plain_yaml
from nbgraph.deploy.profile import GRACE_SECONDS, LOCKED, LOG, PORT, PROMISED, TMP, labels
from nbgraph.deploy.readme import readme
from nbgraph.deploy.secret_files import HOME, SCRIPT, secrets_script
from nbgraph.deploy.services import BROKER, CONFIG, CONFIG_FOLDER, DATA, KEY, MONITOR_PORT, Service, promising

DATA_VOLUME, VOLUME = "data", "promised"  # of the broker, of the gateway
PRIVATE = "queues"  # the network of the broker, which leads nowhere else
_HEAD = """\
# {secrets}docker compose up --build --wait
# Reachable from this machine only. To open it to others, run `sh {script}`, give the service "{gateway}" the secret
# "{key}", and drop "127.0.0.1:"; callers then need a key of that file.
"""
_RUN = """\
Build and start it, ask it something, stop it:

```
{secrets}docker compose up --build --wait
curl -H 'Content-Type: application/json' -d '{{}}' http://127.0.0.1:{port}/
docker compose down
```
"""
_ALONE = """
Without Docker, in an environment with the packages of both lists and the wheel in `runtime/`:

```
python -m nbgraph.serve --project . --port {port}
```
"""


def compose_files(order: Order) -> dict[str, bytes]:
    """The folder: a project for each function, or one at the top; how they run together; how to begin."""
    files = dict(order.projects[0][1]) if order.broker is None else order.folders()
    files["compose.yaml"] = compose(order).encode()
    files[SCRIPT] = secrets_script(order)
    files["README.md"] = readme(order, _run(order), files).encode()
    return files


def compose(order: Order) -> str:
    """The text of compose.yaml."""
    services = {service.name: _service(order, service) for service in order.services}
    document: dict[str, Any] = {"name": order.name, "services": services, "secrets": _secrets(order)}
    if order.broker is not None:
        document |= {"networks": {PRIVATE: {"internal": True}}}
    document["volumes"] = {VOLUME: {}, **({DATA_VOLUME: {}} if order.broker is not None else {})}
    first = f"sh {SCRIPT} && " if order.broker is not None else ""
    head = _HEAD.format(secrets=first, script=SCRIPT, gateway=order.functions[0].name, key=KEY)
    return head + plain_yaml(document)


def _run(order: Order) -> str:
    if order.broker is None:
        return (_RUN + _ALONE).format(port=PORT, secrets="")
    return _RUN.format(port=PORT, secrets=f"sh {SCRIPT}\n")


def _secrets(order: Order) -> dict[str, Any]:
    """All the files that the services may ask for; one that nobody asks for need not be there."""
    names = sorted({name for service in order.services for name in service.secrets})
    return {name: {"file": f"{HOME}/{order.name}/{name}"} for name in names}


def _service(order: Order, service: Service) -> dict[str, Any]:
    wanted = [name for name in service.secrets if name != KEY]
    return {
        "build": "." if order.broker is None else f"./{service.folder}",
        "image": service.image,
        **({"command": list(options)} if (options := promising(service)) else {}),
        **(_broker() if service.function is None else _worker(order, service)),
        **({"secrets": wanted} if wanted else {}),
        **LOCKED,
        "tmpfs": [f"/tmp:{TMP}"],
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
        "volumes": [f"{DATA_VOLUME}:{DATA}", f"./{BROKER}/{CONFIG}:{CONFIG_FOLDER}/{CONFIG}:ro"],
        "healthcheck": {
            "test": ["CMD", *asking("python3", MONITOR_PORT, "/healthz")],
            "interval": "2s", "timeout": "5s", "retries": 15,
        },
    }  # fmt: skip


def _worker(order: Order, service: Service) -> dict[str, Any]:
    """Its image knows how to ask it for its health; steps may call out by the other network."""
    joined = {"networks": ["default", PRIVATE], "depends_on": {BROKER: {"condition": "service_healthy"}}}
    return {
        **(_gateway() if service.is_gateway else {}),
        **({"deploy": {"replicas": service.replicas}} if not service.is_gateway else {}),
        **(joined if order.broker is not None else {}),
    }


def _gateway() -> dict[str, Any]:
    """What callers were promised outlives its container."""
    return {"ports": [f"127.0.0.1:{PORT}:{PORT}"], "volumes": [f"{VOLUME}:{PROMISED}"]}


def _escaped(labels: Mapping[str, str]) -> dict[str, str]:
    """Compose takes a dollar for the start of a variable."""
    return {name: value.replace("$", "$$") for name, value in labels.items()}
