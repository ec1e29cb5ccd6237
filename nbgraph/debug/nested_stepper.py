"""Within: a step that calls others, as a router its routes, gone through call by call.

For each move the step is called anew: what its calls came to so far is put in their place without making them again,
one more is made, and the next one stops it all by raising `StopBefore`. So nothing waits on a thread, and going back is
forgetting. What the step itself does before and between its calls is done again at each move.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from nbgraph.debug.copies import Copies
from nbgraph.debug.frame import Frame, is_same
from nbgraph.debug.recorder import Recorder
from nbgraph.debug.state_history import StateHistory
from nbgraph.engine.interpret.interpreter import Interpreter
from nbgraph.engine.interpret.pending import PendingCall
from nbgraph.errors import Halt
from nbgraph.handler import Left, Override

Key = tuple[str, int]  # a call's path below the step, and the how many-th of that path it is
# What who watches answered, the place of the call's frame, its index.
Told = tuple[Left | Override, list[Frame], int]


class StopBefore(Halt):
    """Before a call that was not allowed yet."""

    def __init__(self, key: Key, input: Any) -> None:
        self.key, self.input = key, input


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a call came to; `after` is its input as the call left it."""

    after: Any
    value: Any
    error: BaseException | None
    seconds: float = 0.0


@dataclass(slots=True)
class CallProgress:
    """How far it has come: outcomes, the calls that were gone into, the frames of calls, and where it stands.

    `ended` are the calls that the last move brought to an end; the first of them is the one that it made.
    """

    outcomes: dict[Key, CallResult] = field(default_factory=dict)
    opened: dict[Key, Told | None] = field(default_factory=dict)
    places: list[list[Frame]] = field(default_factory=list)
    at: StopBefore | None = None
    ended: dict[Key, Frame] = field(default_factory=dict)

    def copy(self) -> CallProgress:
        places = [list(place) for place in self.places]
        return CallProgress(dict(self.outcomes), dict(self.opened), places, self.at, dict(self.ended))


class NestedStepper:
    """A step of a walk that was gone into; `move` makes calls until it stands before one that is not allowed."""

    def __init__(self, departure: PendingCall, memory: StateHistory, copies: Copies, recorder: Recorder) -> None:
        self.now = CallProgress()
        self._history: list[tuple[CallProgress, Any]] = []
        self._kept = copies.or_itself
        self._body = self._kept(departure.move.input)
        self._recorder, self._memory = recorder, memory
        self._allowed: Callable[[Key], bool] = lambda key: False
        self._counts: Counter[str] = Counter()
        self._making: set[Key] = set()
        self._lock = threading.RLock()  # routes may run on threads
        self.begin(departure)

    def begin(self, departure: PendingCall) -> None:
        """The same call of the same step, due once more after going back to it."""
        self._departure = departure
        self._recorder.inner[:] = self.now.places
        self.now.places = self._recorder.inner

    @property
    def step(self) -> str:
        return self._departure.move.step

    @property
    def name(self) -> str:
        """The name of the call that it stands before."""
        assert self.now.at is not None
        return f"{self.step}/{self.now.at.key[0]}"

    @property
    def visit(self) -> int:
        return self._departure.move.visit

    @property
    def ended(self) -> list[Frame]:
        return list(self.now.ended.values())

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The calls that it has made so far."""
        return tuple(frame for (frame,) in self.now.places)

    @property
    def has_moved(self) -> bool:
        return bool(self._history)

    def open(self) -> None:
        """Go into the call that it stands before, at the next move."""
        assert self.now.at is not None
        self.now.opened[self.now.at.key] = None

    def remember(self, marks: Any) -> None:
        """What comes now can be undone by `back`, which gives these marks."""
        self._history.append((self.now.copy(), marks))

    def back(self) -> Any:
        """Undo the last move."""
        self.now, marks = self._history.pop()
        self._recorder.inner[:] = self.now.places
        self.now.places = self._recorder.inner
        return marks

    def replace(self, value: Any) -> None:
        """Go on as if the call that was made last had given another value; those around it have not ended then."""
        made, *around = self.now.ended
        for key in around:
            del self.now.outcomes[key]
        outcome, frame = self.now.outcomes[made], self.now.ended[made]
        self.now.outcomes[made] = CallResult(outcome.after, value, None, outcome.seconds)
        for place in self.now.places:
            if place[0] is frame:
                place[0] = replace(frame, output=self._recorder.keep(value), error=None)

    async def move(self, walk: Interpreter, allowed: Callable[[Key], bool]) -> bool:
        """Make calls as long as they are allowed; True when the step is done and the walk has gone on."""
        self._allowed, self.now.ended = allowed, {}
        self._counts.clear()
        self._making.clear()
        self._memory.recall(self.step)
        event = self._departure.move.event.with_body(self._kept(self._body))
        before = sum(one.seconds for (name, _), one in self.now.outcomes.items() if "/" not in name)
        try:
            await walk.carry_out(self._departure, event, (self._entered,), before)
        except StopBefore as standing:
            self.now.at = standing
            return False
        self.now.at = None
        return True

    def _entered(self, name: str, input: Any) -> Left | Override:
        with self._lock:
            self._counts[name] += 1
            key = name, self._counts[name]
            done = self.now.outcomes.get(key)
            if done is not None:
                self._leave_as(input, done.after)
                return Override(self._kept(done.value), done.error)
            if key in self.now.opened:
                return self._gone_into(key, input)
            is_part = any(name.startswith(f"{path}/") for path, _ in self._making)
            if not is_part and not self._allowed(key):
                raise StopBefore(key, input)
            return self._forwarded(name, input)[0] if is_part else self._made(key, input)

    def _made(self, key: Key, input: Any) -> Left | Override:
        """A call that is made now, as one."""
        self._making.add(key)
        answer, place, _ = self._forwarded(key[0], input)
        if isinstance(answer, Override):
            self._keep(key, input, answer.value, answer.error, place[0])
            return answer
        left = answer

        def over(output: Any, error: BaseException | None) -> None:
            left(output, error)
            self._keep(key, input, output, error, place[0])

        return over

    def _gone_into(self, key: Key, input: Any) -> Left | Override:
        """A call whose own calls are made one by one; who watches is told of it once."""
        if self.now.opened[key] is None:
            self.now.opened[key] = self._forwarded(key[0], input)
        found = self.now.opened[key]
        assert found is not None
        answer, place, index = found
        if isinstance(answer, Override):
            return answer
        left = answer

        def over(output: Any, error: BaseException | None) -> None:
            if isinstance(error, StopBefore):
                return
            left(output, error)
            parts = (one.seconds for (name, _), one in self.now.outcomes.items() if name.rpartition("/")[0] == key[0])
            frame = replace(place[0], seconds=sum(parts))  # not the time that it stood
            self.now.places[index][0] = frame
            self._keep(key, input, output, error, frame)

        return over

    def _keep(self, key: Key, input: Any, output: Any, error: BaseException | None, frame: Frame) -> None:
        with self._lock:
            self.now.outcomes[key] = CallResult(self._kept(input), self._kept(output), error, frame.seconds)
            self.now.ended[key] = frame

    def _forwarded(self, name: str, input: Any) -> Told:
        """Tell who watches the step; their answer, and where the call's frame stands."""
        index = len(self.now.places)
        answers = [entered(name, input) for entered in self._departure.move.listeners]
        instead = next((one for one in answers if isinstance(one, Override)), None)

        def left(output: Any, error: BaseException | None) -> None:
            for one in answers:
                if not isinstance(one, Override):
                    one(output, error)

        if instead is not None:
            left(instead.value, instead.error)
        return instead or left, self.now.places[index], index

    def _leave_as(self, input: Any, after: Any) -> None:
        """Let a call's input be as the call left it, which may have changed it in place."""
        if is_same(input, after):
            return
        if isinstance(input, dict):
            input.clear()
            input.update(self._kept(after))
        elif isinstance(input, list):
            input[:] = self._kept(after)
