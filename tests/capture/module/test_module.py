"""The text of the captured module."""

from __future__ import annotations

import linecache
import textwrap

from nbgraph.capture.project import capture
from tests.capture.exports import Written, answers
from tests.lab.notebook import Notebook


def body_of(handlers: str) -> str:
    """The module without its first line."""
    return handlers.split("\n", 2)[2]


ARROWS = """%%graph g --run 1
import math as m

# what it is for
def clean(body):
    return m.floor(body)

class Add:
    def __init__(self, n): self.n = n
    def do(self, body): return body + self.n

double = lambda body: body * 2
clean -> Add(n=3) -> double -> respond
"""


def test_the_module_reads_as_the_cells_were_written(notebook: Notebook) -> None:
    notebook.cell("import numpy as np\nfrom math import sqrt as root, pi\nimport os.path, json\nLIMIT = 3")
    notebook.cell('''
        def helper(x):
            # why it is so
            return np.clip(x, 0, LIMIT)


        # cleans what came in
        def clean(body):
            """First
          line."""
            return {**body, "x": float(helper(root(body["x"]) * pi))}

        unused = 1
        _ = g.to(clean).respond()
    ''')
    assert body_of(capture(notebook["g"]).handlers) == textwrap.dedent('''
        import numpy as np
        from math import pi
        from math import sqrt as root

        __all__ = ["clean"]

        LIMIT = 3


        def helper(x):
            # why it is so
            return np.clip(x, 0, LIMIT)


        # cleans what came in
        def clean(body):
            """First
          line."""
            return {**body, "x": float(helper(root(body["x"]) * pi))}
    ''').lstrip("\n")  # fmt: skip


def test_later_text_does_not_change_what_was_defined_before(notebook: Notebook, written: Written) -> None:
    notebook.cell("def f(body): return [body, 1]\nold = f")
    notebook.cell("def f(body): return [old(body), 2]\n_ = g.to(f)")
    assert answers(written(capture(notebook["g"])), "x") == [[["x", 1], 2]]


def test_names_that_mean_two_things_keep_their_meanings(notebook: Notebook, written: Written) -> None:
    notebook.cell("import types\nother = types.ModuleType('other')\nother.K = 2\nK = 1\ndef mine(body): return K")
    notebook.cell(
        "theirs = types.FunctionType((lambda body: [body, K]).__code__, vars(other))\n"
        "_ = g.to(mine).to(theirs, 'theirs')"
    )
    assert answers(written(capture(notebook["g"])), 0) == [[1, 2]]


def test_cells_with_arrows_are_read_as_well(notebook: Notebook, written: Written) -> None:
    lines = ARROWS.splitlines(keepends=True)
    linecache.cache["<graph cell>"] = (len(ARROWS), None, lines, "<graph cell>")
    python = "".join("\n" if line.startswith("%%") or "->" in line else line for line in lines)
    exec(compile(python, "<graph cell>", "exec"), notebook.names)
    notebook.names["In"].append(f"get_ipython().run_cell_magic('graph', 'g --run 1', {ARROWS.partition(chr(10))[2]!r})")
    notebook.cell("_ = g.to(clean).to(Add, n=3).to(double, 'double').respond()")
    project = capture(notebook["g"])
    assert "import math as m\n" in project.handlers
    assert "# what it is for\ndef clean(body):" in project.handlers
    assert answers(written(project), 2.5) == [10]
