"""Choice: what goes as text, what is set right after its text has run, and what goes by value, because a proof said so.

Everything begins as text, which people can read. Where the text was loaded and made something else, the next try knows
of it. There are few tries: text; the objects that differed set right, or by value; everything by value.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nbgraph.capture.module.closure import methods
from nbgraph.capture.module.imports import home_of, is_notebook
from nbgraph.capture.proof.fingerprint import Difference
from nbgraph.capture.proof.instance import has_own_pickling

GLOBAL = " "  # what the label of a global name begins with
HOLDERS = (types.FunctionType, type, types.ModuleType)
TRIES = 4  # with some things by value, before all go so
NEVER_BY_VALUE = (types.ModuleType, types.CellType, types.CodeType)


@dataclass(slots=True)
class CapturePolicy:
    """What is known so far, by the ids of objects that are kept alive.

    `values`: by value, with the reason; `whole`: objects whose own `__getstate__` or `__reduce__` leaves something out;
    `patches`: labels of what is to be set on a function, class or module after its text; `evaluated`: what expressions
    of the graph gave; `is_apart_too`: functions with other globals than the notebook's go by value; `is_all`:
    everything does.
    """

    values: dict[int, tuple[Any, str]] = field(default_factory=dict)
    patches: dict[int, tuple[Any, set[str]]] = field(default_factory=dict)
    evaluated: dict[str, Any] = field(default_factory=dict)
    whole: dict[int, Any] = field(default_factory=dict)
    named: set[int] = field(default_factory=set)  # arguments that get a name in the module
    is_apart_too: bool = False
    tries: int = 0
    is_all: bool = False

    def is_by_value(self, thing: Any) -> bool:
        return self.is_all or id(thing) in self.values

    def is_whole(self, thing: Any) -> bool:
        """Whether all that an object holds goes, whatever its class says of pickling."""
        return id(thing) in self.whole

    def is_changed(self, thing: Any) -> bool:
        """Whether a function or class of the user's own modules is not what an import of them gives."""
        return id(thing) in self.values and isinstance(thing, types.FunctionType | type)

    def is_apart(self, code: Any, namespace: Any) -> bool:
        """Whether code goes by value since its globals are other ones than the notebook's."""
        return self.is_apart_too and globals_of(code) is not namespace

    def leave_apart(self, code: Any, namespace: Any) -> bool:
        """Let what has globals of its own keep them; whether that is new."""
        is_new, self.is_apart_too = not self.is_apart_too, True
        return is_new

    def reason(self, thing: Any) -> str:
        return self.values[id(thing)][1] if id(thing) in self.values else "as it lives, together with what it shares"

    def patches_of(self, thing: Any) -> set[str]:
        return self.patches[id(thing)][1] if id(thing) in self.patches else set()

    def take(self, thing: Any, reason: str) -> bool:
        """Let it go by value; whether that is new."""
        if id(thing) in self.values:
            return False
        self.values[id(thing)] = (thing, reason)
        return True

    def patch(self, holder: Any, label: str) -> bool:
        """Let a part of it be set after its text; whether that is new."""
        labels = self.patches.setdefault(id(holder), (holder, set()))[1]
        if label in labels:
            return False
        labels.add(label)
        return True

    def learn(self, differences: list[Difference], things: list[Any], evaluated: Mapping[str, Any]) -> bool:
        """Take the differences into account; whether that leads to another try."""
        learned = [self._learn(difference, things) for difference in differences]
        is_new = any(learned)
        if any(difference.way[0][1].startswith("step") and len(difference.way) == 1 for difference in differences):
            is_new |= any(text not in self.evaluated for text in evaluated)
            self.evaluated |= evaluated
        self.tries += 1
        if self.is_all:
            return False
        self.is_all = not is_new or self.tries >= TRIES
        return True

    def _learn(self, difference: Difference, things: list[Any]) -> bool:
        """What is set on something can be set again; what can't goes by value, with what holds it up to a name."""
        is_new = self._take_whole(difference, things)
        shared = [things[number] for number in difference.others if _is_shareable(things[number])]
        taken = [self.take(thing, "several things share it") for thing in shared]
        way = _from_name(difference, things)
        if any(self._set_again(holder, label) for holder, label in reversed(way)):
            return True
        holders = [holder for holder, label in way if not label.startswith(GLOBAL)]
        plain = [holder for holder in holders if not isinstance(holder, NEVER_BY_VALUE)]
        return any([is_new, *taken, *(self.take(holder, "its text makes something else") for holder in plain)])

    def _take_whole(self, difference: Difference, things: list[Any]) -> bool:
        """Let the objects on the way whose class has its own way to be pickled go with all that they hold."""
        found = [things[number] for number, _ in difference.way if number and has_own_pickling(things[number])]
        fresh = {id(thing): thing for thing in found if id(thing) not in self.whole}
        self.whole |= fresh
        return bool(fresh)

    def _set_again(self, holder: Any, label: str) -> bool:
        """Let a statement of its own set it, unless one does; whether that is new."""
        if isinstance(holder, types.FunctionType) and label.startswith(GLOBAL):
            module = sys.modules.get(str(holder.__globals__.get("__name__")))
            if module is None or vars(module) is not holder.__globals__ or is_notebook(module.__name__):
                return False
            holder, label = module, f".{label.removeprefix(GLOBAL)}"
            if label[1:] not in vars(module):
                return False
        if not isinstance(holder, HOLDERS) or not _is_patch(holder, label) or not self.patch(holder, label):
            return False
        value = vars(holder).get(label[1:])
        if isinstance(holder, types.ModuleType) and home_of(value) == holder.__name__:
            self.take(value, "the file that it came from has changed since")
        return True


def _from_name(difference: Difference, things: list[Any]) -> list[tuple[Any, str]]:
    """The way's end: from the last thing that is reached by a global name on, what holds the name first."""
    way = [(things[number], label) for number, label in difference.way if number]
    begins = [place for place, (_, label) in enumerate(way) if label.startswith(GLOBAL)]
    return way[begins[-1] :] if begins else way


def _is_shareable(thing: Any) -> bool:
    return not isinstance(thing, types.CellType | types.ModuleType)


def _is_patch(holder: Any, label: str) -> bool:
    if isinstance(holder, types.FunctionType):
        return label.startswith((".", "default"))
    return label.startswith(".") and not label.startswith(".__")


def globals_of(code: Any) -> Any:
    """The globals of a function, or of a class's methods; None where it has none."""
    function = code if isinstance(code, types.FunctionType) else next(methods(code), None)
    return function.__globals__ if function is not None else None
