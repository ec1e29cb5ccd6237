"""DeploymentRecord: what the owner of a deployment of processes writes down, so that others can look after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from nbgraph.deploy.backend import FunctionState
from nbgraph.deploy.deployed_function import DeployedFunction
from nbgraph.deploy.operation.process_identity import born, ended, is_same

FILE = "deployment.json"


class ProcessRecord(msgspec.Struct, frozen=True):
    """A process: its number, and when it was started, since numbers are given out anew."""

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> ProcessRecord:
        return cls(pid, born(pid))

    @property
    def is_alive(self) -> bool:
        return is_same(self.pid, self.born)

    def end(self, seconds: float) -> None:
        """End it, if it is still that one: it is asked, and killed when it does not go."""
        ended(self.pid, self.born, seconds)


class WorkerRecord(msgspec.Struct, frozen=True):
    """A worker: how it was when this was written, its process, and the folder that it works in."""

    state: FunctionState
    process: ProcessRecord
    folder: str


class DeploymentRecord(msgspec.Struct, frozen=True):
    """A deployment of processes, without what is secret.

    Parameters
    ----------
    owner
        The process that keeps it alive and alone can change it.
    version
        As it was deployed or updated last.
    broker
        The URL of what joins its functions, where there are several.
    streams
        What was asked for as broker; empty for one of its own.
    server
        The process of a broker of its own.
    functions
        What they are and how they are hosted, the gateway's first.
    """

    name: str
    graph: str
    host: str
    port: int
    owner: ProcessRecord
    functions: tuple[DeployedFunction, ...]
    workers: tuple[WorkerRecord, ...]
    version: str = ""
    broker: str | None = None
    streams: str = ""
    server: ProcessRecord | None = None

    @classmethod
    def read(cls, folder: Path) -> DeploymentRecord:
        """The record in a folder, of this or an earlier version; OSError or `msgspec.MsgspecError` where none fits."""
        text = (folder / FILE).read_bytes()
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.ValidationError:
            written = msgspec.json.decode(text)
            if not isinstance(written, dict) or "duties" not in written:
                raise
            return _of_earlier(written)

    def write(self, folder: Path) -> None:
        """Put it into the folder; who reads it finds the old one or the new one."""
        unfinished = folder / f"{FILE}.part"
        unfinished.write_bytes(msgspec.json.encode(self))
        unfinished.replace(folder / FILE)


def _of_earlier(written: dict[str, Any]) -> DeploymentRecord:
    """The record as versions until 2026-11 wrote it: processes as numbers, the functions as texts."""
    workers = [
        WorkerRecord(FunctionState(**state), ProcessRecord(int(state["replica"]), since), folder)
        for state, since, folder in written["members"]
    ]
    return DeploymentRecord(
        name=written["name"],
        graph=written["graph"],
        host=written["host"],
        port=written["port"],
        owner=ProcessRecord(written["owner"], written["born"]),
        functions=tuple(map(DeployedFunction.of_text, written["duties"])),
        workers=tuple(workers),
        broker=written["broker"],
        streams=written.get("streams", ""),
        server=ProcessRecord(*written["server"]) if written["server"][0] else None,
    )
