"""PlanRunner: runs a plan in a worker; no step and no caller waits for a synchronous step of another event.

A synchronous plan runs in the lane as a whole. Of an async one each synchronous step does, the async ones on nbgraph's
own loop; where none but the queues' writers is async, all of it stays on the loop that serves.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from nbgraph.engine import loop
from nbgraph.engine.compile.call import Call
from nbgraph.engine.compile.plan_copy import with_calls
from nbgraph.engine.plan import Answers, Plan
from nbgraph.engine.schedule.stream import answers_of
from nbgraph.event import Event
from nbgraph.serve.execution.executor import Executor, ExecutorTurn
from nbgraph.serve.execution.inline_policy import InlinePolicy
from nbgraph.serve.execution.loop_bridge import there
from nbgraph.serve.execution.pure_code import is_prompt, is_prompt_call, is_prompt_plan, is_sent_on
from nbgraph.serve.gateway.presence import heeding
from nbgraph.steps.operators.queue import QueueReader, QueueWriter
from nbgraph.types import Clock, Shape

T = TypeVar("T")
current: ContextVar[ExecutorTurn | None] = ContextVar("turn", default=None)
GIVING = (Shape.FLAT, Shape.EVENTS)
_END = object()
_thread = InlinePolicy()  # of what is not known to be quick


class PlanRunner:
    """`plan` is the one to run; `is_prompt` tells that its synchronous steps can't wait.

    >>> import asyncio
    >>> from nbgraph import Graph
    >>> graph = Graph("double")
    >>> _ = graph.to("(event * 2)")
    >>> async def demo():
    ...     return await PlanRunner(graph.plan()).answer(Event(21))
    >>> asyncio.run(demo())
    42
    """

    def __init__(self, plan: Plan, threads: int = 1) -> None:
        plan = bare(plan)
        self.lane = Executor(threads)
        self.threads = threads
        self.gives = False  # whether a step gives results one by one, as long as the caller is there
        self.is_prompt = is_prompt_plan(plan)
        self._pace = InlinePolicy(is_prompt=self.is_prompt)
        self._paces = [] if plan.is_async else [self._pace]
        self._stays = _stays(plan)
        if any(isinstance(step.call.target, QueueReader | QueueWriter) for step in plan.steps.values()):
            given = {name: heeding(step.call) for name, step in plan.steps.items() if step.call.shape in GIVING}
            plan = with_calls(plan, given) if given else plan
            self.gives = bool(given)
        every = plan.steps.items() if plan.is_async else ()
        calls = {name: self._called(step.call, is_sent=is_sent_on(step, plan)) for name, step in every}
        self.plan = replace(with_calls(plan, calls), nests=False) if calls else plan

    @property
    def is_brisk(self) -> bool:
        """Whether none of its synchronous steps takes long, so that nobody need wait before he begins."""
        return self.is_prompt and all(pace.is_quick for pace in self._paces)

    @property
    def is_quick(self) -> bool:
        """Whether the next event may run here and now, without keeping anyone waiting."""
        return not self.plan.is_async and self._pace.is_quick and self.lane.is_free

    def here(self, call: Callable[[], T]) -> T:
        """The result of a call into the plan, at once."""
        return self.lane.here(call, self._pace)

    async def answer(self, event: Event, plan: Plan | None = None, turn: ExecutorTurn | None = None) -> Any:
        """What the caller gets."""
        plan = plan or self.plan
        return plan.answer_of(event, await self.answers(event, plan, turn))

    async def answers(self, event: Event, plan: Plan, turn: ExecutorTurn | None = None) -> Answers:
        """All answers of an event that enters; `plan` is this one's, or watched."""
        if not plan.is_async:
            return await self.lane.run(partial(plan.handle, event), self._pace, turn)
        return await self._among(plan.aanswers(event), turn)

    async def resume(self, plan: Plan, step: str, chunk: Any, turn: ExecutorTurn | None = None) -> Answers:
        """All answers of what goes on from a step."""
        if not plan.is_async:
            return await self.lane.run(partial(plan.resume, step, chunk), self._pace, turn)
        return await self._among(plan.aresume(step, chunk), turn)

    async def enter(self, step: str, event: Event) -> None:
        """Run an event from a step in the middle."""
        interpreter = self.plan.interpreter(event, self.plan.observers, enters=False)
        interpreter.stand_before(step, event.body)
        if not self.plan.is_async:
            await self.lane.run(lambda: loop.without_waiting(interpreter.finish()), self._pace)
        else:
            await self._among(interpreter.finish(), None)

    def given(self, event: Event) -> AsyncGenerator[Any, None]:
        """Every answer to an event, as it comes; closing it closes the steps that are giving."""
        return answers_of(self.plan, event, self.look)

    async def look(self, call: Callable[[], T]) -> T:
        """The result of a call that touches what the steps have, while none of them runs."""
        return await self.lane.run(call, _thread)

    def close(self) -> None:
        self.lane.close()

    async def _among(self, way: Coroutine[Any, Any, T], turn: ExecutorTurn | None) -> T:
        turn = turn or ExecutorTurn(self.lane)
        current.set(turn)
        try:
            return await (way if self._stays else there(way))
        finally:
            turn.give()

    def _called(self, call: Call, *, is_sent: bool) -> Call:
        """An async step gives up the event's turn in the lane; a synchronous one takes it."""

        def anew(clock: Clock) -> Call:
            return self._called(call.anew(clock), is_sent=is_sent)

        if call.draws_async:
            return replace(call, function=partial(_drawn_async, call.function), anew=anew)
        if call.is_async:
            return replace(call, function=partial(_awaited, call.function), anew=anew)
        pace = InlinePolicy(is_prompt=is_prompt_call(call, is_sent=is_sent))
        if not isinstance(call.target, QueueReader):  # what it brings goes on behind it
            self._paces.append(pace)
        if call.shape in GIVING:
            return replace(
                call, function=partial(_drawn, self.lane, pace, call.function), is_async=True, draws_async=True,
                anew=anew,
            )  # fmt: skip
        return replace(call, function=partial(_in_lane, self.lane, pace, call.function), is_async=True, anew=anew)


async def _awaited(function: Callable[[Any], Any], body: Any) -> Any:
    _given()
    return await function(body)


async def _drawn_async(function: Callable[[Any], Any], body: Any) -> AsyncIterator[Any]:
    _given()
    async with aclosing(function(body)) as chunks:
        async for chunk in chunks:
            yield chunk
            _given()  # what follows may have taken it


def _given() -> None:
    turn = current.get()
    if turn is not None:
        turn.give()


async def _in_lane(lane: Executor, pace: InlinePolicy, function: Callable[[Any], Any], body: Any) -> Any:
    turn = current.get()
    if turn is None:  # nobody counts the turns of this event
        return await lane.run(partial(function, body), pace)
    await turn.take()
    return await lane.call(partial(function, body), pace, turn)


async def _drawn(lane: Executor, pace: InlinePolicy, function: Callable[[Any], Any], body: Any) -> AsyncIterator[Any]:
    results = await _in_lane(lane, pace, function, body)
    if isinstance(results, list | tuple):
        for chunk in results:
            yield chunk
        return
    chunks, busy = iter(results), threading.Lock()

    def drawn(end: Any) -> Any:
        with busy:
            return next(chunks, end)

    def closed(_: Any) -> None:
        if isinstance(chunks, Generator):
            with busy:  # whoever left may have left it at work
                chunks.close()

    try:
        while (chunk := await _in_lane(lane, pace, drawn, _END)) is not _END:
            yield chunk
    finally:
        turn = current.get()
        if turn is not None and turn.is_held:
            await lane.call(partial(closed, None), pace, turn)
        else:  # the event may be over, so that nobody would give up a turn that it took for this
            await lane.run(partial(closed, None), pace)


def bare(plan: Plan) -> Plan:
    """The plan whose synchronous steps are called as such, whatever they wait for: the lane has threads for them."""
    beside = {
        name: replace(step.call, function=step.call.beside, is_async=False, beside=None)
        for name, step in plan.steps.items()
        if step.call.beside is not None
    }
    return with_calls(plan, beside) if beside else plan


def _stays(plan: Plan) -> bool:
    """Whether nothing of the user's runs on the loop itself."""
    steps = plan.steps.values()
    tests = [arrow.test for step in steps for arrow in step.arrows if arrow.test is not None]
    are_ours = all(isinstance(step.call.target, QueueWriter) for step in steps if step.call.is_async)
    return are_ours and all(step.call.outlets is None for step in steps) and all(map(is_prompt, tests))
