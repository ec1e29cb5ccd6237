"""Fan: several branches get the same event, one after another, on threads, or in processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Literal

from nbgraph.errors import GraphError, RequestError, own
from nbgraph.event import Event
from nbgraph.handler import NestedCall
from nbgraph.steps.routers.route import BoundRoute, RouteError, completed
from nbgraph.steps.runtime.process_worker import packed, process_of
from nbgraph.steps.runtime.processes import Processes

Executor = Literal["array", "thread", "process"]
EXECUTORS: dict[str | None, Executor] = {  # the reference's words beside ours
    None: "array", "array": "array", "naive": "array", "asyncio": "array", "thread": "thread",
    "thread_pool": "thread", "process": "process", "process_pool": "process", "dedicated_process": "process",
}  # fmt: skip
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
        except BaseException:  # whoever watches ends it all
            _ended(begun)
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
            context = copy_context()  # who watches the router watches its routes
            return self._threads.submit(context.run, completed, branch.tried(event.with_body(event.body)))
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
                return await call.over(self._landed(elsewhere))
            if isinstance(run, Future):
                return await asyncio.wrap_future(run) if self.is_async else run.result()
            return await run
        except own() as error:
            return error if isinstance(error, RouteError | RequestError) else RouteError(branch.name, error)

    async def _landed(self, run: Future[Any]) -> Any:
        return Processes.value(await asyncio.wrap_future(run) if self.is_async else run.result())


def _ended(begun: Sequence[Any]) -> None:
    """Wait for what runs on threads, break off the rest; nobody wants to hear what comes of it."""
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
