"""The catalogue: its page is current, its entries have examples, installed packages add to it."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nbgraph import steps
from nbgraph.steps.__main__ import page
from nbgraph.steps.library import CatalogueEntry, Library, entry_of, names_in
from nbgraph.types import Section

ROOT = Path(__file__).parent.parent.parent
PACKAGE = Path(__file__).parent / "shouting"


def test_the_page_is_current() -> None:
    written = (ROOT / "docs" / "steps.md").read_text()
    assert written == page(), "write it again: python -m nbgraph.steps > docs/steps.md"


@pytest.mark.parametrize("name", steps.__all__)
def test_every_name_says_what_it_is(name: str) -> None:
    entry = entry_of(name, steps.catalogue())
    assert entry.summary.endswith("."), f"the docstring of {name} does not begin with a sentence"
    has_example = ">>>" in (inspect.getdoc(steps.catalogue()[name]) or "")
    assert has_example or not entry.is_step, f"the docstring of {name} has no example"


def test_an_entry() -> None:
    assert entry_of("Flatten", steps.catalogue()) == CatalogueEntry(
        "Flatten", Section.OPERATORS, "Flatten()", "Each item of the body goes on as a body of its own.", True
    )


def test_names_are_loaded_when_they_are_asked_for() -> None:
    code = "import sys, nbgraph.steps; print([m for m in sys.modules if m.startswith('nbgraph.steps.')])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.strip() == "['nbgraph.steps.library', 'nbgraph.steps.old_modules']"


def test_a_name_is_offered_once() -> None:
    texts = [path.read_bytes() for path in (ROOT / "nbgraph").rglob("steps/**/*.py")]
    texts += [path.read_bytes() for path in (ROOT / "nbgraph").glob("*/steps.py")]
    names = [name for text in texts for name in names_in(text)]
    assert sorted(names) == steps.__all__


def test_the_library_is_read_from_a_zip_file(tmp_path: Path) -> None:
    zipped = shutil.make_archive(str(tmp_path / "nbgraph"), "zip", ROOT, "nbgraph")
    code = "import nbgraph; print(nbgraph.__file__, len(nbgraph.steps.__all__), nbgraph.steps.Batch(2).arguments)"
    environment = {**os.environ, "PYTHONPATH": zipped}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment)
    assert done.stdout.split(" ", 1) == [f"{zipped}/nbgraph/__init__.py", f"{len(steps.__all__)} {{'max_events': 2}}\n"]


LOUDER = '''"""Louder: more marks."""

from nbgraph.handler import Counterpart
from nbgraph.steps.operators.batch import Batch
from nbgraph.steps.operators.stateless import callable_of

__all__ = ["Louder"]


class Louder(Batch):
    """Batches with marks.

    Parameters
    ----------
    where
        Which bodies get a mark.
    """

    counterpart = Counterpart("Loudspeaker")
    expressions = {"where": ("event",)}
    io = "sirens"

    def __init__(self, max_events=None, *, where="True"):
        super().__init__(max_events)
        self._where = callable_of(where, Louder, "where")
'''

USE_OF_A_FILE = """
import inspect
from nbgraph import Graph, GraphError, steps
from nbgraph.steps.__main__ import page

step = {"kind": "task", "class_name": "storey.Loudspeaker", "class_args": {"max_events": 2}}
graph = Graph.from_mlrun({"kind": "flow", "steps": {"loud": step}})
print(list(graph.stream([1, 2, 3])))
print(*(line for line in page().splitlines() if "Louder" in line))
print(*inspect.getdoc(steps.Louder).partition("Parameters")[2].split()[1:7])
for where, is_trusted in (("open(1)", True), ("event > 1", False)):
    try:
        cell = f"%%graph g\\nloud = Louder(2, where='{where}')\\nloud -> respond"
        Graph.from_dict(Graph.parse(cell).to_dict(), io=is_trusted)
    except GraphError as error:
        print(str(error).partition(";")[0])
"""


def test_a_file_adds_a_step(tmp_path: Path) -> None:
    copied = shutil.copytree(ROOT / "nbgraph", tmp_path / "nbgraph", ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "steps" / "operators" / "louder.py").write_text(LOUDER)
    command = [sys.executable, "-c", USE_OF_A_FILE]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment)
    assert (done.stderr, done.stdout.splitlines()) == (
        "",
        [
            "[[1, 2], [3]]",
            "| `Louder(max_events=None, *, where='True')` | Batches with marks. |",
            "max_events Bodies of one list; None:",
            "line 2, column 1: Louder.where: 'open(1)' calls \"open\"",
            'steps.loud.handler: "Louder" works with sirens, and the graph is loaded without that (io=False, --no-io).',
        ],
    )


def test_each_step_has_a_section_of_its_folder() -> None:
    sections: dict[str, set[str]] = {}
    for name, module in steps.built_in().modules.items():
        sections.setdefault(module.rpartition(".")[0], set()).add(entry_of(name, steps.catalogue()).section)
    odd = {folder: found for folder, found in sections.items() if len(found) > 1}
    assert odd == {"nbgraph.steps.operators": {Section.OPERATORS, Section.QUEUES}}


def test_a_name_that_is_none() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = steps.Nothing
    assert "Nothing" not in steps.catalogue()


def test_a_built_in_name_can_not_be_taken() -> None:
    class Taken(Library):
        installed = {"Map": None}  # type: ignore[assignment]  # noqa: RUF012

    library = Taken({"Map": "nbgraph.steps.operators.stateless"})
    assert (library["Map"], list(library)) == (steps.Map, ["Map"])


def installed_in(folder: Path) -> Path:
    """The package of docs/extending.md as an installer leaves it: its code, and beside it what it offers."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    shutil.copytree(PACKAGE / "nbgraph_shouting", folder / "nbgraph_shouting")
    metadata = folder / "nbgraph_shouting-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0\n")
    points = project["entry-points"]["nbgraph.steps"]
    (metadata / "entry_points.txt").write_text(
        "\n".join(["[nbgraph.steps]", *(f"{name} = {where}" for name, where in points.items())])
    )
    return folder


GRAPH = """%%graph loud
loud = Shout(marks=2)
Countdown(2) -> str -> loud -> Notebook("{path}")
"""

USE = """
import sys
from nbgraph import Graph
from nbgraph.steps import catalogue
from nbgraph.steps.library import entry_of
graph = Graph.parse(sys.argv[1], namespace={"str": str})
print(list(graph.stream([None])))
model = Graph("model")
model.to("Tenfold", "ten").respond()
print(model.run({"inputs": [[4]]}))
entry = entry_of("Shout", catalogue())
print(entry.section, entry.signature, entry.summary)
"""


def test_an_installed_package_adds_steps(tmp_path: Path) -> None:
    path = os.pathsep.join([str(installed_in(tmp_path / "site")), *filter(None, [os.environ.get("PYTHONPATH")])])
    lines = tmp_path / "lines.txt"
    command = [sys.executable, "-W", "error", "-c", USE, GRAPH.format(path=lines)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": path})
    assert (done.stderr, done.stdout.splitlines()) == (
        "",
        [
            "['2!!', '1!!']",
            "{'model_name': 'ten', 'outputs': [40]}",
            "Installed packages Shout(marks=1) The text, louder.",
        ],
    )
    assert lines.read_text() == "2!!\n1!!\n"
