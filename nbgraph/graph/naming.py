"""The text by which a function or class is found again, and the object that such a text names."""

from __future__ import annotations

import importlib
import re
import types
from collections.abc import Collection, Sequence
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.step import Step
from nbgraph.introspection import shown

LONGEST = 40  # characters of a name that Docker, DNS and Kubernetes all take
ENDPOINT = "Endpoint"  # the step by which the events of a route enter
READER = "QueueReader"  # the first step of a part behind a queue
BUILT_IN = "nbgraph.steps"  # its classes go by their bare names
_DESCRIPTORS = (types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType)


def name_of(value: Any) -> str | None:
    """The bare or dotted name of a function or class, None for what has no name to be found by.

    >>> import json
    >>> name_of(json.dumps), name_of(len), name_of(str.strip), name_of(lambda: 0)
    ('json.dumps', 'len', 'str.strip', None)

    What was made in the notebook (`__main__`), or inside a function, has no module that could be imported: it goes
    by its bare name and is looked up in the namespace.
    """
    name = getattr(value, "__name__", None)
    if not isinstance(name, str) or not name.isidentifier() or not callable(value):
        return None
    owner = value.__objclass__ if isinstance(value, _DESCRIPTORS) else getattr(value, "__self__", None)
    if isinstance(owner, type):
        above = name_of(owner)
        return above and f"{above}.{name}"
    if owner is not None and not isinstance(owner, types.ModuleType):
        return None  # a method of one object
    return _qualified(value, name)


def _qualified(value: Any, name: str) -> str | None:
    module = getattr(value, "__module__", None)
    qualified = getattr(value, "__qualname__", name)
    if not module or "<locals>" in qualified:
        return name if module else None
    is_built_in = isinstance(value, type) and (module == BUILT_IN or module.startswith(f"{BUILT_IN}."))
    return qualified if is_built_in or module in ("__main__", "builtins") else f"{module}.{qualified}"


def handler_text(step: Step) -> str:
    """How a text names the step's handler; one without a name goes by the step's, for the loader's namespace to give.

    >>> handler_text(Step("half", lambda event: event / 2)), handler_text(Step("a", str.strip))
    ('half', 'str.strip')
    """
    return step.handler if isinstance(step.handler, str) else name_of(step.handler) or step.name


def is_built_in(step: Step, names: Collection[str]) -> bool:
    """Whether the step is one of these of the library, by name or by class; asked of every step, so it is cheap.

    >>> is_built_in(Step("a", "Queue"), ["Queue"]), is_built_in(Step("Queue", len), ["Queue"])
    (True, False)
    """
    handler = step.handler
    if isinstance(handler, str):
        return handler in names
    return isinstance(handler, type) and handler.__name__ in names and handler.__module__.startswith(BUILT_IN)


def is_endpoint(step: Step) -> bool:
    """Whether the step is the entrance of a route."""
    return is_built_in(step, (ENDPOINT,))


def is_dotted(text: str) -> bool:
    """Whether the text is a name, or names joined by dots."""
    return all(part.isidentifier() for part in text.split("."))


def slug(name: str) -> str:
    """A name as images, hosts and labels allow it.

    >>> slug("Überweisung <b>"), slug("A_b.C"), slug("é")
    ('berweisung-b', 'a-b-c', 'graph')
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST].strip("-")
    return plain or "graph"


def object_of(name: str) -> Any:
    """The object of a dotted name, `json.dumps` or `package.module.Class.method`; its modules are imported.

    >>> object_of("json.dumps").__name__
    'dumps'
    """
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError as error:
            if error.name is None or not ".".join(parts[:cut]).startswith(error.name):
                raise GraphError(f'"{name}" can\'t be imported: {error}') from error
            continue
        return attribute_of(module, parts[cut:], name)
    raise GraphError(f'"{name}" can\'t be imported: there is no module "{parts[0]}".')


def attribute_of(found: Any, parts: Sequence[str], name: str) -> Any:
    """The attribute that the parts lead to; `name` is the whole name, for the error."""
    for part in parts:
        try:
            found = getattr(found, part)
        except AttributeError:
            raise GraphError(f'"{name}" is not found: {shown(found)} has no "{part}".') from None
    return found
