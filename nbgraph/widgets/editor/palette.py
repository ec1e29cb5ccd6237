"""Palette: what a builder can put into a graph: the notebook's functions and classes, and the built-in steps."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from nbgraph.graph.facade import built_in_steps
from nbgraph.graph.scope import Code
from nbgraph.graph.step import Step
from nbgraph.handler import Handler
from nbgraph.introspection import shown
from nbgraph.render.printable import printable

_NOT_STEPS = {"get_ipython", "exit", "quit", "open", "show", "register"}


def palette(namespace: Mapping[str, Any]) -> list[dict[str, str]]:
    """Name, signature, first line of the docstring, and where it comes from.

    >>> def clean(body, lower=True): "Strip it."
    >>> clean.__module__ = "__main__"
    >>> palette({"clean": clean, "_hidden": clean})[0]
    {'name': 'clean', 'signature': '(body, lower=True)', 'about': 'Strip it.', 'group': 'notebook'}
    """
    own = {name: value for name, value in namespace.items() if _is_own(name, value)}
    built_in = {name: value for name, value in sorted(built_in_steps().items()) if _is_step(value)}
    return [_entry(name, value, "notebook") for name, value in own.items()] + [
        _entry(name, value, "built in") for name, value in built_in.items()
    ]


def form(step: Step, handler: Any) -> list[dict[str, str | bool]]:
    """The parameters that a step's handler is built with, and the text of what they are now.

    >>> class Enrich:
    ...     def __init__(self, table, on="id"): ...
    >>> [(field["name"], field["text"], field["default"]) for field in form(Step("e", Enrich, {"table": 1}), Enrich)]
    [('table', '1', ''), ('on', '', "'id'")]
    """
    if not isinstance(handler, type):
        return [{"name": name, "text": _text(value), "default": "", "required": False}
                for name, value in step.arguments.items()]  # fmt: skip
    fields: list[dict[str, str | bool]] = []
    for name, parameter in _parameters(handler).items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or name in ("name", "context"):
            continue
        is_required = parameter.default is parameter.empty
        default = "" if is_required else printable(shown(parameter.default), 60)
        text = _text(step.arguments[name]) if name in step.arguments else ""
        fields.append({"name": name, "text": text, "default": default, "required": is_required})
    return fields


def _is_own(name: str, value: Any) -> bool:
    """Functions and classes that the notebook defined or imported by name; no modules, no instances."""
    is_kind = inspect.isroutine(value) or isinstance(value, type)
    module = str(getattr(value, "__module__", ""))
    is_tool = module.partition(".")[0] in ("IPython", "nbgraph", "builtins", "typing", "ipykernel")
    return is_kind and not name.startswith("_") and name not in _NOT_STEPS and not is_tool


def _is_step(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Handler)


def _entry(name: str, value: Any, group: str) -> dict[str, str]:
    given = ("name", "context") if isinstance(value, type) else ()  # by the graph, not by a person
    wanted = [one for one in _parameters(value).values() if one.name not in given]
    parameters = [str(one.replace(annotation=inspect.Parameter.empty)) for one in wanted]
    about = (inspect.getdoc(value) or "").partition("\n")[0]
    signature = printable(f"({', '.join(parameters)})", 200)
    return {"name": name, "signature": signature, "about": printable(about, 200), "group": group}


def _parameters(value: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(value).parameters
    except (ValueError, TypeError):
        return {}


def _text(value: Any) -> str:
    return value.text if isinstance(value, Code) else printable(shown(value), 2_000)
