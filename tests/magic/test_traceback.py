"""Errors as a notebook shows them."""

from __future__ import annotations

from typing import Any

from nbgraph import StepError
from nbgraph.errors import LanguageError
from tests.magic.shells import failure, run


def test_an_error_in_the_cells_python_shows_its_own_line(shell: Any, capsys: Any) -> None:
    _, shown = failure(shell, "%%graph g\nx = 1\n\ny = x / 0\na -> b", capsys)
    assert ("In[1], line 4" in shown, "----> 4 y = x / 0" in shown, "magics.py" in shown) == (True, True, False)


def test_a_syntax_error_shows_its_own_line(shell: Any, capsys: Any) -> None:
    _, shown = failure(shell, "%%graph g\nx = 1\ny = 1 1\na -> b", capsys)
    hidden = [name for name in ("magics.py", "interactiveshell.py", "cell.py", "Traceback") if name in shown]
    assert ("Cell In[1], line 3\n    y = 1 1" in shown, hidden) == (True, [])


def test_other_syntax_errors_keep_the_way_to_them(shell: Any, capsys: Any) -> None:
    _, shown = failure(shell, "def f():\n    compile('1 1', 'x', 'eval')\nf()", capsys)
    assert "line 2, in f" in shown or "line 2\n" in shown or ", in f()" in shown or "f()" in shown


def test_a_wrong_arrow_line_shows_its_place(shell: Any, capsys: Any) -> None:
    error, shown = failure(shell, "%%graph g\n\na -> b iff c", capsys)
    assert isinstance(error, LanguageError)
    assert (error.line, error.column, "    a -> b iff c\n           ^\n" in shown) == (3, 8, True)


def test_a_failing_step_shows_the_users_lines_only(shell: Any, capsys: Any) -> None:
    error, shown = failure(shell, "%%graph g --run 3\n\ndef half(x):\n    return x / 0\nhalf -> respond", capsys)
    assert isinstance(error, StepError)
    assert ("line 4, in half" in shown, "StepError: Step" in shown, "engine" in shown) == (True, True, False)
    _, again = failure(shell, "g.run(4)", capsys)
    assert ("line 4, in half" in again, "engine" in again) == (True, False)


def test_an_error_behind_an_await_shows_the_cells_line(shell: Any, capsys: Any) -> None:
    run(shell, "import asyncio")
    error, shown = failure(shell, "%%graph g\nx = 1\nawait asyncio.sleep(0)\ny = x / 0\na -> b", capsys)
    assert (type(error), "----> 4 y = x / 0" in shown, "cell.py" in shown) == (ZeroDivisionError, True, False)
