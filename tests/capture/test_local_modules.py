"""Modules of the user's own go along as they live: with what was set on them, and with their data."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbgraph.capture.project import capture
from nbgraph.errors import ExportError
from tests.lab.exported import Exported
from tests.lab.notebook import Notebook

MODULE = """
LIMIT = 3
class Model:
    def predict(self, body): return body
def limited(body): return min(body, LIMIT)
def twice(body): return limited(body) * 2
"""
NAME = "own_module_of_a_test"


@pytest.fixture(scope="module")
def exported() -> Iterator[Exported]:
    found = Exported()
    yield found
    found.close()


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    (tmp_path / f"{NAME}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = Notebook()
    found.cell("from nbgraph import Graph\ng = Graph('g')")
    yield found
    sys.modules.pop(NAME, None)


CHANGED = {
    "as it is": (f"import {NAME} as m\n_ = g.to(m.twice)", 6),
    "a value": (f"import {NAME} as m\nm.LIMIT = 50\ndef f(e): return min(e, m.LIMIT)\n_ = g.to(f)", 40),
    "a value that its functions read": (f"import {NAME} as m\nm.LIMIT = 50\n_ = g.to(m.twice)", 80),
    "a value read by an imported function": (
        f"import {NAME} as m\nfrom {NAME} import twice\nm.LIMIT = 50\ndef f(e): return twice(e)\n_ = g.to(f)",
        80,
    ),
    "a list": (f"import {NAME} as m\nm.SEEN = [1, 2]\ndef f(e): return len(m.SEEN)\n_ = g.to(f)", 2),
    "a function": (f"import {NAME} as m\nm.limited = lambda e: e + 1\n_ = g.to(m.twice)", 82),
    "a method": (
        f"import {NAME} as m\nm.Model.predict = lambda self, e: e * 100\n"
        "def f(e): return m.Model().predict(e)\n_ = g.to(f)",
        4000,
    ),
    "a class of the notebook": (
        f"import {NAME} as m\nclass Better(m.Model):\n    def predict(self, e): return super().predict(e) + 1\n"
        "m.Model2 = Better\n"
        "def f(e): return m.Model2().predict(e)\n_ = g.to(f)",
        41,
    ),
}


@pytest.mark.parametrize("change", CHANGED)
def test_what_was_set_on_a_module_is_set_there(notebook: Notebook, exported: Exported, change: str) -> None:
    cell, right = CHANGED[change]
    notebook.cell(cell)
    there = exported.answers(capture(notebook["g"]), 40)
    assert (there, notebook["g"].run(40)) == ([right], right)


def test_a_file_that_was_edited_after_its_import_goes_as_it_was_imported(
    notebook: Notebook, exported: Exported, tmp_path: Path
) -> None:
    notebook.cell(
        f"import {NAME} as m\nfrom {NAME} import twice\ndef f(e): return m.limited(e) + twice(e)\n_ = g.to(f)"
    )
    (tmp_path / f"{NAME}.py").write_text(MODULE.replace("min(body, LIMIT)", "body + 1000"))
    assert (exported.answers(capture(notebook["g"]), 40), notebook["g"].run(40)) == ([9], 9)


PACKAGE: dict[str, Any] = {
    "own_package/__init__.py": "from .words import words\n",
    "own_package/words.py": "from pathlib import Path\nWORDS = Path(__file__).parent / 'data' / 'words.txt'\n"
    "def words(): return WORDS.read_text()\n",
    "own_package/data/words.txt": "good words",
}


def test_the_data_of_a_package_goes_along(notebook: Notebook, exported: Exported, tmp_path: Path) -> None:
    for path, text in PACKAGE.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    importlib.invalidate_caches()
    notebook.cell("import own_package\ndef f(e): return own_package.words()\n_ = g.to(f)")
    assert exported.answers(capture(notebook["g"]), 0) == ["good words"]


def test_other_files_go_along_when_they_are_named(
    notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "words.txt").write_text("good words")
    notebook.cell("def f(e): return open('data/words.txt').read()\n_ = g.to(f)")
    assert capture(notebook["g"], include=["data"]).files["data/words.txt"] == b"good words"
    with pytest.raises(ExportError, match='include="nothing" is not here'):
        capture(notebook["g"], include=["nothing"])
