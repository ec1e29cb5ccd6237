"""`%%graph` in a real shell."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from nbgraph import Graph, GraphError, StepError
from nbgraph.errors import LanguageError
from nbgraph.graph import Step
from nbgraph.steps import Batch

FRAUD = """%%graph fraud
class Enrich:
    made = 0
    def __init__(self, table):
        Enrich.made += 1
        self.table = table
    def do(self, body):
        return {**body, "name": self.table[body["card"]]}

def score(body) -> dict:
    return {**body, "p": body["amount"] / 100}

customers = {7: "Ann"}
enrich = Enrich(table=customers)
enrich -> score
score -> alert if event["p"] > 0.9
score -> save else
save -> respond
"""


def run(shell: Any, cell: str) -> Any:
    """The result of a cell that must work."""
    result = shell.run_cell(cell, store_history=True)
    result.raise_error()
    return result.result


def failure(shell: Any, cell: str, capsys: Any) -> tuple[BaseException, str]:
    """The error of a cell, and what the notebook shows of it."""
    capsys.readouterr()
    result = shell.run_cell(cell, store_history=True)
    return result.error_in_exec or result.error_before_exec, capsys.readouterr().out


def test_a_cell_defines_a_graph_that_runs(shell: Any) -> None:
    run(shell, "def alert(body): return 'alert'\ndef save(body): return body")
    run(shell, FRAUD)
    graph = shell.user_ns["fraud"]
    answer = graph.run({"card": 7, "amount": 50})
    assert (answer, shell.user_ns["Enrich"].made) == ({"card": 7, "amount": 50, "name": "Ann", "p": 0.5}, 1)


def test_a_declaration_lands_in_the_notebook_as_a_step(shell: Any) -> None:
    run(shell, FRAUD)
    assert isinstance(shell.user_ns["enrich"], Step)
    run(shell, "%%graph other\nenrich -> save")
    assert shell.user_ns["other"].spec("enrich").handler == "Enrich"


def test_running_again_updates_the_same_graph(shell: Any) -> None:
    run(shell, "%%graph g\na -> b")
    graph = shell.user_ns["g"]
    run(shell, "%%graph g --max-iterations 7\na -> b -> c")
    assert (shell.user_ns["g"] is graph, len(graph.steps), graph.max_iterations) == (True, 3, 7)


def test_names_are_bound_late(shell: Any) -> None:
    run(shell, "def double(x): return 2 * x")
    run(shell, "%%graph g\ndouble -> respond")
    run(shell, "def double(x): return 20 * x")
    assert shell.user_ns["g"].run(2) == 40


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("new = 1\nold = 2\n1 / 0\na -> c", ZeroDivisionError),
        ("new = 1\nold = 2\na -> c iff x", LanguageError),
        ("new = 1\nold = 2\na -> c else", LanguageError),
        ("new = 1\nold = 2\na -> c\nb -> c max 3", LanguageError),
        ("new = 1\nold = (2\na -> c", SyntaxError),
        ("new = 1\nold = 2\na -> g", GraphError),
    ],
)
def test_a_failing_cell_leaves_everything_as_it_was(shell: Any, body: str, kind: type, capsys: Any) -> None:
    run(shell, "old = 1")
    run(shell, "%%graph g\na -> b")
    error, _ = failure(shell, f"%%graph g\n{body}", capsys)
    names = [step.name for step in shell.user_ns["g"].steps]
    assert (isinstance(error, kind), names, shell.user_ns["old"], "new" in shell.user_ns) == (
        True,
        ["a", "b"],
        1,
        False,
    )


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


def test_the_source_of_what_a_cell_defines_is_its_own_text(shell: Any) -> None:
    run(shell, FRAUD)
    source = inspect.getsource(shell.user_ns["score"])
    assert source == 'def score(body) -> dict:\n    return {**body, "p": body["amount"] / 100}\n'


def test_built_in_steps_need_no_import_and_replace_no_name(shell: Any) -> None:
    run(shell, "Filter = 'mine'")
    run(
        shell,
        "%%graph g\ndef make(): return Batch(2)\nsecond = step(Map(fn='event + 1'), retries=2)\nBatch(3) -> second",
    )
    assert (shell.user_ns["Filter"], shell.user_ns["make"]().__class__) == ("mine", Batch)
    assert shell.user_ns["g"].spec("second").options.retries == 2


def test_a_step_with_options_keeps_the_function_of_its_name(shell: Any) -> None:
    run(shell, "def clean(x): return x + 1")
    run(shell, "%%graph g\nclean = step(clean, input_path='a', result_path='a')\nclean -> respond")
    assert (shell.user_ns["g"].run({"a": 1}), callable(shell.user_ns["clean"])) == ({"a": 2}, True)


def test_computed_options_and_made_functions_are_python(shell: Any) -> None:
    run(shell, "def adder(n): return lambda x: x + n\nn = 3\ndef clean(x): return x")
    run(shell, "%%graph g\nadd = adder(2)\nclean2 = step(clean, retries=n)\nadd -> clean2 -> respond")
    graph = shell.user_ns["g"]
    assert (graph.run(1), graph.spec("clean2").options.retries) == (3, 3)


def test_a_declared_object_that_the_cell_uses_is_made_by_the_cell(shell: Any) -> None:
    add = "class Add:\n    n = 1\n    def do(self, x): return x + self.n\n"
    run(shell, f"%%graph g\n{add}add = Add()\nadd.n = 5\nadd -> respond")
    assert shell.user_ns["g"].run(1) == 6


def test_arrows_inside_python_are_python(shell: Any) -> None:
    cell = '''%%graph g
text = """
a -> b
"""
def outer(x):
    def inner(y) -> int:
        return y  # c -> d
    return inner(x)
pairs = {"x -> y": (lambda z: z)}
outer -> respond
'''
    run(shell, cell)
    assert ([step.name for step in shell.user_ns["g"].steps], shell.user_ns["text"]) == (["outer"], "\na -> b\n")


def test_braces_and_dollars_stay_python(shell: Any) -> None:
    run(shell, "x = 1")
    run(shell, "%%graph g\nt = '{x} $x'\na -> b if event == '{x}'")
    assert (shell.user_ns["t"], shell.user_ns["g"].edges[0].when) == ("{x} $x", "event == '{x}'")


def test_commands_of_the_notebook_work_in_the_cell(shell: Any, capsys: Any) -> None:
    run(shell, "%%graph g\n\nhere = %pwd\nx = 1 / 1\na -> b")
    _, shown = failure(shell, "%%graph g\n\n%pwd\n1 / 0\na -> b", capsys)
    assert (shell.user_ns["x"], "In[2], line 4" in shown) == (1, True)


def test_run_and_debug_evaluate_their_expression(shell: Any) -> None:
    run(shell, "def double(x): return {'n': 2 * x['n m']}")
    answer = run(shell, '%%graph g --run {"n m": 21} --hide\ndouble -> respond')
    debugger = run(shell, '%graph g --hide --debug {"n m": 1}')
    assert (answer, debugger.current.step) == ({"n": 42}, "double")


def test_graphs_are_listed_and_shown(shell: Any, capsys: Any) -> None:
    run(shell, "%graph")
    run(shell, "%%graph g --hide\nlen -> str")
    run(shell, "%graph")
    run(shell, "%graph g")
    empty, listed, *shown = capsys.readouterr().out.splitlines()
    assert (empty, listed, shown[0]) == (
        "There is no graph yet; `%%graph NAME` defines one.",
        "g: 2 steps, 1 edges",
        "Graph g: 2 steps",
    )


def test_what_is_still_missing_is_told(shell: Any, capsys: Any) -> None:
    run(shell, "%%graph g\nnobody -> len")
    assert 'Step "nobody": handler "nobody" is neither defined here nor a built-in step' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%graph nothing", 'no graph "nothing"'),
        ("%%graph\na -> b", "has no name"),
        ("%%graph a-b\na -> b", "can't name a variable"),
        ("%%graph g --run (\na -> b", "not an expression"),
        ("%%graph g --max-iterations x\na -> b", "invalid int value"),
        ("%%graph g --run\na -> b", "%graph --run: nothing follows it; expected an expression"),
        ("%%graph g --debug --hide\na -> b", "%graph --debug: nothing follows it"),
        ("%%graph g --rn 3\na -> b", 'Did you mean "--run"?'),
        ("%%graph g --ru 3\na -> b", 'Did you mean "--run"?'),
        ("%%graph g --hid\na -> b", 'Did you mean "--hide"?'),
        (
            "%%graph g --deploy dokcer\na -> b",
            "found 'dokcer'; expected process, docker, swarm. Did you mean \"docker\"?",
        ),
        ("%graph g --exprot x", 'Did you mean "--export"?'),
        ("%%graph g 'x\na -> b", "No closing quotation"),
    ],
)
def test_a_wrong_first_line_is_told(shell: Any, line: str, words: str, capsys: Any) -> None:
    shell.user_ns["g"] = Graph("kept")
    shell.run_cell(line)
    assert (words in capsys.readouterr().err, shell.user_ns["g"].name) == (True, "kept")


def test_help_names_the_options(shell: Any) -> None:
    assert "--max-iterations N" in shell.find_line_magic("graph").__doc__


def test_the_graph_is_the_same_as_one_built_in_python(shell: Any) -> None:
    run(shell, "%%graph g\na -> b if event > 3\nb -> respond")
    graph = Graph("g")
    graph.to("a").to("b", when="event > 3").respond()
    assert shell.user_ns["g"] == graph


def test_the_builder_keeps_what_was_written_in_the_cell(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("nbgraph.magic.magics.show_widget", shown.append)
    run(
        shell,
        "%%graph fraud --hide\ndef clean(body):\n    # as it is\n    return body\n\n# the way\nclean -> str  # text",
    )
    shell.kernel = object()
    run(shell, "%graph fraud --build")
    builder = shown[0]
    builder.receive({"kind": "edit", "what": "respond", "name": "str"})
    assert builder.sheet["text"] == "%%graph fraud\n# the way\nclean -> str  # text\nstr -> respond\n"
    builder.close()


def test_the_text_of_the_builder_goes_to_a_new_cell(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    asked: list[str] = []
    monkeypatch.setattr(shell, "set_next_input", asked.append)
    run(shell, "%%graph fraud --hide\nstr -> respond  # at once")
    from nbgraph.widgets.builder import BuilderWidget

    builder = BuilderWidget(run(shell, "fraud"))
    builder.to_cell()
    builder.close()
    assert asked == ["%%graph fraud\nstr -> respond  # at once"]


MISSING = "%%graph g{}\n\ndef clean(body): return body\nclean -> Enrich(tabel=1) -> nobody if evnt > 1\n"


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


class Handle:
    """What IPython's `display` gives, to change later what stands there."""

    def __init__(self, shown: list[str]) -> None:
        self.shown = shown

    def update(self, data: dict[str, str], **_: Any) -> None:
        self.shown.append(data["text/plain"])


def test_the_list_goes_away_once_all_is_defined(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def display(data: dict[str, str], **_: Any) -> Handle:
        shown.append(data["text/plain"])
        return Handle(shown)

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr("nbgraph.magic.magics.show", lambda *_, **__: None)
    shell.kernel = object()
    run(shell, "%%graph g\none -> two")
    run(shell, "x = 1")
    run(shell, "def one(x): return x")
    run(shell, "def two(x): return x")
    run(shell, "def two(a, b): return x")
    assert [text.count("  - ") for text in shown] == [2, 1, 0]


@pytest.mark.parametrize(
    "line",
    [
        "clean >> score",
        "clean | score | save",
        "clean → score",
        "clean <- score",
        "clean - score",
        "clean >> Batch(10)",
    ],
)
def test_other_languages_arrows_are_told_what_arrows_are(shell: Any, line: str, capsys: Any) -> None:
    defined = "def clean(x): return x\ndef score(x): return x\nclass save:\n    def do(self, x): return x\n"
    error, _ = failure(shell, f"%%graph g\n{defined}{line}\nclean -> save", capsys)
    assert (isinstance(error, LanguageError), "arrows are `->`" in str(error), getattr(error, "line", 0)) == (
        True,
        True,
        6,
    )


def test_what_is_no_arrow_stays_python(shell: Any) -> None:
    run(shell, "%%graph g\na, b = 7, 2\na - b\na | b\nc = a >> b\nstr -> int")
    assert (shell.user_ns["c"], shell.user_ns["g"].run("3")) == (1, 3)


def test_a_cell_may_await(shell: Any) -> None:
    run(
        shell,
        "import asyncio\nloops = []\nasync def get():\n    loops.append(asyncio.get_running_loop())\n    return 3",
    )
    run(shell, "await get()")
    answer = run(shell, "%%graph g --run 4\nk = await get()\ndef more(x): return x + k\nmore -> respond")
    assert (answer, len(shell.user_ns["loops"]), len(set(shell.user_ns["loops"]))) == (7, 2, 1)


def test_a_cell_awaits_on_the_loop_that_runs(shell: Any) -> None:
    async def kernel() -> tuple[Any, bool]:
        run(
            shell, "import asyncio\nasync def get():\n    await asyncio.sleep(0)\n    return asyncio.get_running_loop()"
        )
        run(shell, "%%graph g\nloop = await get()\nstr -> respond")
        return shell.user_ns["g"].run(4), shell.user_ns["loop"] is asyncio.get_running_loop()

    assert asyncio.run(kernel()) == ("4", True)


def test_an_error_behind_an_await_shows_the_cells_line(shell: Any, capsys: Any) -> None:
    run(shell, "import asyncio")
    error, shown = failure(shell, "%%graph g\nx = 1\nawait asyncio.sleep(0)\ny = x / 0\na -> b", capsys)
    assert (type(error), "----> 4 y = x / 0" in shown, "cell.py" in shown) == (ZeroDivisionError, True, False)


def test_a_cell_of_routes_makes_a_graph_and_tells_faults_at_their_lines(shell: Any) -> None:
    shell.run_cell("def load(body, id): return id\ndef save(body): return body")
    shell.run_cell("%%graph shop --api --hide\nGET /users/{id} -> load -> respond\nPOST /x -> save -> respond")
    wrong = shell.run_cell(
        "%%graph shop --api --hide\nGET /users/{id} -> load\nGET /users/{name} -> save"
    ).error_in_exec
    answer = shell.user_ns["shop"].run(None, method="GET", path="/users/7")
    assert (answer, str(wrong)[:57]) == ("7", 'line 3, column 1: Routes "GET /users/{id}" and "GET /user')
