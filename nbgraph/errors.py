"""Everything nbgraph raises on purpose; each message names the thing, what was found and the next move."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nbgraph.introspection import preview, shown

if TYPE_CHECKING:
    from nbgraph.event import Event

_cause: Any = vars(BaseException)["__cause__"]


class NbgraphError(Exception):
    """Root of all errors of this package.

    Each can be pickled, as pools of processes do, whatever its constructor wants and its cause holds: what can't leave
    its process is told of by a `RecordedError` or a `Preview` in its place.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        from nbgraph.errors import reduced  # few runs need it

        return reduced(self)

    def __deepcopy__(self, memo: Any) -> Any:
        from nbgraph.errors import rebuilt

        return rebuilt(type(self), self.args, vars(self), self.__cause__)

    @property
    def __cause__(self) -> BaseException | None:
        found: BaseException | None = _cause.__get__(self)
        return found

    @__cause__.setter
    def __cause__(self, cause: BaseException | None) -> None:
        """A pool sets the other process's traceback here: that stands behind the cause, not in its place."""
        known = self.__cause__
        if known is not None and known is not cause and type(cause).__name__.endswith("RemoteTraceback"):
            known.__cause__ = cause
        else:
            _cause.__set__(self, cause)


class RecordedError(NbgraphError):
    """An error that is told of in its place: `type` is the name of what it was, `why` it is not here itself."""

    def __init__(self, type: str, message: str, why: str = "") -> None:
        super().__init__(f"{type}: {message}{why and f' ({why})'}")
        self.type, self.message, self.why = type, message, why


class GraphError(NbgraphError):
    """The graph, or the text it is read from, is wrong; `problems` has one sentence for each fault."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems) or [message]

    @classmethod
    def of_problems(cls, graph: str, problems: Sequence[str]) -> GraphError:
        """One error for all faults of a graph, so that they can be mended in one go."""
        if len(problems) == 1:
            return cls(problems[0], problems)
        listed = "\n".join(f"  - {problem}" for problem in problems)
        return cls(f'Graph "{graph}" has {len(problems)} problems:\n{listed}', problems)


class LanguageError(GraphError):
    """A `%%graph` text is wrong; `line` and `column` count from 1, the `%%graph` line being line 1."""

    def __init__(self, message: str, line: int, column: int, text: str = "") -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.line, self.column, self.text = line, column, text


class BodyError(NbgraphError):
    """A body declared as JSON does not parse (HTTP 400)."""


class RowError(NbgraphError):
    """A row can't become an event: `source` is the class of the source, `event` has what was read as its body.

    A source gives it in the row's place, and the row goes the way of errors; those behind it follow.
    """

    def __init__(self, source: str, event: Event, message: str) -> None:
        super().__init__(message)
        self.source, self.event = source, event


class PathError(NbgraphError):
    """An `input_path` or `result_path` does not fit the body; the message lists the keys that exist."""


class RequestError(NbgraphError):
    """A request is wrong, or can't be answered now; `status` is what HTTP answers with.

    >>> RequestError('There is no model "m9" here; known models: m1, m2.', 404).status
    404
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class RouteError(RequestError):
    """No route of the graph takes a request: `status` is 404, 405 (with `allow`), 403, 400, or 422 for what it lacks.

    `missing` has the places in the body and the parameters that must be there, `invalid` why others are no such value.
    """

    def __init__(
        self, message: str, status: int, *, allow: Sequence[str] = (), missing: Sequence[str] = (),
        invalid: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message, status)
        self.allow, self.missing, self.invalid = tuple(allow), tuple(missing), dict(invalid or {})


class StepError(NbgraphError):
    """A handler failed: `step` is its name, `event` what it got, `__cause__` the user's exception.

    `answer` holds what the responder had already answered before a later branch failed. `message` says what failed
    where that was not the step itself but the condition of an arrow that leaves it.
    """

    def __init__(self, step: str, event: Event, cause: BaseException, answer: Any = None, message: str = "") -> None:
        super().__init__(message or f'Step "{step}" failed: {type(cause).__name__}: {text_of(cause)}')
        self.step, self.event, self.answer = step, event, answer
        self.__cause__ = cause


class ExportError(NbgraphError):
    """Something in the graph can't leave the notebook as it is."""


class FeatureError(NbgraphError):
    """A feature store can't do what is asked of it; what it holds is as it was."""


class SchemaError(FeatureError):
    """Rows do not fit the columns of their feature set: the message names the column, what it was and what it is."""


class DeployError(NbgraphError):
    """A deployment could not be built, started or reached."""


class JobError(NbgraphError):
    """A job can't be started or resumed, or it failed; parts that are done stay."""


def text_of(error: BaseException | None) -> str:
    """What an exception says; some fail even at that."""
    try:
        return str(error)
    except Exception as failure:
        return f"<its text can't be had: {type(failure).__name__}>"


# Fault: which exceptions are a step's own, told as its StepError, and which end whoever runs the step.


Kinds = tuple[type[BaseException], ...]
ANY: Kinds = (BaseException,)
GENERATOR, COROUTINE = 0x20, 0x80 | 0x200  # CO_GENERATOR; CO_COROUTINE, CO_ASYNC_GENERATOR


class Halt(BaseException):
    """Ends a run from outside; no step takes it for an error of its own."""


def own(kinds: Kinds = ANY) -> Kinds:
    """For an `except` clause: `kinds` where the exception at hand is a step's own; else nothing, and it goes its way.

    It is asked only once something was raised. A step's own is also a `SystemExit` (`sys.exit` in a parser of
    arguments), a `CancelledError` of something that it awaits, a `GeneratorExit`; not its own are Ctrl-C, and what
    breaks off whoever runs it.

    >>> import asyncio
    >>> async def told(step):
    ...     try:
    ...         await step
    ...     except own() as error:
    ...         return repr(error)
    >>> async def parse():
    ...     sys.exit(3)
    >>> async def main():
    ...     inner = asyncio.ensure_future(asyncio.sleep(9))
    ...     inner.cancel()
    ...     return await told(parse()), await told(inner)
    >>> asyncio.run(main())
    ('SystemExit(3)', 'CancelledError()')
    """
    error = sys.exception()
    return kinds if error is None or isinstance(error, Exception) or _is_own(error) else ()


def _is_own(error: BaseException) -> bool:
    """Whether an exception that is no `Exception` was raised by a step, not thrown into it."""
    import asyncio

    if isinstance(error, KeyboardInterrupt | Halt):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None  # no loop runs here: nothing can be cancelled
    if isinstance(error, asyncio.CancelledError):
        return task is None or not task.cancelling()
    return not (isinstance(error, GeneratorExit) and _closes(error, is_in_task=task is not None))


def _closes(error: GeneratorExit, *, is_in_task: bool) -> bool:
    """Whether it was thrown into what nobody goes on with: a generator of ours, a coroutine outside of any task."""
    first = last = error.__traceback__
    assert last is not None
    while last.tb_next is not None:
        last = last.tb_next
    flags = last.tb_frame.f_code.co_flags
    return bool((first is last and flags & GENERATOR) or (not is_in_task and flags & COROUTINE))


# Parcels: what an error holds, on its way to another process: opened there, or told of where that can't be.


CHAIN = 10  # causes of causes that go along


class Packed(Protocol):
    def opened(self) -> Any: ...


def packed(value: Any, depth: int = 0) -> Packed:
    """A value, so that it can be pickled and there is always something to open.

    >>> packed((1, [2])).opened(), packed(lambda: 1).opened().why
    ((1, [2]), "it can't leave its process (PicklingError)")
    >>> packed(OSError(2, "gone")).opened()
    FileNotFoundError(2, 'gone')
    """
    from nbgraph.event import Event

    if type(value) is tuple:
        return Several(tuple([packed(item, depth) for item in value]))
    if isinstance(value, Event):
        return OfEvent({name: packed(getattr(value, name), depth) for name in Event.__slots__})
    if isinstance(value, BaseException):
        return OfError.of(value, depth)
    return ErrorParcel.of(value)


def rebuilt(kind: type[Any], args: tuple[Any, ...], fields: Mapping[str, Any], cause: Any) -> Any:
    """An exception without its constructor, which may want anything."""
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(fields)
    if cause is not None:
        error.__cause__ = cause
    return error


def reduced(error: BaseException) -> tuple[Any, ...]:
    """What `__reduce__` gives: how to build the error again, whatever it holds."""
    fields = {name: packed(value) for name, value in vars(error).items()}
    return _unpacked, (type(error), packed(error.args), fields, packed(error.__cause__))


def _unpacked(kind: type[Any], args: Packed, fields: Mapping[str, Packed], cause: Packed) -> Any:
    return rebuilt(kind, args.opened(), {name: one.opened() for name, one in fields.items()}, cause.opened())


@dataclass(frozen=True, slots=True)
class ErrorParcel:
    """The bytes of a value, none where it can't be pickled; `instead` stands for it where it can't be had."""

    data: bytes | None
    instead: Any

    @classmethod
    def of(cls, value: Any) -> ErrorParcel:
        import pickle

        try:
            data, why = pickle.dumps(value), "its class is not known here"
        except Exception as error:
            data, why = None, f"it can't leave its process ({type(error).__name__})"
        return cls(data, None if value is None else preview(value, why))

    def opened(self) -> Any:
        import pickle

        if self.data is None:
            return self.instead
        try:
            return pickle.loads(self.data)
        except Exception:  # a class of the other process's `__main__`, a constructor that wants more
            return self.instead


@dataclass(frozen=True, slots=True)
class Several:
    parts: tuple[Packed, ...]

    def opened(self) -> tuple[Any, ...]:
        return tuple([part.opened() for part in self.parts])


@dataclass(frozen=True, slots=True)
class OfEvent:
    """An Event part by part, so that a body that must stay behind leaves the rest."""

    parts: dict[str, Packed]

    def opened(self) -> Any:
        from nbgraph.event import Event

        event = Event.__new__(Event)
        for name, part in self.parts.items():
            setattr(event, name, part.opened())
        return event


@dataclass(frozen=True, slots=True)
class OfError:
    """An exception by its pickle where that makes the same again, else by its parts; its cause beside it."""

    data: bytes | None
    told: tuple[str, str, str]  # the type, the message and why it is not here itself
    cause: Packed | None

    @classmethod
    def of(cls, error: BaseException, depth: int) -> OfError:
        from nbgraph.errors import NbgraphError, text_of

        data, why = _dumped(error)
        has_cause = error.__cause__ is not None and not isinstance(error, NbgraphError) and depth < CHAIN
        cause = packed(error.__cause__, depth + 1) if has_cause else None
        return cls(data, (type(error).__name__, text_of(error), why), cause)

    def opened(self) -> Any:
        import pickle

        from nbgraph.errors import RecordedError

        try:
            error = pickle.loads(self.data) if self.data is not None else RecordedError(*self.told)
        except Exception:
            error = RecordedError(*self.told)
        if self.cause is not None:
            error.__cause__ = self.cause.opened()
        return error


def _dumped(error: BaseException) -> tuple[bytes | None, str]:
    """Bytes that make the same exception here, which is tried; why there are none."""
    import pickle

    from nbgraph.errors import NbgraphError

    why = ""
    for form in (error, _Parts(error)):
        try:
            data = pickle.dumps(form)
            if isinstance(error, NbgraphError) or _is_same(error, pickle.loads(data)):
                return data, "its class is not known here"
        except Exception as failure:
            why = why or f"it can't leave its process: {type(failure).__name__}: {shown(failure.args)[1:-1]}"
    return None, why or "it can't be built again"


class _Parts:
    """An exception that is pickled without its constructor."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuilt, (type(self._error), self._error.args, vars(self._error), None)


def _is_same(error: BaseException, other: Any) -> bool:
    from nbgraph.errors import text_of

    return type(other) is type(error) and text_of(other) == text_of(error) and shown(other.args) == shown(error.args)
