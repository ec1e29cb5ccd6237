"""Nuclio: a function.yaml for each function, whose handler hands events to the same worker as everywhere."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace

from nbgraph.contract import KEY_SECRET, OPTIONS_VARIABLE, SECRETS_FOLDER, Option, secret_path
from nbgraph.deploy.kubernetes.autoscale import rule_of
from nbgraph.deploy.kubernetes.broker import broker_objects
from nbgraph.deploy.kubernetes.pod import (
    SECRET,
    Object,
    namespace,
    own_claims,
    own_mounts,
    resources,
    secret_volume,
    variables,
)
from nbgraph.deploy.project.dockerfile import python_of
from nbgraph.deploy.project.export_spec import ExportSpec
from nbgraph.deploy.project.hardening import USER
from nbgraph.deploy.project.readme import readme
from nbgraph.deploy.project.secret_files import SCRIPT, secrets_script
from nbgraph.deploy.project.services import BROKER, Service, worker_options
from nbgraph.deploy.project.yaml_dump import plain_yaml

HERE = "/opt/nuclio"  # where Nuclio puts the folder's files in its image
HANDLER = "nuclio_handler"
GATES = 8  # processes that hand calls on, each waiting for one answer at a time
GATE_MEGABYTES = 48
LONGEST = 56  # characters of a name, since Nuclio puts its own before it
LEFT_OUT = ("Dockerfile", ".dockerignore")  # Nuclio builds images in its own way
_HANDLER = """\
\"\"\"What Nuclio calls: events go to nbgraph's own worker, which runs beside it.\"\"\"

from pathlib import Path

from nbgraph.serve.nuclio import WorkerProcess

worker = WorkerProcess(Path(__file__).parent)


def init_context(context):
    worker.start(context)


def handler(context, event):
    return worker.answer(context, event)
"""
_RUN = """\
These functions were {note}.

Nuclio brings callers and replicas. What goes from function to function it does not carry: none of its triggers keeps
what a queue promises here (that for NATS reads without acknowledging, and none reads JetStream). So the
worker in each function reads its queues itself; the HTTP trigger of a function behind a queue is for Nuclio alone, and
wants a key like every other. Nuclio scales by processor time, not by what waits in a queue.

On Kubernetes, with Nuclio in the namespace `nuclio` (its Docker platform has no secrets as files):

```
{broker}kubectl -n nuclio create secret generic {secret} --from-file="$(sh {script})"
nuctl create project {name}
{deploys}
nuctl invoke {gateway} --method POST --content-type application/json --body '{{}}' \\
  --headers "Authorization=Bearer $(cat "$(sh {script})/{key}")"
```
"""
_BROKER = """\
kubectl apply -f broker/namespace.yaml
kubectl -n {name} create secret generic {secret} --from-file="$(sh {script})"
kubectl apply -f broker/broker.yaml
"""


def nuclio_files(order: ExportSpec, note: str) -> dict[str, bytes]:
    """The folder: a Nuclio function for each of ours, the broker's manifests, how to begin."""
    files = {path: text for path, text in order.folders().items() if path.partition("/")[2] not in _left_out(path)}
    for service in order.functions:
        files[f"{service.folder}/{HANDLER}.py"] = _HANDLER.encode()
        files[f"{service.folder}/function.yaml"] = plain_yaml(_function(order, service)).encode()
    if order.broker is not None:
        files[f"{BROKER}/namespace.yaml"] = plain_yaml(namespace(order)).encode()
        files[f"{BROKER}/broker.yaml"] = plain_yaml(*broker_objects(order, order.broker)).encode()
    files[SCRIPT] = secrets_script(order)
    files["README.md"] = readme(order, _run(order, note), files).encode()
    return files


def _left_out(path: str) -> tuple[str, ...]:
    """The broker is no Nuclio function, so its image is built from its own Dockerfile."""
    return () if path.startswith(f"{BROKER}/") else LEFT_OUT


def _function(order: ExportSpec, service: Service) -> Object:
    """Each wants a key, since in Nuclio everyone reaches every function."""
    user, group = map(int, USER.split(":"))
    gates = GATES if service.is_gateway else 1
    room = resources(replace(service.profile, memory=service.profile.memory + gates * GATE_MEGABYTES * 2**20))
    labels = {"nuclio.io/project-name": order.name}
    guarded = replace(service, secrets=(KEY_SECRET, *(name for name in service.secrets if name != KEY_SECRET)))
    mount = {"name": "secrets", "mountPath": SECRETS_FOLDER}
    pairs = zip(own_claims(service), own_mounts(service), strict=True)
    own = [{"volume": claim, "volumeMount": place} for claim, place in pairs]
    spec = {
        "description": f"The function {service.name} of the graph {order.graph}",
        "runtime": _runtime(order.base(service)),
        "handler": f"{HANDLER}:handler",
        "env": [{"name": OPTIONS_VARIABLE, "value": shlex.join(_options(order, service))}, *variables(service)],
        **_replicas(order, service),
        "triggers": {"http": {"kind": "http", "numWorkers": gates}},
        "resources": room,
        "securityContext": {"runAsUser": user, "runAsGroup": group, "fsGroup": group},
        "readinessTimeoutSeconds": 300,
        "volumes": [{"volume": secret_volume(guarded, _secret(order)), "volumeMount": mount}, *own],
        "build": {"baseImage": order.base(service), "commands": ["@nuclio.postCopy", _install()]},
    }
    metadata = {"name": _name(order, service), "namespace": "nuclio", "labels": labels}
    return {"apiVersion": "nuclio.io/v1", "kind": "NuclioFunction", "metadata": metadata, "spec": spec}


def _runtime(base: str) -> str:
    """Nuclio's word for the Python of an image; the one that is here, where its name tells none.

    >>> _runtime("python:3.12-slim"), _runtime("ours") == _runtime("theirs")
    ('python:3.12', True)
    """
    version = python_of(base) or sys.version_info[:2]
    return f"python:{version[0]}.{version[1]}"


def _options(order: ExportSpec, service: Service) -> list[str]:
    """What the worker is told; the broker stands in the graph's own namespace."""
    assert service.function is not None
    return [
        Option.KEY_FILE,
        secret_path(KEY_SECRET),
        *worker_options(service.function, order.streams, f"{BROKER}.{order.name}.svc"),
    ]


def _replicas(order: ExportSpec, service: Service) -> Object:
    """Never none: nobody would read the queues."""
    rule = rule_of(order, service)
    if rule is None:
        return {"minReplicas": service.replicas, "maxReplicas": service.replicas}
    busy = {"targetCPU": int(rule.target)} if service.is_gateway else {}
    return {"minReplicas": rule.least, "maxReplicas": rule.most, **busy}


def _install() -> str:
    lists = f"-r {HERE}/runtime/requirements.txt -r {HERE}/requirements.txt"
    return f"pip install --no-cache-dir --find-links {HERE}/wheels {lists} {HERE}/runtime/*.whl"


def _name(order: ExportSpec, service: Service) -> str:
    """Functions of several graphs may have the same name; in Nuclio's namespace they may not."""
    name = service.name if service.name == order.name else f"{order.name}-{service.name}"
    return name[:LONGEST].strip("-")


def _secret(order: ExportSpec) -> str:
    return f"{SECRET}-{order.name}"


def _run(order: ExportSpec, note: str) -> str:
    deploys = [f"nuctl deploy --path {service.folder} --namespace nuclio" for service in order.functions]
    broker = ""
    if order.broker is not None:
        build = f"docker build -t {order.broker.image} {BROKER}"
        push = f"\ndocker push {order.broker.image}" if order.is_pushed else ""
        broker = f"{build}{push}\n" + _BROKER.format(name=order.name, secret=SECRET, script=SCRIPT)
    return _RUN.format(
        note=note, broker=broker, secret=_secret(order), script=SCRIPT, name=order.name, deploys="\n".join(deploys),
        gateway=_name(order, order.functions[0]), key=KEY_SECRET,
    )  # fmt: skip
