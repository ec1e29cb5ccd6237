"""Traceback: tracebacks in a notebook, with the user's lines and without nbgraph's."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import IPython

import nbgraph.errors
from nbgraph.errors import LanguageError

HIDDEN = (str(Path(nbgraph.errors.__file__).parent), str(Path(IPython.__file__).parent), "<nbgraph ")
CALLS_MAGIC = ("run_cell_magic", "run_line_magic")


def short(error: Exception) -> Exception:
    """The error, shown without nbgraph's lines: IPython asks an exception for its traceback."""
    error._render_traceback_ = partial(rendered, error)  # type: ignore[attr-defined, unused-ignore]  # IPython's hook
    return error


def of_cell(error: SyntaxError) -> SyntaxError:
    """An error in the text of a cell, without frames."""
    error._nbgraph_in_cell_ = True  # type: ignore[attr-defined]  # read by `show_without_stack`
    return error.with_traceback(None)


def show_without_stack(shell: Any) -> None:
    """IPython puts the whole stack before a SyntaxError; an error in the text of a cell is shown without it."""
    shown = shell.SyntaxTB.structured_traceback

    def structured(kind: Any, error: Any, stack: Any, *args: Any, **options: Any) -> Any:
        return shown(kind, error, [] if hasattr(error, "_nbgraph_in_cell_") else stack, *args, **options)

    if getattr(shown, "__name__", "") != structured.__name__:
        shell.SyntaxTB.structured_traceback = structured


def rendered(error: BaseException) -> list[str]:
    """The lines of an error's traceback.

    >>> rendered(LanguageError("found `!`; expected a step.", 2, 6, "a -> !x"))
    ['  line 2', '    a -> !x', '         ^', 'LanguageError: line 2, column 6: found `!`; expected a step.']
    """
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, LanguageError):
        caret = " " * (error.column - 1) + "^"
        return [f"  line {error.line}", f"    {error.text}", f"    {caret}", message]
    if lines := _lines(error):
        return lines
    return [*(_lines(error.__cause__) if error.__cause__ else []), message]


def _lines(error: BaseException) -> list[str]:
    """The user's lines in the traceback of an error, those of its causes first."""
    shown: BaseException | None = error
    while shown is not None:
        shown.__traceback__ = of_user(shown.__traceback__)
        shown = shown.__cause__
    shell: Any = IPython.get_ipython()
    if shell is None or error.__traceback__ is None:
        return []
    return list(shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__, tb_offset=0))


def of_user(trace: TracebackType | None) -> TracebackType | None:
    """The part of a traceback in the user's code."""
    frames = []
    while trace is not None:
        after = trace.tb_next
        calls_magic = after is not None and after.tb_frame.f_code.co_name in CALLS_MAGIC
        if not calls_magic and not trace.tb_frame.f_code.co_filename.startswith(HIDDEN):
            frames.append(trace)
        trace = after
    kept: TracebackType | None = None
    for frame in reversed(frames):
        kept = TracebackType(kept, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return kept
