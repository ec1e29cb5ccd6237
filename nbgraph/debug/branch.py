"""A Branch: a line of a debugged run that was left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbgraph.debug.frame import Frame


@dataclass(frozen=True, slots=True)
class Branch:
    """A fork: the step it was made at, the input it got, and the frames of the line that was left."""

    step: str
    input: Any
    frames: tuple[Frame, ...]
