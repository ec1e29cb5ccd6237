"""The debugger's view without a browser: moves, edits, pins, breakpoints, what it sends."""

import json
import threading
import time

import pytest
from jupyter_client.manager import start_new_kernel

from nbgraph import Graph
from nbgraph.widgets.debugger import DebugWidget


def add(body):
    return {**body, "p": body["amount"] / 100}


def check(body):
    if body["p"] > 1:
        raise ValueError("too much")
    return body


@pytest.fixture
def graph() -> Graph:
    graph = Graph("fraud")
    graph.to(add).to(check).respond()
    return graph


@pytest.fixture
def opened(graph):
    made = []

    def open_(events, **options) -> tuple[DebugWidget, list]:
        widget = DebugWidget(graph.debug(events, **options))
        sent: list = []
        widget.send = lambda content, buffers=None: sent.append(json.loads(json.dumps(content)))
        made.append(widget)
        return widget, sent

    yield open_
    for widget in made:
        widget.close()


def did(widget: DebugWidget, what: str, step: str = "", text: str = "", index: int = 0) -> None:
    widget.session.do(what, step, text, index).result(10)


def last(sent: list, kind: str) -> dict:
    return next(message for message in reversed(sent) if message["kind"] == kind)


def test_a_move_is_told_with_what_runs_next(opened):
    widget, sent = opened({"amount": 50})
    did(widget, "next")
    told = last(sent, "debug")
    assert (told["at"], told["frames"], told["current"]["input"]["text"], told["finished"]) == (
        "n1", [["n0", "add", False]], "dict of 2", False,
    )  # fmt: skip
    assert last(sent, "status")["steps"]["n1"][0] == "paused"


def test_an_error_is_shown_and_a_new_input_goes_on_from_there(opened):
    widget, sent = opened({"amount": 500})
    did(widget, "continue")
    assert (last(sent, "debug")["error"], last(sent, "status")["steps"]["n1"][0]) == (
        'Step "check" failed: ValueError: too much', "failed",
    )  # fmt: skip
    did(widget, "back")
    did(widget, "input", text="{**event, 'p': 0.5}")
    did(widget, "continue")
    told = last(sent, "debug")
    assert (told["finished"], told["error"], told["branches"]) == (True, "", [{"step": "check", "frames": 2}])
    assert widget.debugger.answer == {"amount": 500, "p": 0.5}


def test_a_frame_tells_what_changed_and_a_fork_is_compared(opened):
    widget, sent = opened({"amount": 50})
    did(widget, "next")
    did(widget, "back")
    did(widget, "input", text='{"amount": 70}')
    did(widget, "next")
    widget.receive({"kind": "frame", "index": 0})
    widget.receive({"kind": "frame", "index": 0, "branch": 0})
    main, fork = [message for message in sent if message["kind"] == "frame"]
    assert [(path, after["text"]) for path, _, after in main["diff"]] == [("p", "0.7")]
    assert [(path, before["text"], after["text"]) for path, before, after in fork["diff"]] == [
        ("amount", "70", "50"), ("p", "0.7", "0.5"),
    ]  # fmt: skip


def test_a_pinned_step_gives_its_value(opened):
    widget, sent = opened({"amount": 500})
    did(widget, "pin", "add", '{"p": 0.1}')
    did(widget, "continue")
    assert (widget.debugger.answer, last(sent, "debug")["pins"]) == ({"p": 0.1}, ["n0"])
    did(widget, "unpin", "add")
    assert last(sent, "debug")["pins"] == []


def test_a_breakpoint_with_a_condition_stops_there_and_a_wrong_one_is_said(opened):
    widget, sent = opened({"amount": 50})
    widget.receive(
        {"kind": "break", "step": "n1", "on": True, "when": "event['p'] == 0.5", "hits": "1", "at": "before"}
    )
    did(widget, "continue")
    assert (widget.debugger.current.step, last(sent, "debug")["breakpoints"]["n1"]["seen"]) == ("check", 1)
    widget.receive({"kind": "break", "step": "n0", "on": True, "when": "event[["})
    said = "The condition of the breakpoint at \"add\" is not Python: 'event[[': '[' was never closed."
    assert (last(sent, "debug")["problem"], widget.breakpoints) == (said, ["check"])


def test_a_wrong_value_is_one_sentence(opened):
    widget, sent = opened({"amount": 50})
    did(widget, "input", text="1 +")
    assert last(sent, "debug")["problem"].startswith("SyntaxError")


def test_back_to_a_frame_and_rerun(opened):
    widget, _ = opened({"amount": 50})
    did(widget, "continue")
    did(widget, "to", index=1)
    assert widget.debugger.current.step == "check"
    did(widget, "rerun", "add")
    assert [frame.step for frame in widget.debugger.trace.frames] == ["add"]


def test_expressions_are_watched(opened):
    widget, sent = opened({"amount": 50})
    widget.receive({"kind": "watch", "texts": ["event['amount'] * 2", "nothing"]})
    assert [value["text"] for _, value in last(sent, "debug")["watches"]] == [
        "100", "NameError: name 'nothing' is not defined",
    ]  # fmt: skip


def test_a_pause_is_taken_while_a_run_is_under_way():
    graph = Graph("slow")
    ref = graph.to(lambda body: time.sleep(0.02) or body + 1, "s0")
    for number in range(1, 100):
        ref = ref.to(lambda body: time.sleep(0.02) or body + 1, f"s{number}")
    widget = DebugWidget(graph.debug(0))
    widget.send = lambda content, buffers=None: None
    future = widget.session.do("continue")
    threading.Event().wait(0.15)
    began = time.monotonic()
    widget.receive({"kind": "pause"})
    future.result(5)
    assert (time.monotonic() - began < 0.5, 0 < len(widget.debugger.trace.frames) < 100) == (True, True)
    widget.close()


def test_closing_ends_the_thread_and_frees_the_graph(graph):
    widget = DebugWidget(graph.debug({"amount": 1}))
    did(widget, "next")
    widget.close()
    assert graph.observers == []


def test_a_step_whose_function_is_another_one_by_now_is_marked_until_it_has_run_again():
    scope = {"clean": str.strip, "shout": str.upper}
    graph = Graph.parse("%%graph g\nclean -> shout -> respond", namespace=scope)
    widget, sent = DebugWidget(graph.debug(" a ")), []
    widget.send = lambda content, buffers=None: sent.append(content)
    did(widget, "continue")
    scope["clean"] = str.title
    widget.refresh()
    marked = last(sent, "status")["steps"]["n0"]
    did(widget, "rerun", "clean")
    again = last(sent, "status")["steps"]["n0"]
    widget.close()
    assert (marked[0], marked[6], again[0], again[6]) == ("changed", "code changed", "done", "")


def test_a_step_that_takes_long_is_told_of_and_can_be_stopped(monkeypatch):
    monkeypatch.setattr("nbgraph.widgets.debug.session.TELL", 0.1)
    graph = Graph("slow")
    graph.to(lambda seconds: time.sleep(seconds), "nap")
    widget, sent = DebugWidget(graph.debug(30)), []
    widget.send = lambda content, buffers=None: sent.append(content)
    move = widget.session.do("next")
    deadline = time.monotonic() + 5
    while not any(message.get("running") for message in sent):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running = next(message["running"] for message in sent if message.get("running"))
    widget.receive({"kind": "stop"})
    move.result(5)
    told = last(sent, "debug")
    widget.close()
    assert (running["step"], "test_debugger.py, line" in running["line"]) == ("nap", True)
    assert (told["problem"], told["current"]["name"], told["stopped"]) == (
        'Stopped: the run stands before "nap" again.', "nap", False,
    )  # fmt: skip


def test_the_notebooks_interrupt_ends_a_debugged_step():
    manager, client = start_new_kernel()
    try:
        client.execute_interactive(
            "import time\nfrom nbgraph import Graph\nfrom nbgraph.widgets.debug.session import DebugSession\n"
            "graph = Graph('slow')\n_ = graph.to(time.sleep, 'nap')\n"
            "session = DebugSession(graph.debug(60), lambda: None)\nmove = session.do('next')",
            timeout=60,
        )
        time.sleep(0.5)
        manager.interrupt_kernel()
        told: list = []
        show = "move.result(20); print(session.problem, session.debugger.current.step)"
        client.execute_interactive(show, timeout=30, output_hook=lambda message: told.append(message["content"]))
        texts = [content["text"] for content in told if "text" in content]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert texts == ['Stopped: the run stands before "nap" again. nap\n']
