"""Shadows: models that see what others are asked, and whose answers nobody gets."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

from nbgraph.errors import GraphError, own
from nbgraph.event import Event
from nbgraph.steps.models.request import ModelRequest
from nbgraph.steps.routers.route import BoundRoute
from nbgraph.steps.routers.weights import lot
from nbgraph.steps.runtime.loop_thread import run_now

WAITING = 100  # copies that may wait; what comes on top is not shadowed, since shadows must not slow the answers

Shadowed = str | list[str] | Mapping[str, float]


class Shadows:
    """Runs the shadows of a router on a thread of their own, each with its own copy of the body.

    Metrics of the router tell how they do: `NAME_agrees` is 1 where the shadow answered the same, else 0. What makes a
    shadow fail is logged once, since it does so again and again.
    """

    def __init__(self, router: str, shadow: Shadowed, branches: Mapping[str, BoundRoute], context: Any) -> None:
        self._shares = self.check(router, shadow, branches) if branches else {}
        self._branches, self._context = branches, context
        self._log = logging.getLogger("nbgraph") if context is None else context.logger
        self._waiting = 0
        self._logged: set[tuple[str, str]] = set()

    @staticmethod
    def check(router: str, shadow: Shadowed, routes: Iterable[str]) -> dict[str, float]:
        """The share of each shadow; a `GraphError` for what is no route or no share."""
        names = [shadow] if isinstance(shadow, str) else shadow
        given = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names, 1.0)
        known = list(routes)
        for name, share in given.items():
            if name not in known:
                raise GraphError(f'Router "{router}" has the shadow "{name}", which is no route; routes: {known}.')
            if not isinstance(share, int | float) or not 0 <= share <= 1:
                raise GraphError(f'Router "{router}" has shadow "{name}" with share {share!r}; expected 0 to 1.')
        if known and len(given) == len(known):
            raise GraphError(f'Router "{router}" has shadows only; leave one route that answers.')
        return given

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._shares)

    def of(self, event: Event, wanted: ModelRequest, answering: str) -> list[tuple[BoundRoute, Event]]:
        """The shadows that see this event, with copies made before anybody can have changed the body."""
        chosen = [
            self._branches[name]
            for name, share in self._shares.items()
            if name != answering and self._waiting < WAITING and lot(event, name) < share
        ]
        return [(branch, branch.asked(event.with_body(copy.deepcopy(event.body)), wanted)) for branch in chosen]

    def run(self, copies: Iterable[tuple[BoundRoute, Event]], answer: Any) -> None:
        for branch, event in copies:
            self._waiting += 1
            self._thread.submit(self._take, branch, event, answer)

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, thread_name_prefix="nbgraph-shadow")

    def _take(self, branch: BoundRoute, event: Event, answer: Any) -> None:
        try:
            body = _waited(branch, event)
            if self._context is not None:
                self._context.metric(f"{branch.name}_agrees", float(_outputs(body) == _outputs(answer)))
        except own() as error:
            self._log_once(branch.name, f"{type(error).__name__}: {error}")
        finally:
            self._waiting -= 1

    def _log_once(self, name: str, failure: str) -> None:
        if (name, failure) not in self._logged and len(self._logged) < WAITING:
            self._logged.add((name, failure))
            self._log.warning('Shadow "%s" failed: %s', name, failure)


def _waited(branch: BoundRoute, event: Event) -> Any:
    if not branch.is_async:
        return run_now(branch.take(event))
    import asyncio

    return asyncio.run(branch.take(event))


def _outputs(body: Any) -> Any:
    return body.get("outputs") if isinstance(body, Mapping) else body
