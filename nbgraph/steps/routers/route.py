"""Route: one of the steps that a router chooses from, ready to be called with an event."""

from __future__ import annotations

from collections.abc import Callable, Container, Coroutine, Mapping
from typing import Any, Protocol, runtime_checkable

from nbgraph.errors import GraphError, NbgraphError, RequestError, own, text_of
from nbgraph.event import Event
from nbgraph.handler import is_watched, observed
from nbgraph.steps.models.metadata import Described
from nbgraph.steps.models.request import ModelRequest
from nbgraph.types import Shape

ONE_RESULT = (Shape.MAP, Shape.EVENT, Shape.EACH)


@runtime_checkable
class RouteTarget(Protocol):
    """What the engine passes for each of a router's routes."""

    @property
    def function(self) -> Callable[[Any], Any]: ...
    @property
    def is_async(self) -> bool: ...
    @property
    def target(self) -> Any: ...
    @property
    def shape(self) -> Shape: ...
    @property
    def input_path(self) -> Any: ...
    @property
    def result_path(self) -> Any: ...


# Arguments of MLRun's routers that say how their server is asked, and the values that ask for nothing.
MLRUN_ONLY: Mapping[str, Container[Any]] = {
    "protocol": ("v2",),
    "url_prefix": ("/v2/models",),
    "health_prefix": ("/v2/health",),
    "shard_by_endpoint": (True,),
}


class RouteCallError(NbgraphError):
    """One of several routes failed; `route` is its name, `__cause__` its exception."""

    def __init__(self, route: str, cause: BaseException) -> None:
        super().__init__(f'Route "{route}" failed: {type(cause).__name__}: {text_of(cause)}')
        self.route = route
        self.__cause__ = cause


class BoundRoute:
    """A named route; `take` gives the body that it makes of an event, and leaves the event as it was."""

    __slots__ = ("_shares", "function", "is_async", "name", "shape", "target")

    def __init__(
        self, name: str, function: Callable[[Any], Any], shape: Shape, target: Any = None, is_async: bool = False
    ) -> None:
        self.name, self.function, self.shape = name, function, shape
        self.target, self.is_async = target, is_async
        self._shares = isinstance(target, Described)  # our models and routers leave the event as it is

    @property
    def is_bare(self) -> bool:
        """Whether the target's own `do` is what is called, no retries or time limit around it, and is bare itself."""
        return getattr(self.target, "is_bare", False) and self.function == self.target.do

    def take(self, event: Event) -> Coroutine[Any, Any, Any]:
        """The body that it makes of the event; observers of the router are notified."""
        call = self._taken(event)
        return observed(self.name, event.body, call) if is_watched() else call

    async def _taken(self, event: Event) -> Any:
        by_event = self.shape is Shape.EVENT
        if by_event:
            result = self.function(event if self._shares else event.with_body(event.body))
        else:
            result = self.function(event.body)
        if self.is_async:
            result = await result
        if by_event:
            return event.body if result is None else result.body
        return event.body if self.shape is Shape.EACH else result

    async def tried(self, event: Event) -> Any:
        """As `take`; an error names the route, but not where the request itself is wrong."""
        try:
            return await self.take(event)
        except RequestError:
            raise
        except own() as error:
            raise RouteCallError(self.name, error) from error

    def asked(self, event: Event, wanted: ModelRequest) -> Event:
        """The event as a request to this branch, where it names another model, or none."""
        if wanted.by_path:
            copy = event.with_body(event.body)
            copy.path = f"/v2/models/{self.name}/{wanted.operation}"
            return copy
        if wanted.model is None or wanted.model == self.name:
            return event
        return event.with_body({**event.body, "model": self.name})


def branches_of(router: str, routes: Mapping[str, Any] | None) -> dict[str, BoundRoute]:
    """The branches of the routes that the engine has made ready; none while a router is only declared."""
    found: dict[str, BoundRoute] = {}
    for name, route in (routes or {}).items():
        if not isinstance(route, RouteTarget):
            continue
        if route.shape not in ONE_RESULT:
            raise GraphError(
                f'Route "{name}" of router "{router}" is a step of kind {route.shape.value}; a route gives one result '
                "for each event. Put it before or after the router."
            )
        if route.input_path or route.result_path:
            raise GraphError(f'Route "{name}" has a path of its own; set input_path and result_path on "{router}".')
        if isinstance(route.target, Described):
            route.target.answers_to(name)
        found[name] = BoundRoute(name, route.function, route.shape, route.target, route.is_async)
    return found
