"""What is shown below a graph until it can run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.magic.shells import run

MISSING = "%%graph g{}\n\ndef clean(body): return body\nclean -> Enrich(tabel=1) -> nobody if evnt > 1\n"


class Handle:
    """What IPython's `display` gives, to change later what stands there."""

    def __init__(self, shown: list[str]) -> None:
        self.shown = shown

    def update(self, data: dict[str, str], **_: Any) -> None:
        self.shown.append(data["text/plain"])


def test_what_is_still_missing_is_told(shell: Any, capsys: Any) -> None:
    run(shell, "%%graph g\nnobody -> len")
    assert 'Step "nobody": handler "nobody" is neither defined here nor a built-in step' in capsys.readouterr().out


@pytest.mark.parametrize("option", ["", " --hide"])
def test_all_that_is_wrong_stands_at_its_place(shell: Any, option: str, capsys: Any) -> None:
    run(shell, "class Enrich:\n    def __init__(self, table): ...\n    def do(self, body): return body")
    capsys.readouterr()
    run(shell, MISSING.format(option))
    shown = capsys.readouterr().out
    assert [line.split(": ")[0] for line in shown[shown.index("Before") :].strip().split("\n")] == [
        "Before g can run:",
        "  - line 4, column 10",
        "  - line 4, column 29",
        "  - line 4, column 29",
    ]


def test_what_looks_like_a_slip_is_told_and_runs(shell: Any, capsys: Any) -> None:
    answer = run(shell, "%%graph g --run 2\ndef clean(x): return x\ndef save(x): return x\n\nclean -> int\nsave -> str")
    shown = capsys.readouterr().out
    assert ("Look again at g:\n  - line 6, column 1: Events enter at" in shown, list(answer)) == (True, ["id"])


def test_the_list_goes_away_once_all_is_defined(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def display(data: dict[str, str], **_: Any) -> Handle:
        shown.append(data["text/plain"])
        return Handle(shown)

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr("nbgraph.magic.magics.show_widget", lambda *_, **__: None)
    shell.kernel = object()
    run(shell, "%%graph g\none -> two")
    run(shell, "x = 1")
    run(shell, "def one(x): return x")
    run(shell, "def two(x): return x")
    run(shell, "def two(a, b): return x")
    assert [text.count("  - ") for text in shown] == [2, 1, 0]
