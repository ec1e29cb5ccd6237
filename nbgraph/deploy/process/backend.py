"""ProcessBackend: the functions of a graph in worker processes, joined by a broker where there are several.

It ends with the process that started it, which keeps its workers and its broker alive. The callers' socket belongs to
that process too: a new gateway takes the calls that the old one left, and none is refused in between.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import logging
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from nbgraph.contract import COUNTS_PATH, VERSION_FILE, Option, beside_metrics, targets_of
from nbgraph.deploy.backend import DeployRequest, FunctionState, callable_at, listening
from nbgraph.deploy.broker import BrokerClient, broker_options, forget
from nbgraph.deploy.counts import told_at
from nbgraph.deploy.deployed_function import DeployedFunction
from nbgraph.deploy.options.certificate import certificate_options
from nbgraph.deploy.process.control import Scale, Wish, asks
from nbgraph.deploy.process.record import DeploymentRecord, ProcessRecord, WorkerRecord
from nbgraph.deploy.process.worker import ProcessWorker
from nbgraph.deploy.progress import Say
from nbgraph.deploy.project.function_project import FunctionProject, Projects
from nbgraph.deploy.project.project import digest, profile_of, write
from nbgraph.deploy.worker_pool import WorkerPool
from nbgraph.streams.transport import EmbeddedServer, StreamAddress, transport_of

PREFIX = "nbgraph-"
KEY, TOKEN, PROMISED, TARGETS, WATCHED = "api_key", "token", "promised", "targets.json", "watched"
EVERY = 0.2  # seconds between two looks at the workers
COUNTED = 1.0  # seconds between two looks at what they have counted
log = logging.getLogger("nbgraph.deploy")


class ProcessBackend(WorkerPool[ProcessWorker]):
    """Every function has a folder with its projects, and members that work in theirs."""

    target = "process"

    def __init__(self, request: DeployRequest, listener: socket.socket, *, is_safe: bool) -> None:
        super().__init__(replace(request, port=listener.getsockname()[1]))
        self._folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{request.name}-"))  # for its owner's eyes only
        self._listener, self._is_safe = listener, is_safe
        self._server: EmbeddedServer | None = None  # where the broker is our own
        self._broker: StreamAddress | None = None  # where there is one
        self._numbers = itertools.count(1)
        self._targets = b""  # what was told last of where the workers are
        self._is_over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True, name="nbgraph-fleet")
        self._on_stop: Callable[[], None] = self.stop

    @classmethod
    def start(
        cls, request: DeployRequest, projects: Projects, replicas: Mapping[str, int], *, is_safe: bool, say: Say
    ) -> ProcessBackend:
        """Write the projects, start the broker and the workers, and wait until all are ready."""
        fleet = cls(request, listening(request.host, request.port), is_safe=is_safe)
        try:
            fleet._keep(KEY, request.api_key)
            for name, text in request.certificate.files.items() if request.certificate is not None else ():
                fleet._keep(name, text)
            fleet.update(projects, replicas, say)
        except BaseException:  # Ctrl-C as well: nothing may stay behind
            fleet.stop()
            raise
        fleet._tell_targets()
        fleet._watcher.start()
        threading.Thread(target=fleet._look_at_counts, daemon=True, name="nbgraph-counts").start()
        atexit.register(fleet.stop)
        return fleet

    def update(self, projects: Projects, replicas: Mapping[str, int], say: Say) -> list[str]:
        """Go on with these projects, and nothing is lost on the way; the functions that have changed."""
        with self._turn:
            if len(projects) > 1 and self._broker is None:
                self._join_broker()
            say("Starting the workers")
            try:
                duties = [self._placed(part) for part in projects]
                first = projects[0].function
                return self.take_over(duties, {**replicas, first.name: first.workers})
            finally:
                self._tidy()

    @property
    def url(self) -> str:
        is_secure = self.request.certificate is not None
        return callable_at(self.request.host, self.request.port or 0, is_secure=is_secure)

    def sources(self) -> list[tuple[str, str]]:
        """Where the numbers of each worker are read: its function, the URL."""
        return [(member.function, member.metrics_url) for member in self._all() if member.is_alive and member.is_ready]

    def logs(self, lines: int, function: str | None = None) -> str:
        """The last lines of each member's log."""
        found = [member for member in self._all() if function in (None, member.function)]
        return "\n".join("\n".join(member.log().splitlines()[-lines:]) for member in found)

    def mark(self) -> None:
        """Tell the gateway which version it is now; a new one of another version was told when it was started."""
        place = self._folder / PROMISED / VERSION_FILE
        place.parent.mkdir(exist_ok=True)
        unfinished = place.with_suffix(".part")
        unfinished.write_text(self._version_text())
        unfinished.replace(place)
        self._saved()

    def heed(self, stop: Callable[[], None]) -> None:
        """Call `stop` when another process asks for the end."""
        self._on_stop = stop

    def stop(self) -> None:
        """The gateway first, so that nothing new comes in; then the others; then the broker."""
        atexit.unregister(self.stop)
        self._is_over.set()
        self._listener.close()
        if self._watcher.is_alive() and threading.current_thread() is not self._watcher:
            self._watcher.join(5)
        with self._turn:
            for name in self.functions:
                self._end(self._members[name])
                self._members = {**self._members, name: []}
            if self._server is not None:
                self._server.stop()
            if self._broker is not None:
                forget(self.request.streams)
                self._broker = None
            shutil.rmtree(self._folder, ignore_errors=True)

    # --- a Crew of processes ---

    def _begin(self, duty: DeployedFunction) -> ProcessWorker:
        options = [Option.PROJECT, duty.source, Option.TARGETS_FILE, str(self._folder / TARGETS)]
        options += [Option.WATCH_FOLDER, str(self._folder / WATCHED)]
        if self._broker is not None:
            options += broker_options(self._broker, self._folder / TOKEN)
        if duty.is_gateway and self.request.api_key is not None:
            options += [Option.KEY_FILE, str(self._folder / KEY)]
        if duty.is_gateway and self.request.certificate is not None:
            options += certificate_options(self._folder)
        number, given = next(self._numbers), duty.given
        variables, memory = {**given.env, **given.secrets}, given.resources.memory
        home = self._folder / duty.name / str(number)
        if duty.is_gateway:
            options += [Option.DATA, str(self._folder / PROMISED), *([Option.DATA_SYNC] if self._is_safe else [])]
            options += self._version_options()
            return ProcessWorker(duty.name, number, home, options, self._listener.fileno(), variables, memory)
        return ProcessWorker(duty.name, number, home, [*options, Option.PORT, "0"], None, variables, memory)

    def _await(self, duty: DeployedFunction, member: ProcessWorker, deadline: float) -> None:
        member.wait(deadline, self.request.timeout)

    def _end(self, members: Sequence[ProcessWorker]) -> None:
        for member in members:
            member.ask_to_stop()
        for member in members:
            member.stop()
            shutil.rmtree(member.folder, ignore_errors=True)

    def _state(self, function: str, member: ProcessWorker) -> FunctionState:
        return member.state()

    def _reached(self) -> BrokerClient | None:
        if self._reach is None and self._broker is not None:
            self._reach = BrokerClient(self._broker)
        return self._reach

    def _saved(self) -> None:
        """What another process has to know, to look after this fleet."""
        record = DeploymentRecord(
            name=self.request.name,
            graph=self.request.graph,
            host=self.request.host,
            port=self.request.port or 0,
            owner=ProcessRecord.of(os.getpid()),
            functions=tuple(function.public for function in self._duties.values()),
            workers=tuple(
                WorkerRecord(worker.state(), ProcessRecord.of(worker.pid), str(worker.folder)) for worker in self._all()
            ),
            version=self.request.version,
            broker=self._broker.url if self._broker is not None else None,
            streams=self.request.streams.url,
            server=ProcessRecord.of(self._server.pid) if self._server is not None else None,
        )
        record.write(self._folder)

    # --- inside ---

    def _all(self) -> list[ProcessWorker]:
        return [member for members in self._members.values() for member in members]

    def _placed(self, part: FunctionProject) -> DeployedFunction:
        function, files, given = part.function, part.files, part.given
        running = {path: text for path, text in files.items() if not path.endswith(".whl")}
        source = self._folder / function.name / f"project-{digest(running)[:16]}"
        if not source.exists():
            write(source, running)
        profile = profile_of(files, given.resources)
        one = structs.replace(function, workers=1)  # each of them is a member
        readers = transport_of(self.request.streams).most_readers
        return DeployedFunction.of(one, str(source), profile=profile, given=given, readers=readers)

    def _tidy(self) -> None:
        """Take projects away that nobody works in any more."""
        used = {duty.source for duty in self._duties.values()}
        for project in self._folder.glob("*/project-*"):
            if str(project) not in used:
                shutil.rmtree(project, ignore_errors=True)

    def _join_broker(self) -> None:
        address = self.request.streams
        if not address.is_external:
            self._server = transport_of(address).embedded(self._folder / "broker", is_safe=self._is_safe).start()
            address = self._server.address
        self._keep(TOKEN, address.secret or None)
        self._broker = address

    def _keep(self, name: str, secret: str | None) -> None:
        if secret is not None:
            path = self._folder / name
            path.touch(mode=0o600)
            path.write_text(secret)

    def _watch(self) -> None:
        """Keep the workers and the broker alive, and do what other processes ask for."""
        while not self._is_over.wait(EVERY):
            with contextlib.suppress(Exception):
                self._look()

    def _look_at_counts(self) -> None:
        """Look at what the workers have counted, since one that is killed can't tell any more."""
        while not self._is_over.wait(COUNTED):
            with contextlib.suppress(Exception):
                places = [(function, url, beside_metrics(url, COUNTS_PATH)) for function, url in self.sources()]
                self.counts.look((function, url, told_at(place)) for function, url, place in places)

    def _look(self) -> None:
        if self._server is not None and not self._server.is_alive:
            log.error("The broker has ended; it is started again on its data")
            self._server.start()
            self._saved()
        elif self._server is not None and self._server.is_stuck:
            log.error("The broker's disk was full, and has room again; the broker is started again on its data")
            self._server.start()
            self._saved()
        mended = [member for member in self._all() if member.mend()]
        for member in mended:
            log.error("A worker has ended; it is started again", extra={"function": member.function})
        if mended:
            self._saved()
        self._tell_targets()
        for ask in asks(self._folder):
            threading.Thread(target=ask.done_by, args=(self._do,), daemon=True).start()

    def _tell_targets(self) -> None:
        """Write which workers there are, where each of them finds it."""
        now = targets_of((url for _, url in self.sources()), self.request.name)
        if now != self._targets:
            unfinished = self._folder / f"{TARGETS}.part"
            unfinished.write_bytes(now)
            unfinished.replace(self._folder / TARGETS)
            self._targets = now

    def _do(self, wish: Wish) -> None:
        if isinstance(wish, Scale):
            self.scale(wish.function, wish.n)
        else:
            self._on_stop()
