"""ParallelRun: all routes get the event at once, and what they give is merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Counterpart
from nbgraph.steps.context import copier_of
from nbgraph.steps.models.request import ModelRequest
from nbgraph.steps.routers.fan_out import FanOut, executor_of
from nbgraph.steps.routers.route import MLRUN_ONLY
from nbgraph.steps.routers.router import Router

__all__ = ["ParallelRun"]


class ParallelRun(Router):
    """Every route gets the event; the dicts that they return are merged, another result stands under the route's name.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(ParallelRun(extend_event=True), "both")
    >>> _ = graph.step("both").add_route("size", len).add_route("more", "({'b': event['a'] + 1})")
    >>> graph.run({"a": 1})
    {'a': 1, 'size': 1, 'b': 2}

    `executor_type` is "array" (one after another), "thread" or "process". Where two routes give the same key, the later
    route's value stays. A route that fails is an error of the step.

    Parameters
    ----------
    extend_event
        Whether the merged dict is added to the body; else it replaces it.
    executor_type
        How routes are called: `"array"` (one after another), `"thread"`, `"process"`.
    """

    counterpart = Counterpart("ParallelRun", unused=MLRUN_ONLY)

    def __init__(
        self,
        routes: Mapping[str, Any] | None = None,
        *,
        extend_event: bool = False,
        executor_type: str | None = "thread",
        name: str | None = None,
        context: Any = None,
    ) -> None:
        super().__init__(routes, name=name, context=context)
        self.extend_event, self.executor_type = extend_event, executor_type
        executors = dict.fromkeys(self.branches, executor_of(self.name, executor_type))
        self._copied = copier_of(context)
        self._fan = FanOut(list(self.branches.values()), executors, self._copied)

    def merger(self, body: dict[str, Any], results: dict[str, Any]) -> Any:
        """The merged body; `body` is a dict of its own, empty or with the event's fields."""
        for name, result in results.items():
            body.update(result if isinstance(result, Mapping) else {name: result})
        return body

    async def routed(self, event: Event, wanted: ModelRequest) -> Any:
        body = self._copied(event.body) if self.extend_event else event.body  # the answer has it as it came
        taken = [(branch, branch.asked(event, wanted)) for branch in self.branches.values()]
        results = dict(zip(self.branches, await self._fan.results(taken), strict=True))
        if self.extend_event and not isinstance(event.body, Mapping):
            raise GraphError(
                f'"{self.name}" has extend_event, which needs a body that is a dict; found {type(event.body).__name__}.'
            )
        return self.merger(dict(body) if self.extend_event else {}, results)
