"""Options that a step's constructor has too are passed to it: `to(Ask, retries=1)` is `to(Ask(retries=1))`."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.step import DEFAULTS, OPTIONS, Step, StepOptions

_ENGINES = ("max_iterations",)  # also an option of arrows, so it is not clear that the constructor is meant


def divided_options(resolved: Any, step: Step, arguments: dict[str, Any]) -> tuple[StepOptions, dict[str, Any]]:
    """The options of the step itself, and the arguments with those that its constructor has by the same name.

    >>> class Ask:
    ...     def __init__(self, retries=6): ...
    >>> options, arguments = divided_options(Ask, Step("a", Ask, {}, None, StepOptions(retries=1, concurrency=4)), {})
    >>> options.retries, options.concurrency, arguments
    (0, 4, {'retries': 1})

    An argument of a built handler, `to(Ask(retries=3), retries=1)`, is kept apart: the step itself tries twice.
    """
    if isinstance(resolved, Step):  # a declaration in the notebook, with its own options
        declared = resolved.options if step.options is DEFAULTS else step.options
        return divided_options(resolved.handler, replace(step, options=declared), arguments)
    options = step.options
    if options is DEFAULTS or not isinstance(resolved, type):
        return options, arguments
    chosen = [name for name in OPTIONS if name in options.said or getattr(options, name) != getattr(DEFAULTS, name)]
    meant = [name for name in chosen if name in _free(resolved, arguments)]
    for name in meant:
        if name in _ENGINES:
            raise GraphError(
                f'Step "{step.name}" has {name}={getattr(options, name)!r}, and {resolved.__name__} has an argument of '
                f"that name; say which is meant by building it: {resolved.__name__}({name}=...)."
            )
    kept = replace(options, said=options.said - set(meant), **{name: getattr(DEFAULTS, name) for name in meant})
    return kept, {**arguments, **{name: getattr(options, name) for name in meant}}


def _free(kind: type, arguments: dict[str, Any]) -> set[str]:
    """The names of the constructor's arguments that are not given."""
    try:
        signature = inspect.signature(kind)
        named = {name: value for name, value in arguments.items() if name in signature.parameters}
        given = signature.bind_partial(*arguments.get("*", ()), **named).arguments
    except (TypeError, ValueError):
        return set()  # building the step reports arguments that do not fit
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name for name, one in signature.parameters.items() if one.kind in kinds and name not in given}
