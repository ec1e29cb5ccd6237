"""What steps print and log: kept by the frame, shown as ever."""

import logging
import sys
import threading

from nbgraph import Graph
from nbgraph.debug.console import KEPT, Console
from nbgraph.debug.trace import Trace


def loud(body):
    print("got", body)
    print("to stderr", file=sys.stderr)
    logging.getLogger("shop").error("no stock")
    return body + 1


async def waiting(body):
    print("waited for", body)
    return body


def test_a_frame_has_what_its_step_printed_and_logged(capsys):
    graph = Graph("g")
    graph.to(loud).to(waiting).to(str)
    kept = [frame.printed for frame in graph.trace(1)]
    shown = capsys.readouterr()
    assert (kept, shown.out, shown.err) == (
        ["got 1\nto stderr\nERROR shop: no stock\n", "waited for 2\n", ""], "got 1\nwaited for 2\n", "to stderr\n",
    )  # fmt: skip


def test_the_debugger_keeps_it_too_and_what_was_undone_is_gone(capsys):
    graph = Graph("g")
    graph.to(waiting).to(lambda body: print("twice", body), "twice")
    debugger = graph.debug(1)
    debugger.next(), debugger.next(), debugger.back(), debugger.next()
    assert [frame.printed for frame in debugger.trace] == ["waited for 1\n", "twice 1\n"]


def test_routes_and_results_of_a_generator_have_their_own():
    def several(body):
        for number in range(2):
            print("result", number)
            yield number

    graph = Graph("g")
    graph.to(several).to("ParallelRun", "both", routes={"a": lambda body: print("a", body)})
    found = [(frame.printed, *(one.printed for one in frame.inner)) for frame in graph.trace(1)]
    assert found == [("result 0\n",), ("a 0\n", "a 0\n"), ("result 1\n",), ("a 1\n", "a 1\n")]


def test_redacted_fields_are_dotted_and_a_saved_trace_has_it(tmp_path):
    graph = Graph("g")
    graph.to(lambda body: print("card", body["card"]), "show")
    graph.redacted = {"card"}
    saved = graph.trace({"card": "4111-1111"}).save(tmp_path / "trace.json")
    assert [frame.printed for frame in Trace.load(saved)] == ["card •••\n"]


def test_progress_bars_stand_as_they_were_drawn_last_and_long_output_is_cut():
    console = Console()
    with console:
        print("\r 10 %", end="")
        print("\r100 %")
        print("x" * KEPT)
    assert console.take() == f"100 %\n{'x' * (KEPT - 6)}\n… 7 more characters\n"


def test_nothing_is_left_in_place_and_other_threads_are_not_listened_to():
    before = sys.stdout, sys.stderr, logging.getLogger().handlers[:]
    console = Console()
    with console:
        other = threading.Thread(target=print, args=("elsewhere",))
        other.start()
        other.join()
    assert (console.take(), (sys.stdout, sys.stderr, logging.getLogger().handlers)) == ("", before)


def test_what_is_logged_without_any_handler_is_printed_once(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    graph = Graph("g")
    graph.to(lambda body: logging.getLogger("shop").warning("no stock"), "check")
    printed = [frame.printed for frame in graph.trace(1)]
    assert (printed, capsys.readouterr().err) == (["WARNING shop: no stock\n"], "no stock\n")
