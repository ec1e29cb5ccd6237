"""Tables in pages: sorted, filtered, of both libraries; a table is not kept alive by its view."""

import gc

import pandas
import polars
import pytest

from nbgraph import Graph
from nbgraph.widgets.graph import GraphWidget
from nbgraph.widgets.values.preview import shown
from nbgraph.widgets.values.table_pages import page

COLUMNS = {"n": list(range(120)), "name": [f"row {number % 7}" for number in range(120)]}


@pytest.mark.parametrize("make", [pandas.DataFrame, polars.DataFrame])
def test_rows_are_served_by_page_order_and_text(make):
    table = make(COLUMNS)
    ref = shown(table)["ref"]
    second = page({"ref": ref, "page": 1})
    assert (second["rows"][0], second["page"], second["pages"], second["total"]) == (["50", "50", "row 1"], 1, 3, 120)
    found = page({"ref": ref, "page": 9, "sort": 0, "descending": True, "text": "ROW 3"})
    assert (found["rows"][:2], found["page"], found["total"]) == (
        [["115", "115", "row 3"], ["108", "108", "row 3"]],
        0,
        17,
    )
    assert page({"ref": ref, "text": "nobody"})["rows"] == []


def test_columns_of_mixed_kinds_are_sorted_by_their_text():
    table = pandas.DataFrame({"x": [3, "b", None, "a"] * 20})
    rows = page({"ref": shown(table)["ref"], "sort": 0})["rows"]
    assert [row[1] for row in rows[::20]] == ["3", "None", "a"]


def test_a_view_does_not_keep_a_table_and_says_when_it_is_gone():
    table = pandas.DataFrame(COLUMNS)
    ref = shown(table)["ref"]
    del table
    gc.collect()
    assert "not kept any more" in page({"ref": ref})["problem"]


def test_the_widget_serves_the_pages_of_what_a_step_gave():
    graph = Graph("frames")
    graph.to(lambda body: pandas.DataFrame(COLUMNS), "make")
    widget = GraphWidget(graph)
    sent: list = []
    widget.send = lambda content, buffers=None: sent.append(content)
    graph.run(1)
    widget.monitor.flush()
    widget.receive({"kind": "inspect", "step": "n0"})
    widget.receive({"kind": "rows", "ref": sent[-1]["output"]["ref"], "page": 2})
    assert (sent[-1]["kind"], len(sent[-1]["rows"])) == ("rows", 20)
    widget.close()
