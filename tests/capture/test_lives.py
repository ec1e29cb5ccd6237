"""Wherever a notebook lives, what it captures answers as it does: kernels, scripts, other tools that run cells."""

from __future__ import annotations

import linecache
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from nbgraph.capture.project import capture
from tests.lab.exported import Exported
from tests.lab.notebook import Notebook

STEPS = """
K = 10
class Model:
    k = K
    def do(self, e): return e * self.k
def half(e, by=K // 5): return e / by
"""


@pytest.fixture(scope="module")
def exported() -> Iterator[Exported]:
    found = Exported()
    yield found
    found.close()


@pytest.fixture
def notebook() -> Notebook:
    found = Notebook()
    found.cell("from nbgraph import Graph\ng = Graph('g')")
    return found


@pytest.mark.parametrize("run", ["%run {0}", "%run -i {0}"])
def test_a_script_that_was_run_and_edited_since(
    notebook: Notebook, exported: Exported, tmp_path: Path, run: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(STEPS)
    notebook.cell(run.format(script))
    script.write_text(STEPS.replace("*", "+"))
    notebook.cell("K = 3\n_ = g.to(Model).to(half).respond()")
    assert exported.answers(capture(notebook["g"]), 4) == [notebook["g"].run(4)] == [20]


@pytest.mark.parametrize("has_text", [True, False])
def test_cells_that_are_compiled_into_a_dict_of_their_own(exported: Exported, has_text: bool) -> None:
    """As marimo runs them: no `In`, a file name per cell, its text in `linecache` or nowhere."""
    names: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    cells = [STEPS, "from nbgraph import Graph\ng = Graph('g')\n_ = g.to(Model).to(half).respond()"]
    for number, text in enumerate(cells):
        file = f"<cell {number} of {has_text}>"
        if has_text:
            linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), names)
    assert exported.answers(capture(names["g"]), 4) == [names["g"].run(4)] == [20]


def test_a_plain_script_deploys_itself(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(f"""{STEPS}
if __name__ == "__main__":
    from nbgraph import Graph
    g = Graph("g")
    g.to(Model).to(half).respond()
    K = 3
    with g.deploy("process", progress=False) as there:
        print(g.run(4), there.invoke(4), g.captured().equal)
""")
    told = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (told.stdout.split(), told.returncode) == (["20.0", "20.0", "True"], 0), told.stderr


def test_a_kernel_that_forgot_everything_deploys(tmp_path: Path) -> None:
    """A notebook that is run as papermill and nbconvert do; `%reset` takes `__main__` its `__spec__` away."""
    cells = [
        "%reset -f\n%load_ext nbgraph",
        f"%%time{STEPS}",
        "%reset -f in",
        "%%graph g\nModel -> half -> respond",
        "with g.deploy('process', progress=False) as there:\n    print(g.run(4), there.invoke(4))",
    ]
    written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(
        written, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    told = [output["text"] for output in written.cells[-1].outputs if output["output_type"] == "stream"]
    assert told == ["20.0 20.0\n"]
