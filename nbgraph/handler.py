"""Handler: the base of the built-in steps, and of yours where a plain function or class is not enough."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Coroutine, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, ClassVar, Self, TypeVar

import msgspec

from nbgraph.event import Event
from nbgraph.introspection import inheriting_parameters
from nbgraph.types import Section, Shape, StepKind


def expressions_of(kind: Any) -> dict[str, tuple[str, ...]]:
    """The arguments of a class whose texts become code; a subclass adds to what it inherits.

    >>> expressions_of(int)
    {}
    """
    found: dict[str, tuple[str, ...]] = {}
    for base in reversed(kind.__mro__):
        declared = vars(base).get("expressions")
        found |= declared if isinstance(declared, dict) else {}
    return found


class Counterpart(msgspec.Struct, frozen=True):  # not a dataclass, which takes ten times as long to create
    """The class of MLRun or Storey that a step takes the place of, and how its arguments become ours.

    `renamed`: theirs -> ours. `unused`: what only their engine needs, and the values that ask for nothing. `preset`:
    their defaults where ours differ. `keys`: arguments that say what tells events apart. `numbered`: the words for the
    numbers of an enumeration. `note`: what differs, for the report. `aliases`: further names of theirs.
    """

    theirs: str
    renamed: Mapping[str, str] = msgspec.field(default_factory=dict)
    unused: Mapping[str, Container[Any]] = msgspec.field(default_factory=dict)
    preset: Mapping[str, Any] = msgspec.field(default_factory=dict)
    keys: tuple[str, ...] = ()
    numbered: Mapping[str, Mapping[int, str]] = msgspec.field(default_factory=dict)
    note: str = ""
    aliases: tuple[str, ...] = ()


class _ConstructorSignature:
    """The signature of a handler's class: that of its `__init__`, since `__new__` takes anything."""

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        if owner.__init__ is object.__init__:  # type: ignore[misc]  # looked at, not called
            return inspect.Signature()  # `object` itself would claim to take `(*args, **kwargs)`
        own = inspect.signature(owner.__init__)  # type: ignore[misc]  # looked at, not called
        return own.replace(parameters=list(own.parameters.values())[1:])


class Handler:
    """The base of steps that are more than a function: `do` is called as `shape` says.

    >>> class Twice(Handler):
    ...     def __init__(self, times: int = 2) -> None:
    ...         self.times = times
    ...     def do(self, body):
    ...         return body * self.times
    >>> Twice(3).do(2), Twice(3).arguments
    (6, {'times': 3})

    A subclass may have `post_init()`, called once when the graph is made ready; `select_outlets(body)`,
    which names the next steps; and, when it holds events back, `release()` and `due()`. What it remembers from one
    event to the next is its `state`, set by its constructor, as plain data: a debugger can then step back over it,
    and a worker keeps it where the next one finds it. A constructor that names `context` or `name` gets them.

    `expressions` names the arguments whose texts it makes code of (`nbgraph.steps.operators.stateless.callable_of`), as
    `{"fn": ("event",)}`; `"parts.fn"` leads into the dicts of a list. No other text may become code. `io` says what it
    works with outside of the graph; `Graph.load(..., io=False)` refuses such steps.
    """

    do: Callable[..., Any]  # a method, or set by the constructor where its arguments decide
    shape: Shape = Shape.MAP  # a class's, or set by the constructor where its arguments decide
    state: Any = None
    state_form: Any = None  # what the form of the state depends on; a state of another form is not taken up
    __signature__: Any = _ConstructorSignature()

    # Facts about the class, for the catalogue, the picture, texts, and the import from MLRun:
    section: ClassVar[Section] = Section.OPERATORS
    kind: ClassVar[StepKind] = StepKind.TASK
    is_named_first: ClassVar[bool] = False  # its first argument is its name: `Queue("scored")`
    counterpart: ClassVar[Counterpart | None] = None  # of this class alone: a subclass does not inherit it

    # For the check of loaded graphs, and for deployments:
    # arguments whose texts become code, and the names which that code is over
    expressions: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    calls_deployment: ClassVar[bool] = False  # whether its `name` is that of a deployment, which it calls
    io: ClassVar[str] = ""  # what it reads or writes outside of the graph, such as "files"
    is_entry: ClassVar[bool] = True  # whether callers' events may enter by it, where no arrow leads to it
    is_border: ClassVar[bool] = False  # whether it is one side of a queue between functions
    packages: ClassVar[tuple[str, ...]] = ()  # modules that it imports when first used: a deployment installs them

    # For the engine:
    results_are_new: bool = False  # it keeps no reference to what it gives, nor gives it twice: that needs no copy
    hands_over: bool = False  # what goes on is a value of its own: what it came from may be changed afterwards
    holds_bodies = False  # whether its state has bodies as they came, and none of them is ever changed by it
    concurrency: int | None = None  # events it takes at once, where the step's own option does not say
    _given: tuple[tuple[Any, ...], dict[str, Any]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__doc__ = inheriting_parameters(cls)  # so that each parameter is documented once, where it is defined

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        handler = super().__new__(cls)
        handler._given = (args, kwargs)  # so that `g.to(Batch(10))` and `g.to(Batch, max_events=10)` are one spec
        return handler

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments by name, as they were given."""
        positional, named = self._given
        bound = inspect.signature(type(self)).bind(*positional, **named)
        arguments: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = bound.signature.parameters[name].kind
            arguments.update(value if kind is inspect.Parameter.VAR_KEYWORD else {name: value})
        return arguments

    def takes_event(self) -> bool:
        """Whether `do` may be given the Event in the place of the body: asked once, with `full_event=True`."""
        return self.shape in (Shape.EVENT, Shape.EVENTS) or not type(self).__module__.startswith("nbgraph.")

    def beside(self, first: Any) -> None:
        """Share what should exist once, such as a connection, with the first instance of this step in a worker."""

    def release(self) -> Iterable[Any]:
        """What is still held back, in the form of `do`'s result, at the end of a stream; the state starts anew."""
        return ()

    def streamed(self, event: Event) -> None:
        """A step before this one begins a stream, of which no chunk may ever come here."""

    def gathered(self, event: Event) -> Iterable[Event]:
        """What was gathered of one event, when nothing of it is under way any more; it goes on from here."""
        return ()

    def due(self) -> float | None:
        """When, on the context's clock, what is held back wants to be released although the stream goes on."""
        return None

    def overdue(self) -> Iterable[Any]:
        """What is to be released by now, when `due` has come; the rest stays held back."""
        return self.release()

    def holding(self) -> bool:
        """Whether events would be lost if the process died now, since only the step has them."""
        return False

    def end(self) -> None:
        """The worker stops and no more events come: close what is open."""


# --- Calls that a step makes itself, as a router calls its routes; observers of the step are notified of them. ---

T = TypeVar("T")


class Override(msgspec.Struct, frozen=True):
    """What a listener returns to replace a call by a value or an error; then the call is not made."""

    value: Any
    error: BaseException | None = None


OnExit = Callable[[Any, BaseException | None], None]  # gets the result, or the error, when the call is over
OnEnter = Callable[[str, Any], OnExit | Override]  # gets what is called, and its input; may raise to end the run

_watching: ContextVar[tuple[str, tuple[OnEnter, ...]]] = ContextVar("nbgraph_inside", default=("", ()))


def is_watched() -> bool:
    """Whether there are listeners; then a short cut that skips the calls must not be taken."""
    return bool(_watching.get()[1])


class CallObserver:
    """Notifies these listeners of the calls that are made within.

    >>> import asyncio
    >>> calls = []
    >>> def entered(name, input):
    ...     return lambda output, error: calls.append((name, input, output))
    >>> with CallObserver((entered,)):
    ...     asyncio.run(observed("m1", 2, asyncio.sleep(0, 4)))
    4
    >>> calls
    [('m1', 2, 4)]
    """

    __slots__ = ("_listeners", "_token")

    def __init__(self, listeners: tuple[OnEnter, ...]) -> None:
        self._listeners = listeners

    def __enter__(self) -> None:
        self._token = _watching.set(("", self._listeners))

    def __exit__(self, *error: object) -> None:
        _watching.reset(self._token)


class NestedCall:
    """A call that is about to be made, of which listeners have been notified; calls inside of it have its name first.

    Where a listener has given an `Override` (`instead`), the call is not to be made.
    """

    __slots__ = ("_leaving", "_watching", "instead")

    def __init__(self, name: str, input: Any) -> None:
        path, listeners = _watching.get()
        answers = [entered(f"{path}{name}", input) for entered in listeners]
        self._leaving = [one for one in answers if not isinstance(one, Override)]
        self.instead = next((one for one in answers if isinstance(one, Override)), None)
        self._watching = f"{path}{name}/", listeners

    async def over(self, call: Coroutine[Any, Any, T]) -> T:
        """The result of the call, or what stands in for it."""
        try:
            result = await self._made(call)
        except BaseException as error:
            for left in self._leaving:
                left(None, error)
            raise
        for left in self._leaving:
            left(result, None)
        return result

    async def _made(self, call: Coroutine[Any, Any, T]) -> T:
        if self.instead is not None:
            call.close()
            if self.instead.error is not None:
                raise self.instead.error
            value: T = self.instead.value
            return value
        token = _watching.set(self._watching)
        try:
            return await call
        finally:
            _watching.reset(token)


async def observed(name: str, input: Any, call: Coroutine[Any, Any, T]) -> T:
    """The result of a call, of which listeners are notified."""
    if not is_watched():
        return await call
    try:
        due = NestedCall(name, input)
    except BaseException:
        call.close()
        raise
    return await due.over(call)
