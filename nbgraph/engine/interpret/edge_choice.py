"""Edge choice: the arrows that a step's result follows, and why."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from nbgraph.engine.paths import part
from nbgraph.engine.plan import Arrow, Plan, PlanStep
from nbgraph.errors import own, text_of
from nbgraph.event import Event
from nbgraph.types import Shape

MOST = 20  # keys that an error names


class ConditionError(Exception):
    """The condition of an arrow raised `error`."""

    def __init__(self, arrow: Arrow, error: BaseException) -> None:
        self.arrow, self.error = arrow, error


def choose(step: PlanStep, plan: Plan, body: Any) -> tuple[Sequence[Arrow], str]:
    """The arrows that the body follows from the step, and the reason if there was a choice.

    A condition that raises is a `ConditionError`; an error of `select_outlets` is raised unchanged.
    """
    arrows: Sequence[Arrow] = step.arrows
    if step.call.outlets is None and (not arrows or (len(arrows) == 1 and arrows[0].test is None)):
        return arrows, ""  # nothing to choose, as at most steps; an `else` without a condition is refused earlier
    reasons: list[str] = []
    if step.call.outlets is not None:
        arrows, reason = by_outlets(step, body)
        reasons.append(reason)
    held = [arrow.test is not None and _holds(arrow, plan, body) for arrow in arrows]
    is_any = any(held)
    reasons += [f"{arrow.text} held" for arrow, yes in zip(arrows, held, strict=True) if yes]
    chosen = [
        arrow
        for arrow, yes in zip(arrows, held, strict=True)
        if yes or (arrow.otherwise and not is_any) or (arrow.test is None and not arrow.otherwise)
    ]
    if not is_any and any(arrow.test is not None for arrow in arrows):
        reasons.append("no condition held" + (", so else" if any(arrow.otherwise for arrow in chosen) else ""))
    return chosen, "; ".join(reasons)


def _holds(arrow: Arrow, plan: Plan, body: Any) -> bool:
    """Whether the arrow's condition holds; it is evaluated on the part that the next step takes by `input_path`."""
    assert arrow.test is not None
    path = plan.steps[arrow.target].call.input_path
    try:
        return bool(arrow.test(part(body, path) if path else body))
    except own() as error:
        raise ConditionError(arrow, error) from error


def condition_failed(step: str, arrow: Arrow, steps: Mapping[str, PlanStep], body: Any, error: BaseException) -> str:
    """The message for a condition's error: its arrow, its text, and for a missing key the keys that exist."""
    path = steps[arrow.target].call.input_path
    if path and isinstance(error, KeyError):
        with suppress(Exception):
            body = part(body, path)
    there = ""
    if isinstance(error, KeyError) and type(body) is dict:
        names = [str(key) for key in [*body][:MOST]]
        there = (
            f"; the keys are {', '.join(names)}{', ...' if len(body) > MOST else ''}" if body else "; there are none"
        )
    what = f'The condition of "{step}" -> "{arrow.target}", {arrow.text}, failed'
    return f"{what}: {type(error).__name__}: {text_of(error)}{there}"


def by_outlets(step: PlanStep, body: Any) -> tuple[list[Arrow], str]:
    """The arrows to the steps that the handler's `select_outlets` names: all for None, none for an empty list."""
    assert step.call.outlets is not None
    sees_part = step.call.shape is Shape.EACH and step.call.input_path is not None
    named = step.call.outlets(part(body, step.call.input_path) if sees_part and step.call.input_path else body)
    if inspect.iscoroutine(named):
        named.close()
        raise TypeError("select_outlets is async; it only looks at the body: make it a plain function")
    if named is None:
        return list(step.arrows), "select_outlets chose all"
    if not isinstance(named, Iterable):
        raise TypeError(f"select_outlets gave {named!r}; expected names of the next steps, or None for all of them")
    names = [named] if isinstance(named, str) else list(named)
    allowed = [arrow.target for arrow in step.arrows]
    for name in names:
        if name not in allowed:
            there = f"Allowed: {', '.join(allowed)}" if allowed else "No step follows"
            raise ValueError(f'select_outlets chose "{name}", which does not follow this step. {there}.')
    chosen = [arrow for arrow in step.arrows if arrow.target in names]
    return chosen, f"select_outlets chose {', '.join(names) or 'nothing'}"


def raise_unless_event(result: Any) -> None:
    if result is not None and not isinstance(result, Event):
        raise TypeError(
            f"a full_event handler returned {type(result).__name__}; expected the Event, or None to pass on the one "
            "that it changed (put the result into event.body)"
        )
