"""Packages and modules that a project needs."""

from __future__ import annotations

from typing import Any

import pytest

from nbgraph import Graph, steps
from nbgraph.capture.project import capture
from tests.capture.exports import Written, answers
from tests.lab.notebook import Notebook

LATE = """
class Reader:
    def post_init(self):
        import yaml
        self.read = yaml.safe_load
    def do(self, body):
        from late import twice
        return twice(self.read(body["text"]))

_ = g.to(Reader)
"""


def test_own_modules_are_copied_and_packages_pinned(
    notebook: Notebook, written: Written, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine").mkdir()
    (folder / "mine" / "__init__.py").write_text("from .deep import two\n")
    (folder / "mine" / "deep.py").write_text("import yaml\n\ndef two(): return 2\n")
    (folder / "single.py").write_text("from mine import two\n\ndef three(body): return two() + 1\n")
    monkeypatch.syspath_prepend(str(folder))
    notebook.cell(
        "import single, msgspec\ndef use(body): return single.three(body) + len(msgspec.json.encode(1))\n_ = g.to(use)"
    )
    project = capture(notebook["g"], ["six>=1"])
    assert sorted(project.files) == ["mine/__init__.py", "mine/deep.py", "single.py"]
    assert [pin.name for pin in project.requirements.pins] == ["msgspec", "pyyaml", "six"]
    assert project.requirements.text().splitlines()[2] == "six>=1"
    assert answers(written(project), 0) == [4]


def test_what_is_imported_where_it_is_used_goes_along_too(
    notebook: Notebook, written: Written, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("late")
    (folder / "late.py").write_text("def twice(n): return 2 * n\n")
    monkeypatch.syspath_prepend(str(folder))
    notebook.cell(LATE)
    project = capture(notebook["g"])
    assert (sorted(project.files), [pin.name for pin in project.requirements.pins]) == (["late.py"], ["pyyaml"])
    assert answers(written(project), {"text": "21"}) == [42]


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (lambda: steps.ParquetTarget("p"), "pyarrow"),
        (lambda: steps.SQLTarget("sqlite:///x.db", "t"), "SQLAlchemy"),
        (lambda: steps.ToDataFrame(), "pandas"),
        (lambda: steps.ReduceToDataFrame(), "pandas"),
    ],
)
def test_what_a_built_in_step_imports_when_first_used_is_installed_there(made: Any, name: str) -> None:
    graph = Graph("g")
    graph.to(len, "a").to(made(), "b")
    assert name in [line.split("==")[0] for line in graph.captured().requirements]
