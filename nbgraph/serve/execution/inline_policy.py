"""InlinePolicy: whether a synchronous call may run right on the loop that serves callers, or belongs on a thread.

A hop to a thread and back costs more than many a step, while one that waits on the loop would keep health checks and
everybody else waiting. So on the loop runs only what can't wait, by its code (`prompt.py`), and has proved quick.
"""

from __future__ import annotations

QUICK = 0.001  # seconds: on the loop, a call that takes less holds it up no longer than the hop to a thread costs it
SLOW = 0.02  # seconds: a call that takes more belongs on the thread, wherever it was made
PROBATION, LONGEST = 50, 10_000  # calls on the thread before the loop is tried; doubled each time it did not go well
DOUBT, PATIENCE = 25, 100  # what a call that was not quick costs, and how much of that is borne


class InlinePolicy:
    """The pace of one step, or of a whole plan.

    Calls begin on the thread, where the time says little (it has the interpreter's lock to wait for), so anything short
    of slow lets the loop be tried; there a call has to be quick.

    >>> pace = InlinePolicy(is_prompt=True)
    >>> for _ in range(PROBATION):
    ...     pace.was_on_thread(0.0001)
    >>> pace.is_quick
    True
    """

    __slots__ = ("_doubt", "_is_prompt", "_needed", "_trust")

    def __init__(self, *, is_prompt: bool = False) -> None:
        self._is_prompt = is_prompt
        self._trust, self._needed, self._doubt = 0, PROBATION, 0

    @property
    def is_quick(self) -> bool:
        """Whether the next call may run on the loop: it can't wait, and those of late were quick."""
        return self._is_prompt and self._trust >= self._needed

    def was_on_thread(self, seconds: float) -> None:
        self._trust = self._trust + 1 if seconds < SLOW else 0

    def was_here(self, seconds: float) -> None:
        """Stay on the loop, or go back to the thread for longer than the last time."""
        if seconds < QUICK:
            self._doubt = max(self._doubt - 1, 0)
            return
        self._doubt += DOUBT if seconds < SLOW else PATIENCE
        if self._doubt >= PATIENCE:
            self._trust, self._needed, self._doubt = 0, min(self._needed * 2, LONGEST), 0
