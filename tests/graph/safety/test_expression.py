"""What the expressions of a loaded document may say."""

from __future__ import annotations

from typing import Any

import pytest

from nbgraph import Graph, GraphError
from nbgraph.graph.safety.expression import check_safe


@pytest.mark.parametrize(
    "text",
    [
        "event",
        "event['p'] > .9 and not event.get('x')",
        "event['name'].lower().strip() in {'a', 'b'}",
        "len(event['items']) * 2 ** 3 + -1",
        "[x['n'] for x in event if x['n'] > 3]",
        "sorted(event, key=lambda item: item['p'])[0]",
        "'big' if event > 3 else 'small'",
        "f\"{event['a']:.2f}\"",
        "event['amount'] * 1_000_000_000",
        "event.get('amount') * 1000",
        "'-' * 20",
        "1 << 10",
        "sum(x * x for x in event)",
        "(event\n > 3)",
    ],
)
def test_reading_and_computing_is_fine(text: str) -> None:
    check_safe(text, {"event"}, "here")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')",
        "event.__class__",
        "event['a'].__class__.__mro__",
        "().__class__",
        "open('x')",
        "eval('1')",
        "getattr(event, 'a')",
        "other",
        "event.amount",
        "event.lower",
        "'{0.__class__}'.format(event)",
        "f'{event.__class__}'",
        "[x for x in ().__class__.__subclasses__()]",
        "(lambda f: f(f))(lambda f: f(f))",
        "(y := event)",
        "(lambda: (yield))()",
        "9 ** 9 ** 9",
        "2 ** event['n']",
        "'a' * 10 ** 9",
        "'a' * 999999999",
        "999999999 * [0]",
        "'a' * 9999 * 9999",
        "(['a'] * 9999 + ['b']) * 9999",
        "'a' * event['n']",
        "str(event) * 999999999",
        "event['s'].lower() * 999999999",
        "1 << 999999999",
        "'%999999999d' % 1",
        "'%*d' % (999999999, 1)",
        "f'{event:>999999999}'",
        "f'{event:>{9 * 99999999}}'",
        "[0 for a in event for b in event for c in event for d in event]",
        "_",
        "event._x",
        "len.__self__",
        "sum(*event)(1)",
        "event.get('f')(1)",
        "[f() for f in event]",
        "(lambda len: len())(event)",
        "range(10 ** 12)",
        "max(event, **event)",
        "event >",
        "import os",
        "",
        "(" * 500 + ")" * 500,
        "1 + " * 9999 + "1",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(GraphError, match=r"^here: "):
        check_safe(text, {"event"}, "here")


def evil(**step: Any) -> dict[str, Any]:
    return {"version": 1, "name": "g", "steps": {"a": step}}


@pytest.mark.parametrize(
    "document",
    [
        evil(handler="os.system"),
        evil(handler="(__import__('os'))"),
        evil(handler="builtins.eval"),
        evil(handler="Map", arguments={"fn": "__import__('os')"}),
        evil(handler="Map", arguments={"*": ["__import__('os')"]}),
        evil(handler="Map", arguments={"fn": {"$code": "eval"}}),
        evil(handler="Map", arguments={"fn": {"$code": "'__imp' + 'ort__(1)'"}}),
        evil(handler="Reduce", arguments={"*": [0, "__import__('os')"]}),
        evil(handler="RemoteStep", arguments={"url_expression": "__import__('os')"}),
        evil(handler="AggregateByKey", arguments={"aggregates": [{"aggregation_filter": "__import__('os')"}]}),
        evil(handler="AggregateByKey", arguments={"x": {"$code": "FieldAggregator(aggr_filter='exit()')"}}),
        evil(handler="ModelRouter", arguments={"routes": {"m": {"handler": "os.system"}}}),
        evil(handler="X", arguments={"x": {"$code": "Map('exit()')"}}),
        evil(handler="X", arguments={"x": {"$code": "os.system"}}),
        evil(handler="X", arguments={"x": [{"$code": "open('x')"}]}),
        evil(graph={"version": 1, "name": "i", "steps": {"b": {"handler": "os.system"}}}),
        evil(retry_on=["os.error"]),
        {**evil(), "edges": [{"source": "a", "target": "a", "kind": "cycle", "when": "eval(event)"}]},
        {**evil(), "edges": [{"source": "a", "target": "a", "kind": "cycle", "when": "os.system(event)"}]},
        {**evil(), "error_stream": "os.system"},
    ],
)
def test_a_document_runs_nothing_of_its_own(document: dict[str, Any]) -> None:
    import os

    with pytest.raises(GraphError):
        Graph.from_dict(document, namespace={"os": os})


def test_a_document_may_use_what_the_namespace_gives() -> None:
    document = {
        **evil(handler="clean"),
        "edges": [{"source": "a", "target": "a", "kind": "cycle", "when": "is_big(event) and event > limit"}],
    }
    names = {"clean": len, "is_big": bool, "limit": 3}
    assert Graph.from_dict(document, namespace=names).edges[0].when == "is_big(event) and event > limit"


def test_the_callers_own_names_are_not_the_documents() -> None:
    document = {**evil(), "edges": [{"source": "a", "target": "a", "kind": "cycle", "when": "secret(event['x'])"}]}
    with pytest.raises(GraphError, match="secret"):
        Graph.from_dict(document)


def secret(body: Any) -> Any:
    return body
