"""The network on Kubernetes: nothing is allowed but the flows that the graph has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbgraph.contract import METRICS_PORT, PORT
from nbgraph.deploy.kubernetes.autoscale import is_fed_by_keda
from nbgraph.deploy.kubernetes.pod import PART_OF, Object, labelled, made
from nbgraph.deploy.project.export_spec import ExportSpec
from nbgraph.deploy.project.services import BROKER, SERVER
from nbgraph.streams.transport import transport_of

HINT = """\
# Steps that call out of this namespace need a rule of their own, for instance to everything outside the cluster:
#
# apiVersion: networking.k8s.io/v1
# kind: NetworkPolicy
# metadata: {{name: outside, namespace: {name}}}
# spec:
#   podSelector: {{matchLabels: {{{part}: {name}}}}}
#   policyTypes: [Egress]
#   egress:
#   - to: [{{ipBlock: {{cidr: 0.0.0.0/0, except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]}}}}]
"""


def hint(order: ExportSpec) -> str:
    return HINT.format(name=order.name, part=PART_OF)


def network_objects(order: ExportSpec) -> list[Object]:
    """What network.yaml holds: first nothing, then callers, names, numbers, and the queues where there are any."""
    names = [{"port": 53, "protocol": word} for word in ("UDP", "TCP")]
    gateway = labelled(order, order.functions[0].name)
    flows = [
        _policy(order, "nothing", {}, ingress=[], egress=[]),
        _policy(order, "callers", gateway, ingress=[{"from": [{"namespaceSelector": {}}], "ports": [_tcp(PORT)]}]),
        _policy(order, "names", {}, egress=[{"to": [_namespace("kube-system")], "ports": names}]),
        _policy(order, "metrics", {}, ingress=[{"from": [_namespace("monitoring")], "ports": [_tcp(METRICS_PORT)]}]),
    ]
    if order.is_parted and order.streams.is_external:
        return [*flows, _external(order)]
    return [*flows, *_queues(order)] if order.broker is not None else flows


def _external(order: ExportSpec) -> Object:
    """Functions reach the ports of the external broker, at whatever address its nodes have."""
    ports = sorted({port for _, port in transport_of(order.streams).hosts(order.streams)})
    return _policy(order, "queues", {}, egress=[{"ports": [_tcp(port) for port in ports]}])


def _queues(order: ExportSpec) -> list[Object]:
    """Functions reach the broker, the broker reaches nobody; KEDA reads its numbers where it scales."""
    broker = labelled(order, BROKER)
    taken = [{"from": [{"podSelector": {}}], "ports": [_tcp(SERVER.port)]}]
    if any(is_fed_by_keda(order, service) for service in order.functions):
        taken.append({"from": [_namespace("keda")], "ports": [_tcp(SERVER.monitor_port)]})
    given = [{"to": [{"podSelector": {"matchLabels": broker}}], "ports": [_tcp(SERVER.port)]}]
    return [_policy(order, BROKER, broker, ingress=taken), _policy(order, "queues", {}, egress=given)]


def _policy(order: ExportSpec, name: str, pods: Mapping[str, str], **rules: Sequence[Mapping[str, Any]]) -> Object:
    spec = {
        "podSelector": {"matchLabels": dict(pods)} if pods else {},
        "policyTypes": [word.capitalize() for word in rules],
        **{word: list(those) for word, those in rules.items() if those},
    }
    return made(order, "networking.k8s.io/v1", "NetworkPolicy", name, {"spec": spec})


def _tcp(port: int) -> Object:
    return {"port": port, "protocol": "TCP"}


def _namespace(name: str) -> Object:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
