"""MicroBatch: requests that arrive together are predicted together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from nbgraph.errors import NbgraphError, own

Predict = Callable[[dict[str, Any]], Any]


@dataclass(slots=True)
class WaitingRequest:
    """A request and the future of its outputs."""

    request: dict[str, Any]
    rows: list[Any]
    since: float = field(default_factory=time.monotonic)
    future: Future[Any] = field(default_factory=Future)


class MicroBatch:
    """Gathers rows until there are `max_batch`, or `max_wait` seconds after the first, and predicts them together.

    >>> batch = MicroBatch(lambda request: [row * 2 for row in request["inputs"]], max_batch=2, max_wait=1)
    >>> futures = [batch.submit({"inputs": [1]}), batch.submit({"inputs": [2]})]
    >>> [future.result() for future in futures]
    [[2], [4]]

    One batch is predicted at a time; later requests form the next one. A batch that fails is predicted again
    request by request, so that a bad request fails alone.
    """

    def __init__(self, predict: Predict, max_batch: int, max_wait: float) -> None:
        self._predict, self._max_batch, self._max_wait = predict, max_batch, max_wait
        self._waiting: list[WaitingRequest] = []
        self._lock = threading.Lock()
        self._is_full = threading.Event()
        self._is_gathering = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nbgraph-batch")  # ends with its last reference
        self.sizes: list[int] = []  # rows of the last batches, the newest last

    def submit(self, request: dict[str, Any]) -> Future[Any]:
        """The future of the request's outputs."""
        waiting = WaitingRequest(request, request["inputs"])
        with self._lock:
            self._waiting.append(waiting)
            if self._rows() >= self._max_batch:
                self._is_full.set()
            if not self._is_gathering:
                self._is_gathering = True
                self._thread.submit(self._gather)
        return waiting.future

    def _rows(self) -> int:
        return sum(len(waiting.rows) for waiting in self._waiting)

    def _gather(self) -> None:
        while True:
            self._is_full.wait(self._left())
            batch = self._taken()
            if not batch:
                return
            self._answer([waiting for waiting in batch if waiting.future.set_running_or_notify_cancel()])

    def _left(self) -> float:
        """Seconds until the first waiting request has waited `max_wait`, including its wait during the last batch."""
        with self._lock:
            since = self._waiting[0].since if self._waiting else time.monotonic()
        return max(0.0, since + self._max_wait - time.monotonic())

    def _taken(self) -> list[WaitingRequest]:
        """The next batch: at least one request, even one larger than a batch; without any, gathering ends."""
        with self._lock:
            taken: list[WaitingRequest] = []
            rows = 0
            while self._waiting and (not taken or rows + len(self._waiting[0].rows) <= self._max_batch):
                taken.append(self._waiting.pop(0))
                rows += len(taken[-1].rows)
            self._is_gathering = bool(taken)
            if self._rows() < self._max_batch:
                self._is_full.clear()
            return taken

    def _answer(self, batch: list[WaitingRequest]) -> None:
        if len(batch) == 1:
            self._alone(batch[0])
            return
        rows = [row for waiting in batch for row in waiting.rows]
        try:
            outputs = self._together(rows)
        except own():
            for waiting in batch:
                self._alone(waiting)
            return
        at = 0
        for waiting in batch:
            waiting.future.set_result(outputs[at : at + len(waiting.rows)])
            at += len(waiting.rows)

    def _together(self, rows: list[Any]) -> Any:
        outputs = self._predict({"inputs": rows})
        if len(outputs) != len(rows):
            raise NbgraphError(f"predict gave {len(outputs)} outputs for {len(rows)} inputs.")
        self.sizes = [*self.sizes[-99:], len(rows)]
        return outputs

    def _alone(self, waiting: WaitingRequest) -> None:
        try:
            waiting.future.set_result(self._predict(waiting.request))
            self.sizes = [*self.sizes[-99:], len(waiting.rows)]
        except own() as error:
            waiting.future.set_exception(error)


def can_join(request: dict[str, Any]) -> bool:
    """Whether a request may be predicted with others: it holds rows, and nothing else that a batch would lose."""
    return isinstance(request.get("inputs"), list) and not (set(request) - {"inputs", "id", "model", "operation"})
