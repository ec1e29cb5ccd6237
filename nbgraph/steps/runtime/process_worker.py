"""Work: a router's route that travels to a process of its own."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Handler
from nbgraph.steps.routers.route import BoundRoute, completed
from nbgraph.steps.runtime.processes import Processes


class Work:
    """Calls the branch; a step of the library is built anew where this is first called, its model loaded there.

    >>> from nbgraph.types import Shape
    >>> Work(BoundRoute("size", len, Shape.MAP))(packed(Event("abc")))
    3
    """

    def __init__(self, branch: BoundRoute) -> None:
        target = branch.target
        is_step = isinstance(target, Handler)
        self._name, self._shape = branch.name, branch.shape
        self._made_from: Any = type(target) if is_step else branch.function
        self._arguments = (
            {name: value for name, value in target.arguments.items() if name != "context"} if is_step else None
        )

    def __call__(self, event: dict[str, Any]) -> Any:
        return completed(self._branch.take(Event(**event)))

    @cached_property
    def _branch(self) -> BoundRoute:
        if self._arguments is None:
            return BoundRoute(self._name, self._made_from, self._shape)
        handler: Any = self._made_from(**self._arguments)
        post_init = getattr(handler, "post_init", None)
        if callable(post_init):
            post_init()
        return BoundRoute(self._name, handler.do, self._shape)


def process_of(branch: BoundRoute) -> Processes:
    """A process for the branch alone."""
    try:
        return Processes(Work(branch), 1)
    except Exception as error:
        raise GraphError(
            f'Route "{branch.name}" can\'t travel to a process of its own: {type(error).__name__}: {error}; '
            'let it load what it needs in post_init(), or take the executor "thread".'
        ) from error


def packed(event: Event) -> dict[str, Any]:
    """What of an event travels."""
    return {
        "body": event.body, "key": event.key, "id": event.id, "path": event.path, "method": event.method,
        "headers": event.headers, "content_type": event.content_type, "time": event.time,
        "params": event.params,
    }  # fmt: skip
