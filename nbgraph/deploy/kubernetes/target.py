"""The target "kubernetes"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbgraph.deploy.target import ExportTarget

if TYPE_CHECKING:
    from nbgraph.deploy.project.export_spec import ExportSpec

NOTE = "validated against schemas, not run on a cluster"


class KubernetesTarget(ExportTarget):
    """Manifests for a cluster."""

    name, rank = "kubernetes", 2
    note = f"The manifests are {NOTE}."

    def files(self, spec: ExportSpec) -> dict[str, bytes]:
        from nbgraph.deploy.kubernetes.export import kubernetes_files

        return kubernetes_files(spec, NOTE)


EXPORT = KubernetesTarget()
