"""FunctionLayout: which steps become functions, and which are inlined where they are reached."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from nbgraph.engine.plan import Arrow, PlanStep
from nbgraph.types import Shape

DEEPEST = 12  # nested blocks in one function; CPython allows 20


class FunctionLayout:
    """See the module's docstring; `functions` are the steps' names, in a stable order."""

    def __init__(
        self, steps: Mapping[str, PlanStep], starts: Sequence[str], stages: Collection[str] = frozenset()
    ) -> None:
        self.steps = steps
        self.stages = stages  # concurrent steps, where events are parked
        self.starts = starts
        self.has_handlers = any(step.handlers for step in steps.values())
        self.functions: dict[str, None] = {}  # ordered: the source must not depend on hash seeds
        entries: dict[str, int] = dict.fromkeys(steps, 0)
        for step in steps.values():
            for arrow in step.arrows:
                entries[arrow.target] += 1
            for arrow in [] if is_choice(step.arrows) else step.arrows[:-1]:
                self.functions[arrow.target] = None
        handling = {one.target for step in steps.values() for one in step.handlers}
        for name, count in entries.items():
            if count > 1 or name in handling or name in starts[:-1]:
                self.functions[name] = None
        self._cut_deep_nests([*starts, *(name for name in steps if steps[name].call.release is not None)])
        self.longest = self._longest_call()

    def edges(self) -> list[tuple[str, str]]:
        """All ways that events go on from steps; to "" from a step that none follows."""
        ways = {name: [arrow.target for arrow in step.arrows] or [""] for name, step in self.steps.items()}
        return list(dict.fromkeys((name, target) for name, targets in ways.items() for target in targets))

    def is_loop(self, step: PlanStep) -> bool:
        return step.call.shape in (Shape.FLAT, Shape.EVENTS)

    def has_after(self, step: PlanStep) -> bool:
        """Whether the code behind the step is a function: for released events, and for handled loops."""
        return step.call.release is not None or (self.is_loop(step) and self.has_handlers)

    def is_line(self) -> bool:
        """Whether an event never splits, so that the answer can simply be returned."""
        return len(self.starts) == 1 and all(
            not self.is_loop(step)
            and step.call.shape not in (Shape.HOLD, Shape.EVENT)
            and step.call.release is None
            and step.call.outlets is None
            and not (step.is_responder and step.arrows)
            and (len(step.arrows) <= 1 or is_choice(step.arrows))
            for step in self.steps.values()
        )

    def has_late_answers(self) -> bool:
        return any(step.is_rescue for step in self.steps.values())

    def _cut_deep_nests(self, waiting: list[str]) -> None:
        depth = dict.fromkeys(self.steps, 0)
        seen = set(waiting)
        while waiting:
            name = waiting.pop()
            step = self.steps[name]
            nested = self.is_loop(step) or bool(step.arrows and not step.always) or step.call.outlets is not None
            for arrow in step.arrows:
                depth[arrow.target] = depth[name] + nested
                if depth[arrow.target] >= DEEPEST or arrow.target in self.functions:
                    self.functions.setdefault(arrow.target)
                    depth[arrow.target] = 0
                if arrow.target not in seen:
                    seen.add(arrow.target)
                    waiting.append(arrow.target)

    def _longest_call(self) -> int:
        """The longest chain of generated functions that call each other."""
        left = {name: len(_targets(step)) for name, step in self.steps.items()}
        before: dict[str, list[str]] = {name: [] for name in self.steps}
        for name, step in self.steps.items():
            for target in _targets(step):
                before[target].append(name)
        length: dict[str, int] = {}
        waiting = [name for name, count in left.items() if count == 0]
        while waiting:
            name = waiting.pop()
            step = self.steps[name]
            deepest = max((length[target] for target in _targets(step)), default=0)
            length[name] = deepest + (name in self.functions) + self.has_after(step)
            for parent in before[name]:
                left[parent] -= 1
                if left[parent] == 0:
                    waiting.append(parent)
        return max(length.values(), default=0)


def _targets(step: PlanStep) -> list[str]:
    """All steps that may run next: along the arrows, or to handle an error."""
    return [arrow.target for arrow in step.arrows] + [handling.target for handling in step.handlers]


def is_choice(arrows: Sequence[Arrow]) -> bool:
    """Whether the arrows are one `if`, with or without its `else`."""
    kinds = [(arrow.test is not None, arrow.otherwise) for arrow in arrows]
    return kinds in ([(True, False)], [(True, False), (False, True)], [(False, True), (True, False)])
