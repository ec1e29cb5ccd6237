"""Scaling on Kubernetes: the gateway by its load, functions behind queues by what waits for them (KEDA)."""

from __future__ import annotations

from typing import Any

from nbgraph.deploy.kubernetes.pod import SECRET, Object, made
from nbgraph.deploy.operation.autoscale import COOL_DOWN, ScalingRule
from nbgraph.deploy.project.export_spec import ExportSpec
from nbgraph.deploy.project.services import BROKER, SERVER, Service
from nbgraph.engine.partition import Function
from nbgraph.steps.operators.queue import QueueReader
from nbgraph.streams.base import QueueSpec
from nbgraph.streams.transport import transport_of

LOGIN = "broker"  # the TriggerAuthentication of an external broker
PERCENT, MOST = 70, 4  # how busy gateways may be, and how many there are at most, unless a rule says otherwise


def rule_of(order: ExportSpec, service: Service) -> ScalingRule | None:
    """How a service scales; a gateway whose steps remember something does not, unless that is asked for."""
    rule = order.rules.get(service.name)
    if rule is None and service.is_gateway and service.function is not None and not _remembers(service.function):
        return ScalingRule(service.replicas, max(MOST, service.replicas), PERCENT)
    return rule


def is_scaled(order: ExportSpec, service: Service) -> bool:
    return rule_of(order, service) is not None


def is_fed_by_keda(order: ExportSpec, service: Service) -> bool:
    return not service.is_gateway and is_scaled(order, service)


def scale_objects(order: ExportSpec) -> list[Object]:
    """What scale.yaml holds."""
    found = ((service, rule_of(order, service)) for service in order.functions)
    return [*login_objects(order), *(_scaling(order, service, rule) for service, rule in found if rule is not None)]


def _scaling(order: ExportSpec, service: Service, rule: ScalingRule) -> Object:
    return _by_load(order, service, rule) if service.is_gateway else _by_backlog(order, service, rule)


def _by_load(order: ExportSpec, service: Service, rule: ScalingRule) -> Object:
    target = {"type": "Utilization", "averageUtilization": int(rule.target)}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name},
        "minReplicas": rule.least,
        "maxReplicas": rule.most,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    return made(order, "autoscaling/v2", "HorizontalPodAutoscaler", service.name, {"spec": spec})


def _by_backlog(order: ExportSpec, service: Service, rule: ScalingRule) -> Object:
    """KEDA knows the greatest of several backlogs by itself; their sum it takes as a formula (from 2.12 on)."""
    assert service.function is not None
    triggers = _triggers(order, service.function, rule)
    calm = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": int(COOL_DOWN)}}}
    advanced: dict[str, Any] = {"horizontalPodAutoscalerConfig": calm}
    if len(triggers) > 1:
        total = " + ".join(trigger["name"] for trigger in triggers)
        advanced["scalingModifiers"] = {"formula": total, "target": f"{rule.target:g}"}
    spec = {
        "scaleTargetRef": {"name": service.name},
        "pollingInterval": 5,
        "minReplicaCount": rule.least,
        "maxReplicaCount": rule.most,
        "advanced": advanced,
        "triggers": triggers,
    }
    return made(order, "keda.sh/v1alpha1", "ScaledObject", service.name, {"spec": spec})


def _triggers(order: ExportSpec, function: Function, rule: ScalingRule) -> list[Object]:
    """What the transport says of each queue that the function reads; KEDA wants all values as text."""
    transport, monitor = transport_of(order.streams), f"{BROKER}.{order.name}.svc:{SERVER.monitor_port}"
    found = [
        trigger
        for spec in _specs(function)
        for trigger in transport.triggers(order.streams, spec, rule.target, monitor)
    ]
    return [
        {
            "type": trigger.type,
            "name": f"q{number}",
            "metadata": dict(trigger.metadata),
            **({"authenticationRef": {"name": LOGIN}} if trigger.login else {}),
        }
        for number, trigger in enumerate(found)
    ]


def login_objects(order: ExportSpec) -> list[Object]:
    """How KEDA logs in to an external broker, where it asks one."""
    transport = transport_of(order.streams)
    fed = [service.function for service in order.functions if is_fed_by_keda(order, service) and service.function]
    specs = [spec for function in fed for spec in _specs(function)] if order.streams.is_external else []
    logins = [trigger.login for spec in specs for trigger in transport.triggers(order.streams, spec, 1, "")]
    if not any(logins):
        return []
    references = [{"parameter": name, "name": SECRET, "key": key} for name, key in logins[0].items()]
    return [made(order, "keda.sh/v1alpha1", "TriggerAuthentication", LOGIN, {"spec": {"secretTargetRef": references}})]


def _specs(function: Function) -> list[QueueSpec]:
    steps = function.graph.plan().steps
    targets = [steps[name].call.target for name in function.reads]
    return [target.spec for target in targets if isinstance(target, QueueReader)]


def _remembers(function: Function) -> bool:
    """Whether one event changes what the next one meets, so that two replicas would answer otherwise than one."""
    return any(step.call.remembers for step in function.graph.plan().steps.values())
