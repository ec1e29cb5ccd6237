"""JobFolder: where a job keeps what it is and what is done, so that another process can go on with it.

part-00000.parquet ...   whole parts only
_SUCCESS                 when all are there
_job/job.json            graph, code, source and options that the parts were made with
_job/state.json          how it stands, for who looks from outside
_job/parts/00000.json    a record for each part that is done
_job/failures/00000.jsonl  the rows of it that failed
_job/spill, _job/drafts, _job/logs, _job/lock
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from nbgraph.errors import JobError
from nbgraph.jobs.output.writers import aside, synced
from nbgraph.jobs.part import PartRecord

VERSION = 1
PATIENCE = 5.0  # seconds for workers of a job whose process is gone to go as well


class JobDocument(msgspec.Struct, kw_only=True):
    """What the parts of a job are made with; all of it must be the same when it is resumed."""

    name: str
    graph: str  # its outline
    code: dict[str, str]  # hashes, by what they are of
    source: dict[str, Any]
    options: dict[str, Any]
    version: int = VERSION
    total: int | None = None


class State(msgspec.Struct, kw_only=True):
    state: str
    error: str = ""
    total: int | None = None
    began: float = 0.0
    ended: float = 0.0


class JobFolder:
    """A folder with the parts of a job."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.inside = path / "_job"
        self._lock: IO[str] | None = None

    # --- looking ---

    @property
    def is_there(self) -> bool:
        return (self.inside / "job.json").is_file()

    @property
    def is_whole(self) -> bool:
        return (self.path / "_SUCCESS").is_file()

    def about(self) -> JobDocument:
        try:
            return msgspec.json.decode((self.inside / "job.json").read_bytes(), type=JobDocument)
        except (OSError, msgspec.DecodeError) as error:
            raise JobError(f"There is no job in {self.path}: {error}.") from error

    def state(self) -> State:
        try:
            return msgspec.json.decode((self.inside / "state.json").read_bytes(), type=State)
        except (FileNotFoundError, msgspec.DecodeError):
            return State(state="stopped")

    def records(self) -> dict[int, PartRecord]:
        """The parts that are done, by number; what has no whole file is not done."""
        found = {}
        for entry in sorted(os.scandir(self.inside / "parts"), key=lambda entry: entry.name):
            if entry.name.endswith(".json") and not entry.name.startswith("."):
                with contextlib.suppress(msgspec.DecodeError):  # records are not synced: power was lost
                    record = msgspec.json.decode(Path(entry.path).read_bytes(), type=PartRecord)
                    if self._has(record):
                        found[record.number] = record
        return found

    def _has(self, record: PartRecord) -> bool:
        if not record.file:
            return True
        try:
            return (self.path / record.file).stat().st_size == record.size
        except FileNotFoundError:
            return False

    def failures(self) -> Iterator[tuple[int, bytes]]:
        """The rows that failed, as they are written, by part."""
        for path in sorted((self.inside / "failures").glob("[0-9]*.jsonl")):
            with path.open("rb") as file:
                for line in file:
                    yield int(path.stem), line

    def is_locked(self) -> bool:
        """Whether a live process works on it; its workers may outlive it by a moment."""
        with contextlib.suppress(FileNotFoundError), (self.inside / "lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return _lives(file.read().strip())
        return False

    # --- working ---

    def make(self) -> None:
        for name in ("parts", "failures", "spill", "drafts", "logs"):
            (self.inside / name).mkdir(parents=True, exist_ok=True)
        self.inside.chmod(0o700)

    def lock(self) -> int:
        """Hold the folder as long as this process, and those that get the descriptor, live."""
        self.make()
        file = (self.inside / "lock").open("a+")
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                owner = file.read().strip()
                if _lives(owner) or time.monotonic() > until:
                    file.close()
                    raise JobError(
                        f"{self.path} is worked on by process {owner or 'unknown'}; wait for it, or stop it."
                    ) from None
                time.sleep(0.05)  # its workers are about to notice
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock = file
        return file.fileno()

    def unlock(self) -> None:
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self._lock.truncate(0)
                fcntl.flock(self._lock, fcntl.LOCK_UN)
            self._lock.close()
            self._lock = None

    def begin(self, about: JobDocument) -> None:
        """Note what the parts are made with; what a process left half done is removed."""
        for name in ("spill", "drafts"):
            shutil.rmtree(self.inside / name, ignore_errors=True)
        self.make()
        if not self.is_there:
            self._write("job.json", about)

    def note(self, state: State) -> None:
        self._write("state.json", state)

    def keep(self, record: PartRecord) -> None:
        """A part is done."""
        self._write(f"parts/{record.number:05}.json", record)

    def succeed(self) -> None:
        synced(self.path)  # all parts have their names, before it is said that they are there
        with aside(self.path / "_SUCCESS") as draft:
            draft.touch()
        synced(self.path)
        for name in ("spill", "drafts"):
            shutil.rmtree(self.inside / name, ignore_errors=True)

    def _write(self, name: str, value: Any) -> None:
        with aside(self.inside / name, is_synced=False) as draft:
            draft.write_bytes(msgspec.json.encode(value))


def _lives(process: str) -> bool:
    if not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return int(process) != 0
