"""The target "nuclio"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbgraph.deploy.target import ExportTarget

if TYPE_CHECKING:
    from nbgraph.deploy.project.export_spec import ExportSpec

NOTE = "tried in Python with Nuclio's SDK, not run on Nuclio"


class NuclioTarget(ExportTarget):
    """Functions for Nuclio."""

    name, rank = "nuclio", 3
    note = f"The functions were {NOTE}."

    def files(self, spec: ExportSpec) -> dict[str, bytes]:
        from nbgraph.deploy.nuclio.export import nuclio_files

        return nuclio_files(spec, NOTE)


EXPORT = NuclioTarget()
