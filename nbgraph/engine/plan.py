"""A Plan: a compiled graph; immutable, shared by every way of running it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbgraph.body import Copier
from nbgraph.engine import chat, loop, nested_loop
from nbgraph.engine.results import FailedResult
from nbgraph.engine.routing import Routing
from nbgraph.errors import ANY, Kinds, RowError, StepError
from nbgraph.event import Event
from nbgraph.types import Shape

if TYPE_CHECKING:
    from nbgraph.engine.compile.call import Call
    from nbgraph.engine.interpret.interpreter import Interpreter
    from nbgraph.engine.interpret.observer import Observer


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow from a step; `test` is None if it is unconditional.

    `text` is the source of the condition; `is_inline` whether that can be inlined into generated code.
    """

    target: str
    test: Callable[[Any], Any] | None = None
    text: str = ""
    is_inline: bool = False
    otherwise: bool = False


@dataclass(frozen=True, slots=True)
class Handling:
    """The step that handles errors of certain types."""

    target: str
    types: Kinds = ANY


@dataclass(frozen=True, slots=True)
class PlanStep:
    """A step ready to run: its call, its arrows, and whether its result answers the caller.

    `is_responder`: its result answers. `is_rescue`: it ends the path of a handled error, so its result answers if
    nothing else does. `handlers`: the steps that take its errors, the first that fits. `limit`: how often it may run
    for one event, None outside of cycles.
    """

    name: str
    call: Call
    arrows: tuple[Arrow, ...]
    handlers: tuple[Handling, ...]
    limit: int | None
    is_responder: bool
    is_rescue: bool

    @property
    def is_stage(self) -> bool:
        """Whether several of its calls may run at once."""
        return bool(self.call.concurrency) and not self.call.draws_async

    def due(self) -> float | None:
        """When, by the clock of the steps, it is to release something without an event."""
        return self.call.due() if self.call.due is not None else None

    @property
    def always(self) -> bool:
        return all(arrow.test is None and not arrow.otherwise for arrow in self.arrows)

    def handler_of(self, error: BaseException) -> str | None:
        """The step that handles this error; None without one."""
        return next((handling.target for handling in self.handlers if isinstance(error, handling.types)), None)


class Answers(list[Any]):
    """The answers of an event's run; `late` has those of error handlers, which count if nothing else answered."""

    __slots__ = ("late",)

    def __init__(self) -> None:
        super().__init__()
        self.late: list[Any] = []

    def all(self) -> list[Any]:
        return self if self else self.late


# The generated forms: a line returns its one answer; a tree appends to the answers it is given; a fused loop takes all
# bodies and yields all answers.
Line = Callable[..., Any]
# What is told of each body that goes along an edge: the body, and the event it travels in. The edge by which an event
# enters has no source, `("", "clean")`; the one by which it leaves has no target.
Tap = Callable[[Any, Any], Any]
Taps = Mapping[tuple[str, str], Tap]
Fused = Callable[[Iterator[Any]], Iterator[Any]]


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order they run, the generated functions, and the ways in.

    `source` is the text of the generated functions. `confirms` is True where several ends and no responder make the
    answer `{"id": ...}`. `watch` compares the named objects with those the plan was
    compiled from; None where there are none.
    """

    name: str
    steps: Mapping[str, PlanStep]
    starts: tuple[str, ...]
    confirms: bool
    uses_events: bool
    is_async: bool
    observers: list[Observer]  # the graph's own list: an added observer sees the next event
    report: Callable[[StepError], None] | None  # reports to the graph's error stream
    watch: Callable[[], bool] | None
    source: str
    line: Line | None
    tree: Callable[..., Any] | None  # a coroutine function where the plan is async
    fused: Fused | None
    after: Mapping[str, Callable[..., Any]]  # continue with events that a step released
    staged: Callable[..., Any] | None  # a tree that parks events at concurrent steps
    takes: Mapping[str, Callable[..., Any]]  # resume an event behind a concurrent step
    holders: tuple[str, ...]  # steps that hold events back, in topological order
    gatherers: tuple[str, ...]  # steps that gather the parts of an event until its end
    streams: Mapping[str, tuple[str, ...]]  # generators, and the gatherers of their chunks
    is_staged: bool  # some step may have several calls in flight
    nests: bool  # a synchronous step starts an event loop of its own
    copier: Copier | None  # copies the bodies of branches; None if they share one (`copy=False`)
    protocol: str | None = None  # what callers speak besides sending events
    routing: Routing | None = None  # the routes by which callers enter, if any
    taps: Taps = field(default_factory=dict)  # of the watched edges; none in a plan that nobody watches

    def is_current(self) -> bool:
        """Whether every name still refers to the object it was compiled from."""
        return self.watch is None or self.watch()

    def run(self, event: Event) -> Any:
        """The answer to one event."""
        if self.protocol is not None and chat.is_for(event):
            return chat.answer(self, event)
        if self.is_async:
            return loop.complete(self.ahandle(event))
        return self.answer_to(event)

    async def arun(self, event: Event) -> Any:
        """As `run`, on nbgraph's own loop thread, or a worker thread where no step is async."""
        if self.protocol is not None and chat.is_for(event):
            return await loop.on_thread(chat.answer, self, event)
        if self.is_async:
            return await loop.away(self.ahandle(event))
        return await loop.on_thread(self.answer_to, event)

    def answer_to(self, event: Event) -> Any:
        """The answer to an Event; for synchronous plans."""
        return self.answer_of(event, self.handle(event))

    def answers(self, event: Event) -> Iterator[Any]:
        """Every answer to one event."""
        from nbgraph.engine.schedule.stream import answers

        if self.protocol is not None and chat.is_for(event):
            return chat.answers(self, event)
        return answers(self, event)

    def handle(self, event: Event, answers: Answers | None = None) -> Answers:
        """All answers of one event through the generated function, or the interpreter if it is observed.

        They are appended to `answers`, which also keeps those before an error.
        """
        if self.nests:
            nested_loop.allow()
        answers = Answers() if answers is None else answers
        if self.routing is not None:
            self.routing.admit(event)
        try:
            if self.observers or self.tree is None:
                return loop.without_waiting(self.interpreter(event, self.observers, answers).finish())
            self.tree(event.body, event, answers)
        except StepError as error:
            raise self.reported(error, answers) from error.__cause__
        return answers

    async def ahandle(self, event: Event) -> Any:
        """The answer to one event where steps are async; runs on the loop thread."""
        return self.answer_of(event, await self.aanswers(event))

    async def aanswers(self, event: Event, answers: Answers | None = None) -> Answers:
        """As `handle`, on the loop thread."""
        if self.nests:
            nested_loop.allow()
        answers = Answers() if answers is None else answers
        if self.routing is not None:
            self.routing.admit(event)
        try:
            if self.observers or self.tree is None:
                return await self.interpreter(event, self.observers, answers).finish()
            await self.tree(event.body, event, answers)
        except StepError as error:
            raise self.reported(error, answers) from error.__cause__
        return answers

    async def arefused(self, error: RowError) -> Answers:
        """All answers to a row that can't become an event: those of its error handler, where there is one."""
        interpreter = self.interpreter(error.event, self.observers, enters=False)
        try:
            with interpreter:
                interpreter.refuse(error)
                while interpreter.has_more():
                    await interpreter.advance()
            return interpreter.answers
        except StepError as failed:
            raise self.reported(failed, interpreter.answers) from failed.__cause__

    def interpreter(
        self, event: Event, observers: Sequence[Observer] = (), answers: Answers | None = None, *, enters: bool = True
    ) -> Interpreter:
        """The interpreter of an event; it appends to `answers`."""
        from nbgraph.engine.interpret.interpreter import Interpreter

        interpreter = Interpreter(self, event, observers, enters=enters)
        if answers is not None:
            interpreter.answers = answers
        return interpreter

    def resumed(self, step: str, event: Event, chunk: Any) -> Interpreter:
        """The interpreter of an event that a step releases."""
        interpreter = self.interpreter(event, self.observers, enters=False)
        interpreter.resume_after(step, event, chunk)
        return interpreter

    def resume(self, step: str, chunk: Any) -> Answers:
        """Continue behind a step with an event that it released; return the answers."""
        if self.is_async:
            return loop.complete(self.aresume(step, chunk))
        return loop.without_waiting(self.aresume(step, chunk))

    async def aresume(self, step: str, chunk: Any) -> Answers:
        """As `resume`, on the loop thread."""
        if self.nests:
            nested_loop.allow()
        event = chunk if isinstance(chunk, Event) else Event(chunk)
        after = self.after.get(step)
        answers = Answers()
        try:
            if after is None or self.observers or isinstance(event.body, FailedResult):
                is_event = self.steps[step].call.shape is Shape.EVENTS
                interpreter = self.resumed(step, event, event if is_event else event.body)
                answers = interpreter.answers
                await interpreter.finish()
            elif self.is_async:
                await after(event.body, event, answers)
            else:
                after(event.body, event, answers)
        except StepError as error:
            raise self.reported(error, answers) from error.__cause__
        return answers

    def reported(self, error: StepError, answers: Answers) -> StepError:
        """The error with the answers before it, reported to the error stream."""
        if answers.all():
            error.answer = answers.all()[0]
        if self.report is not None:
            self.report(error)
        return error

    def answer_of(self, event: Event, answers: Answers) -> Any:
        """The answer for the caller, of all answers of an event."""
        if self.confirms:
            return {"id": event.id}
        found = answers.all()
        return found[0] if found else None
