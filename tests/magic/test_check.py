"""`--check`: samples run with the cell, and again when what the graph names has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbgraph.debug.samples import Samples
from tests.magic.shells import run


def test_bodies_a_file_and_the_file_beside_the_notebook_are_checked(
    shell: Any, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Samples("g.samples.yaml").keep("abc", answer=4, name="short")
    run(shell, "%%graph g --hide --check samples\nlen -> respond")
    run(shell, "%graph g --hide --check ['a', 'b']")
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        "0 of 1 samples are answered as they were kept.",
        "  - short: 4 kept, 3 now",
        "2 of 2 samples are answered as they were kept.",
    ]


def test_a_function_that_another_cell_defines_anew_has_the_samples_run_again(
    shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, data: dict[str, str], **_: Any) -> None:
            shown.append(data["text/plain"].partition("\n")[2])

    def display(data: dict[str, str], **_: Any) -> Handle:
        shown.append(data["text/plain"].partition("\n")[2])
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr("nbgraph.magic.magics.show_widget", lambda widget: None)
    run(shell, "from nbgraph.testing import Sample\nkept = [Sample('one', 1, (2,))]\ndef more(x): return x + 1")
    shell.kernel = object()
    run(shell, "%%graph g --hide --check kept\nmore -> respond")
    run(shell, "x = 1")
    run(shell, "def more(x): return x + 2")
    assert shown == ["", "  - one: 2 kept, 3 now"]
