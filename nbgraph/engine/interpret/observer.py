"""Observer: watches a run (trace, breakpoints, metrics, live widgets); the engine's only interface to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nbgraph.errors import StepError
from nbgraph.event import Event
from nbgraph.handler import OnEnter


@dataclass(slots=True)
class StepRun:
    """One run of one step: its input, then its result.

    Before the call `input` is the body the step gets; after it `output` is the body that goes on (the list of them
    where the step makes several), `edges` are the names of the steps it goes on to, `reason` says why where conditions
    chose. A step that calls others (a router its routes) reports these calls to those who `listen`. `visit` counts
    the calls of this step for this event from 1. `copied` counts the bytes of arrays and frames that were copied
    so that each branch behind the step has its own. `dropped` is True where nothing goes on because the step
    filtered the event out or holds it back. `error` is what the handler raised.
    """

    step: str
    event: Event
    visit: int
    input: Any
    output: Any = None
    error: BaseException | None = None
    seconds: float = 0.0
    edges: tuple[str, ...] = ()
    reason: str = ""
    dropped: bool = False
    listeners: tuple[OnEnter, ...] = ()
    copied: int = 0

    def listen(self, entered: OnEnter) -> None:
        """Report the nested calls of the step to `entered`."""
        self.listeners = (*self.listeners, entered)


@dataclass(frozen=True, slots=True)
class Skip:
    """What `before` returns to replace the step's result by a value (a pin)."""

    value: Any


class Observer:
    """Hooks that do nothing; override those you need.

    They are called on the thread that runs the graph, so they must be short. Only the result of `before` is used.
    """

    def reading(self, total: int | None) -> None:
        """A stream begins; it has so many items, where that is known.

        Parameters
        ----------
        total
            Items; None where that is not known.
        """

    def started(self, event: Event) -> None:
        """An event enters the graph.

        Parameters
        ----------
        event
            The event.
        """

    def before(self, move: StepRun) -> Skip | None:
        """A step is about to run.

        Parameters
        ----------
        move
            The call about to be made.
        """
        return None

    def after(self, move: StepRun) -> None:
        """A step has run, or has failed: then `move.error` is set.

        Parameters
        ----------
        move
            The call, with its output or error.
        """

    def finished(self, event: Event, answers: Sequence[Any], error: StepError | None) -> None:
        """The event has ended.

        Parameters
        ----------
        event
            The event.
        answers
            Its answers.
        error
            The unhandled error; None without one.
        """
