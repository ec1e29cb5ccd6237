"""Pods: what a container may do and how it is watched, in the words of Kubernetes; and the objects around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbgraph.deploy.order import Order
from nbgraph.deploy.profile import SECRETS, TMP_MEGABYTES, USER
from nbgraph.deploy.services import Service

SECRET = "nbgraph"  # the Secret that `secrets.sh` makes the content of
PART_OF, NAME = "app.kubernetes.io/part-of", "app.kubernetes.io/name"
Object = dict[str, Any]
REQUESTED = {"cpu": "250m", "memory": "256Mi"}  # what a node must have free for it


def labelled(order: Order, service: str) -> dict[str, str]:
    """The labels by which a service's pods are found."""
    return {PART_OF: order.name, NAME: service}


def made(order: Order, version: str, kind: str, name: str, content: Mapping[str, Any], service: str = "") -> Object:
    """An object in the graph's own namespace."""
    metadata = {"name": name, "namespace": order.name, "labels": labelled(order, service or name)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def namespace(order: Order) -> Object:
    """Of the graph alone; a pod that asks for more than ours do is refused in it."""
    labels = {f"pod-security.kubernetes.io/{word}": "restricted" for word in ("enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": order.name, "labels": labels}}


def template(
    order: Order,
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
    told = {"nbgraph.graph": order.graph, **(annotations or {})}
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
    mounts: list[Object] = [{"name": "tmp", "mountPath": "/tmp"}]
    if service.secrets:
        mounts.append({"name": "secrets", "mountPath": SECRETS, "readOnly": True})
    return {
        "name": service.name,
        "image": service.image,
        "imagePullPolicy": "IfNotPresent",  # a tag is the content's hash, and never means anything else
        **given,
        "resources": {"requests": dict(REQUESTED), "limits": {"memory": f"{service.profile.memory // 2**20}Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [*given.get("volumeMounts", ()), *mounts],
    }  # fmt: skip


def _own_volumes(service: Service) -> list[Object]:
    volumes: list[Object] = [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": f"{TMP_MEGABYTES}Mi"}}]
    return [*volumes, secret_volume(service)] if service.secrets else volumes


def secret_volume(service: Service, secret: str = SECRET) -> Object:
    """The files that a service may read, and no others."""
    items = [{"key": name, "path": name} for name in service.secrets]
    return {"name": "secrets", "secret": {"secretName": secret, "defaultMode": 0o440, "items": items}}
