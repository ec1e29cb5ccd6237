"""Control: what another process of the same user asks of the owner of a deployment, as files in its folder."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nbgraph.errors import DeployError


class Scale(msgspec.Struct, frozen=True, tag_field="what", tag="scale"):
    """Run that many workers of a function."""

    function: str
    n: int


class Stop(msgspec.Struct, frozen=True, tag_field="what", tag="stop"):
    """End the deployment."""


Wish = Scale | Stop


class WishResult(msgspec.Struct, frozen=True):
    """How it went; the error is empty where it went well."""

    error: str = ""


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """One wish, and the file by which its outcome is reported."""

    place: Path
    wish: Wish

    def done_by(self, do: Callable[[Wish], None]) -> None:
        """Do it, and report the error, if any."""
        error = ""
        try:
            do(self.wish)
        except Exception as problem:
            error = str(problem) or type(problem).__name__
        if self.place.parent.exists():  # else the deployment itself was to end
            _write(self.place.with_suffix(".done"), msgspec.json.encode(WishResult(error)))


def asks(folder: Path) -> Iterator[ControlRequest]:
    """What was asked since the last look."""
    for place in folder.glob("*.ask"):
        taken = place.rename(place.with_suffix(".taken"))
        yield ControlRequest(taken, msgspec.json.decode(taken.read_bytes(), type=Wish))
        taken.unlink(missing_ok=True)


def ask(folder: Path, wish: Wish, patience: float, lives: Callable[[], bool]) -> None:
    """Ask the owner of a deployment, and wait until it is done; without its folder or its owner it has ended.

    >>> ask(Path("/nowhere"), Stop(), 1, lambda: True)
    """
    if not folder.exists():
        return
    place = folder / secrets.token_hex(8)
    _write(place.with_suffix(".ask"), msgspec.json.encode(wish))
    done, deadline = place.with_suffix(".done"), time.monotonic() + patience
    while folder.exists() and not done.exists() and lives():
        if time.monotonic() > deadline:
            raise DeployError(f"The process that owns the deployment has not answered within {patience:g} seconds.")
        time.sleep(0.02)
    if done.exists():
        result = msgspec.json.decode(done.read_bytes(), type=WishResult)
        done.unlink()
        if result.error:
            raise DeployError(result.error)


def _write(place: Path, content: bytes) -> None:
    unfinished = place.with_suffix(".part")
    unfinished.write_bytes(content)
    unfinished.replace(place)
