"""Pods: what a container may do and how it is watched, in the words of Kubernetes; and the objects around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbgraph.contract import GRAPH_LABEL, SECRETS_FOLDER
from nbgraph.deploy.project.export_spec import ExportSpec
from nbgraph.deploy.project.hardening import USER, Hardening
from nbgraph.deploy.project.services import Service
from nbgraph.errors import ExportError

SECRET = "nbgraph"  # the Secret that `secrets.sh` makes the content of
PART_OF, NAME = "app.kubernetes.io/part-of", "app.kubernetes.io/name"
Object = dict[str, Any]
REQUESTED_CPU, REQUESTED_MEMORY = 250, 256 * 2**20  # what a node must have free: thousandths, bytes
GPU = "nvidia.com/gpu"


def labelled(order: ExportSpec, service: str) -> dict[str, str]:
    """The labels by which a service's pods are found."""
    return {PART_OF: order.name, NAME: service}


def made(
    order: ExportSpec, version: str, kind: str, name: str, content: Mapping[str, Any], service: str = ""
) -> Object:
    """An object in the graph's own namespace."""
    metadata = {"name": name, "namespace": order.name, "labels": labelled(order, service or name)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def namespace(order: ExportSpec) -> Object:
    """Of the graph alone; a pod that asks for more than ours do is refused in it."""
    labels = {f"pod-security.kubernetes.io/{word}": "restricted" for word in ("enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": order.name, "labels": labels}}


def template(
    order: ExportSpec,
    service: Service,
    container: Mapping[str, Any],
    *,
    grace: int,
    volumes: Sequence[Object] = (),
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """The pods of a service: each on another node where there are enough, and as little as possible allowed to it."""
    user, group = map(int, USER.split(":"))
    spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    told = {GRAPH_LABEL: order.graph, **(annotations or {})}
    return {
        "metadata": {"labels": labelled(order, service.name), "annotations": told},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": grace,
            "securityContext": {
                "runAsNonRoot": True, "runAsUser": user, "runAsGroup": group, "fsGroup": group,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "topologySpreadConstraints": [
                {**spread, "labelSelector": {"matchLabels": labelled(order, service.name)}}
            ],
            "containers": [_container(service, container)],
            "volumes": [*volumes, *_own_volumes(service)],
        },
    }  # fmt: skip


def asked(path: str, port: str, *, every: int, failures: int) -> Object:
    """A probe over HTTP."""
    return {
        "httpGet": {"path": path, "port": port}, "periodSeconds": every, "timeoutSeconds": 5,
        "failureThreshold": failures,
    }  # fmt: skip


def _container(service: Service, given: Mapping[str, Any]) -> Object:
    mounts: list[Object] = [{"name": "tmp", "mountPath": "/tmp"}, *own_mounts(service)]
    if service.secrets:
        mounts.append({"name": "secrets", "mountPath": SECRETS_FOLDER, "readOnly": True})
    return {
        "name": service.name,
        "image": service.image,
        "imagePullPolicy": "IfNotPresent",  # a tag is the content's hash, and never means anything else
        **given,
        **({"env": env} if (env := variables(service)) else {}),
        "resources": resources(service.profile),
        "securityContext": {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [*given.get("volumeMounts", ()), *mounts],
    }  # fmt: skip


def _own_volumes(service: Service) -> list[Object]:
    size = quantity(service.profile.tmp)
    volumes: list[Object] = [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": size}}, *own_claims(service)]
    return [*volumes, secret_volume(service)] if service.secrets else volumes


def variables(service: Service) -> list[Object]:
    """The environment; Kubernetes takes $(NAME) for another variable's text."""
    return [{"name": name, "value": text.replace("$(", "$$(")} for name, text in service.given.env.items()]


def resources(profile: Hardening) -> Object:
    """What a container may take, and what a node must have free for it: no more than that."""
    limits: Object = {"memory": quantity(profile.memory)}
    requests: Object = {"memory": quantity(min(profile.memory, REQUESTED_MEMORY))}
    if profile.cpus is not None:
        limits["cpu"] = f"{round(profile.cpus * 1000)}m"
    requests["cpu"] = f"{min(REQUESTED_CPU, round((profile.cpus or 1) * 1000))}m"
    if profile.gpus:
        limits[GPU] = profile.gpus
    return {"requests": dict(sorted(requests.items())), "limits": limits}


def quantity(size: int) -> str:
    """Bytes in the words of Kubernetes.

    >>> quantity(512 * 2**20), quantity(1000)
    ('512Mi', '1000')
    """
    return f"{size // 2**20}Mi" if size % 2**20 == 0 else str(size)


def own_claims(service: Service) -> list[Object]:
    """A person's own volumes, which are claims here: pods of such a namespace are let into no folder of a node."""
    claims = []
    for number, volume in enumerate(service.given.volumes):
        if volume.is_folder or volume.source != volume.source.lower() or "_" in volume.source:
            raise ExportError(
                f'"{service.name}" is given the volume {volume.source}, and on Kubernetes a volume is a '
                "PersistentVolumeClaim, which no folder of a node is: give its name, in small letters, digits, - and ."
            )
        claims.append({"name": f"own-{number}", "persistentVolumeClaim": {"claimName": volume.source}})
    return claims


def own_mounts(service: Service) -> list[Object]:
    """Where those volumes are found."""
    return [
        {"name": f"own-{number}", "mountPath": volume.path, **({"readOnly": True} if volume.is_read_only else {})}
        for number, volume in enumerate(service.given.volumes)
    ]


def secret_volume(service: Service, secret: str = SECRET) -> Object:
    """The files that a service may read, and no others."""
    items = [{"key": name, "path": name} for name in service.secrets]
    return {"name": "secrets", "secret": {"secretName": secret, "defaultMode": 0o440, "items": items}}
