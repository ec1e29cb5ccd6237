"""WorkerPool: the workers of every function of a deployment, and how others take their places."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from nbgraph.deploy.backend import DeployRequest, FunctionState, alone, wrong_count
from nbgraph.deploy.broker import BrokerClient
from nbgraph.deploy.deployed_function import DeployedFunction, check_queues
from nbgraph.deploy.hosted_functions import HostedFunctions
from nbgraph.deploy.target import host_target
from nbgraph.errors import DeployError

M = TypeVar("M")


class WorkerPool(HostedFunctions, Generic[M]):
    """What processes and containers have in common; `M` is one worker.

    Lists of workers are never changed, only replaced, so that whoever looks needs no lock.
    """

    target: str

    def __init__(self, request: DeployRequest) -> None:
        super().__init__()
        self.request = request
        self._duties: dict[str, DeployedFunction] = {}
        self._members: dict[str, list[M]] = {}
        self._reach: BrokerClient | None = None
        self._turn = threading.RLock()  # one change at a time: an autoscaler and a person may scale at once

    def states(self) -> list[FunctionState]:
        """A row for each worker."""
        return [self._state(name, member) for name, those in self._members.items() for member in those]

    def replicas(self, function: str) -> int:
        """How many workers of a function there shall be."""
        return len(self._members.get(function, ()))

    def scale(self, function: str, n: int) -> None:
        """Run that many workers of a function; those that are too many finish what they have first."""
        with self._turn:
            self._look()
            self._check(function, n)
            every, duty = self._members[function], self._duties[function]
            kept = [member for member in every if self._lives(member)][:n]
            more = self._begun([(duty, n - len(kept))])[function]
            self._put({function: [*kept, *more]})
            self._end([member for member in every if member not in kept])

    def take_over(self, duties: Sequence[DeployedFunction], replicas: Mapping[str, int]) -> list[str]:
        """Go on with these functions: new workers where something has changed; the names of those.

        The new ones are ready before the old ones go, and these finish what they have. Where a new one fails, all is as
        it was. A function that is no more goes when nothing waits for it.
        """
        with self._turn:
            self._look()
            check_queues(self._duties.values(), duties)
            changed = [duty for duty in duties if self._duties.get(duty.name) != duty]
            is_first = not self._duties
            together = [duty for duty in changed if is_first or not duty.is_gateway]
            fresh = self._begun([(duty, self._count(duty, replicas)) for duty in together])
            try:
                for gateway in (duty for duty in changed if duty not in together):
                    fresh[gateway.name] = self._swapped(gateway, self._count(gateway, replicas))
            except BaseException:
                self._end([member for those in fresh.values() for member in those])
                raise
            self._settle(duties, fresh)
            for name, n in replicas.items():
                self.scale(name, n)
            return [duty.name for duty in changed]

    # --- what a target knows ---

    @abstractmethod
    def _begin(self, duty: DeployedFunction) -> M:
        """Start a worker."""

    @abstractmethod
    def _await(self, duty: DeployedFunction, member: M, deadline: float) -> None:
        """Return when it is ready; raise when it has ended, or at the deadline."""

    @abstractmethod
    def _end(self, members: Sequence[M]) -> None:
        """Let them finish what they have, all at once, and leave nothing of them."""

    def _lives(self, member: M) -> bool:
        """Whether it runs, or will again by itself."""
        return True

    @abstractmethod
    def _state(self, function: str, member: M) -> FunctionState: ...

    def _look(self) -> None:
        """Called before every change: another process may have made some."""

    def _saved(self) -> None:
        """Called after every change."""

    def _swapped(self, gateway: DeployedFunction, n: int) -> list[M]:
        """So many new gateways beside the old ones."""
        return self._begun([(gateway, n)])[gateway.name]

    # --- inside ---

    def _hosted(self) -> Mapping[str, DeployedFunction]:
        return self._duties

    def _begun(self, wanted: Iterable[tuple[DeployedFunction, int]]) -> dict[str, list[M]]:
        """Start that many of each, together, and wait until all are ready; where one fails, none is left."""
        fresh: dict[str, list[M]] = {}
        every = [(duty, n) for duty, n in wanted]
        try:
            for duty, n in every:
                fresh[duty.name] = []
                for _ in range(n):
                    fresh[duty.name].append(self._begin(duty))
            deadline = time.monotonic() + self.request.timeout
            for duty, _ in every:
                for member in fresh[duty.name]:
                    self._await(duty, member, deadline)
        except BaseException:  # Ctrl-C as well
            self._end([member for those in fresh.values() for member in those])
            raise
        return fresh

    def _settle(self, duties: Sequence[DeployedFunction], fresh: Mapping[str, list[M]]) -> None:
        """Put the new ones in their places, and let the old ones go, the gateway first."""
        wanted = {duty.name: duty for duty in duties}
        gone = {name: those for name, those in self._members.items() if name in fresh}
        dropped = [duty for name, duty in self._duties.items() if name not in wanted]
        self._duties = wanted | {duty.name: duty for duty in dropped}
        self._put(fresh)
        for those in gone.values():
            self._end(those)
        for duty in dropped:
            self._drop(duty, {queue.name for one in duties for queue in one.queues})

    def _drop(self, duty: DeployedFunction, still_read: set[str]) -> None:
        left = [queue.name for queue in duty.queues if queue.name not in still_read]
        reach = self._reached()
        deadline = time.monotonic() + self.request.timeout
        while left and reach is not None and (size := reach.backlog(left)):
            if time.monotonic() > deadline:
                raise DeployError(
                    f'"{duty.name}" is not in the new graph, but {size} messages still wait for it; it goes on until '
                    "the next update."
                )
            time.sleep(0.05)
        self._end(self._members[duty.name])
        self._duties = {name: one for name, one in self._duties.items() if name != duty.name}
        self._put({})

    def _put(self, members: Mapping[str, list[M]]) -> None:
        every = {**self._members, **members}
        self._members = {name: every[name] for name in self._duties}
        self._saved()

    def _count(self, duty: DeployedFunction, replicas: Mapping[str, int]) -> int:
        return replicas.get(duty.name) or min(duty.most, self.replicas(duty.name) or 1)

    def _check(self, function: str, n: int) -> None:
        duty = self._duties[function]
        if duty.is_gateway and n != 1 and not host_target(self.target).shares_port:
            raise alone(function)
        if duty.is_alone and n != 1:
            raise DeployError(f'"{function}" has one worker, since its steps remember what came before.')
        if not 1 <= n <= duty.most:
            raise wrong_count(function, duty.most, n)
