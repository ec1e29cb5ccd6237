"""Snapshots in frames, and the exact copies that a debugger goes back to."""

import enum
import threading

import pytest

from nbgraph import Event, Graph, NbgraphError
from nbgraph.debug import Preview


class Big:
    def __init__(self):
        self.held = ["x" * 1000] * 10 + list(range(1_000_000))


class Loud:
    def __repr__(self):
        raise RuntimeError("not now")


class Settings(dict):
    __getattr__ = dict.__getitem__


MISSING_MARK = object()


class Colour(enum.Enum):
    RED = 1


SETTINGS = {"limit": 5, "nested": [1]}


def test_frames_are_what_they_were_then():
    def mutate(body):
        body["list"].append(len(body["list"]))
        return body

    graph = Graph("g")
    graph.to(mutate, "a").to(mutate, "b")
    first, second = graph.trace({"list": []}).frames
    assert (first.input, first.output, second.output) == ({"list": []}, {"list": [0]}, {"list": [0, 1]})
    assert second.diff() == {"list": ([0], [0, 1])}
    assert graph.trace({"list": [], "x": 1}).frames[0].diff() == {"list": ([], [0])}


def test_hostile_values_are_kept_as_marked_previews_or_as_they_are():
    class Loud:
        def __repr__(self):
            raise RuntimeError

        def __deepcopy__(self, memo):
            raise RuntimeError

    cyclic = {"name": "me"}
    cyclic["self"] = cyclic
    twice = []
    twice += [twice, twice]
    shared = [1]
    graph = Graph("g")
    graph.to("(event)", "x")
    kept = [graph.trace(Event(value)).frames[0].input for value in ("x" * 2_000_000, threading.Lock(), Loud(), Big())]
    assert [type(value) for value in kept] == [Preview] * 4
    assert "2,000,000 bytes" in kept[0].why
    assert (len(kept[0].text) <= 2000, "can't be copied" in kept[1].why, "Loud" in kept[2].text) == (True,) * 3
    kept = graph.trace(cyclic).frames[0].input
    assert kept["self"] is kept is not cyclic
    assert len(graph.trace(twice).frames[0].input) == 2
    both = graph.trace([shared, shared]).frames[0].input
    assert both[0] is both[1]


def test_a_value_whose_repr_raises_is_shown_as_such(tmp_path):
    graph = Graph("loud")
    graph.to(lambda body: {"a": Loud(), "b": body["b"]}, "make")
    trace = graph.trace({"a": Loud(), "b": 1})
    [frame] = trace.frames
    marked = "<Loud: its repr failed: RuntimeError>"
    texts = [repr(frame), repr(frame.diff()), trace.to_frame().to_string(), trace.save(tmp_path / "t.json").read_text()]
    assert [marked in text for text in texts] == [True] * 4


def test_objects_whose_missing_attributes_raise_are_kept():
    graph = Graph("settings")
    graph.to("(event)", "same")
    assert graph.trace([Settings(a=1)]).frames[0].output == [Settings(a=1)]


def test_back_keeps_what_is_one_object_one_object():
    def make(body):
        return {**body, "m": MISSING_MARK, "c": Colour.RED, "k": Colour, "f": make, "s": SETTINGS, "n": object}

    def look(body):
        return [
            body["m"] is MISSING_MARK, body["c"] is Colour.RED, body["k"] is Colour, body["f"] is make,
            body["s"] is SETTINGS, body["n"] is object, body["list"],
        ]  # fmt: skip

    def change(body):
        body["list"].append(1)
        return body

    graph = Graph("identity")
    graph.to(make, "make").to(change, "change").to(look, "look")
    debugger = graph.debug({"list": []})
    debugger.resume()
    debugger.back_to(1)
    assert (debugger.next().output["list"], debugger.resume()) == ([1], [True] * 6 + [[1]])


def test_a_mark_that_a_generator_gives_stays_the_same():
    def chunks(body):
        yield MISSING_MARK

    graph = Graph("mark")
    graph.to(chunks).to(lambda body: body is MISSING_MARK, "same")
    debugger = graph.debug(1)
    debugger.resume()
    debugger.back()
    assert (debugger.resume(), graph.run(1)) == (True, True)


def test_what_cant_be_copied_is_not_stepped_back_past():
    with open(__file__, encoding="utf-8") as file:
        for made in (file, (line for line in ["a"])):
            graph = Graph("file")
            graph.to(lambda body, made=made: made, "open").to(lambda lines: len(next(iter(lines))) > 0, "read").to(
                "(event)", "end"
            )
            debugger = graph.debug(1)
            debugger.resume()
            assert debugger.back().step == "end"
            with pytest.raises(NbgraphError, match='stepped back past this step: "read" has run, and its input'):
                debugger.back()
            with pytest.raises(NbgraphError, match='"read" has run'):
                debugger.back_to(0)
            assert (debugger.current.step, debugger.resume(), len(debugger.trace)) == ("end", True, 3)
