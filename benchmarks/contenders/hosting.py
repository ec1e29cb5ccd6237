"""What a deployment of two functions with a queue between them costs: time to start, to answer, memory, disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

from load import Load
from protocol import Run, serve

from nbgraph import Graph
from nbgraph.deploy.deployment import Deployment
from nbgraph.steps import Queue

MANY = 64
ORDER = b'{"number": 1, "amount": 120.5}'


def add_fee(order: dict[str, Any]) -> dict[str, Any]:
    return {**order, "total": order["amount"] + 5}


def rate(order: dict[str, Any]) -> dict[str, Any]:
    return {**order, "rate": order["total"] / 100}


def hosting(target: str, looked_at: Callable[[Deployment], dict[str, float]]) -> Run:
    """The first start may have to build images; the second finds them."""
    graph = Graph("orders")
    graph.to(add_fee).to(Queue("fees")).to(rate, function="rating").respond()

    def run(events: int) -> dict[str, float]:
        told = {}
        for name in ("first start", "start"):
            began = time.perf_counter()
            deployment = graph.deploy(target, progress=False)
            told[name] = time.perf_counter() - began
            if name == "start":
                told |= answering(int(deployment.url.rpartition(":")[2]), events) | looked_at(deployment)
            began = time.perf_counter()
            deployment.stop()
            told["stop"] = time.perf_counter() - began
        return told

    return run


def answering(port: int, events: int) -> dict[str, float]:
    one, many = Load(port, 1, ORDER), Load(port, MANY, ORDER)
    one.run(events)
    one.run(events)
    hundredths = quantiles(one.seconds, n=100)
    began = time.perf_counter()
    many.run(events * 4)
    return {"p50": hundredths[49], "p99": hundredths[98], "rate": events * 4 / (time.perf_counter() - began)}


def of_processes(deployment: Deployment) -> dict[str, float]:
    """Memory that a worker has for itself; what it shares with the others counts by its part."""
    pids = deployment.status()["replica"]
    lines = [Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() for pid in pids]
    sizes = [next(int(line.split()[1]) for line in those if line.startswith("Pss:")) / 1024 for those in lines]
    return {"memory": max(sizes)}


def of_containers(deployment: Deployment) -> dict[str, float]:
    import docker

    client = docker.from_env()
    containers = [client.containers.get(name) for name in deployment.status()["replica"]]
    told = [container.stats(stream=False)["memory_stats"] for container in containers]
    memory = max(one["usage"] - one["stats"].get("inactive_file", 0) for one in told) / 2**20
    size = max(container.image.attrs["Size"] for container in containers) / 1e6
    return {"memory": memory, "image": size}


serve({"process": lambda: hosting("process", of_processes), "docker": lambda: hosting("docker", of_containers)})
