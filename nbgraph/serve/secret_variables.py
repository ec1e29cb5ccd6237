"""Secret variables: the secrets of a container as variables too, where packages look for their keys.

In a notebook and in processes they stand in the environment; a container has them as files, so that nobody who may
inspect it reads them. What a worker finds there it puts into its own environment, which is seen from within alone.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from nbgraph.engine.context import RESERVED, SECRETS

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def set_variables(folder: Path = SECRETS) -> None:
    """Set a variable for each secret that has the name of one; what is set already stays."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name not in RESERVED and _VARIABLE.fullmatch(path.name) and path.is_file():
            os.environ.setdefault(path.name, path.read_text(encoding="utf-8").rstrip("\n"))
