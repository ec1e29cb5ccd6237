"""The Python file that defines the functions which a saved graph names."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from nbgraph.errors import NbgraphError


def names_in(module: Path) -> dict[str, Any]:
    """Everything that a Python file defines, by name."""
    found = importlib.util.spec_from_file_location(module.stem, module)
    if found is None or found.loader is None:
        raise NbgraphError(f"{module} is not a Python file.")
    loaded = importlib.util.module_from_spec(found)
    found.loader.exec_module(loaded)
    return vars(loaded)
