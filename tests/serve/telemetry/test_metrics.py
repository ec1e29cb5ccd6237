"""What Prometheus reads of a worker: names, types and values, as its own parser sees them."""

from __future__ import annotations

import asyncio
import re

from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from nbgraph import Event, Graph
from nbgraph.engine import loop
from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.engine.partition import split
from nbgraph.graph.reported import Reported
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.queues.consumer import Consumer
from nbgraph.serve.telemetry.metrics import Metrics
from nbgraph.streams.memory.broker import MemoryBroker


def read(metrics: Metrics, told: tuple[str, str] = ("g", "g")) -> dict[str, float]:
    """Every sample with a value that is not zero, by its name and labels, the process's own left out."""
    families = list(text_string_to_metric_families(generate_latest(metrics.registry).decode()))
    assert all(family.documentation for family in families)
    labels = {(sample.labels["graph"], sample.labels["function"]) for one in families for sample in one.samples}
    assert labels == {told}
    samples = [sample for family in families for sample in family.samples]
    return {
        ",".join([sample.name, *(labels[name] for name in sorted(labels.keys() - {"graph", "function"}))]): sample.value
        for sample in samples
        for labels in [sample.labels]
        if sample.value and sample.name.startswith("nbgraph_") and not sample.name.endswith(("_created", "_bucket"))
    }


def test_requests_are_counted_and_timed() -> None:
    metrics = Metrics("g", ["only"])
    for status, seconds in ((200, 0.25), (500, 0.5)):
        metrics.answered(status, seconds)
    assert read(metrics) == {
        "nbgraph_requests_total,200": 1, "nbgraph_requests_total,500": 1,
        "nbgraph_request_seconds_count": 2, "nbgraph_request_seconds_sum": 0.75,
    }  # fmt: skip


def test_processes_and_numbers_of_the_users_stand_beside_them() -> None:
    reported = Reported()
    metrics = Metrics("g", ["only"], reported=reported)
    reported.metric("only", "drift", 0.5)
    reported.count("only", "refused", 2)
    reported.observe("only", "amount", 9)
    names = {family.name for family in metrics.registry.collect()}
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "python_gc_objects_collected"} <= names, names
    assert read(metrics) == {
        "nbgraph_user,drift,only": 0.5, "nbgraph_user_counts_total,refused,only": 2,
        "nbgraph_user_values_count,amount,only": 1, "nbgraph_user_values_sum,amount,only": 9,
    }  # fmt: skip


def test_queues_tell_what_waits_and_what_became_of_the_rest() -> None:
    graph = Graph("queued")
    graph.to("(event)", "come").to("Queue", "jobs").to("(1 / event)", "work", function="worker").respond()
    first, second = split(graph)
    broker, metrics = MemoryBroker(), Metrics("queued", ["jobs", "work"], "worker")

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
        waiting = await asyncio.to_thread(read, metrics, ("queued", "worker"))
        assert (waiting["nbgraph_queue_waiting,jobs"], waiting["nbgraph_queue_backlog,jobs"]) == (3, 3)
        assert waiting["nbgraph_queue_age_seconds,jobs"] >= 0.04
        await worker.open()
        await asyncio.gather(*asked, return_exceptions=True)
        await asyncio.sleep(0.05)
        done = await asyncio.to_thread(read, metrics, ("queued", "worker"))
        for pipeline in (worker, gateway):
            await pipeline.close(1)
        done = {name: value for name, value in done.items() if not re.search("(,jobs|seconds.*|bytes.*)$", name)}
        assert done == {
            "nbgraph_messages_processed_total": 2, "nbgraph_messages_failed_total": 1, "nbgraph_messages_dead_total": 1,
            "nbgraph_events_total,work": 3, "nbgraph_errors_total,work": 1,
        }  # fmt: skip

    loop.complete(story())


def test_a_slow_request_can_be_looked_up_by_its_trace() -> None:
    metrics = Metrics("g", ["only"])
    metrics.answered(200, 0.25, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    lines = openmetrics.generate_latest(metrics.registry).decode().splitlines()
    assert [line for line in lines if "trace_id" in line] == [
        'nbgraph_request_seconds_bucket{function="g",graph="g",le="0.262144"} 1.0 '
        '# {trace_id="0af7651916cd43dd8448eb211c80319c"} 0.25'
    ]
