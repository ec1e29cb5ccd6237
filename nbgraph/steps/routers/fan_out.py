"""FanOut: several routes get the same event, one after another, on threads, or in processes of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import cached_property
from typing import Any, Literal

from nbgraph.errors import GraphError, RequestError, own
from nbgraph.event import Event
from nbgraph.handler import Handler, NestedCall
from nbgraph.steps.routers.route import BoundRoute, RouteCallError
from nbgraph.steps.runtime.loop_thread import run_now
from nbgraph.steps.runtime.processes import Processes

Executor = Literal["array", "thread", "process"]
EXECUTORS: dict[str | None, Executor] = {  # MLRun's names beside ours
    None: "array",
    "array": "array",
    "naive": "array",
    "asyncio": "array",
    "thread": "thread",
    "thread_pool": "thread",
    "process": "process",
    "process_pool": "process",
    "dedicated_process": "process",
}
Taken = tuple[BoundRoute, Event]


class FanOut:
    """Calls branches, each with an event and a body of its own; results come in the order of the branches.

    Async branches run at once. The others run one after another ("array"), each on a thread, or each in a process of
    its own, which is started at the first event.
    """

    def __init__(
        self, branches: Sequence[BoundRoute], executors: Mapping[str, Executor], copied: Callable[[Any], Any]
    ) -> None:
        self._copied = copied
        self.is_async = any(branch.is_async for branch in branches)
        kinds = {branch.name: executors[branch.name] for branch in branches if not branch.is_async}
        self._on_threads = {name for name, kind in kinds.items() if kind == "thread"}
        self._threads = ThreadPoolExecutor(len(self._on_threads), "nbgraph-route") if self._on_threads else None
        self._processes: dict[str, Processes] = {
            branch.name: process_of(branch) for branch in branches if kinds.get(branch.name) == "process"
        }
        self._is_plain = not (self.is_async or self._on_threads or self._processes)

    async def results(self, taken: Sequence[Taken]) -> list[Any]:
        """The bodies that the branches make; the first error of a branch, once all are done."""
        if self._is_plain:
            return [await branch.tried(event) for branch, event in self.separated(taken)]
        found = await self.outcomes(taken)
        for result in found:
            if isinstance(result, Exception):
                raise result
        return found

    async def outcomes(self, taken: Sequence[Taken]) -> list[Any]:
        """As `results`, with exceptions in the places of the branches that failed."""
        begun: list[Any] = []
        try:
            taken = self.separated(taken)
            for branch, event in taken:
                begun.append(self._begin(branch, event))
            return [await self._end(branch, event, run) for (branch, event), run in zip(taken, begun, strict=True)]
        except BaseException:  # an observer ends the run
            _abandon(begun)
            raise

    def separated(self, taken: Sequence[Taken]) -> list[Taken]:
        """The events with bodies that no other branch sees changed; the last branch keeps the body."""
        return [(branch, self._own(branch, event)) for branch, event in taken[:-1]] + list(taken[-1:])

    def _own(self, branch: BoundRoute, event: Event) -> Event:
        is_untouched = branch.is_bare or branch.name in self._processes
        return event if is_untouched else event.with_body(self._copied(event.body))

    def _begin(self, branch: BoundRoute, event: Event) -> Any:
        if branch.is_async:
            return asyncio.ensure_future(branch.tried(event))
        if branch.name in self._on_threads:
            assert self._threads is not None
            context = copy_context()  # observers of the router observe its routes
            return self._threads.submit(context.run, run_now, branch.tried(event.with_body(event.body)))
        if branch.name in self._processes:
            call = NestedCall(branch.name, event.body)
            return call, None if call.instead else self._processes[branch.name].submit(packed(event))
        return None

    async def _end(self, branch: BoundRoute, event: Event, run: Any) -> Any:
        try:
            if run is None:
                return await branch.tried(event)
            if isinstance(run, tuple):
                call, elsewhere = run
                return await call.over(self._received(elsewhere))
            if isinstance(run, Future):
                return await asyncio.wrap_future(run) if self.is_async else run.result()
            return await run
        except own() as error:
            return error if isinstance(error, RouteCallError | RequestError) else RouteCallError(branch.name, error)

    async def _received(self, run: Future[Any]) -> Any:
        return Processes.value(await asyncio.wrap_future(run) if self.is_async else run.result())


def _abandon(begun: Sequence[Any]) -> None:
    """Wait for what runs on threads and cancel the rest; their results and errors are dropped."""
    for run in begun:
        if isinstance(run, Future):
            run.exception()
        elif isinstance(run, asyncio.Future):
            run.add_done_callback(lambda done: done.cancelled() or done.exception())
            run.cancel()


def executor_of(router: str, executor_type: str | None) -> Executor:
    if executor_type not in EXECUTORS:
        raise GraphError(
            f'Router "{router}" got the executor {executor_type!r}; expected "array", "thread" or "process".'
        )
    return EXECUTORS[executor_type]


class RouteProcess:
    """A route that is sent to a process; a built-in step is built anew there at the first call, its model loaded there.

    >>> from nbgraph.types import Shape
    >>> RouteProcess(BoundRoute("size", len, Shape.MAP))(packed(Event("abc")))
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
        return run_now(self._branch.take(Event(**event)))

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
        return Processes(RouteProcess(branch), 1)
    except Exception as error:
        raise GraphError(
            f'Route "{branch.name}" can\'t be sent to a process of its own: {type(error).__name__}: {error}; '
            'let it load what it needs in post_init(), or take the executor "thread".'
        ) from error


def packed(event: Event) -> dict[str, Any]:
    """The parts of an event that are sent to the process."""
    return {
        "body": event.body,
        "key": event.key,
        "id": event.id,
        "path": event.path,
        "method": event.method,
        "headers": event.headers,
        "content_type": event.content_type,
        "time": event.time,
        "params": event.params,
    }
