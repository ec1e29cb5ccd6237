"""The NestedStepper: a step that calls others, as a router its routes, executed call by call.

For each move the step is called anew: the results of its calls so far are put in their place without making them again,
one more call is made, and the next one stops it all by raising `StopBefore`. So nothing waits on a thread, and going
back means dropping results. What the step itself does before and between its calls is done again at each move.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec.structs import replace

from nbgraph.debug.breakpoint import BreakpointMarks
from nbgraph.debug.copies import Copies
from nbgraph.debug.frame import Frame, is_same
from nbgraph.debug.recorder import FrameSlot, Recorder
from nbgraph.debug.state_history import StateHistory
from nbgraph.engine.interpret.interpreter import Interpreter
from nbgraph.engine.interpret.pending import PendingCall
from nbgraph.errors import Halt
from nbgraph.handler import OnExit, Override


class CallKey(NamedTuple):
    """Which call of the step: its path below the step, and its number among the calls of that path."""

    path: str
    number: int


class ListenerReply(NamedTuple):
    """What the step's listeners answered when a call began, and where its frame stands among those of the step."""

    answer: OnExit | Override
    slot: FrameSlot
    position: int


class StopBefore(Halt):
    """Raised before a call that is not allowed yet."""

    def __init__(self, key: CallKey, input: Any) -> None:
        self.key, self.input = key, input


@dataclass(frozen=True, slots=True)
class CallResult:
    """The result of a call; `after` is its input as the call left it."""

    after: Any
    value: Any
    error: BaseException | None
    seconds: float = 0.0


@dataclass(slots=True)
class CallProgress:
    """How far the step has come: results of calls, the calls that were entered, the frames of calls, where it stands.

    `ended` are the calls that the last move brought to an end; the first of them is the one that it made.
    """

    results: dict[CallKey, CallResult] = field(default_factory=dict)
    opened: dict[CallKey, ListenerReply | None] = field(default_factory=dict)
    slots: list[FrameSlot] = field(default_factory=list)
    stop: StopBefore | None = None
    ended: dict[CallKey, Frame] = field(default_factory=dict)

    def copy(self) -> CallProgress:
        slots = [FrameSlot(slot.frame) for slot in self.slots]
        return CallProgress(dict(self.results), dict(self.opened), slots, self.stop, dict(self.ended))


class NestedStepper:
    """A step that was entered; `advance` makes calls until it stands before one that is not allowed."""

    def __init__(self, call: PendingCall, states: StateHistory, copies: Copies, recorder: Recorder) -> None:
        self.progress = CallProgress()
        self._history: list[tuple[CallProgress, BreakpointMarks]] = []
        self._copy = copies.copy_or_same
        self._body = self._copy(call.move.input)
        self._recorder, self._states = recorder, states
        self._allowed: Callable[[CallKey], bool] = lambda key: False
        self._counts: Counter[str] = Counter()
        self._running: set[CallKey] = set()
        self._lock = threading.RLock()  # routes may run on threads
        self.resume(call)

    def resume(self, call: PendingCall) -> None:
        """Go on with the same call of the same step, pending once more after going back to it."""
        self._pending_call = call
        self._share_slots()

    def _share_slots(self) -> None:
        self._recorder.inner[:] = self.progress.slots
        self.progress.slots = self._recorder.inner

    @property
    def step(self) -> str:
        return self._pending_call.move.step

    @property
    def name(self) -> str:
        """The name of the call that it stands before."""
        assert self.progress.stop is not None
        return f"{self.step}/{self.progress.stop.key.path}"

    @property
    def visit(self) -> int:
        return self._pending_call.move.visit

    @property
    def ended(self) -> list[Frame]:
        return list(self.progress.ended.values())

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The calls that it has made so far."""
        return tuple(slot.frame for slot in self.progress.slots)

    @property
    def has_moved(self) -> bool:
        return bool(self._history)

    def open(self) -> None:
        """Enter the call that it stands before, at the next move."""
        assert self.progress.stop is not None
        self.progress.opened[self.progress.stop.key] = None

    def remember(self, marks: BreakpointMarks) -> None:
        """Make the next move one that `back` undoes; it then returns these marks."""
        self._history.append((self.progress.copy(), marks))

    def back(self) -> BreakpointMarks:
        """Undo the last move."""
        self.progress, marks = self._history.pop()
        self._share_slots()
        return marks

    def replace_output(self, value: Any) -> None:
        """Go on as if the call that was made last had given another value; those around it have not ended then."""
        progress = self.progress
        last, *around = progress.ended
        for key in around:
            del progress.results[key]
        result, frame = progress.results[last], progress.ended[last]
        progress.results[last] = CallResult(result.after, value, None, result.seconds)
        for slot in progress.slots:
            if slot.frame is frame:
                slot.frame = replace(frame, output=self._recorder.keep(value), error=None)

    async def advance(self, interpreter: Interpreter, allowed: Callable[[CallKey], bool]) -> bool:
        """Make calls as long as they are allowed; True when the step is done and the run has gone on."""
        self._allowed, self.progress.ended = allowed, {}
        self._counts.clear()
        self._running.clear()
        self._states.recall(self.step)
        self._recorder.console.take()  # what the step's own code prints, it prints anew at each move
        event = self._pending_call.move.event.with_body(self._copy(self._body))
        before = sum(one.seconds for key, one in self.progress.results.items() if "/" not in key.path)
        try:
            await interpreter.carry_out(self._pending_call, event, (self._on_enter,), before)
        except StopBefore as stop:
            self.progress.stop = stop
            return False
        self.progress.stop = None
        return True

    def _on_enter(self, path: str, input: Any) -> OnExit | Override:
        """The step makes a call: give its known result, let it be made, or stop before it."""
        with self._lock:
            self._counts[path] += 1
            key = CallKey(path, self._counts[path])
            known = self.progress.results.get(key)
            if known is not None:
                self._restore_input(input, known.after)
                return Override(self._copy(known.value), known.error)
            if key in self.progress.opened:
                return self._run_opened(key, input)
            is_part = any(path.startswith(f"{running.path}/") for running in self._running)
            if not is_part and not self._allowed(key):
                raise StopBefore(key, input)
            return self._notify(path, input).answer if is_part else self._run_as_one(key, input)

    def _run_as_one(self, key: CallKey, input: Any) -> OnExit | Override:
        """A call that is made now, with all calls that it makes itself."""
        self._running.add(key)
        answer, slot, _ = self._notify(key.path, input)
        if isinstance(answer, Override):
            self._record(key, input, answer.value, answer.error, slot.frame)
            return answer
        on_leave = answer

        def leave(output: Any, error: BaseException | None) -> None:
            on_leave(output, error)
            self._record(key, input, output, error, slot.frame)

        return leave

    def _run_opened(self, key: CallKey, input: Any) -> OnExit | Override:
        """A call whose own calls are made one by one; its listeners are notified once."""
        reply = self.progress.opened[key]
        if reply is None:
            reply = self.progress.opened[key] = self._notify(key.path, input)
        if isinstance(reply.answer, Override):
            return reply.answer
        on_leave, slot, position = reply.answer, reply.slot, reply.position

        def leave(output: Any, error: BaseException | None) -> None:
            if isinstance(error, StopBefore):
                return
            on_leave(output, error)
            results = self.progress.results.items()
            parts = (one.seconds for part, one in results if part.path.rpartition("/")[0] == key.path)
            frame = replace(slot.frame, seconds=sum(parts))  # without the time that it stood
            self.progress.slots[position].frame = frame
            self._record(key, input, output, error, frame)

        return leave

    def _record(self, key: CallKey, input: Any, output: Any, error: BaseException | None, frame: Frame) -> None:
        with self._lock:
            self.progress.results[key] = CallResult(self._copy(input), self._copy(output), error, frame.seconds)
            self.progress.ended[key] = frame

    def _notify(self, path: str, input: Any) -> ListenerReply:
        """Notify the step's listeners that a call begins."""
        position = len(self.progress.slots)
        answers = [on_enter(path, input) for on_enter in self._pending_call.move.listeners]
        override = next((one for one in answers if isinstance(one, Override)), None)

        def leave(output: Any, error: BaseException | None) -> None:
            for one in answers:
                if not isinstance(one, Override):
                    one(output, error)

        if override is not None:
            leave(override.value, override.error)
        return ListenerReply(override or leave, self.progress.slots[position], position)

    def _restore_input(self, input: Any, after: Any) -> None:
        """Let a call's input be as the call left it, which may have changed it in place."""
        if is_same(input, after):
            return
        if isinstance(input, dict):
            input.clear()
            input.update(self._copy(after))
        elif isinstance(input, list):
            input[:] = self._copy(after)
