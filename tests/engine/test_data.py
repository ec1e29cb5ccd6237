"""What becomes of a body: paths, content types, keys, ids, branches."""

from datetime import UTC, datetime

import pytest

from nbgraph import Event, Graph, StepError
from nbgraph.errors import BodyError
from nbgraph.event import decode
from nbgraph.steps import Choice, Filter, ForEach


def graph_of(handler, **options):
    graph = Graph("g")
    graph.to(handler, "x", **options)
    return graph


def test_paths_take_a_part_out_and_put_the_result_in():
    assert graph_of(str.upper, input_path="a.b").run({"a": {"b": "x"}}) == "X"
    assert graph_of(str.upper, input_path="a", result_path="c.d").run({"a": "x"}) == {"a": "x", "c": {"d": "X"}}
    assert graph_of("(7)", result_path="c.d").run({}) == {"c": {"d": 7}}
    body = {"a": "x"}
    assert (graph_of(str.upper, input_path="a", result_path="a").run(body), body) == ({"a": "X"}, {"a": "x"})


def test_a_missing_path_names_itself_and_the_keys_that_exist():
    with pytest.raises(StepError, match=r'input_path "a.b" finds no "b"; at "a" there are: x, y') as caught:
        graph_of(str, input_path="a.b").run({"a": {"x": 1, "y": 2}})
    assert caught.value.step == "x"


def test_predicates_see_the_part_and_the_whole_body_goes_on():
    seen = []
    graph = Graph("g")
    graph.to(Filter("event > 1"), input_path="n").to(ForEach(seen.append), input_path="n").to(
        Choice(lambda number: "big" if number > 5 else "small"), input_path="n"
    )
    graph.step("Choice").to("(event)", "big")
    graph.step("Choice").to("(event)", "small").to("(event)", "end", input_path="n", when="event == 3")
    bodies = [{"n": 1}, {"n": 9}, {"n": 3}, {"n": 2}]
    assert (list(graph.stream(bodies)), seen) == ([{"n": 9}, 3], [9, 3, 2])


def test_texts_are_json_where_declared_or_where_they_parse():
    graph = graph_of("(event)")
    assert [graph.run(text) for text in ('{"a": 1}', b"[1]", "hello", "5", b"\xff")] == [
        {"a": 1},
        [1],
        "hello",
        5,
        b"\xff",
    ]
    assert graph.run("[1]", content_type="text/plain") == "[1]"
    with pytest.raises(BodyError, match="declared as application/json; charset=utf-8 but is not JSON"):
        graph.run("{", content_type="application/json; charset=utf-8")


async def later(body):
    return body


def chunks(body):
    yield body


async def chunks_later(body):
    yield body


@pytest.mark.parametrize("text", ['"hold"', '"5"', '"[1]"', '"\\"5\\""', "hold", "7"])
@pytest.mark.parametrize("options", [{}, {"concurrency": 2}], ids=["", "stage"])
@pytest.mark.parametrize("handler", ["(event)", chunks, later, chunks_later])
def test_a_text_is_decoded_once(handler, options, text):
    graph = graph_of(handler, **(options if handler is later else {}))
    once = graph.run(text)
    event = Event(text, content_type="application/json" if text.startswith('"') else None)
    with graph.start() as run:
        pushed = run.push(text).result()
    found = [list(graph.answers(text)), list(graph.answers(event)), list(graph.stream([text])), [pushed]]
    found += [list(graph.answers(Event(once, content_type="text/plain"))), [graph.debug(text).resume()]]
    assert (once, found) == (decode(text), [[once]] * 6)


def test_an_event_carries_key_id_path_method_headers_time():
    moment = datetime(2026, 1, 2, tzinfo=UTC)

    def told(event):
        event.body = (event.key, event.id, event.path, event.method, event.headers, event.time)

    given = Event(1, key="k", id="i", path="/p", method="PUT", headers={"h": "v"}, time=moment)
    graph = graph_of(told, full_event=True)
    assert graph.run(given) == ("k", "i", "/p", "PUT", {"h": "v"}, moment)
    assert graph.run(given, key="other", id="j")[:2] == ("other", "j")
    assert given.body == 1


def test_branches_share_the_body_and_not_the_event():
    seen = []

    def change(event):
        event.headers["x"] = "changed"
        event.key = "changed"

    graph = Graph("g")
    start = graph.to("(event)", "start")
    start.to(change, "first", full_event=True)
    start.to(lambda event: seen.append((event.key, event.headers, event.body)), "second", full_event=True)
    graph.run({"a": 1}, key="k")
    assert seen == [("k", {}, {"a": 1})]


def test_ids_differ_and_a_stream_takes_keys_from_a_field_or_a_function():
    def told(event):
        event.body = (event.key, event.id)

    graph = graph_of(told, full_event=True)
    by_field = list(graph.stream([{"card": 7}, {"card": 8}], key="card"))
    by_function = list(graph.stream([1, 2], key=lambda body: -body))
    assert [key for key, _ in (*by_field, *by_function)] == [7, 8, -1, -2]
    assert len({id for _, id in (*by_field, *by_function)}) == 4


def test_a_key_that_is_missing_names_the_fields_and_harms_no_other_event():
    stream = graph_of(lambda event: None, full_event=True).stream([{"a": 1}, {"card": 2}], key="card")
    with pytest.raises(Exception, match='no field "card" for a key; it has: a'):
        next(stream)
    assert next(stream) == {"card": 2}
