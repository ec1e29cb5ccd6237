"""The builder without a browser: every edit, its text, undo and redo, what is refused."""

import pytest

from nbgraph import Graph
from nbgraph.widgets.builder import BuilderWidget
from nbgraph.widgets.editor.palette import palette


def clean(body):
    """Make it clean."""
    return body


class Enrich:
    def __init__(self, table, on="id"):
        self.table, self.on = table, on

    def do(self, body):
        return {**body, **self.table[body[self.on]]}


NAMES = {"clean": clean, "Enrich": Enrich, "customers": {7: {"name": "Ann"}}}


@pytest.fixture
def builder():
    graph = Graph.parse("%%graph fraud\nclean -> respond\n", namespace=NAMES)
    widget = BuilderWidget(graph)
    yield widget
    widget.close()


def edit(widget: BuilderWidget, what: str, **more) -> None:
    widget.receive({"kind": "edit", "what": what, **more})


def test_a_graph_is_built_by_hand_and_runs(builder):
    edit(builder, "add", name="Enrich", after="clean")
    edit(builder, "arguments", name="Enrich", texts={"table": "customers", "on": '"card"'})
    edit(builder, "rename", name="Enrich", target="enrich")
    edit(builder, "respond", name="enrich")
    assert builder.sheet["text"] == (
        '%%graph fraud\nenrich = Enrich(table=customers, on="card")\nclean -> enrich -> respond\n'
    )
    assert builder.graph.run({"card": 7}) == {"card": 7, "name": "Ann"}


def test_the_picture_follows_the_text(builder):
    edit(builder, "text", text="%%graph fraud\nclean -> Batch(2) -> respond\nclean -> str if event > 1\n")
    assert ([step["name"] for step in builder.picture["steps"]], builder.sheet["problem"]) == (
        ["clean", "Batch", "str"],
        "",
    )


def test_a_wrong_text_is_said_and_changes_nothing(builder):
    before = builder.sheet["text"]
    edit(builder, "text", text="%%graph fraud\nclean -> -> respond\n")
    assert (builder.sheet["text"], "line 2" in builder.sheet["problem"]) == (before, True)


def test_arrows_have_conditions_and_one_back_makes_a_cycle(builder):
    edit(builder, "add", name="str", after="clean")
    edit(builder, "connect", name="clean", target="str", when="event > 1")
    edit(builder, "connect", name="str", target="clean")
    arrows = {edge.source: (edge.target, edge.when, edge.kind.value) for edge in builder.graph.edges}
    assert arrows == {"clean": ("str", "event > 1", "flow"), "str": ("clean", None, "cycle")}
    edit(builder, "connect", name="clean", target="str", when="event >")
    assert "not a Python expression" in builder.sheet["problem"]


def test_everything_can_be_undone_and_done_again(builder):
    texts = [builder.sheet["text"]]
    for what, more in [
        ("add", {"name": "str", "after": "clean"}),
        ("respond", {"name": "str"}),
        ("disconnect", {"name": "clean", "target": "str"}),
        ("remove", {"name": "clean"}),
    ]:
        edit(builder, what, **more)
        texts.append(builder.sheet["text"])
    back = []
    for _ in range(4):
        edit(builder, "undo")
        back.append(builder.sheet["text"])
    for _ in range(4):
        edit(builder, "redo")
    assert (back, builder.sheet["text"]) == (texts[-2::-1], texts[-1])


def test_the_palette_has_the_notebooks_functions_and_the_built_in_steps():
    offered = {one["name"]: one for one in palette({**NAMES, "pandas": pytest, "x": 3})}
    assert (offered["clean"]["about"], offered["Enrich"]["signature"], "Batch" in offered, "x" in offered) == (
        "Make it clean.", "(table, on='id')", True, False,
    )  # fmt: skip


WRITTEN = """%%graph fraud
# who pays, and with what
enrich = Enrich(customers, on="card")   # by card

clean -> enrich   # the way in
# where it ends
enrich -> str if event["p"] > 1   # dear ones
enrich -> respond
"""


@pytest.mark.parametrize(
    ("edits", "changes"),
    [
        ([], {}),
        ([("disconnect", {"name": "enrich", "target": "str"}), ("remove", {"name": "str"})],
         {'enrich -> str if event["p"] > 1   # dear ones\n': ""}),
        ([("connect", {"name": "enrich", "target": "str", "when": "event > 2"})],
         {'event["p"] > 1': "event > 2"}),
        ([("arguments", {"name": "enrich", "texts": {"on": '"id"'}})],
         {'on="card"': 'on="id"'}),
        ([("add", {"name": "Batch", "after": "str"})],
         {"enrich -> respond\n": "enrich -> respond\nstr -> Batch\n"}),
        ([("respond", {"name": "str"})],
         {"enrich -> respond": "str -> respond"}),
    ],
)  # fmt: skip
def test_what_an_edit_does_not_touch_stays_as_it_was_written(builder, edits, changes):
    edit(builder, "text", text=WRITTEN)
    for what, more in edits:
        edit(builder, what, **more)
    expected = WRITTEN
    for before, after in changes.items():
        expected = expected.replace(before, after)
    assert (builder.sheet["text"], builder.sheet["problem"]) == (expected, "")
    assert Graph.parse(builder.sheet["text"], namespace=NAMES) == builder.graph
    for _ in edits:
        edit(builder, "undo")
    assert builder.sheet["text"] == WRITTEN


def test_without_a_notebook_there_is_no_cell_to_copy_to(builder):
    edit(builder, "cell")
    assert "copy the text instead" in builder.sheet["problem"]
