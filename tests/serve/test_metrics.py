"""What Prometheus reads of a worker: names, types and values, as its own parser sees them."""

from __future__ import annotations

import asyncio

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from nbgraph import Event, Graph
from nbgraph.engine import loop
from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.engine.partition import split
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.queues.consumer import Consumer
from nbgraph.serve.telemetry.metrics import Metrics
from nbgraph.streams.memory.broker import MemoryBroker


def read(metrics: Metrics) -> dict[str, float]:
    """Every sample with a value that is not zero, by its name and labels, the process's own left out."""
    families = list(text_string_to_metric_families(generate_latest(metrics.registry).decode()))
    assert all(family.documentation for family in families)
    samples = [sample for family in families for sample in family.samples]
    return {
        ",".join([sample.name, *sample.labels.values()]): sample.value
        for sample in samples
        if sample.value and sample.name.startswith("nbgraph_") and not sample.name.endswith(("_created", "_bucket"))
    }


def test_requests_are_counted_and_timed() -> None:
    metrics = Metrics("g", ["only"])
    for status, seconds in ((200, 0.25), (500, 0.5)):
        metrics.answered(status, seconds)
    assert read(metrics) == {
        "nbgraph_requests_total,g,200": 1, "nbgraph_requests_total,g,500": 1,
        "nbgraph_request_seconds_count,g": 2, "nbgraph_request_seconds_sum,g": 0.75,
    }  # fmt: skip


def test_processes_and_numbers_of_the_users_stand_beside_them() -> None:
    metrics = Metrics("g", ["only"])
    metrics.metric("only", "drift", 0.5)
    names = {family.name for family in metrics.registry.collect()}
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "python_gc_objects_collected"} <= names, names
    assert read(metrics) == {"nbgraph_user,g,drift,only": 0.5}


def test_queues_tell_what_waits_and_what_became_of_the_rest() -> None:
    graph = Graph("queued")
    graph.to("(event)", "come").to("Queue", "jobs").to("(1 / event)", "work", function="worker").respond()
    first, second = split(graph)
    broker, metrics = MemoryBroker(), Metrics("queued", ["jobs", "work"])

    async def story() -> None:
        gateway = Consumer(
            PlanRunner(first.graph.plan()), FunctionSpec(first.name, (), first.answers, first.asks), broker
        )
        worker = Consumer(
            PlanRunner(metrics.tally.watching(second.graph.plan())),
            FunctionSpec(second.name, second.reads, second.answers),
            broker,
        )
        metrics.join(worker)
        await gateway.open()
        asked = [asyncio.ensure_future(gateway.callers.ask(Event(body))) for body in (1, 2, 0)]
        await asyncio.sleep(0.05)
        waiting = await asyncio.to_thread(read, metrics)
        assert (waiting["nbgraph_queue_waiting,jobs"], waiting["nbgraph_queue_backlog,jobs"]) == (3, 3)
        assert waiting["nbgraph_queue_age_seconds,jobs"] >= 0.04
        await worker.open()
        await asyncio.gather(*asked, return_exceptions=True)
        await asyncio.sleep(0.05)
        done = await asyncio.to_thread(read, metrics)
        for pipeline in (worker, gateway):
            await pipeline.close(1)
        done = {name: value for name, value in done.items() if not name.endswith(",jobs") and "seconds" not in name}
        assert done == {
            "nbgraph_messages_processed_total": 2, "nbgraph_messages_failed_total": 1, "nbgraph_messages_dead_total": 1,
            "nbgraph_events_total,queued,work": 3, "nbgraph_errors_total,queued,work": 1,
        }  # fmt: skip

    loop.complete(story())
