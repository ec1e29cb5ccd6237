"""Workers on Kubernetes: a Deployment for each function, and the Service that callers reach."""

from __future__ import annotations

from nbgraph.contract import LIVE_PATH, METRICS_PORT, PORT, PROMISED_FOLDER, READY_PATH, Option
from nbgraph.deploy.kubernetes.autoscale import is_scaled
from nbgraph.deploy.kubernetes.pod import Object, asked, labelled, made, template
from nbgraph.deploy.project.export_spec import ExportSpec
from nbgraph.deploy.project.services import Service, promising

GATEWAY = "gateway"  # the Service's name, whatever the function's is
NOTICED = 5  # seconds in which the cluster learns that a pod takes no new calls
ROOM = "1Gi"  # for what callers were promised
GRACE = 60  # seconds: notice, then calls in flight (25 at most), then deliveries in flight (25 at most)


def worker_objects(order: ExportSpec, service: Service) -> list[Object]:
    """What a function's file holds."""
    objects = [_deployment(order, service), _budget(order, service)]
    return [*objects, _service(order, service)] if service.is_gateway else objects


def _deployment(order: ExportSpec, service: Service) -> Object:
    container = {
        "args": [Option.DRAIN_SECONDS, str(NOTICED), *promising(service, is_safe=order.is_safe)],
        "ports": [{"name": "http", "containerPort": PORT}, {"name": "metrics", "containerPort": METRICS_PORT}],
        "startupProbe": asked(LIVE_PATH, "http", every=2, failures=150),  # models may take minutes to load
        "livenessProbe": asked(LIVE_PATH, "http", every=10, failures=3),
        "readinessProbe": asked(READY_PATH, "http", every=2, failures=2),
    }
    # It outlives the container, not the pod: what a gateway promised is done when it starts again where it was.
    volumes: list[Object] = [{"name": "promised", "emptyDir": {"sizeLimit": ROOM}}] if service.is_gateway else []
    mounts = {"volumeMounts": [{"name": "promised", "mountPath": PROMISED_FOLDER}]} if service.is_gateway else {}
    spec = {
        **({} if is_scaled(order, service) else {"replicas": service.replicas}),
        "revisionHistoryLimit": 3,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "selector": {"matchLabels": labelled(order, service.name)},
        "template": template(order, service, {**container, **mounts}, grace=GRACE, volumes=volumes),
    }
    return made(order, "apps/v1", "Deployment", service.name, {"spec": spec})


def _budget(order: ExportSpec, service: Service) -> Object:
    """Nodes are emptied one pod at a time."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": labelled(order, service.name)}}
    return made(order, "policy/v1", "PodDisruptionBudget", service.name, {"spec": spec})


def _service(order: ExportSpec, service: Service) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    spec = {"type": "ClusterIP", "selector": labelled(order, service.name), "ports": ports}
    return made(order, "v1", "Service", GATEWAY, {"spec": spec}, service.name)
