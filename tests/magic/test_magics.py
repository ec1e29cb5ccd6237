"""The magic and its options."""

from __future__ import annotations

from typing import Any

import pytest

from nbgraph import Graph
from tests.magic.shells import run


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


@pytest.mark.parametrize("cell", ["%%graph g --build", "%%graph g --build\n", "%graph g --build"])
def test_a_builder_begins_from_nothing_and_keeps_what_was_built(shell: Any, cell: str, capsys: Any) -> None:
    run(shell, cell)
    shell.user_ns["g"].to(str.upper)
    run(shell, cell)
    assert (capsys.readouterr().err, shell.user_ns["g"].run("a")) == ("", "A")


def test_a_view_whose_graph_a_later_cell_has_defined_anew_says_so(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("nbgraph.magic.magics.show_widget", shown.append)
    shell.kernel = object()
    run(shell, "%%graph g\nlen -> str")
    run(shell, "%graph g")
    run(shell, "%%graph g\nstr -> len")
    assert [widget.replaced for widget in shown] == ["defined anew in cell [3]", "", ""]
