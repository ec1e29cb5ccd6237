"""A step that takes long can be left behind; the run stands before it again."""

import asyncio
import threading
import time
from contextlib import suppress

import pytest

from nbgraph import Graph
from nbgraph.engine.interruptible import Interrupted, InterruptibleCalls


def asleep(body):
    time.sleep(body)
    return body


def busy(body):
    deadline = time.monotonic() + body
    while time.monotonic() < deadline:
        pass
    return body


def stubborn(body):
    with suppress(BaseException):
        time.sleep(0.5)
    return body


async def waiting(body):
    await asyncio.sleep(body)
    return body


def several(body):
    time.sleep(body)
    yield body


@pytest.mark.parametrize("step", [asleep, busy, stubborn, waiting, several])
def test_an_interrupted_step_is_stood_before_again_and_can_run_with_another_input(step):
    graph = Graph("g")
    graph.to("(event + 1)", "add").to(step, "slow").to(str)
    debugger, calls = graph.debug(29), InterruptibleCalls()
    debugger.make_calls_by(calls)
    debugger.next()
    timer = threading.Timer(0.4, calls.interrupt)
    timer.start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        debugger.next()
    seconds = time.monotonic() - began
    stands = (debugger.current.step, debugger.current.input, debugger.current.visit, len(debugger.trace))
    debugger.set_input(0)
    assert (stands, seconds < 5, debugger.resume()) == (("slow", 30, 1, 1), True, "0")
    calls.close()


def test_the_step_under_way_is_told_with_its_line():
    graph, calls = Graph("g"), InterruptibleCalls()
    graph.to(asleep)
    debugger = graph.debug(30)
    debugger.make_calls_by(calls)
    told = []

    def look():
        told.append((debugger.current.step, calls.seconds > 0.2, calls.frame.f_code.co_name))
        calls.interrupt()

    threading.Timer(0.3, look).start()
    with pytest.raises(Interrupted):
        debugger.next()
    assert (told, calls.seconds, calls.frame) == ([("asleep", True, "asleep")], 0.0, None)


def test_ctrl_c_in_a_cell_undoes_the_move_as_well():
    def pressed(body):
        raise KeyboardInterrupt

    graph = Graph("g")
    graph.to("(event + 1)", "add").to(pressed)
    debugger = graph.debug(1)
    with pytest.raises(KeyboardInterrupt):
        debugger.resume()
    assert (debugger.current.step, debugger.current.input, debugger.back().step) == ("pressed", 2, "add")


def test_ctrl_c_in_a_route_that_was_gone_into_undoes_that_call_alone():
    presses = iter([True, False])

    def pressed(body):
        if next(presses):
            raise KeyboardInterrupt
        return body

    graph = Graph("g")
    graph.to("ParallelRun", "both", routes={"a": str.upper, "b": pressed}, executor_type="array")
    debugger = graph.debug("x")
    debugger.into(), debugger.next()
    with pytest.raises(KeyboardInterrupt):
        debugger.next()
    assert (debugger.current.step, debugger.resume()) == ("both/b", {"a": "X", "b": "x"})
