"""Types that every floor shares: how a handler deals with an event, kinds of edges and steps, the clock."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, StrEnum


class Shape(Enum):
    """What a handler gets and what its result means; looked at once, when the graph is compiled."""

    MAP = "map"  # gets the body; the result is the new body (or stands at result_path)
    FILTER = "filter"  # gets the body; it goes on where the result is true
    EACH = "each"  # gets the body; the body goes on, whatever the result
    FLAT = "flat"  # gets the body; the result is an iterable of bodies, each goes on
    HOLD = "hold"  # gets the body; nothing goes on before `release` gives what was held
    EVENT = "event"  # gets the Event; returns an Event, or None to pass on the one it changed
    EVENTS = "events"  # gets the Event; the result is an iterable of Events, each goes on


class EdgeKind(StrEnum):
    """Why an edge is followed; a `str`, so that `edge.kind == "error"` reads well."""

    FLOW = "flow"
    ERROR = "error"
    CYCLE = "cycle"
    ALERT = "alert"


class StepKind(StrEnum):
    """What sort of thing a step is, which its picture shows."""

    TASK = "task"
    MODEL = "model"
    ROUTER = "router"
    QUEUE = "queue"
    SOURCE = "source"
    TARGET = "target"


class Section(StrEnum):
    """The headings of the catalogue of steps, in their order."""

    OPERATORS = "Operators"
    WINDOWS = "Windows"
    FEATURES = "Features"
    TABLES = "Tables"
    SOURCES = "Sources"
    TARGETS = "Targets"
    QUEUES = "Queues"
    REMOTE = "Remote"
    MODELS = "Models"
    ROUTERS = "Routers"
    INSTALLED = "Installed packages"


Clock = Callable[[], float]  # seconds, never going back
