"""nbgraph, as a user would write it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from functools import partial

import work
from protocol import Run, one_by_one, serve

from nbgraph import Event, Graph, steps


def chain_of(length: int, handler: object = work.plus) -> Graph:
    graph = Graph("chain")
    last = graph.to(handler, "step0")
    for number in range(1, length):
        last = last.to(handler, f"step{number}")
    last.respond()
    return graph


def chain(length: int) -> Run:
    return one_by_one(chain_of(length).run)


def stream() -> Run:
    graph = Graph("stream")
    even = graph.to(work.plus).to(steps.Filter(work.is_even))
    even.to(steps.FlatMap(work.both)).to(steps.Reduce(0, work.add))
    return lambda events: next(iter(graph.stream(range(events))))


def records() -> Run:
    orders = work.records(20_000)
    graph = Graph("records")
    derive = graph.to(work.enrich).to(work.derive)
    derive.to(work.review, when=work.is_large)
    derive.to(work.book, otherwise=True)
    return lambda events: work.summary(list(graph.stream(orders[:events])))


def broadcast(*, copy: bool = True) -> Run:
    """Each record to three steps, of which the last keeps it."""
    orders = work.records(20_000)
    graph = Graph("broadcast", copy=copy)
    derive = graph.to(work.enrich).to(work.derive)
    for number in range(3):
        derive.to(work.book, f"book{number}")
    return lambda events: work.summary(list(graph.stream(orders[:events])))


def fetching() -> Run:
    graph = Graph("fetch")
    graph.to(work.fetch, concurrency=work.IN_FLIGHT)
    return lambda events: sum(graph.stream(range(events)))


def spinning() -> Run:
    return one_by_one(chain_of(5, work.spin).run)


def spinning_traced() -> Run:
    graph = chain_of(5, work.spin)

    def traced(number: int) -> int:
        trace = graph.trace(number)
        return int(trace.frames[-1].output)

    return one_by_one(traced)


def many_traced() -> Run:
    graph = chain_of(2, work.plus)

    def run(events: int) -> int:
        traces = [graph.trace(number) for number in range(events)]
        return sum(trace.frames[-1].output for trace in traces)

    return run


def many_debugged() -> Run:
    graph = chain_of(2, work.plus)

    def run(events: int) -> int:
        debugger = graph.debug([Event(number) for number in range(events)])
        debugger.resume()
        return sum(frame.output for frame in debugger.trace.frames[1::2])

    return run


def building(length: int) -> Run:
    """Build, check and write down chains of that length; an event is a step."""

    def run(events: int) -> int:
        for _ in range(events // length):
            graph = chain_of(length)
            assert graph.check() == []
            json.dumps(graph.to_dict())
        return events

    return run


def voting(kind: str) -> Run:
    from voters import voters

    models, rows = voters(kind)
    graph = Graph("vote")
    ensemble = graph.to(steps.VotingEnsemble(), "ensemble")
    for name, model in models.items():
        ensemble.add_route(name, steps.SklearnModel(model=model))
    ask = graph.ready().run
    return lambda events: [ask({"inputs": [rows[number % len(rows)]]})["outputs"][0] for number in range(events)][-50:]


def drawing(length: int, build: Callable[[int, str], Graph]) -> Run:
    """Pictures of graphs that all have other names, since the layout of one is kept."""
    made = itertools.count()

    def run(events: int) -> str:
        pictures = [build(length, f"n{next(made)}_").svg() for _ in range(events)]
        assert all(picture.count('class="node') >= length for picture in pictures)
        return "drawn"

    return run


def line(length: int, name: str) -> Graph:
    graph = Graph("picture")
    last = graph.to(work.plus, f"{name}0")
    for number in range(1, length):
        last = last.to(work.plus, f"{name}{number}")
    return graph


def diamonds(length: int, name: str) -> Graph:
    """A step, two ways, a step where they meet, and so on."""
    graph = Graph("picture")
    last = graph.to(work.plus, f"{name}start")
    for first in range(1, length, 3):
        left = last.to(work.plus, f"left{first}", when="event > 3")
        right = last.to(work.plus, f"right{first}", otherwise=True)
        last = graph.add_step(work.plus, f"both{first}", after=[left.name, right.name])
    return graph


def completing() -> Run:
    """What IPython offers behind an arrow in a cell of twenty lines, in a notebook of many names."""
    from IPython.core.completer import provisionalcompleter
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    quiet = Config()
    quiet.HistoryManager.enabled = False
    shell = InteractiveShell(config=quiet)
    shell.run_cell("%load_ext nbgraph").raise_error()
    shell.user_ns |= {f"function_{number}": work.plus for number in range(300)}
    text = "%%graph g\n" + "".join(f"step_{n} -> step_{n + 1}\n" for n in range(20)) + "step_20 -> function_29"

    def run(events: int) -> int:
        with provisionalcompleter():
            found = [len(list(shell.Completer.completions(text, len(text)))) for _ in range(events)]
        return found[-1]

    return run


serve(
    {
        "chain 3": lambda: chain(3),
        "chain 20": lambda: chain(20),
        "chain 100": lambda: chain(100),
        "stream": stream,
        "records": records,
        "broadcast": broadcast,
        "broadcast shared": partial(broadcast, copy=False),
        "fetch": fetching,
        "vote usual": lambda: voting("usual"),
        "vote quick": lambda: voting("quick"),
        "spin": spinning,
        "spin traced": spinning_traced,
        "many traced": many_traced,
        "many debugged": many_debugged,
        "build 10": lambda: building(10),
        "build 100": lambda: building(100),
        "build 1000": lambda: building(1000),
        "picture 100": lambda: drawing(100, line),
        "picture 1000": lambda: drawing(1000, line),
        "picture 100 diamonds": lambda: drawing(100, diamonds),
        "picture 1000 diamonds": lambda: drawing(1000, diamonds),
        "completion": completing,
    }
)
