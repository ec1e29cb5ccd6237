"""Regions: the parts of a plan between its queues; a long-lived run has a thread for each."""

from __future__ import annotations

from collections.abc import Iterable

from nbgraph.engine.plan import Plan, PlanStep
from nbgraph.steps.operators.queue import Queue

ENTRY = ""  # the region by which events enter; each other one is named after the queue before it


class Regions:
    """The queues of a plan with their capacities, and the steps reached from each without passing another queue.

    `behind`: the queues that a region fills, without those that lead back to it, which it must not wait for. `shared`:
    steps that several regions reach. `holders`: steps that release by time; a shared one belongs to the first.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(str.strip).to(Queue("q", max_size=10)).to(str.upper)
    >>> regions = Regions(graph.plan())
    >>> regions.queues, sorted(regions.steps["q"]), regions.behind[ENTRY]
    ({'q': 10}, ['q', 'upper'], ('q',))
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        # A gathering step waits for all parts of an event, so the whole path is one region.
        targets = {name: step.call.target for name, step in plan.steps.items() if not plan.gatherers}
        self.queues = {name: target.max_size for name, target in targets.items() if isinstance(target, Queue)}
        self.steps: dict[str, set[str]] = {}
        filled: dict[str, set[str]] = {}
        for region, starts in {ENTRY: plan.starts, **{queue: (queue,) for queue in self.queues}}.items():
            self.steps[region], filled[region] = self._reached(starts, region)
        self.behind = {
            region: tuple(queue for queue in sorted(queues) if region not in _all_filled(filled, queue))
            for region, queues in filled.items()
        }
        reached = [name for steps in self.steps.values() for name in steps]
        self.shared = frozenset(name for name in plan.steps if reached.count(name) > 1)
        first = {name: region for region, steps in reversed(self.steps.items()) for name in steps}
        self.holders: dict[str, list[PlanStep]] = {region: [] for region in self.steps}
        for name, step in plan.steps.items():
            if step.call.due is not None and name in first:
                self.holders[first[name]].append(step)

    def _reached(self, starts: Iterable[str], region: str) -> tuple[set[str], set[str]]:
        reached: set[str] = set()
        queues: set[str] = set()
        waiting = list(starts)
        while waiting:
            name = waiting.pop()
            if name in self.queues and name != region:
                queues.add(name)
            elif name not in reached:
                reached.add(name)
                step = self.plan.steps[name]
                waiting += [arrow.target for arrow in step.arrows] + [handling.target for handling in step.handlers]
        return reached, queues


def _all_filled(filled: dict[str, set[str]], queue: str) -> set[str]:
    """All queues downstream of a queue, and the queue itself."""
    found: set[str] = set()
    waiting = [queue]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += filled[name]
    return found
