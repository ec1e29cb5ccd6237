"""Patch: what was set on a function, class or module after its text ran, set again by a statement of its own."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Any, Protocol

from nbgraph.capture.module.definition import Definition
from nbgraph.capture.policy import CapturePolicy
from nbgraph.capture.refusal import Where

SINCE = {types.FunctionType: "the function was written", types.ModuleType: "it was imported"}


class PatchTarget(Protocol):
    """What a patch asks of the module."""

    choice: CapturePolicy

    def text_of(self, value: Any, variable: str, where: Where) -> str: ...

    def knows(self, name: str) -> bool: ...


class Patches:
    """Reads the choice: which parts of a thing its text does not make."""

    def __init__(self, module: PatchTarget) -> None:
        self._module = module

    def of(self, name: str, value: Any, where: Where) -> Iterator[Definition]:
        """The statements for one thing, by the name it has."""
        is_module = isinstance(value, types.ModuleType)
        if self._module.choice.is_by_value(value) and not is_module:
            return  # it goes as it lives
        since = SINCE.get(type(value), "the class was written")
        for label in sorted(self._module.choice.patches_of(value)):
            text, now = self._statement(name, value, label, where)
            own = () if is_module else (name,)
            yield Definition(f"{name}{label}", f"{text}  # set after {since}", (*own, *now))

    def _statement(self, name: str, value: Any, label: str, where: Where) -> tuple[str, tuple[str, ...]]:
        if label.startswith("default"):
            part = "__defaults__" if label == "defaults" else "__kwdefaults__"
            return self._set(name, part, getattr(value, part), where)
        *above, attribute = label[1:].split(".")  # on a class of a library, by the name of its module
        holder = functools.reduce(getattr, above, value)
        name = ".".join([name, *above])
        if attribute not in vars(holder):
            return f"del {name}.{attribute}", ()
        return self._set(name, attribute, vars(holder)[attribute], where)

    def _set(self, name: str, attribute: str, value: Any, where: Where) -> tuple[str, tuple[str, ...]]:
        text = self._module.text_of(value, attribute.strip("_"), where.through(name))
        return f"{name}.{attribute} = {text}", (text,) if self._module.knows(text) else ()
