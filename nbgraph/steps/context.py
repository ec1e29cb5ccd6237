"""Context: what a step may ask of its surroundings, and the clock it goes by when it has none."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from nbgraph.body import Copier
from nbgraph.types import Clock


class StepContext(Protocol):
    """The part of `nbgraph.engine.context.Context` that built-in steps use."""

    @property
    def clock(self) -> Clock: ...
    @property
    def logger(self) -> logging.Logger: ...
    @property
    def incoming(self) -> Callable[[], int]: ...
    @property
    def params(self) -> Any: ...
    @property
    def copied(self) -> Callable[[Any], Any]: ...


def clock_of(context: StepContext | None) -> Clock:
    """The surroundings' clock; a step that was made by hand goes by the machine's.

    >>> clock_of(None) is time.monotonic
    True
    """
    return time.monotonic if context is None else context.clock


def copier_of(context: StepContext | None) -> Callable[[Any], Any]:
    """What makes the body of one of several that get it; the graph's, which knows whether they share one."""
    return Copier() if context is None else context.copied
