"""What steps remember, and going back over it."""

from nbgraph import Event, Graph
from nbgraph.testing import events


class Seen:
    def __init__(self):
        self.state = {"seen": 0}

    def do(self, body):
        self.state["seen"] += 1
        return self.state["seen"]


def test_memory_of_a_class_of_ones_own_goes_back_too():
    graph = Graph("counted")
    graph.to(Seen, "count").to(str)
    debugger = graph.debug([Event("a"), Event("b")])
    first = debugger.next().output
    debugger.back()
    assert (first, debugger.resume()) == (1, "2")


def test_memory_of_steps_goes_back_too():
    from nbgraph.steps import Batch

    graph = Graph("g")
    graph.to(Batch(2))
    debugger = graph.debug(events(1, 2))
    debugger.resume()
    debugger.back()
    assert debugger.next().output == [[1, 2]]


def test_forgetting_grows_with_what_changes_and_not_with_its_square():
    import tracemalloc

    from nbgraph.steps import MapWithState

    def chunks(body):
        yield from range(body)

    def count(body, state):
        state[body % 1000] += 1
        return body, state

    def kept(count):
        fan, states = Graph("fan"), Graph("states")
        fan.to(chunks).to("(event)", "end")
        states.to(MapWithState(dict.fromkeys(range(1000), 0), count_in), "count")
        debuggers = [fan.debug(count), states.debug([Event(number) for number in range(count)])]
        tracemalloc.start()
        for debugger in debuggers:
            debugger.resume()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size

    count_in = count
    assert kept(1200) < 2.5 * kept(600)
