"""Kubernetes: the manifests of a graph, beside what its images are built from."""

from __future__ import annotations

from nbgraph.contract import KEY_SECRET, PORT
from nbgraph.deploy.kubernetes.autoscale import scale_objects
from nbgraph.deploy.kubernetes.broker import DISK, broker_objects
from nbgraph.deploy.kubernetes.network import hint, network_objects
from nbgraph.deploy.kubernetes.pod import SECRET, Object, namespace
from nbgraph.deploy.kubernetes.worker import GATEWAY, worker_objects
from nbgraph.deploy.project.export_spec import ExportSpec
from nbgraph.deploy.project.readme import readme
from nbgraph.deploy.project.secret_files import SCRIPT, secrets_script
from nbgraph.deploy.project.yaml_dump import plain_yaml

FOLDER = "manifests"
_RUN = """\
These manifests are {note}.

Build the images and bring them to where the cluster pulls from; make the secrets, which stand in no file here; start:

```
{builds}
kubectl apply -f {folder}/namespace.yaml
kubectl -n {name} create secret generic {secret} --from-file="$(sh {script})"
kubectl apply -k {folder}
```

Ask it something (inside the cluster it is `http://{gateway}.{name}`):

```
kubectl -n {name} port-forward service/{gateway} {port}:80 &
KEY=$(cat "$(sh {script})/{key}")
curl -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -d '{{}}' http://127.0.0.1:{port}/
```

- The namespace `{name}` is the graph's alone. Nothing reaches a pod, or is reached by one, but what `network.yaml`
  names; steps that call out of the namespace need a rule there (an example stands at its end).
- `kubectl -n {name} get deployment,hpa,pdb,networkpolicy` shows what there is; `scale.yaml` says what scales by itself.
- The number of processes in a pod is limited by the kubelet (`podPidsLimit`), not by a manifest.
{claims}{kept}
"""


def kubernetes_files(order: ExportSpec, note: str) -> dict[str, bytes]:
    """The folder: a project for each function, the manifests, how to begin."""
    files = {**order.folders(), **manifests(order), SCRIPT: secrets_script(order)}
    files["README.md"] = readme(order, _run(order, note), files).encode()
    return files


def manifests(order: ExportSpec) -> dict[str, bytes]:
    """A file for each service, and those for all."""
    found = {"namespace.yaml": plain_yaml(namespace(order))}
    if order.broker is not None:
        found["broker.yaml"] = plain_yaml(*broker_objects(order, order.broker))
    found |= {
        f"functions/{service.name}.yaml": plain_yaml(*worker_objects(order, service)) for service in order.functions
    }
    found["network.yaml"] = plain_yaml(*network_objects(order)) + hint(order)
    scaling = scale_objects(order)
    if scaling:
        found["scale.yaml"] = plain_yaml(*scaling)
    found["kustomization.yaml"] = plain_yaml(_kustomization(list(found)))
    return {f"{FOLDER}/{name}": text.encode() for name, text in found.items()}


def _run(order: ExportSpec, note: str) -> str:
    return _RUN.format(
        note=note, builds=order.builds(), folder=FOLDER, name=order.name, secret=SECRET, script=SCRIPT,
        gateway=GATEWAY, port=PORT, key=KEY_SECRET, claims=_claims(order),
        kept=_kept(order),
    )  # fmt: skip


def _kept(order: ExportSpec) -> str:
    if order.is_parted and order.streams.is_external:
        return f"- What is on its way between the functions is kept at `{order.streams.url}`, in topics of that name."
    return f"- {DISK} of disk keep what is on its way between the functions; deleting the namespace deletes it."


def _claims(order: ExportSpec) -> str:
    names = sorted({volume.source for service in order.functions for volume in service.given.volumes})
    told = ", ".join(f"`{name}`" for name in names)
    return (
        f"- The PersistentVolumeClaims {told} are yours to make, in this namespace, before the start.\n"
        if names
        else ""
    )


def _kustomization(files: list[str]) -> Object:
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": files}
