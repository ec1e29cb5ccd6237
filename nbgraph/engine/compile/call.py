"""Call: a built handler, inspected once: what it gets, what its result means, whether it is async."""

from __future__ import annotations

import copy
import inspect
import operator
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from nbgraph.engine import loop
from nbgraph.engine.compile.bind import resolve, value_of
from nbgraph.engine.compile.error_stream import report_message
from nbgraph.engine.compile.full_event import event_function
from nbgraph.engine.compile.handler_kind import makes_handlers, no_handler
from nbgraph.engine.compile.loopless import loopless
from nbgraph.engine.compile.retry import with_retries
from nbgraph.engine.compile.shared_options import divided_options
from nbgraph.engine.compile.state import has_state
from nbgraph.engine.context import Context, ignore_label
from nbgraph.engine.nested_loop import starts_loop
from nbgraph.engine.params import Param, Taking, names_of, params_of
from nbgraph.engine.paths import Path, on_part, path_of
from nbgraph.engine.results import caught_release
from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.graph.graph import Graph
from nbgraph.graph.routes.routing import names_of_requests
from nbgraph.graph.safety.formula import steps_of
from nbgraph.graph.signature import INJECTED, misfit, signature_of
from nbgraph.graph.step import Step, StepOptions
from nbgraph.graph.step import step as declare
from nbgraph.handler import Handler
from nbgraph.types import Clock, Shape

POSITIONAL = "*"  # the argument that holds what a cell wrote without names: `Batch(10)`
ROUTES = "routes"  # a router's argument: its constructor gets each route as a Call


@dataclass(frozen=True, slots=True)
class Call:
    """How a step handles an event: `function` called as `shape` says.

    `target` is the object behind it (the built instance, or the function itself), `outlets` chooses the next steps,
    `release` gives what the step holds back at the end of a stream.
    """

    step: Step
    resolved: Any
    options: StepOptions  # the step's options, without those passed to its constructor
    target: Any
    function: Callable[[Any], Any]
    shape: Shape
    is_async: bool
    draws_async: bool  # its results are drawn from an async generator
    concurrency: int | None  # events it takes at once in a stream
    input_path: Path | None
    result_path: Path | None
    outlets: Callable[[Any], Any] | None
    release: Callable[[], Iterable[Any]] | None
    due: Callable[[], float | None] | None  # when it is to release something without an event
    overdue: Callable[[], Iterable[Any]] | None
    gathered: Callable[[Event], Iterable[Event]] | None  # what it has gathered of an event at the event's end
    streamed: Callable[[Event], None] | None  # called when a step before it begins a stream
    streams: bool  # a generator: its results are chunks of one stream, not events of their own
    results_are_new: bool  # it keeps no reference to its results
    hands_over: bool  # its result shares nothing with its input, as behind a queue between functions
    nests: bool  # it starts an event loop of its own
    is_entry: bool  # callers' events may enter by it
    is_border: bool  # it is one side of a queue between functions
    values: tuple[Any, ...]  # the values of its `Code` arguments when it was built
    has_state: bool  # the object behind it has a `state` that it changes
    anew: Callable[[Clock], Call]  # the same step with a state of its own and another clock
    params: tuple[Param, ...] = ()  # the parameters of path and query that it names
    beside: Callable[[Any], Any] | None = None  # the synchronous function that `function` runs on a thread

    @property
    def remembers(self) -> bool:
        """Whether its state outlives an event; what it gathers of one event does not."""
        return self.has_state and self.gathered is None

    @property
    def awaits(self) -> bool:
        """Whether calling it returns an awaitable."""
        return self.is_async and not self.draws_async

    def is_built_from(self, step: Step, resolved: Any, values: tuple[Any, ...]) -> bool:
        """Whether building it again would give the same step, so that this one can be kept."""
        same = len(values) == len(self.values) and all(map(operator.is_, values, self.values))
        return self.step is step and self.resolved is resolved and same


def call_of(graph: Graph, step: Step, before: Call | None = None) -> Call:
    """The call of a step; `before`, of an earlier plan, is kept if nothing it was built from has changed."""
    resolved = resolve(graph, step)
    arguments = {
        name: value_of(value, graph.scope, f'step "{step.name}", argument "{name}"')
        for name, value in step.arguments.items()
    }
    values = tuple(arguments.values())
    options, arguments = divided_options(resolved, step, arguments)
    if before is not None and before.is_built_from(step, resolved, values):
        return before
    if isinstance(arguments.get(ROUTES), Mapping):
        arguments[ROUTES] = {name: call_of(graph, declare(route, name)) for name, route in arguments[ROUTES].items()}
    return _built(graph, step, resolved, options, arguments, values, time.monotonic)


def _built(
    graph: Graph,
    step: Step,
    resolved: Any,
    options: StepOptions,
    arguments: dict[str, Any],
    values: tuple[Any, ...],
    clock: Clock,
) -> Call:
    context = Context(
        graph.name,
        step.name,
        step.function,
        clock=clock,
        reported=graph.reported,
        labelled=lambda id, value, time: (graph.report_label or ignore_label)(id, value, time),  # as it is then
        incoming=partial(_incoming, graph, step.name),
        copied=partial(_copied, graph),
        told=partial(report_message, graph),
        kept=graph.kept,
    )
    with steps_of(is_document=graph.scope.is_document):
        target = build(resolved, arguments, step, context, is_routed=graph.takes_requests)
    anew = partial(_anew, graph, step, resolved, options, arguments, values)
    return _look_at(target, step, resolved, options, values, context, anew, graph=graph)


def _anew(
    graph: Graph,
    step: Step,
    resolved: Any,
    options: StepOptions,
    arguments: dict[str, Any],
    values: tuple[Any, ...],
    clock: Clock,
) -> Call:
    is_object = not (inspect.isclass(resolved) or inspect.isroutine(resolved) or isinstance(resolved, Step))
    return _built(graph, step, copy.copy(resolved) if is_object else resolved, options, arguments, values, clock)


def beside_loop(call: Call) -> Call:
    """The call for a plan that runs on the loop thread: it sees no running loop, and retries do not block others."""
    options, function = call.options, call.function

    def anew(clock: Clock) -> Call:
        return beside_loop(call.anew(clock))

    if call.is_async:
        return call
    if options.retries or options.timeout:
        return replace(call, function=partial(loop.on_thread, function), is_async=True, beside=function, anew=anew)
    seen = loopless(function, is_loop=call.shape in (Shape.FLAT, Shape.EVENTS))
    return call if seen is function else replace(call, function=seen, beside=function, anew=anew)


def _incoming(graph: Graph, name: str) -> int:
    return sum(edge.target == name and edge.carries_events for edge in graph.edges)


def _copied(graph: Graph, body: Any) -> Any:
    return graph.copier(body) if graph.copy else body


def build(resolved: Any, arguments: Mapping[str, Any], step: Step, context: Context, *, is_routed: bool = False) -> Any:
    """The object that handles events: a class is built with its arguments, a function takes them along."""
    if isinstance(resolved, Step):  # a declaration in the notebook: `enrich = step(Enrich, ...)`
        return build(resolved.handler, {**resolved.arguments, **arguments}, step, context, is_routed=is_routed)
    positional = tuple(arguments.get(POSITIONAL, ()))
    named = {name: value for name, value in arguments.items() if name != POSITIONAL}
    if makes_handlers(resolved):
        return _construct(resolved, positional, named, step, context)
    if (fault := no_handler(resolved)) is not None:
        raise GraphError(f'Step "{step.name}" {fault}')
    if not (positional or named):
        return resolved
    return partial(_accepting(resolved, positional, named, step, is_routed=is_routed), **named)


def _construct(resolved: type, positional: tuple[Any, ...], named: dict[str, Any], step: Step, context: Context) -> Any:
    given = {**_injected(resolved, named, step, context, skip=len(positional)), **named}
    if fault := misfit(resolved, positional, given, body=False):
        raise GraphError(f'Step "{step.name}" can\'t be built: {fault}')
    target = resolved(*positional, **given)
    post_init = getattr(target, "post_init", None)
    if callable(post_init):
        post_init()
    return target


def _accepting(
    function: Any, positional: tuple[Any, ...], named: dict[str, Any], step: Step, *, is_routed: bool
) -> Any:
    """The function, which must take the arguments beside the body."""
    asked = names_of(function, named)[len(positional) :] if is_routed else []
    if fault := misfit(function, positional, [*named, *asked], body=True):
        raise GraphError(f'Step "{step.name}" can\'t be called: {fault}')
    return function if not positional else lambda body, **rest: function(body, *positional, **rest)


def _injected(function: Any, given: Collection[str], step: Step, context: Context, skip: int) -> dict[str, Any]:
    """`context` and `name` for a signature that names them, except among its first `skip` parameters."""
    signature = signature_of(function)
    if signature is None:
        return {}
    wanted = [
        parameter.name
        for position, parameter in enumerate(signature.parameters.values())
        if position >= skip and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    values = {"context": context, "name": step.name}
    return {word: values[word] for word in INJECTED if word in wanted and word not in given}


@dataclass(slots=True)
class _CallForm:
    """How a function is called; `streams`: its results are chunks of one answer."""

    function: Callable[..., Any]
    shape: Shape
    input_path: Path | None
    result_path: Path | None
    is_async: bool
    draws_async: bool
    is_generator: bool
    streams: bool
    params: tuple[Param, ...] = ()

    def take(self, params: tuple[Param, ...]) -> None:
        """Give the function these parameters of the request, which makes it one of the Event."""
        if not params:
            return
        taking = Taking(self.function, params, self.shape, self.input_path, self.result_path)
        self.function, self.params = taking.made(is_async=self.is_async, draws_async=self.draws_async), params
        if self.shape is not Shape.EVENT:
            self.input_path = self.result_path = None
        self.shape = Shape.EVENTS if self.is_generator else Shape.EVENT

    def complete(self, options: StepOptions) -> None:
        """Add what the step's options ask for: a part of the body, retries and a timeout."""
        if self.shape is Shape.EVENT and (self.input_path or self.result_path):
            self.function = on_part(self.function, self.input_path, self.result_path, is_async=self.is_async)
        self.function = with_retries(self.function, options, is_async=self.is_async, is_generator=self.is_generator)


def _form_of(function: Callable[..., Any], plain: Any, shape: Shape, options: StepOptions) -> _CallForm:
    """The form of a function's calls, as its code, `plain`, tells."""
    draws_async = inspect.isasyncgenfunction(plain)
    is_generator = draws_async or inspect.isgeneratorfunction(plain)
    is_async = draws_async or inspect.iscoroutinefunction(plain)
    if is_async and not draws_async and not _is_coroutine_function(function):
        function = _awaited(function)
    streams = is_generator and shape in (Shape.EVENT, Shape.MAP)
    if is_generator:
        shape = Shape.EVENTS if shape in (Shape.EVENT, Shape.EVENTS) else Shape.FLAT
    paths = path_of(options.input_path), path_of(options.result_path)
    return _CallForm(function, shape, *paths, is_async, draws_async, is_generator, streams)


def _look_at(
    target: Any,
    step: Step,
    resolved: Any,
    options: StepOptions,
    values: tuple[Any, ...],
    context: Context,
    anew: Callable[[Clock], Call],
    *,
    graph: Graph,
) -> Call:
    """Decide, once, everything about how the target is called."""
    function, shape = _entry(target, options, step.name)
    given = function.keywords if isinstance(function, partial) else {}
    of_request = names_of_requests(graph.steps) if graph.takes_requests else ()  # also `{name}`, then of the path
    injected = _injected(function, [*given, *of_request], step, context, skip=1)
    plain = _unwrapped(function)
    form = _form_of(partial(function, **injected) if injected else function, plain, shape, options)
    if graph.takes_requests and _is_own(target, form.function):
        form.take(params_of(form.function, [*given, *injected]))
    form.complete(options)
    outlets = getattr(target, "select_outlets", None)
    return Call(
        step=step,
        resolved=resolved,
        options=options,
        target=target,
        function=form.function,
        shape=form.shape,
        is_async=form.is_async,
        draws_async=form.draws_async,
        concurrency=_concurrency(target, options),
        input_path=form.input_path,
        result_path=form.result_path,
        outlets=outlets if callable(outlets) and not inspect.isclass(target) else None,
        release=caught_release(target.release) if _overrides(target, "release") else None,
        due=target.due if _overrides(target, "due") else None,
        overdue=caught_release(target.overdue) if isinstance(target, Handler) else None,
        gathered=target.gathered if _overrides(target, "gathered") else None,
        streamed=target.streamed if _overrides(target, "streamed") else None,
        streams=form.streams,
        results_are_new=isinstance(target, Handler) and target.results_are_new,
        hands_over=isinstance(target, Handler) and target.hands_over,
        nests=starts_loop(plain),
        is_entry=not isinstance(target, Handler) or target.is_entry,
        is_border=isinstance(target, Handler) and target.is_border,
        values=values,
        has_state=has_state(target),
        anew=anew,
        params=form.params,
    )


def _entry(target: Any, options: StepOptions, step: str) -> tuple[Callable[[Any], Any], Shape]:
    """The function that an event goes into, and its shape."""
    if isinstance(target, Handler):
        return event_function(target, step) if options.full_event else (target.do, target.shape)
    is_object = not inspect.isroutine(target) and not inspect.isclass(target) and not _is_partial(target)
    if is_object and callable(getattr(target, "do_event", None)):
        return target.do_event, Shape.EVENT
    if is_object and callable(getattr(target, "do", None)):
        return target.do, Shape.EVENT if options.full_event else Shape.MAP
    if is_object and not callable(target):  # only select_outlets: the body goes on unchanged
        return _nothing, Shape.EACH
    return target, Shape.EVENT if options.full_event else Shape.MAP


def _is_own(target: Any, function: Any) -> bool:
    """Whether a handler is the user's, so that its arguments may be request parameters; a library's are not."""
    return not isinstance(target, Handler | type) and not inspect.isbuiltin(_unwrapped(function))


def _nothing(body: Any) -> None:
    return None


def _is_partial(target: Any) -> bool:
    return isinstance(target, partial)


def _unwrapped(function: Any) -> Any:
    """The code behind partials, bound methods and callable objects."""
    while isinstance(function, partial):
        function = function.func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__
    return inspect.unwrap(function)


def _is_coroutine_function(function: Any) -> bool:
    """Whether calling it gives a coroutine, also if it only wraps a coroutine function."""
    while isinstance(function, partial):
        function = function.func
    called = function if inspect.isroutine(function) else type(function).__call__
    return inspect.iscoroutinefunction(called)


def _awaited(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """For a plain function around a coroutine function: some decorators return the coroutine, others its result."""

    async def wait(body: Any) -> Any:
        result = function(body)
        return await result if inspect.isawaitable(result) else result

    return wait


def _concurrency(target: Any, options: StepOptions) -> int | None:
    return options.concurrency or (target.concurrency if isinstance(target, Handler) else None)


def _overrides(target: Any, method: str) -> bool:
    """Whether a Handler has a method of its own, be it its class's or one that its constructor set."""
    inherited = getattr(Handler, method)
    return isinstance(target, Handler) and getattr(getattr(target, method), "__func__", None) is not inherited
