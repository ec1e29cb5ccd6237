"""The Python and the arrow lines of a `%%graph` cell."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from nbgraph import Graph, GraphError
from nbgraph.errors import LanguageError
from nbgraph.graph import Step
from nbgraph.steps import Batch
from tests.magic.shells import failure, run

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


def test_the_graph_is_the_same_as_one_built_in_python(shell: Any) -> None:
    run(shell, "%%graph g\na -> b if event > 3\nb -> respond")
    graph = Graph("g")
    graph.to("a").to("b", when="event > 3").respond()
    assert shell.user_ns["g"] == graph


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


def test_a_cell_of_routes_makes_a_graph_and_tells_faults_at_their_lines(shell: Any) -> None:
    shell.run_cell("def load(body, id): return id\ndef save(body): return body")
    shell.run_cell("%%graph shop --api --hide\nGET /users/{id} -> load -> respond\nPOST /x -> save -> respond")
    wrong = shell.run_cell(
        "%%graph shop --api --hide\nGET /users/{id} -> load\nGET /users/{name} -> save"
    ).error_in_exec
    answer = shell.user_ns["shop"].run(None, method="GET", path="/users/7")
    assert (answer, str(wrong)[:57]) == ("7", 'line 3, column 1: Routes "GET /users/{id}" and "GET /user')
