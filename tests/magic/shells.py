"""Cells run in a real shell."""

from __future__ import annotations

from typing import Any


def run(shell: Any, cell: str) -> Any:
    """The result of a cell that must work."""
    result = shell.run_cell(cell, store_history=True)
    result.raise_error()
    return result.result


def failure(shell: Any, cell: str, capsys: Any) -> tuple[BaseException, str]:
    """The error of a cell, and what the notebook shows of it."""
    capsys.readouterr()
    result = shell.run_cell(cell, store_history=True)
    return result.error_in_exec or result.error_before_exec, capsys.readouterr().out
