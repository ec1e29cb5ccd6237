"""A Step: a named place in a graph, what it calls and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.handler import Handler

Retried = tuple[type[BaseException], ...]
# A function, a class, an object with a method for events, a name, an expression: compiling checks which it is.
Handled = object


@dataclass(frozen=True, slots=True)
class StepOptions:
    """How a step treats the event around its call.

    `timeout` is in seconds for one attempt; `retries` counts attempts after the first; `concurrency` is the
    number of events in flight; paths are dotted, `"a.b"`. `said` has the names of those that were given the value
    that they have anyway: where a class has an argument of that name, it was given that.
    """

    full_event: bool = False
    input_path: str | None = None
    result_path: str | None = None
    max_iterations: int | None = None
    concurrency: int | None = None
    ordered: bool = True
    retries: int = 0
    retry_on: Retried = (Exception,)
    timeout: float | None = None
    said: frozenset[str] = frozenset()


DEFAULTS = StepOptions()
OPTIONS = tuple(field.name for field in fields(StepOptions) if field.name != "said")


class _Unsaid:
    """What stands for an option that is not given."""

    def __repr__(self) -> str:
        return "as usual"


UNSAID: Any = _Unsaid()


@dataclass(frozen=True, slots=True)
class Step:
    """Frozen data: a name, a handler with the arguments it is built with, a function, options.

    `name` is empty while a step is only declared (`step(clean, input_path="a")`) and not yet in a graph.
    """

    name: str
    handler: Handled
    arguments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    function: str | None = None
    options: StepOptions = DEFAULTS

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.name, self.handler, dict(self.arguments), self.function, self.options)

    def __deepcopy__(self, memo: Any) -> Step:
        return self  # what it names is not the step's own

    def named(self, name: str) -> Step:
        # Spelled out, since every step of a graph passes here and `dataclasses.replace` costs ten times as much.
        return self if name == self.name else Step(name, self.handler, self.arguments, self.function, self.options)


def _restored(
    name: str, handler: Handled, arguments: dict[str, Any], function: str | None, options: StepOptions
) -> Step:
    return Step(name, handler, MappingProxyType(arguments), function, options)


def step(
    handler: Handled,
    name: str | None = None,
    *,
    function: str | None = None,
    full_event: bool = UNSAID,
    input_path: str | None = UNSAID,
    result_path: str | None = UNSAID,
    max_iterations: int | None = UNSAID,
    concurrency: int | None = UNSAID,
    ordered: bool = UNSAID,
    retries: int = UNSAID,
    retry_on: Retried = UNSAID,
    timeout: float | None = UNSAID,
    **arguments: Any,
) -> Step:
    """A step with options, to be named in a cell or added to a graph.

    >>> clean = step(str.strip, input_path="text", retries=3)
    >>> clean.options.input_path, clean.options.retries, clean.arguments
    ('text', 3, mappingproxy({}))

    Parameters
    ----------
    handler
        Function, class, object, expression in parentheses, or the name of one.
    name
        Name of the step; None: the handler's.
    function
        Function that the step is deployed in.
    full_event
        Whether the handler gets the Event.
    input_path
        Dotted path of the part that the handler gets.
    result_path
        Dotted path where its result is put into the body.
    max_iterations
        How often it may run for one event on a cycle.
    concurrency
        Events that it works on at once.
    ordered
        Whether answers keep the order of the input.
    retries
        Further tries after an error.
    retry_on
        Exceptions that are tried again.
    timeout
        Seconds for one call; None: no limit.
    **arguments
        What its class is built with.
    """
    chosen = (full_event, input_path, result_path, max_iterations, concurrency, ordered, retries, retry_on, timeout)
    options = DEFAULTS  # most steps: one object, which needs no check and is quickly known again
    if any(value is not UNSAID for value in chosen):
        options = _options(dict(zip(OPTIONS, chosen, strict=True)), handler)
        _check_options(options, name or "")
    if isinstance(handler, Step):
        return _redeclared(handler, name, function, options, arguments)
    if isinstance(handler, Handler):  # an object that knows how it was made: keep class and arguments apart
        given = handler.arguments
        handler, arguments = type(handler), {**given, **arguments}
    name, arguments = _name_among(handler, name, arguments)
    return Step(name or "", handler, MappingProxyType(arguments), function, options)


def _options(chosen: Mapping[str, Any], handler: Handled) -> StepOptions:
    given = {name: value for name, value in chosen.items() if value is not UNSAID}
    if "retry_on" in given:
        given["retry_on"] = _types(given["retry_on"])
    is_built = isinstance(handler, type | str | Handler)  # a function has no constructor that could be meant
    said = frozenset(name for name, value in given.items() if is_built and value == getattr(DEFAULTS, name))
    options = StepOptions(**given, said=said)
    return options if options != DEFAULTS else DEFAULTS


def _redeclared(
    declared: Step, name: str | None, function: str | None, options: StepOptions, arguments: dict[str, Any]
) -> Step:
    """A declaration handed on as a handler: what is given anew wins over what it had."""
    return Step(
        name or declared.name,
        declared.handler,
        MappingProxyType({**declared.arguments, **arguments}),
        function or declared.function,
        declared.options if options is DEFAULTS else options,
    )


def _name_among(handler: Handled, name: str | None, arguments: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """`Queue("scored")` names its own step: an argument called `name` is the step's name."""
    given = arguments.get("name")
    if name is None and isinstance(given, str) and isinstance(handler, type | str):
        return given, {key: value for key, value in arguments.items() if key != "name"}
    return name, arguments


def _types(retry_on: Any) -> Retried:
    return (retry_on,) if isinstance(retry_on, type) else tuple(retry_on)


def _check_options(options: StepOptions, name: str) -> None:
    where = f'Step "{name}"' if name else "A step"
    for option, least in (("max_iterations", 1), ("concurrency", 1), ("retries", 0)):
        value = getattr(options, option)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise GraphError(f"{where} has {option}={value!r}; expected a whole number of at least {least}.")
    if options.timeout is not None and not (isinstance(options.timeout, int | float) and options.timeout > 0):
        raise GraphError(f"{where} has timeout={options.timeout!r}; expected seconds, more than 0.")
    for option in ("input_path", "result_path"):
        path = getattr(options, option)
        if path is not None and (not isinstance(path, str) or not all(path.split("."))):
            raise GraphError(f'{where} has {option}={path!r}; expected names joined by dots, such as "a.b".')
    if options.full_event and (options.input_path or options.result_path):
        raise GraphError(f"{where} has full_event together with a path; a full event has no part: choose one.")


def handler_name(handler: Handled) -> str | None:
    """The name a step takes from its handler, None where it has none of its own (an expression, an object).

    >>> handler_name(len), handler_name("json.dumps"), handler_name("(event + 1)"), handler_name(str.strip)
    ('len', 'dumps', None, 'strip')
    """
    if isinstance(handler, str):
        return None if handler.lstrip().startswith("(") else handler.rpartition(".")[2]
    name = getattr(handler, "__name__", None)
    return name if isinstance(name, str) else None
