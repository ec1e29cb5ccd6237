"""Check: samples run when a cell asks for it, and again whenever what the graph names has changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbgraph.debug.samples import Sample, SampleCheck, Samples, check
from nbgraph.engine.plan import Plan
from nbgraph.errors import NbgraphError
from nbgraph.graph.graph import Graph

FILE = "samples"  # `--check samples`, where the notebook has no variable of that name: the file beside it


@dataclass
class ShownCheck:
    """What a cell shows of a check; `plan` is the one that it was made with."""

    graph: Graph
    samples: Samples | list[Sample]
    plan: Plan | None
    handle: Any = None


class SampleChecks:
    """The checks that cells show; of each graph the last."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._shown: dict[Graph, ShownCheck] = {}

    def show(self, graph: Graph, samples: Samples | list[Sample]) -> SampleCheck:
        """Run the samples and show what they came to."""
        shown = self._shown[graph] = ShownCheck(graph, samples, graph.plan())
        found = check(graph, samples)
        if getattr(self._shell, "kernel", None) is None:
            print(found)
        else:
            from IPython.display import display

            shown.handle = display(_plain(str(found)), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        return found

    def renew(self, *_: object) -> None:
        """A cell has run: where it has changed what a graph does, its samples run again."""
        for shown in list(self._shown.values()):
            try:
                plan = shown.graph.plan()
                if plan is shown.plan:
                    continue
                shown.plan, text = plan, str(check(shown.graph, shown.samples))
            except NbgraphError as error:  # it can't run as it is now; the list below the graph says why
                shown.plan, text = None, f"The samples can't run: {error}"
            if shown.handle is not None:
                shown.handle.update(_plain(text), raw=True)


def samples_of(graph: Graph, value: Any) -> Samples | list[Sample]:
    """What a cell gave to check: samples, their file, or bodies."""
    if isinstance(value, Samples):
        return value
    if isinstance(value, str):
        return Samples.of(graph) if value == FILE else Samples(value)
    return [one if isinstance(one, Sample) else Sample(f"sample {n}", one) for n, one in enumerate(value, 1)]


def _plain(text: str) -> dict[str, str]:
    return {"text/plain": text}
