"""A Fleet: the functions of a graph in worker processes, joined by an embedded NATS server."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nbgraph.deploy.broker import Reach, most_workers
from nbgraph.deploy.export import write
from nbgraph.deploy.hosted import Request, State
from nbgraph.deploy.member import Member
from nbgraph.deploy.split import Function
from nbgraph.errors import DeployError
from nbgraph.streams.server import NatsServer

PREFIX = "nbgraph-"
STATE, KEY, TOKEN, PROJECT = "fleet.json", "api_key", "token", "project"
Files = Mapping[str, bytes]


class Fleet:
    """Every function has a folder with its project, and members that work in it."""

    target = "process"

    def __init__(self, request: Request, folder: Path, functions: Sequence[Function], server: NatsServer) -> None:
        self.request = request
        self._folder, self._server = folder, server
        self._functions = {function.name: function for function in functions}
        self._members: dict[str, list[Member]] = {name: [] for name in self._functions}
        self._numbers = 0
        self._reach = Reach(server.url, server.token)
        self._lock = threading.RLock()  # an autoscaler and the person may scale at once

    @classmethod
    def start(
        cls,
        request: Request,
        functions: Sequence[tuple[Function, Files]],
        replicas: Mapping[str, int],
        *,
        is_safe: bool,
    ) -> Fleet:
        """Write the projects, start the broker and the workers, and wait until all are ready."""
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{request.name}-"))
        server = NatsServer(folder / "broker", is_safe=is_safe)
        fleet = cls(request, folder, [function for function, _ in functions], server)
        try:
            server.start()
            fleet._reach = Reach(server.url, server.token)
            fleet._keep_secrets()
            for function, files in functions:
                running = {path: text for path, text in files.items() if not path.endswith(".whl")}
                write(folder / function.name / PROJECT, running)
            fleet._spawn_all(replicas)
            fleet._save()
        except BaseException:  # Ctrl-C as well: nothing may stay behind
            fleet.stop()
            raise
        atexit.register(fleet.stop)
        return fleet

    @property
    def functions(self) -> list[str]:
        """The gateway's first."""
        return list(self._functions)

    @property
    def url(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.request.host, self.request.host)
        gateway = self._members[self.functions[0]][0]
        return f"http://[{host}]:{gateway.port}" if ":" in host else f"http://{host}:{gateway.port}"

    def sources(self) -> list[tuple[str, str]]:
        """Where the numbers of each worker are read: its function, the URL."""
        return [(member.function, member.metrics_url) for member in self._all() if member.is_alive]

    def logs(self, lines: int, function: str | None = None) -> str:
        """The last lines of each member's log."""
        found = [member for member in self._all() if function in (None, member.function)]
        return "\n".join("\n".join(member.log().splitlines()[-lines:]) for member in found)

    def states(self) -> list[State]:
        """A row for each worker."""
        return [member.state() for member in self._all()]

    def scale(self, function: str, n: int) -> None:
        """Run that many workers of a function; those that are too many finish what they have first."""
        if function == self.functions[0] and n != 1:
            raise DeployError(f'"{function}" answers callers on one port and so has one worker; scale the others.')
        most = most_workers(self._functions[function])
        if not 1 <= n <= most:
            raise DeployError(f'"{function}" can have 1 to {most} workers; {n} were asked for.')
        with self._lock:
            members = self._members[function]
            while len(members) > n:
                members.pop().stop()
            fresh = [self._spawn(function) for _ in range(n - len(members))]
            for member in fresh:
                member.wait(time.monotonic() + self.request.timeout)
            members += fresh
            self._save()

    def replicas(self, function: str) -> int:
        return len(self._members[function])

    def backlog(self, function: str) -> int:
        """Messages that wait for a function, or are worked on."""
        return self._reach.backlog(self._functions[function])

    def letters(self, limit: int = 100) -> list[dict[str, Any]]:
        """The dead letters, the newest first."""
        return self._reach.letters(limit)

    def mend(self) -> None:
        """Replace workers that have died."""
        with self._lock:
            for name, members in self._members.items():
                for index, member in enumerate(members):
                    if not member.is_alive:
                        member.stop()
                        members[index] = self._spawn(name)

    def stop(self) -> None:
        """The gateway first, so that nothing new comes in; then the others; then the broker."""
        atexit.unregister(self.stop)
        with self._lock:
            for name in self.functions:
                for member in self._members[name]:
                    member.ask_to_stop()
                for member in self._members[name]:
                    member.stop()
                self._members[name] = []
            if self._server.url:
                self._reach.close()
            self._server.stop()
            shutil.rmtree(self._folder, ignore_errors=True)

    # --- inside ---

    def _all(self) -> list[Member]:
        return [member for members in self._members.values() for member in members]

    def _spawn_all(self, replicas: Mapping[str, int]) -> None:
        for name in self.functions:
            self._members[name] = [self._spawn(name) for _ in range(replicas.get(name, 1))]
        deadline = time.monotonic() + self.request.timeout
        for member in self._all():
            member.wait(deadline)

    def _spawn(self, function: str) -> Member:
        is_gateway = function == self.functions[0]
        options = ["--broker", self._server.url, "--broker-token-file", str(self._folder / TOKEN)]
        options += ["--host", self.request.host if is_gateway else "127.0.0.1"]
        options += ["--port", str(self.request.port or 0) if is_gateway else "0"]
        if is_gateway and self.request.api_key is not None:
            options += ["--key-file", str(self._folder / KEY)]
        self._numbers += 1
        home = self._folder / function
        return Member.spawn(function, self._numbers, home / str(self._numbers), home / PROJECT, options)

    def _keep_secrets(self) -> None:
        for name, secret in ((TOKEN, self._server.token), (KEY, self.request.api_key)):
            if secret is not None:
                path = self._folder / name
                path.touch(mode=0o600)
                path.write_text(secret)

    def _save(self) -> None:
        members = [(member.function, member.number, member.pid) for member in self._all()]
        told = {"name": self.request.name, "graph": self.request.graph, "pid": os.getpid(), "members": members}
        (self._folder / STATE).write_text(json.dumps(told))
