"""Emit policies: when AggregateByKey lets the values of its windows go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nbgraph.errors import GraphError
from nbgraph.types import Section

__all__ = [
    "AfterDelay",
    "AfterMaxEvent",
    "AfterPeriod",
    "AfterWindow",
    "EmitAfterDelay",
    "EmitAfterMaxEvent",
    "EmitAfterPeriod",
    "EmitAfterWindow",
    "EmitEveryEvent",
    "EveryEvent",
]


@dataclass(frozen=True)
class EveryEvent:
    """Every event goes on with its columns; the default."""

    section: ClassVar[Section] = Section.WINDOWS


@dataclass(frozen=True)
class AfterMaxEvent:
    """Of each key every n-th event goes on; after `timeout_secs` of waiting, and at the end, the last there is."""

    section: ClassVar[Section] = Section.WINDOWS

    max_events: int
    timeout_secs: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.max_events, int) or self.max_events < 1:
            raise GraphError(f"AfterMaxEvent got max_events={self.max_events!r}; expected a whole number from 1.")


@dataclass(frozen=True)
class AfterPeriod:
    """At the end of every period each key gives one event, with its windows as they end there.

    A period ends when an event comes whose time is `delay_in_seconds` or more past its end, so that late events count.
    """

    section: ClassVar[Section] = Section.WINDOWS

    delay_in_seconds: float = 0


@dataclass(frozen=True)
class AfterWindow:
    """As AfterPeriod, at the end of every window; where there are several, of the shortest."""

    section: ClassVar[Section] = Section.WINDOWS

    delay_in_seconds: float = 0


@dataclass(frozen=True)
class AfterDelay:
    """Of each key the last event goes on, so long after the first that was held back."""

    section: ClassVar[Section] = Section.WINDOWS

    delay_in_seconds: float


# As Storey calls them.
EmitEveryEvent, EmitAfterMaxEvent, EmitAfterPeriod = EveryEvent, AfterMaxEvent, AfterPeriod
EmitAfterWindow, EmitAfterDelay = AfterWindow, AfterDelay

EmitPolicy = EveryEvent | AfterMaxEvent | AfterPeriod | AfterWindow | AfterDelay
KINDS = (EveryEvent, AfterMaxEvent, AfterPeriod, AfterWindow, AfterDelay)

_MODES: dict[str, tuple[type[Any], dict[str, str]]] = {
    "everyEvent": (EveryEvent, {}),
    "maxEvents": (AfterMaxEvent, {"maxEvents": "max_events"}),
    "afterPeriod": (AfterPeriod, {"delay": "delay_in_seconds"}),
    "afterWindow": (AfterWindow, {"delay": "delay_in_seconds"}),
    "afterDelay": (AfterDelay, {"delay": "delay_in_seconds"}),
}


def policy_of(given: EmitPolicy | Mapping[str, Any] | None) -> EmitPolicy:
    """The policy itself, or the one a dict means, in which MLRun's specs have them.

    >>> policy_of(None), policy_of({"mode": "maxEvents", "maxEvents": 3})
    (EveryEvent(), AfterMaxEvent(max_events=3, timeout_secs=None))
    """
    if given is None:
        return EveryEvent()
    if isinstance(given, KINDS):
        return given
    if not isinstance(given, Mapping) or given.get("mode") not in _MODES:
        raise GraphError(
            f"AggregateByKey got emit_policy={given!r}; expected one of "
            f"{', '.join(kind.__name__ for kind in KINDS)}, or a dict with the mode {', '.join(_MODES)}."
        )
    kind, words = _MODES[given["mode"]]
    rest = {key: value for key, value in given.items() if key != "mode"}
    if unknown := set(rest) - set(words):
        raise GraphError(
            f"The emit policy {given!r} has {', '.join(sorted(unknown))}; known: {', '.join(words) or 'none'}."
        )
    return kind(**{words[key]: value for key, value in rest.items()})  # type: ignore[no-any-return]
