"""Folders of a property test, which makes many: each is new, and all go at the end of the process."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

_root = tempfile.TemporaryDirectory(prefix="nbgraph-rows-")
_numbers = itertools.count()


def fresh() -> Path:
    folder = Path(_root.name, str(next(_numbers)))
    folder.mkdir()
    return folder
