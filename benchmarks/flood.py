"""Floods a gateway on this machine and prints what another caller notices: python -m benchmarks.flood.

A deployment on processes with a key answers one caller at a time, whose 95th percentile is taken: alone, while others
send headers without end, half a head, wrong keys, half bodies. All of it goes to 127.0.0.1 and ends by itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from urllib.parse import urlsplit

import httpx
from rich.console import Console
from rich.table import Table

from nbgraph import Graph

SECONDS = 6.0
KEY = "k" * 24
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"


def endless(address: tuple[str, int], stop: Event) -> None:
    """Headers without end on one connection after the other."""
    while not stop.is_set():
        with contextlib.suppress(OSError), socket.create_connection(address, 2) as caller:
            caller.sendall(HEAD + b"X: ")
            while not stop.is_set():
                caller.sendall(b"a" * 4096)


def half_heads(address: tuple[str, int], stop: Event) -> None:
    """As many connections as this process may have, each with half a head."""
    held: list[socket.socket] = []
    while not stop.is_set():
        with contextlib.suppress(OSError):
            held.append(socket.create_connection(address, 2))
            held[-1].sendall(HEAD)
        if len(held) > 450:
            held.pop(random.randrange(len(held))).close()
        time.sleep(0.002)
    for one in held:
        one.close()


def wrong_keys(address: tuple[str, int], stop: Event) -> None:
    with socket.create_connection(address, 2) as caller:
        while not stop.is_set():
            caller.sendall(HEAD + b"Authorization: Bearer x\r\nContent-Length: 0\r\n\r\n")
            caller.recv(4096)
            time.sleep(0.002)


def half_bodies(address: tuple[str, int], stop: Event) -> None:
    """With the key: bodies that never end."""
    held: list[socket.socket] = []
    head = HEAD + f"Authorization: Bearer {KEY}\r\nContent-Length: 100\r\n\r\n{{".encode()
    while not stop.is_set():
        with contextlib.suppress(OSError):
            held.append(socket.create_connection(address, 2))
            held[-1].sendall(head)
        if len(held) > 400:
            held.pop(0).close()
        time.sleep(0.002)
    for one in held:
        one.close()


FLOODS: dict[str, list[Callable[[tuple[str, int], Event], None]]] = {
    "alone": [],
    "headers without end, 4 connections": [endless] * 4,
    "half heads, 900 connections": [half_heads] * 2,
    "wrong keys, 2 connections": [wrong_keys] * 2,
    "half bodies, 400 connections": [half_bodies],
}


@contextlib.contextmanager
def flooding(kind: str, address: tuple[str, int]) -> Iterator[None]:
    starting = multiprocessing.get_context("spawn")  # processes of their own, so that they don't slow the caller itself
    stop = starting.Event()
    running = [starting.Process(target=flood, args=(address, stop), daemon=True) for flood in FLOODS[kind]]
    for one in running:
        one.start()
    try:
        yield
    finally:
        stop.set()
        for one in running:
            one.join(5)


def latencies(url: str) -> tuple[list[float], int]:
    """The seconds of each answer, and how many calls were not answered with 200."""
    found, failed, end = [], 0, time.perf_counter() + SECONDS
    with httpx.Client(base_url=url, trust_env=False, timeout=10, headers={"authorization": f"Bearer {KEY}"}) as caller:
        while time.perf_counter() < end:
            began = time.perf_counter()
            try:
                failed += caller.post("/", json={"amount": 120}).status_code != 200
            except httpx.HTTPError:
                failed += 1
            found.append(time.perf_counter() - began)
            time.sleep(0.005)
    return found, failed


def megabytes(metrics_url: str) -> float:
    lines = httpx.get(metrics_url, trust_env=False).text.splitlines()
    return float(next(line for line in lines if line.startswith("process_resident_memory_bytes")).split()[1]) / 2**20


def main() -> int:
    graph = Graph("flood")
    graph.to("(event)", "echo").respond()
    deployment = graph.deploy("process", api_key=KEY, progress=False)
    table = Table(
        "", "p50, ms", "p95, ms", "x alone", "not answered", "memory, MB more", title="a gateway that is flooded"
    )
    try:
        where = urlsplit(deployment.url)
        address = (where.hostname or "", where.port or 0)
        numbers = next(iter(deployment.metrics_urls))
        latencies(deployment.url)
        alone, before = 0.0, megabytes(numbers)
        for kind in FLOODS:
            with flooding(kind, address):
                time.sleep(1.5)
                found, failed = latencies(deployment.url)
            p95 = statistics.quantiles(found, n=20)[-1] * 1000
            alone = alone or p95
            more = megabytes(numbers) - before
            row = (
                f"{statistics.median(found) * 1000:.1f}",
                f"{p95:.1f}",
                f"{p95 / alone:.2f}",
                str(failed),
                f"{more:.0f}",
            )
            table.add_row(kind, *row)
    finally:
        deployment.stop()
    Console(width=110).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
