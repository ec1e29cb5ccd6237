"""An Opening: whether whoever else watches has been told that the debugged event is under way."""

from __future__ import annotations

from nbgraph.engine.walk import Walk
from nbgraph.errors import StepError


class Opening:
    """Tells who watches that an event enters and when it is done; also where a debugger is left in the middle."""

    def __init__(self) -> None:
        self._walk: Walk | None = None

    def tell(self, walk: Walk, error: StepError | None = None) -> None:
        """How the run stands now: on an event's way, or at its end; stepping back from there opens it again."""
        if self._walk is not None and self._walk.event is not walk.event:
            self.close()
        if self._walk is None:
            walk.begun()
        self._walk = walk if walk.waiting else None
        if self._walk is None:
            walk.ended(error)

    def close(self) -> None:
        if self._walk is not None:
            self._walk.ended()
            self._walk = None
