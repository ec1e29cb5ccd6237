"""Package: an optional package that a step needs, imported when the step is built."""

from __future__ import annotations

import importlib
from typing import Any

from nbgraph.errors import GraphError


def package(module: str, wanted_by: str, install: str = "") -> Any:
    """The module, or one sentence that says how to get it.

    >>> package("json", "Example").__name__
    'json'
    >>> package("no_such_module", "OnnxModel", "no-such-package")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: OnnxModel needs the package no-such-package: pip install no-such-package
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != module.split(".")[0]:
            raise  # the package is there; something that it needs is not, and its own message says what
        name = install or module
        raise GraphError(f"{wanted_by} needs the package {name}: pip install {name}") from None
