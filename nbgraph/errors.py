"""Everything nbgraph raises on purpose; each message names the thing, what was found and the next move."""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from nbgraph.event import Event

_cause: Any = vars(BaseException)["__cause__"]


class NbgraphError(Exception):
    """Root of all errors of this package.

    Each can be pickled, as pools of processes do, whatever its constructor wants and its cause holds: what can't leave
    its process is told of by a `RecordedError` or a `Preview` in its place. Packages that register a way to pickle
    all exceptions, classes of others included (tblib, which Dask loads), do not change that.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        copyreg.dispatch_table.pop(cls, None)  # an entry there goes before `__reduce__`
        return super().__new__(cls, *args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        from nbgraph.error_transport import reduced  # few runs need it

        return reduced(self)

    def __deepcopy__(self, memo: Any) -> Any:
        from nbgraph.error_transport import rebuilt

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
        self,
        message: str,
        status: int,
        *,
        allow: Sequence[str] = (),
        missing: Sequence[str] = (),
        invalid: Mapping[str, str] | None = None,
    ) -> None:
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
