"""HostedEngine: tasks on workers in containers, which somebody else starts and replaces, over a broker.

Records and orders go over the broker, a message a part; rows are read and answers written by the workers, which see
the job's folder, and the files of the source, at their own paths.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Protocol

from nbgraph.contract import HOSTED_FOLDER, INBOX_FILE
from nbgraph.errors import DeployError, JobError, NbgraphError
from nbgraph.jobs.engines.messages import BEAT, TaskOrder, TaskOutcome, WorkerState, encode, state_in
from nbgraph.jobs.part import LostError, PartRecord, Task
from nbgraph.streams.base import Broker, Inbox
from nbgraph.streams.transport import StreamAddress, transport_of

TICK = 0.05  # seconds between two looks at what there is to do
LOOK = 1.0  # seconds between two looks at what runs
SILENT = 15.0  # seconds without a word, after which a worker that is said to run is given up
COMING = 180.0  # seconds for a first worker to come
UNHEARD = 3  # workers that may end before they have said a word
GRACE = 15.0  # seconds for all to be gone
log = logging.getLogger("nbgraph.jobs")


class JobHost(Protocol):
    """Who runs the workers, and a broker that they and this process reach."""

    @property
    def address(self) -> StreamAddress:
        """Where this process finds the broker."""
        ...

    def alive(self) -> frozenset[str]:
        """The names of the workers that run; what has ended is replaced."""
        ...

    def last_words(self) -> str:
        """What workers wrote last."""
        ...

    def stop(self) -> None:
        """End all of it, at once."""
        ...


Start = Callable[[Callable[[str], None]], JobHost]


@dataclass(eq=False)
class _Work:
    """A task with its number; `future` is whoever waits for it."""

    id: str
    task: Task
    future: Future[PartRecord]


@dataclass(eq=False)
class _Hand:
    """A worker as it was heard last, and what it was given."""

    inbox: str
    since: float = field(default_factory=time.monotonic)
    heard: float = 0.0
    work: _Work | None = None
    told: tuple[str, float] = ("", 0.0)  # the order that it was told of last, and when

    @property
    def order(self) -> TaskOrder:
        return TaskOrder(self.work.id, self.work.task) if self.work is not None else TaskOrder()

    def is_due(self, now: float) -> bool:
        """Whether it is to be told its order, again or for the first time."""
        return self.told[0] != self.order.id or now - self.told[1] > BEAT


class HostedEngine:
    """`start` makes the images and starts all; it is called here when the engine begins, and may take minutes."""

    def __init__(self, start: Start, folder: Path, workers: int) -> None:
        self._start, self._folder, self._number = start, folder, workers
        self._waiting: deque[_Work] = deque()
        self._hands: dict[str, _Hand] = {}
        self._numbers = count(1)
        self._unheard: set[str] = set()
        self._ended_unheard = 0
        self._is_closed = threading.Event()
        self._error: JobError | None = None
        self._turn = threading.Lock()  # of what waits and what has failed
        self._thread = threading.Thread(target=self._run, daemon=True, name="nbgraph-job-host")
        self._thread.start()
        atexit.register(self.close)

    def submit(self, task: Task) -> Future[PartRecord]:
        work = _Work(f"{next(self._numbers)}", task, Future())
        with self._turn:
            if self._error is not None:
                work.future.set_exception(self._error)
            else:
                self._waiting.append(work)
        return work.future

    def workers(self) -> int:
        return self._number

    def close(self) -> None:
        atexit.unregister(self.close)
        self._is_closed.set()
        self._thread.join(GRACE)

    # --- on a thread of its own ---

    def _run(self) -> None:
        host: JobHost | None = None
        try:
            host = self._start(self._say)
            asyncio.run(self._serve(host))
        except _ClosedError:
            pass
        except Exception as error:
            told = str(error) if isinstance(error, NbgraphError) else f"{type(error).__name__}: {error}"
            self._fail(JobError(told))
        finally:
            if host is not None:
                with suppress(DeployError):  # the daemon is gone, and its containers end by themselves
                    host.stop()

    def _say(self, text: str) -> None:
        """Note what is done, as long as somebody wants it."""
        if self._is_closed.is_set():
            raise _ClosedError
        with (self._folder / "_job" / "logs" / "host.txt").open("a") as file:
            file.write(f"{text}\n")

    def _fail(self, error: JobError) -> None:
        with self._turn:
            self._error = error
            lost = [*self._waiting, *(hand.work for hand in self._hands.values() if hand.work is not None)]
            self._waiting.clear()
        for work in lost:
            work.future.set_exception(error)

    async def _serve(self, host: JobHost) -> None:
        transport = transport_of(host.address)
        self._away = transport.away()
        broker = await transport.connect(host.address)
        inbox = await broker.inbox()
        (self._folder / HOSTED_FOLDER / INBOX_FILE).write_text(inbox.address)
        beats = [asyncio.create_task(self._listen(broker, inbox)), asyncio.create_task(self._look(host))]
        try:
            before = time.monotonic()
            while not self._is_closed.is_set() and not any(beat.done() for beat in beats):
                before = self._forgiven(before)
                await self._give_out(broker)
                await asyncio.wait(beats, timeout=TICK)
            for beat in beats:
                if beat.done():
                    beat.result()
        finally:
            for beat in beats:
                beat.cancel()
            await broker.close()

    def _forgiven(self, before: float) -> float:
        """The time; where this process was busy itself, nobody has been silent meanwhile."""
        now = time.monotonic()
        if now - before > LOOK:
            for hand in self._hands.values():
                hand.heard = now
        return now

    async def _listen(self, broker: Broker, inbox: Inbox) -> None:
        async for _, body in inbox.replies():
            state = state_in(body)
            if not state.sees_folder:
                raise JobError(
                    f"The worker {state.worker} does not see {self._folder}; name a folder that all machines share."
                )
            if (known := self._hands.get(state.worker)) is not None and known.inbox != state.inbox:
                self._lose(state.worker, known)  # its container was started again
            hand = self._hands.setdefault(state.worker, _Hand(state.inbox))
            hand.heard = time.monotonic()
            self._unheard.discard(state.worker)
            work = hand.work
            if work is not None and state.order == work.id and state.outcome is not None:
                hand.work = None
                _hand_over(work, state, state.outcome)
                await self._give_out(broker)

    async def _give_out(self, broker: Broker) -> None:
        """Work for all who have none; each is told what it has."""
        for hand in list(self._hands.values()):
            with self._turn:
                if hand.work is None and self._waiting:
                    hand.work = self._waiting.popleft()
            if hand.is_due(time.monotonic()):
                hand.told = (hand.order.id, time.monotonic())
                with suppress(*self._away):
                    await broker.reply(hand.inbox, {}, encode(hand.order))

    async def _look(self, host: JobHost) -> None:
        """Once a second: who is gone, and whether anybody comes at all."""
        came = time.monotonic()
        while True:
            began = time.monotonic()
            try:
                alive = await asyncio.to_thread(host.alive)
            except DeployError as error:  # a daemon that is away for a moment; workers may go on
                log.warning("%s", error)
                alive = frozenset(self._hands)
            self._ended_unheard += len(self._unheard - alive)
            self._unheard = {name for name in alive if name not in self._hands}
            now = time.monotonic()
            for name, hand in list(self._hands.items()):
                if (name not in alive and hand.since < began) or now - hand.heard > SILENT:
                    self._lose(name, hand)
            came = now if self._hands else came
            self._ended_unheard = 0 if self._hands else self._ended_unheard
            if self._ended_unheard >= UNHEARD or now - came > COMING:
                raise JobError(f"No worker comes to the job. What they wrote last:\n{host.last_words()}")
            await asyncio.sleep(LOOK)

    def _lose(self, name: str, hand: _Hand) -> None:
        del self._hands[name]
        if hand.work is not None:
            hand.work.future.set_exception(LostError("its container ended", name))


class _ClosedError(Exception):
    """The job has ended before its workers were there."""


def _hand_over(work: _Work, state: WorkerState, outcome: TaskOutcome) -> None:
    if outcome.record is not None:
        work.future.set_result(outcome.record)
    elif outcome.lost:
        work.future.set_exception(LostError(outcome.lost, state.worker, outcome.step))
    else:
        work.future.set_exception(JobError(outcome.error) if outcome.is_final else RuntimeError(outcome.error))
