"""nbgraph, as a user would write it."""

from __future__ import annotations

import json

import work
from protocol import Run, one_by_one, serve

from nbgraph import Graph, steps


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


serve(
    {
        "chain 3": lambda: chain(3),
        "chain 20": lambda: chain(20),
        "chain 100": lambda: chain(100),
        "stream": stream,
        "records": records,
        "fetch": fetching,
        "vote usual": lambda: voting("usual"),
        "vote quick": lambda: voting("quick"),
        "spin": spinning,
        "spin traced": spinning_traced,
        "build 10": lambda: building(10),
        "build 100": lambda: building(100),
        "build 1000": lambda: building(1000),
    }
)
