"""Errors cross processes: whatever they hold comes along, or is told of in its place."""

import copy
import copyreg
import multiprocessing
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor
from unittest.mock import patch

import pytest
from tblib import pickling_support

from nbgraph import Event, Graph, GraphError, StepError
from nbgraph.deploy.operation.client import InvokeError
from nbgraph.errors import LanguageError, RecordedError, RequestError
from nbgraph.introspection import Preview, attribute, shown
from nbgraph.serve.gateway.limits import RefusedError
from nbgraph.serve.queues.reply_waiters import RemoteError
from nbgraph.steps.http.client import HttpError, HttpRequest
from nbgraph.steps.routers.route import RouteCallError
from nbgraph.streams.base import MessageTooLargeError, StaleError, StateTooLargeError

FORK = multiprocessing.get_context("fork")


class CodeError(Exception):
    """One whose arguments are not what its constructor wants."""

    def __init__(self, code, place):
        super().__init__(f"code {code} at {place}")
        self.code = code


class PrefixedError(Exception):
    """One that pickle makes again with another text."""

    def __init__(self, text):
        super().__init__(f"sorry: {text}")


def fails(body):
    if body == "code":
        raise CodeError(7, "here")
    if body == "prefix":
        raise PrefixedError("no")
    if body == "lock":
        raise ValueError("held", threading.Lock())
    if body == "local":

        class HereError(Exception):
            pass

        raise HereError("only here")
    try:
        return 1 / body
    except ZeroDivisionError as error:
        raise OSError(2, "no inverse") from error


def answering():
    graph = Graph("g")
    start = graph.to("({'got': event})", "start").respond()
    start.to("(event['got'])", "take").to(fails, "bad")
    return graph


def run(body):
    return answering().run(Event(body, id="e1", key="k", headers={"a": "b"}))


def told(error):
    cause = error.__cause__
    return (
        type(error), str(error), error.step, error.event.body, error.event.id, error.event.key, error.event.headers,
        error.answer, type(cause), str(cause),
    )  # fmt: skip


@pytest.mark.parametrize("body", ["code", "prefix", 0])
def test_a_step_error_is_the_same_in_another_process(body):
    with pytest.raises(StepError) as here:
        run(body)
    expected = told(here.value)
    with FORK.Pool(1) as pool, pytest.raises(StepError) as there:
        pool.map_async(run, [body]).get(30)
    assert told(there.value) == expected
    with ProcessPoolExecutor(1, mp_context=FORK) as pool, pytest.raises(StepError) as there:
        list(pool.map(run, [body], timeout=30))
    assert told(there.value) == expected
    again = pickle.loads(pickle.dumps(there.value))
    assert told(copy.deepcopy(again)) == told(again) == expected


def test_the_cause_keeps_its_attributes_and_its_own_cause():
    with pytest.raises(StepError) as one:
        run("code")
    with pytest.raises(StepError) as other:
        run(0)
    coded, chained = pickle.loads(pickle.dumps((one.value, other.value)))
    assert (coded.__cause__.code, chained.__cause__.errno, type(chained.__cause__.__cause__)) == (
        7, 2, ZeroDivisionError,
    )  # fmt: skip


@pytest.mark.parametrize(("body", "kind", "why"), [("lock", "ValueError", "lock"), ("local", "HereError", "local")])
def test_a_cause_that_cant_leave_is_told_of(body, kind, why):
    with FORK.Pool(1) as pool, pytest.raises(StepError, match=f'Step "bad" failed: {kind}: ') as there:
        pool.map_async(run, [body]).get(30)
    cause = there.value.__cause__
    assert (type(cause), cause.type, why in cause.why, there.value.step) == (RecordedError, kind, True, "bad")


def test_a_body_that_cant_leave_is_told_of():
    error = StepError("s", Event(threading.Lock(), id="e1"), ValueError("no"), {"answer": threading.Lock()})
    again = pickle.loads(pickle.dumps(error))
    assert (type(again.event.body), again.event.body.type, again.event.id, again.answer.type) == (
        Preview, "lock", "e1", "dict",
    )  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [
        LanguageError("no", 3, 4, "x"), RequestError("gone", 404), RouteCallError("m1", KeyError("a")),
        RecordedError("A", "b"), RemoteError("late", 504, "s"), InvokeError("no", 500, {"a": (1,)}),
        RefusedError(415, "packed"), StaleError("s", 3), StateTooLargeError("s", 5, 4), MessageTooLargeError("q", 5, 4),
        HttpError(HttpRequest("GET", "http://x"), 503, "busy"), GraphError.of_problems("g", ["a", "b"]),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_every_error_with_a_constructor_of_its_own_comes_back_whole(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, shown(vars(again)), shown(again.__cause__)) == (
        type(error), error.args, shown(vars(error)), shown(error.__cause__),
    )  # fmt: skip


def test_a_package_that_pickles_all_exceptions_its_own_way_changes_nothing():
    with patch.dict(copyreg.dispatch_table):
        pickling_support.install()
        with FORK.Pool(1) as pool, pytest.raises(StepError) as there:
            pool.map_async(run, ["lock"]).get(30)
    assert (type(there.value.__cause__), there.value.__cause__.type) == (RecordedError, "ValueError")


class Loud:
    def __repr__(self):
        raise RuntimeError("not now")


class Settings(dict):
    __getattr__ = dict.__getitem__


def test_values_whose_repr_raises_are_shown_everywhere():
    event = Event([Loud()], id="e1")
    assert (repr(event), shown({"a": (Loud(), 1)}), shown(10**6000)) == (
        "Event([<Loud: its repr failed: RuntimeError>], key=None, id='e1', path='/')",
        "{'a': (<Loud: its repr failed: RuntimeError>, 1)}",
        "<int: its repr failed: ValueError>",
    )


def test_a_look_asks_no_getattr():
    assert (attribute(Settings(), "nbytes"), attribute(Settings(), "get")("x", 3), attribute(Loud, "__name__")) == (
        None, 3, "Loud",
    )  # fmt: skip
