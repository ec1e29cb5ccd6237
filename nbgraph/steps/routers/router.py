"""ModelRouter: one model of several answers, the one that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbgraph.errors import GraphError, RequestError
from nbgraph.event import Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.arguments import whole_signature
from nbgraph.steps.models.metadata import about, found, is_ready
from nbgraph.steps.models.request import ModelRequest, asked
from nbgraph.steps.routers.route import MLRUN_ONLY, BoundRoute, branches_of
from nbgraph.steps.routers.shadow import Shadows
from nbgraph.steps.routers.weights import RouteWeights
from nbgraph.steps.runtime.loop_thread import run_now
from nbgraph.types import Section, Shape, StepKind

__all__ = ["ModelRouter", "Router"]


class Router(Handler):
    """The base of routers: they have routes, answer about them, and leave the event's body as it was.

    A router of your own overrides `preprocess`, `postprocess`, or `routed`, which decides about one event.

    >>> from nbgraph import Graph
    >>> class ByLength(Router):
    ...     async def routed(self, event, wanted):
    ...         return await self.branches["long" if len(event.body) > 3 else "short"].take(event)
    >>> graph = Graph("g")
    >>> _ = graph.to(ByLength(routes={"long": str.upper, "short": str.lower}), "by_length")
    >>> graph.run("HI"), graph.run("hello")
    ('hi', 'HELLO')

    Parameters
    ----------
    routes
        Models or handlers by name; `add_route` adds more.
    """

    section = Section.ROUTERS
    kind = StepKind.ROUTER
    shape = Shape.EVENT
    version: str | None = None

    def __init_subclass__(cls) -> None:
        cls.__signature__ = whole_signature(cls)
        super().__init_subclass__()

    def __init__(
        self, routes: Mapping[str, Any] | None = None, *, name: str | None = None, context: Any = None
    ) -> None:
        self.name = name or type(self).__name__
        self.context, self.routes = context, dict(routes or {})
        self.branches: dict[str, BoundRoute] = branches_of(self.name, self.routes)
        if self.waits():
            self.do = self._do_async  # type: ignore[method-assign]  # decided once, not at each event

    def waits(self) -> bool:
        """Whether a route is async, so that the router is."""
        return any(branch.is_async for branch in self.branches.values())

    def post_init(self) -> None:
        self.check()

    def check(self) -> None:
        """Refuse a router that has nowhere to send an event."""
        if not self.routes:
            raise GraphError(f'Router "{self.name}" has no routes; add one: .add_route("m1", model).')

    # --- yours to override ---

    def preprocess(self, event: Event) -> Event:
        return event

    async def routed(self, event: Event, wanted: ModelRequest) -> Any:
        """The answer's body."""
        branch = self.branch_of(wanted)
        return await branch.take(branch.asked(event, wanted))

    def postprocess(self, body: Any) -> Any:
        return body

    # --- the step ---

    @property
    def models(self) -> dict[str, Any]:
        """What can be asked for by name."""
        return {name: branch.target for name, branch in self.branches.items()}

    @property
    def ready(self) -> bool:
        return all(is_ready(branch.target) for branch in self.branches.values())

    def answers_to(self, name: str) -> None:
        self.name = name

    def metadata(self) -> dict[str, Any]:
        return {"name": self.name, "versions": [], "platform": "router", "inputs": [], "outputs": []}

    def about(self, wanted: ModelRequest) -> Any:
        """The answer to a question about the models here."""
        return about(wanted, self.models, self.name)

    def branch_of(self, wanted: ModelRequest) -> BoundRoute:
        """The branch that is asked for by name."""
        return self.branches[found(wanted, self.models)]

    def do(self, event: Event) -> Any:
        return run_now(self._answer(event))

    async def _do_async(self, event: Event) -> Event:
        return await self._answer(event)

    async def _answer(self, event: Event) -> Event:
        event = self.preprocess(event)
        wanted = asked(event)
        if wanted.is_about:
            return event.with_body(self.about(wanted))
        return event.with_body(self.postprocess(await self.routed(event, wanted)))


class ModelRouter(Router):
    """The model that the path or the body names answers: `/v2/models/m1/infer`, `{"model": "m1", "inputs": ...}`.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to("ModelRouter", "models").add_route("m1", "(event['inputs'])").add_route("m2", len)
    >>> graph.run({"inputs": [1]}, path="/v2/models/m1/infer")
    [1]
    >>> graph.run(None, path="/v2/models", method="GET")
    {'models': ['m1', 'm2']}

    Where an event names no model, or names the router: a canary's `weights={"m1": 0.9, "m2": 0.1}` decide, the same way
    for events of the same key (else id); without weights, the only route. The models of `shadow` get a copy of what
    others are asked, or of a share of it (`shadow={"m3": 0.1}`); their answers go to their own `track` only.

    Parameters
    ----------
    weights
        Share of the events by route, where an event names none.
    shadow
        Routes that get copies of what others are asked: names, or names and shares.
    """

    counterpart = Counterpart(
        "ModelRouter",
        unused=MLRUN_ONLY,
        note="/v2/health answers in the words of the Open Inference Protocol, and what is asked wrongly has the "
        "status 400, 404 or 422",
        aliases=("RouterStep", "", "."),
    )

    def __init__(
        self,
        routes: Mapping[str, Any] | None = None,
        *,
        weights: Mapping[str, float] | None = None,
        shadow: str | list[str] | Mapping[str, float] | None = None,
        name: str | None = None,
        context: Any = None,
    ) -> None:
        super().__init__(routes, name=name, context=context)
        self.weights, self.shadow = weights, shadow
        self._shares = RouteWeights(self.name, weights, self.routes) if weights else None
        self._shadows = Shadows(self.name, shadow, self.branches, context) if shadow else None
        if shadow and self.routes and not self.branches:
            Shadows.check(self.name, shadow, self.routes)

    async def routed(self, event: Event, wanted: ModelRequest) -> Any:
        branch = self._chosen(event, wanted)
        if self._shadows is None or not wanted.is_inference:
            return await branch.take(branch.asked(event, wanted))
        copies = self._shadows.of(event, wanted, branch.name)
        body = await branch.take(branch.asked(event, wanted))
        self._shadows.run(copies, body)
        return body

    def _chosen(self, event: Event, wanted: ModelRequest) -> BoundRoute:
        is_own = wanted.model == self.name and self.name not in self.branches
        if wanted.model is not None and not is_own:
            return self.branch_of(wanted)
        if self._shares is not None:
            return self.branches[self._shares.of(event)]
        public = [name for name in self.branches if self._shadows is None or name not in self._shadows.names]
        if len(public) == 1:
            return self.branches[public[0]]
        raise RequestError(
            f'The request names no model; say which: /v2/models/NAME/infer, or {{"model": NAME, "inputs": ...}}. '
            f"Known models: {', '.join(self.branches)}."
        )
