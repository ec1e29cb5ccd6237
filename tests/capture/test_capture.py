"""What the notebook holds becomes a project that means the same elsewhere."""

from __future__ import annotations

import io
import json
import linecache
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyflakes.api import check
from pyflakes.reporter import Reporter

from nbgraph import Graph, steps
from nbgraph.capture.project import Project, capture
from nbgraph.errors import ExportError
from tests.lab.notebook import Notebook


@pytest.fixture
def notebook() -> Notebook:
    found = Notebook()
    found.cell("from nbgraph import Graph\ng = Graph('g')")
    return found


Written = Callable[[Project], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Puts a project into a folder."""

    def write(project: Project) -> Path:
        for path, content in project.contents().items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)
        return tmp_path

    return write


def answers(folder: Path, *bodies: Any) -> list[Any]:
    """What the project answers in a Python that knows nothing of this one."""
    code = (
        "import json, os, sys; from pathlib import Path; from nbgraph.serve.project import load_project\n"
        f"graph = load_project(Path({str(folder)!r}))\n"
        "print(json.dumps([graph.run(body) for body in json.loads(sys.argv[1])]), flush=True); os._exit(0)"
    )
    command = [sys.executable, "-I", "-c", code, json.dumps(bodies)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


def complaints(text: str) -> str:
    found = io.StringIO()
    check(text, "handlers.py", Reporter(found, found))
    return found.getvalue()


def body_of(handlers: str) -> str:
    """The module without its first line."""
    return handlers.split("\n", 2)[2]


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


KINDS = """
from dataclasses import dataclass, field
from datetime import datetime as dt, timedelta
from enum import Enum
from functools import lru_cache, partial, wraps
import re, json, logging
import numpy as np
import pandas as pd
from nbgraph import Event, step

TABLE = pd.DataFrame({"card": ["a", "b"], "limit": [10, 20]}).set_index("card")
BIG = list(range(3000))
PATTERN = re.compile(r"a+", re.I)
WEIGHTS = np.arange(4.0)
PAUSE = timedelta(hours=2)
LOG = logging.getLogger("x")
class Level(Enum):
    LOW = 1
LEVEL = Level.LOW
ODD = {"pair": (1, 2), "set": {3, 1}, "nan": float("inf"), "frozen": frozenset()}

def tagged(tag):
    def outer(function):
        @wraps(function)
        def inner(body):
            return {**function(body), tag: tag}
        return inner
    return outer

def bare(function):
    def inner(body):
        return function({**body, "bare": True})
    return inner

class Counted:
    def __init__(self, function):
        self.function, self.calls = function, 0
    def __call__(self, body):
        self.calls += 1
        return {**self.function(body), "calls": self.calls}

@tagged("t1")
@tagged("t2")
def decorated(body): return dict(body, decorated=len(BIG))

@bare
def barely(body): return dict(body, level=LEVEL.name, pause=PAUSE.seconds)

@Counted
def counted(body): return body

@lru_cache
def cached(n): return n * ODD["pair"][1]

def uses(body):
    LOG.debug("seen")
    return {**body, "cached": cached(2), "match": bool(PATTERN.match("AA")), "year": dt(2020, 1, 1).year,
            "comprehended": [w * factor for w in WEIGHTS.tolist() for factor in sorted(ODD["set"])]}

def maker(rate, table):
    factor = rate * 2
    def rated(body):
        return {**body, "rated": factor, "rows": len(table)}
    return rated
rated = maker(0.25, TABLE)

class Base:
    scale = 2
    def helper(self, x): return x * self.scale

@dataclass
class Point:
    x: int
    tags: list = field(default_factory=list)

class Enrich(Base):
    def __init__(self, table, on="card", point=Point(7)):
        super().__init__()
        self.table, self.on, self.point = table, on, point
    def do(self, body):
        return {**body, "limit": int(self.table.loc[body[self.on], "limit"]), "h": self.helper(self.point.x)}

class Plain: pass
plain = Plain(); plain.values = [Plain, 5]

def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
def parity(body): return {**body, "even": even(4), "plain": plain.values[1], "is": plain.values[0] is Plain}

first, second = (lambda body: {**body, "l": [1]}), (lambda body: {**body, "l": body["l"] + [2]})
late = [lambda body, i=i: {**body, f"late{i}": i} for i in range(3)]
instance = Enrich(TABLE, point=Point(8))
def shift(by, body): return {**body, "shifted": by}
async def waits(body): return {**body, "async": True}
def by_event(event): event.body = {**event.body, "path": event.path}

g = Graph("kinds")
ref = (g.to(decorated).to(barely).to(counted).to(uses).to(rated).to(Enrich, "enrich", table=TABLE, point=Point(9))
    .to(instance, "instance").to(parity).to(first, "first").to(second, "second").to(late[1], "late")
    .to(partial(shift, 3), "shift").to(waits).to(step(by_event, full_event=True), "by_event")
    .to("({**event, 'big': max(BIG), 'w': float(np.sum(WEIGHTS))})", "expression").to(json.dumps).to("json.loads"))
_ = ref.respond()
Base.scale = 5
"""


def test_every_kind_of_handler_answers_the_same_elsewhere(notebook: Notebook, written: Written) -> None:
    notebook.cell(KINDS)
    graph = notebook["g"]
    project = capture(graph)
    notebook["counted"].calls = 0
    bodies = [{"card": "a"}, {"card": "b"}]
    there = answers(written(project), *bodies)
    assert there == [graph.run(body) for body in bodies]
    assert complaints(project.handlers) == ""
    notebook["counted"].calls = 0
    assert capture(graph).contents() == project.contents()


def test_later_text_does_not_change_what_was_defined_before(notebook: Notebook, written: Written) -> None:
    notebook.cell("def f(body): return [body, 1]\nold = f")
    notebook.cell("def f(body): return [old(body), 2]\n_ = g.to(f)")
    assert answers(written(capture(notebook["g"])), "x") == [[["x", 1], 2]]


def test_conditions_beyond_a_documents_reach_become_functions(notebook: Notebook, written: Written) -> None:
    notebook.cell("import math\nclass Box:\n    limit = 2\nbox = Box()\ndef is_odd(n): return n % 2 == 1")
    notebook.cell("""
        start = g.to("(event)", "start")
        start.to("(['big', event])", "big", when="math.log10(event) > box.limit")
        start.to("(['odd', event])", "odd", when=is_odd)
        start.to("(['small', event])", "small", when="event < 5")
        start.to("(['rest', event])", "rest", otherwise=True)
        _ = g.add_step("(event)", "end", after=["big", "odd", "small", "rest"]).respond()
    """)
    project = capture(notebook["g"])
    assert "when: event < 5" in project.document
    assert "return math.log10(event) > box.limit" in project.handlers
    assert answers(written(project), 1000, 9, 4, 6) == [notebook["g"].run(body) for body in (1000, 9, 4, 6)]


def test_a_graph_in_the_graph_goes_along(notebook: Notebook, written: Written) -> None:
    notebook.cell("def double(n): return n * 2\ninner = Graph('inner')\n_ = inner.to(double).to(double, 'again')")
    notebook.cell("_ = g.to(inner, 'twice').to('(event + 1)', 'more')")
    assert answers(written(capture(notebook["g"])), 3) == [13] == [notebook["g"].run(3)]


def test_values_take_the_plainest_format(notebook: Notebook, written: Written) -> None:
    notebook.cell("import numpy as np, pandas as pd, datetime\nfrom collections import Counter")
    notebook.cell("""
        A, B, C, D = [0] * 3000, pd.DataFrame({"a": [1, None]}), np.ones((2, 2)), Counter("aab")
        def use(body): return [len(A), len(B), C.sum().item(), D["a"]]
        _ = g.to(use)
    """)
    project = capture(notebook["g"])
    rows = json.loads(project.files["artifacts.json"])
    assert [(row["name"], row["format"]) for row in rows] == [
        ("A", "json"),
        ("B", "parquet"),
        ("C", "npy"),
        ("D", "pickle"),
    ]
    assert rows[2]["versions"].keys() == {"numpy"}
    assert answers(written(project), 0) == [[3000, 2, 4.0, 2]]


def test_an_artifact_that_was_tampered_with_is_not_read(notebook: Notebook, written: Written) -> None:
    notebook.cell("BIG = [0] * 3000\ndef use(body): return len(BIG)\n_ = g.to(use)")
    folder = written(capture(notebook["g"]))
    (folder / "artifacts" / "BIG.json").write_text("[1]")
    with pytest.raises(subprocess.CalledProcessError) as failure:
        answers(folder, 0)
    assert "artifacts/BIG.json is not the file that was exported" in failure.value.stderr


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


REFUSED = {
    "f = open('/dev/null')": "is an open file, which can't leave the notebook",
    "import threading; f = threading.Lock()": "is a lock,",
    "import threading; f = threading.Thread()": "is a thread,",
    "import socket; f = socket.socket()": "is a socket,",
    "import sqlite3; f = sqlite3.connect(':memory:')": "is a database connection,",
    "f = (x for x in 'ab')": "is a generator,",
    "import threading; f = {'deep': [threading.RLock()]}": "a part of f (line 1) is a lock,",
    "f = 'AKIAIOSFODNN7EXAMPLE'": "looks like a secret",
    "f = {'db': {'password': 'hunter2'}}": "f -> password (line 1) looks like a secret",
    "class C: pass\nf = C()\nf.api_key = 'x9-fourty-two'": "f -> api_key (line 1) looks like a secret",
    "f = {'u': ['postgres://me:geheim@db/x']}": "looks like a secret",
}


@pytest.mark.parametrize("made", REFUSED)
def test_what_belongs_to_this_process_stays(notebook: Notebook, made: str) -> None:
    notebook.cell(made)
    notebook.cell("def use(body): return f\n_ = g.to(use, 'score')")
    try:
        with pytest.raises(ExportError) as refused:
            capture(notebook["g"])
    finally:
        notebook.cell("f.close() if hasattr(f, 'close') else None")
    said = str(refused.value)
    assert REFUSED[made] in said
    assert 'Step "score": use -> f' in said or '"f" has what looks like a secret' in said


CODE = {
    "password = 'hunter2'\ndef use(body): return password": 'context.secret("password")',
    "def use(body): return 'ghp_0123456789012345678901234567890123'": "looks like a secret in its text",
    "def use(body): display(body)": "exists in a notebook only",
    "def use(body): return globals()[body]": "put what they may mean into a dict",
    "def use(body): return nothing": 'use -> nothing (line 1): the name "nothing" is not defined',
    "def use(body): return input(body)": "use -> input (line 1) waits for somebody at the keyboard",
    "def use(body):\n    breakpoint()": "use -> breakpoint (line 2) waits for somebody at the keyboard",
    "from getpass import getpass\ndef use(body): return getpass()": "context.secret(name)",
}


@pytest.mark.parametrize("code", CODE)
def test_code_that_would_fail_elsewhere_is_refused(notebook: Notebook, code: str) -> None:
    notebook.cell(code)
    notebook.cell("_ = g.to(use)")
    with pytest.raises(ExportError) as refused:
        capture(notebook["g"])
    assert CODE[code] in str(refused.value)


def test_names_that_mean_two_things_keep_their_meanings(notebook: Notebook, written: Written) -> None:
    notebook.cell("import types\nother = types.ModuleType('other')\nother.K = 2\nK = 1\ndef mine(body): return K")
    notebook.cell(
        "theirs = types.FunctionType((lambda body: [body, K]).__code__, vars(other))\n"
        "_ = g.to(mine).to(theirs, 'theirs')"
    )
    assert answers(written(capture(notebook["g"])), 0) == [[1, 2]]


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


GIVEN = """
K = [1, 2]
class Told:
    def __init__(self, *given, **named): self.given, self.named = given, named
    def do(self, body): return [body, list(self.given), self.named]
"""


def test_arguments_without_names_and_code_inside_of_them_go_along(notebook: Notebook, written: Written) -> None:
    notebook.cell(GIVEN)
    notebook.cell("""
        from nbgraph.graph.code import Code
        from nbgraph.graph.step import Step
        arguments = {"*": (1, Code("K"), [Code("K"), 2]), "a": {"b": Code("max(K)")}, "c": (3, 4)}
        g.place(Step("told", "Told", arguments))
        _ = g.respond("told")
    """)
    right = [0, [1, [1, 2], [[1, 2], 2]], {"a": {"b": 2}, "c": [3, 4]}]
    assert answers(written(capture(notebook["g"])), 0) == [right]


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
