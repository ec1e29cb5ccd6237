"""ModelRunner: the models that a selector chooses for an event, each in the way that suits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nbgraph.errors import GraphError, NbgraphError
from nbgraph.event import Event
from nbgraph.steps.context import copier_of
from nbgraph.steps.models.request import ModelRequest
from nbgraph.steps.routers.fan_out import FanOut, executor_of
from nbgraph.steps.routers.route import RouteCallError
from nbgraph.steps.routers.router import Router

__all__ = ["ModelRunner"]

Selector = Callable[[Event, list[str]], Sequence[str] | str | None]


class ModelRunner(Router):
    """Several models an event; the answer has the result of each under its name.

    >>> from nbgraph import Graph
    >>> def by_size(event, available):
    ...     return ["small"] if event.body < 10 else None
    >>> graph = Graph("g")
    >>> _ = graph.to(ModelRunner(selector=by_size), "models")
    >>> _ = graph.step("models").add_route("small", "(event * 2)").add_route("large", "(event * 3)")
    >>> graph.run(4), graph.run(20)
    ({'small': 8}, {'small': 40, 'large': 60})

    `selector(event, available)` names the models; None means all. It may be a class with `select_models` or `select`,
    which is built with `selector_parameters`. `execution_mechanism` is "array" (or "naive"), "thread" or "process", for
    all models or in a dict by name; async models run at once. With `raise_exception=False` a model that fails gives
    `{"error": ...}`, and the others are not lost.

    Parameters
    ----------
    selector
        Function, or class with `select`, of event and available models; it names those that run.
    selector_parameters
        Arguments of the selector's class.
    raise_exception
        Whether a model that fails is the step's error; else `{"error": ...}` stands in its place.
    execution_mechanism
        For all or by model: `"array"`, `"thread"`, `"process"`.
    """

    def __init__(
        self,
        routes: Mapping[str, Any] | None = None,
        *,
        selector: Selector | Any = None,
        selector_parameters: Mapping[str, Any] | None = None,
        raise_exception: bool = True,
        execution_mechanism: str | Mapping[str, str] = "array",
        name: str | None = None,
        context: Any = None,
    ) -> None:
        super().__init__(routes, name=name, context=context)
        self.selector, self.raise_exception = selector, raise_exception
        self._select = _selecting(self.name, selector, selector_parameters or {})
        given = execution_mechanism
        if isinstance(given, Mapping) and (
            strange := [name for name in given if self.routes and name not in self.routes]
        ):
            raise GraphError(f'"{self.name}" has an execution mechanism for {", ".join(strange)}, which are no routes.')
        kinds = {name: given.get(name) if isinstance(given, Mapping) else given for name in self.routes}
        executors = {name: executor_of(self.name, kind) for name, kind in kinds.items()}
        self._fan = FanOut(list(self.branches.values()), executors, copier_of(context))

    async def routed(self, event: Event, wanted: ModelRequest) -> Any:
        names = self._chosen(event, wanted)
        taken = [(self.branches[name], self.branches[name].asked(event, wanted)) for name in names]
        if self.raise_exception:
            return dict(zip(names, await self._fan.results(taken), strict=True))
        found = await self._fan.outcomes(taken)
        return {name: _collected(result) for name, result in zip(names, found, strict=True)}

    def _chosen(self, event: Event, wanted: ModelRequest) -> list[str]:
        if wanted.model is not None and wanted.model != self.name:
            return [self.branch_of(wanted).name]
        chosen = self._select(event, list(self.branches)) if self._select else None
        names = list(self.branches) if chosen is None else [chosen] if isinstance(chosen, str) else list(chosen)
        if unknown := [str(name) for name in names if name not in self.branches]:
            raise NbgraphError(f"The selector chose {', '.join(unknown)}; the models are {', '.join(self.branches)}.")
        return names


def _selecting(router: str, selector: Any, parameters: Mapping[str, Any]) -> Selector | None:
    """The function of a selector that is a function, a class, or an object."""
    if selector is None:
        return None
    built = selector(**parameters) if isinstance(selector, type) else selector
    for method in ("select_models", "select"):
        found: Selector | None = getattr(built, method, None)
        if callable(found):
            return found
    if not callable(built):
        raise GraphError(f'"{router}" got the selector {selector!r}; expected a function of the event and the names.')
    function: Selector = built
    return function


def _collected(result: Any) -> Any:
    if not isinstance(result, Exception):
        return result
    error = result.__cause__ if isinstance(result, RouteCallError) and result.__cause__ else result
    return {"error": f"{type(error).__name__}: {error}"}
