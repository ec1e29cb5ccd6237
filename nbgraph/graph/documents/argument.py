"""Arguments of steps as plain data and as Python text."""

from __future__ import annotations

import ast
import dataclasses
import keyword
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.documents import literal
from nbgraph.graph.documents.literal import NotLiteralError
from nbgraph.graph.facade import built_in_steps
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import BUILT_IN, handler_text, is_dotted, name_of
from nbgraph.graph.scope import Code, spelling
from nbgraph.graph.step import DEFAULTS, OPTIONS, Step, StepOptions, step
from nbgraph.handler import Handler

_WORD = re.compile(r"\w+")
CODE = "$code"
STEP = "step"  # the word for a step with options
POSITIONAL = "*"  # the key of arguments that were given without a name: `Batch(10)`


def plain(value: Any) -> Any:
    """An argument as JSON can hold it; what refers to the notebook becomes code.

    >>> plain(3), plain(Code("customers")), plain([len, 1])
    (3, {'$code': 'customers'}, [{'$code': 'len'}, 1])
    """
    try:
        return literal.plain(value, _coded)
    except NotLiteralError:
        return _coded(value)


def _coded(value: Any) -> dict[str, str]:
    return {CODE: python(value)}


def exact(value: Any, where: str) -> Any:
    """As `plain`, with an error that says what to do about a value that has no text."""
    try:
        return plain(value)
    except NotLiteralError as error:
        raise GraphError(no_text(where, str(error))) from None


def stream(value: Any) -> Any:
    """An `error_stream`: a function means the same as its name.

    >>> stream(len), stream(Code("errors")), stream(None)
    ('len', 'errors', None)
    """
    if isinstance(value, Code):
        return value.text if is_dotted(value.text) else value
    return name_of(value) or value


def no_text(where: str, found: str) -> str:
    return (
        f"{where} is a {found}, which has no text form. Name it in the notebook (`data = ...`) and refer to it by that "
        'name: in a %%graph cell as it is, in Python as Code("data").'
    )


def comparable(value: Any) -> Any:
    """As `plain`, where a value without a text form stands for itself."""
    try:
        return literal.plain(value, _coded_or_itself)
    except NotLiteralError:
        return _coded_or_itself(value)


def _coded_or_itself(value: Any) -> dict[str, Any]:
    try:
        return _coded(value)
    except NotLiteralError:
        return {"$object": id(value)}


def python(value: Any) -> str:
    """An argument as Python text.

    >>> python({"fn": len, "table": Code("customers")})
    '{"fn": len, "table": customers}'
    """
    if isinstance(value, Code):
        return value.text
    if type(value) is dict:
        return "{" + ", ".join(f"{python(key)}: {python(item)}" for key, item in value.items()) + "}"
    if type(value) in (list, tuple):
        items = ", ".join(map(python, value))
        return f"[{items}]" if type(value) is list else f"({items}{',' if len(value) == 1 else ''})"
    if isinstance(value, Step):
        return step_text(value)
    if isinstance(value, Handler):
        return call(_class_name(value), value.arguments)
    if _is_plain_part(value):
        return call(_class_name(value), _given(value))
    return name_of(value) or literal.python(value)


def call(
    function: str, arguments: Mapping[str, Any], options: Mapping[str, Any] | None = None, *, first: str = ""
) -> str:
    """The text of a call; `first` is the text of an argument that takes the place of positional ones.

    >>> call("Batch", {"*": [10], "key": "card", "a b": 1})
    'Batch(10, key="card", **{"a b": 1})'
    """
    named = {**arguments, **(options or {})}
    takes_positional = not first and type(named.get(POSITIONAL)) is list
    given = [first] if first else [value_text(value) for value in (named.pop(POSITIONAL) if takes_positional else ())]
    odd = {key: value for key, value in named.items() if not is_bare(key)}
    given += [f"{key}={_value(key, value)}" for key, value in named.items() if key not in odd]
    return f"{function}({', '.join([*given, *([f'**{value_text(odd)}'] if odd else [])])})"


def step_text(step: Step, *, name: str | None = None, is_route: bool = False) -> str:
    """A step as text: a call of its handler, or `step(...)` where it has options.

    >>> step_text(Step("m1", "SklearnModel", {"model": Code("m")})), step_text(Step("m2", "double"))
    ('SklearnModel(model=m)', 'step(double)')
    """
    options = {**_named(name, step.function), **options_of(step.options)}
    if "retry_on" in options:
        options["retry_on"] = [Code(kind) for kind in options["retry_on"]]
    handler = handler_expression(step)
    if not is_dotted(handler):  # a text, or a graph
        return call(STEP, step.arguments, options, first=handler)
    is_class = handler.rpartition(".")[2][0].isupper()
    called = call(handler, step.arguments) if step.arguments or (is_class and not options) else handler
    is_whole = not options and (is_class or (is_route and not step.arguments))
    return called if is_whole else call(STEP, {}, options, first=called)


def handler_expression(step: Step) -> str:
    """The handler as Python: a name, a text in quotes, a graph in its own text."""
    if isinstance(step.handler, Graph):
        return f"Graph.parse({_block(step.handler.source())})"
    text = handler_text(step)
    return text if text != STEP and all(map(is_bare, text.split("."))) else literal.quoted(text)


def options_of(options: StepOptions) -> dict[str, Any]:
    """The options that are not the default, exception types by name."""
    if options is DEFAULTS:
        return {}
    given = {
        name: getattr(options, name)
        for name in OPTIONS
        if name in options.said or getattr(options, name) != getattr(DEFAULTS, name)
    }
    if "retry_on" in given:
        given["retry_on"] = [name_of(kind) or kind.__name__ for kind in options.retry_on]
    return given


def is_bare(name: str) -> bool:
    """Whether a name can stand in a text as it is; Python would read another `ﬁ` than the one written."""
    is_word = name.isidentifier() and _WORD.fullmatch(name) is not None  # `a·b` is an identifier of two words
    return is_word and not keyword.iskeyword(name) and unicodedata.normalize("NFKC", name) == name


def _value(key: str, value: Any) -> str:
    if key == "routes" and type(value) is dict:
        routes = ((literal.quoted(name), step_text(route, is_route=True)) for name, route in routes_of(value).items())
        return "{" + ", ".join(f"{name}: {route}" for name, route in routes) + "}"
    return value_text(value)


def value_text(value: Any) -> str:
    """An argument on its own; code that would read back as something else stands in `Code(...)`.

    >>> value_text(Code("customers")), value_text(Code("3"))
    ('customers', 'Code("3")')
    """
    if isinstance(value, Code) and not _reads_back(value.text):
        return f"Code({literal.quoted(value.text)})"
    if type(value) is dict:
        return "{" + ", ".join(f"{python(key)}: {value_text(item)}" for key, item in value.items()) + "}"
    if type(value) in (list, tuple):
        items = ", ".join(map(value_text, value))
        return f"[{items}]" if type(value) is list else f"({items}{',' if len(value) == 1 else ''})"
    return python(value)


def _reads_back(code: str) -> bool:
    source = f"f(k={code})"
    try:
        call = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    match call:
        case ast.Call(args=[], keywords=[ast.keyword(arg="k", value=node)]) if spelling(node, source) == code:
            is_container = isinstance(node, ast.List | ast.Tuple | ast.Dict)  # read part by part
            return not (is_container or literal.is_literal(node) or code.startswith("Code("))
    return False


def given(step: Step) -> dict[str, Any]:
    """What a step is built with, as texts have it: a Queue's first argument is its name, a step's own name is known.

    >>> given(Step("jobs", "Queue", {"*": ["jobs", 3]}))
    {'*': [3]}
    """
    if not step.arguments:
        return {}
    arguments = named_first(handler_text(step), step.arguments)
    return {name: value for name, value in arguments.items() if name != "name" or value != step.name}


def named_first(handler: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """`Queue("scored", 3)` is `Queue(name="scored")` with 3 in the first place."""
    match arguments.get(POSITIONAL):
        case [str() as name, *others] if "name" not in arguments and is_named_first(handler):
            rest = {POSITIONAL: others} if others else {}
            return {"name": name, **rest, **{key: value for key, value in arguments.items() if key != POSITIONAL}}
    return arguments


def is_named_first(handler: str) -> bool:
    """Whether a built-in step's first argument is its name."""
    return handler in built_in_steps() and getattr(built_in_steps()[handler], "is_named_first", False) is True


def routes_of(routes: Mapping[str, Any]) -> dict[str, Step]:
    """The routes of a router as steps, however they were given."""
    return {name: step(_routed(route), name).named(name) for name, route in routes.items()}


def _routed(route: Any) -> Any:
    return route.text if isinstance(route, Code) else route


def _named(name: str | None, function: str | None) -> dict[str, str]:
    return {key: value for key, value in (("name", name), ("function", function)) if value is not None}


def _block(text: str) -> str:
    """A text of several lines in triple quotes."""
    is_clean = '"""' not in text and "\\" not in text and all(line.isprintable() for line in text.split("\n"))
    return f'"""\n{text}"""' if is_clean else repr(text)


def _class_name(value: Any) -> str:
    name = name_of(type(value))
    if name is None or not is_dotted(name):
        raise NotLiteralError(literal.type_name(value))
    return name


def _is_plain_part(value: Any) -> bool:
    """What steps are made of: frozen dataclasses of the library, such as SlidingWindows."""
    is_part = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return is_part and type(value).__module__.startswith(BUILT_IN)


def _given(value: Any) -> dict[str, Any]:
    fields: Iterable[dataclasses.Field[Any]] = dataclasses.fields(value)
    return {
        field.name: getattr(value, field.name)
        for field in fields
        if field.init and not _is_default(field, getattr(value, field.name))
    }


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    if field.default_factory is not dataclasses.MISSING:
        return type(value) is type(field.default_factory()) and bool(value == field.default_factory())
    return field.default is not dataclasses.MISSING and type(value) is type(field.default) and value == field.default
