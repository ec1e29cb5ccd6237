"""Handler: the base of the built-in steps, and of yours when a plain function or class is not enough."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from nbgraph.event import Event
from nbgraph.types import Shape


def expressions_of(kind: Any) -> dict[str, tuple[str, ...]]:
    """What a class declares of the arguments whose texts become code; a subclass adds to what it inherits.

    >>> expressions_of(int)
    {}
    """
    found: dict[str, tuple[str, ...]] = {}
    for base in reversed(kind.__mro__):
        declared = vars(base).get("expressions")
        found |= declared if isinstance(declared, dict) else {}
    return found


class _ConstructorSignature:
    """What `inspect.signature` tells of a handler's class: its `__init__`, since `__new__` takes anything."""

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        if owner.__init__ is object.__init__:  # type: ignore[misc]
            return inspect.Signature()  # what `object` tells of itself, `(*args, **kwargs)`, is not so
        own = inspect.signature(owner.__init__)  # type: ignore[misc]
        return own.replace(parameters=list(own.parameters.values())[1:])


class Handler:
    """What a step calls, when it is built in: `do` in the manner that `shape` tells.

    >>> class Twice(Handler):
    ...     def __init__(self, times: int = 2) -> None:
    ...         self.times = times
    ...     def do(self, body):
    ...         return body * self.times
    >>> Twice(3).do(2), Twice(3).arguments
    (6, {'times': 3})

    A subclass may have `post_init()`, called once when the graph is made ready; `select_outlets(body)`,
    which names the next steps; and, when it holds events back, `release()` and `due()`. What it remembers from one
    event to the next stands in `state`, set by its constructor, as plain data: a debugger can then step back over it,
    and a worker keeps it where the next one finds it. A constructor that names `context` or `name` gets them.

    `expressions` names the arguments whose texts it makes code of (`nbgraph.steps.operators.callable_of`), as
    `{"fn": ("event",)}`; `"parts.fn"` leads into the dicts of a list. No other text may become code. `io` says what it
    works with outside of the graph; `Graph.load(..., io=False)` refuses such steps.
    """

    shape: Shape = Shape.MAP  # a class's, or set by the constructor where its arguments decide
    state: Any = None
    state_form: Any = None  # what the form of the state depends on; a state of another form is not taken up
    __signature__: Any = _ConstructorSignature()
    # Facts about the class, which the reader of a loaded graph goes by:
    expressions: ClassVar[
        Mapping[str, tuple[str, ...]]
    ] = {}  # arguments whose texts become code, and what that is over
    io: ClassVar[str] = ""  # what it reads or writes outside of the graph, such as "files"
    packages: ClassVar[tuple[str, ...]] = ()  # modules that it imports when first used: a deployment installs them
    results_are_new: bool = False  # it keeps no hold of what it gives, nor gives it twice: that needs no copy
    hands_over: bool = False  # what goes on is a value of its own: what it came from may be changed behind its back
    holds_bodies = False  # whether its state has bodies as they came, and none of them is ever changed by it
    concurrency: int | None = None  # events it takes at once, where the step's own option does not say
    _given: tuple[tuple[Any, ...], dict[str, Any]]

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
        """Share with the first instance of this step in a worker what should be there once, such as a connection."""

    def release(self) -> Iterable[Any]:
        """What is still held back, in the form of `do`'s result, at the end of a stream; the state starts anew."""
        return ()

    def streamed(self, event: Event) -> None:
        """A step before this one begins a stream, of which no chunk may ever come here."""

    def gathered(self, event: Event) -> Iterable[Event]:
        """What was gathered of one event, now that its way through the graph is at its end; it goes on from here."""
        return ()

    def due(self) -> float | None:
        """When, on the context's clock, what is held back wants to be released although the stream goes on."""
        return None

    def overdue(self) -> Iterable[Any]:
        """What is to be released by now, when `due` has come; the rest stays held back."""
        return self.release()

    def holding(self) -> bool:
        """Whether events would be lost if the process died now, since the step has them and nobody else."""
        return False

    def end(self) -> None:
        """The worker stops, and no event comes any more: close what is open."""
