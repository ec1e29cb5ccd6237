"""A condition that fails: the error names the arrow, the condition and the keys, in every way of running."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from nbgraph import Graph, StepError


def same(body: Any) -> Any:
    return body


def graph(when: Any, *, other: Any = None, path: str | None = None, graph: str = "g") -> Graph:
    made = Graph(graph)
    clean = made.to(same, "clean")
    clean.to(same, "score", when=when, input_path=path)
    if other is not None:
        clean.to(same, "save", when=other)
    return made


def runs(made: Graph, body: Any) -> dict[str, Callable[[], Any]]:
    return {
        "run": lambda: made.run(body),
        "arun": lambda: asyncio.run(made.arun(body)),
        "stream": lambda: list(made.stream([body])),
        "answers": lambda: list(made.answers(body)),
        "start": lambda: started(made, body),
    }


def started(made: Graph, body: Any) -> Any:
    with made.start() as run:
        return run.push(body).result(5)


LIMIT = 3


def has_key(body: Any) -> bool:
    return body["p"] > LIMIT


CASES: list[tuple[Any, Any, dict[str, Any], str]] = [
    ('event["p"] > 1', {"q": 1, "r": 2}, {}, "event[\"p\"] > 1, failed: KeyError: 'p'; the keys are q, r"),
    ('event["p"] > LIMIT', {"q": 1}, {}, "event[\"p\"] > LIMIT, failed: KeyError: 'p'; the keys are q"),
    ('event["p"] > 1', {}, {}, "event[\"p\"] > 1, failed: KeyError: 'p'; there are none"),
    ('event["p"] > 1', {"q": 1}, {"other": "True"}, "event[\"p\"] > 1, failed: KeyError: 'p'; the keys are q"),
    ("event > 1", "text", {}, "event > 1, failed: TypeError: '>' not supported between instances of 'str' and 'int'"),
    (has_key, {"q": 1}, {}, "has_key, failed: KeyError: 'p'; the keys are q"),
    ('event["p"] > 1', {"a": {"z": 1}}, {"path": "a"}, "event[\"p\"] > 1, failed: KeyError: 'p'; the keys are z"),
]


@pytest.mark.parametrize(("when", "body", "options", "expected"), CASES)
def test_the_arrow_is_named(when: Any, body: Any, options: dict[str, Any], expected: str) -> None:
    made = graph(when, **options)
    told = {}
    for name, run in runs(made, body).items():
        with pytest.raises(StepError) as raised:
            run()
        told[name] = str(raised.value)
    told["trace"] = str(made.trace(body).error)
    wanted = f'The condition of "clean" -> "score", {expected}'
    assert told == dict.fromkeys(told, wanted)


def test_the_steps_error_handler_still_takes_it() -> None:
    made = graph('event["p"] > 1')
    made.step("clean").error_handler(lambda body: "mended", "h", on=KeyError)
    assert (made.run({"q": 1}), list(made.stream([{"q": 1}])), made.trace({"q": 1}).answer) == (
        "mended",
        ["mended"],
        "mended",
    )


def test_a_step_that_fails_is_named_itself() -> None:
    made = graph('event["p"] > 1')
    made.step("score").to(lambda body: 1 / 0, "end")
    with pytest.raises(StepError, match=r'^Step "end" failed: ZeroDivisionError'):
        made.run({"p": 2})


def test_a_traceback_shows_the_text_of_an_expression() -> None:
    made = Graph("g")
    made.to('(event["name"]  + LIMIT)', "more").to("Filter", fn="event['x'] > 3")
    shown = []
    for body in ({"name": "x"}, {"name": 1}):
        with pytest.raises(StepError) as raised:
            made.run(body)
        shown.append("".join(traceback.format_exception(raised.value.__cause__)))
    assert ['(event["name"]  + LIMIT)' in shown[0], "event['x'] > 3" in shown[1]] == [True, True]
