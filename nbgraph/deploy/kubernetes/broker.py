"""The broker on Kubernetes: one server whose disk outlives its pod."""

from __future__ import annotations

import hashlib

from nbgraph.deploy.kubernetes.pod import Object, asked, labelled, made, template
from nbgraph.deploy.project.export_spec import ExportSpec
from nbgraph.deploy.project.hardening import GRACE_SECONDS
from nbgraph.deploy.project.services import BROKER, SERVER, Service, broker_config

DISK = "8Gi"


def broker_objects(order: ExportSpec, service: Service) -> list[Object]:
    """What broker.yaml holds: the configuration, the address, the server."""
    address = {"clusterIP": "None", "selector": labelled(order, BROKER), "ports": _ports(order)}
    return [
        made(order, "v1", "ConfigMap", BROKER, {"data": {SERVER.config_name: broker_config(is_safe=order.is_safe)}}),
        made(order, "v1", "Service", BROKER, {"spec": address}),
        _server(order, service),
    ]


def _ports(order: ExportSpec) -> list[Object]:
    return [{"name": order.streams.transport, "port": SERVER.port}, {"name": "monitor", "port": SERVER.monitor_port}]


def _server(order: ExportSpec, service: Service) -> Object:
    container = {
        "args": list(service.options),
        "ports": [
            {"name": order.streams.transport, "containerPort": SERVER.port},
            {"name": "monitor", "containerPort": SERVER.monitor_port},
        ],
        "startupProbe": asked("/healthz", "monitor", every=2, failures=150),  # it reads what it kept first
        "livenessProbe": asked("/healthz?js-enabled-only=true", "monitor", every=10, failures=3),
        "readinessProbe": asked("/healthz?js-server-only=true", "monitor", every=5, failures=2),
        "volumeMounts": [
            {"name": "data", "mountPath": SERVER.data},
            {"name": "config", "mountPath": SERVER.config_folder, "readOnly": True},
        ],
    }
    volumes = [{"name": "config", "configMap": {"name": BROKER}}]
    config = broker_config(is_safe=order.is_safe).encode()
    stamp = {"nbgraph.config": hashlib.sha256(config).hexdigest()[:16]}  # another one, another pod
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": DISK}}}
    spec = {
        "serviceName": BROKER,
        "replicas": 1,
        "selector": {"matchLabels": labelled(order, BROKER)},
        "template": template(order, service, container, grace=GRACE_SECONDS, volumes=volumes, annotations=stamp),
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
    }
    return made(order, "apps/v1", "StatefulSet", BROKER, {"spec": spec})
