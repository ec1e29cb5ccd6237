"""A real IPython shell for tests: cells are run, remembered and forgotten as in a notebook."""

from __future__ import annotations

import atexit
import textwrap
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


class Notebook:
    """Run cells, read names."""

    def __init__(self) -> None:
        quiet = Config()
        quiet.HistoryManager.enabled = False  # no file of inputs
        self._shell = InteractiveShell(config=quiet)
        atexit.unregister(self._shell.atexit_operations)  # it would keep each shell, and collect garbage once for each

    def cell(self, text: str) -> None:
        self._shell.run_cell(textwrap.dedent(text).strip() + "\n", store_history=True).raise_error()

    def __getitem__(self, name: str) -> Any:
        return self._shell.user_ns[name]

    @property
    def names(self) -> dict[str, Any]:
        """What the cells have defined, and what IPython keeps beside it."""
        found: dict[str, Any] = self._shell.user_ns
        return found
