"""What steps behind a keyed queue remember, when a real worker process is killed."""

import json
import os
import signal
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nbgraph import Graph
from nbgraph.steps import AggregateByKey, FieldAggregator, Queue, SlidingWindows


def note(event):
    with Path(event.body[0]["file"]).open("a") as file:
        file.write(json.dumps([event.key, event.body]) + "\n")


def counted():
    paid = FieldAggregator("paid", "amount", ["sum", "avg", "max"], SlidingWindows(["1h"], "10m"))
    graph = Graph("counted")
    graph.to("(event)", "take").to(Queue("payments", key="card", shards=8)).to(
        AggregateByKey([paid], key="card", time_field="time"), "windows", function="work"
    ).to("MapWithState", "number", initial_state=0, fn="({**event, 'n': state}, state + 1)", group_by_key=True).to(
        "Batch", "batch", max_events=4, key="$key"
    ).to(Queue("batches", key="$key", shards=4)).to(note, function="end", full_event=True)
    return graph


def payments(file, cards, count):
    return [
        [{"card": f"c{card}", "amount": n * card % 7, "time": 200.0 * n, "file": str(file)} for n in range(count)]
        for card in range(cards)
    ]


def noted(file, count):
    """The batches by their key, once there are as many as that."""
    deadline = time.monotonic() + 20
    while not (file.exists() and file.read_text().count("\n") >= count) and time.monotonic() < deadline:
        time.sleep(0.05)
    found = defaultdict(list)
    for line in file.read_text().splitlines():
        key, batch = json.loads(line)
        found[key].append([{name: value for name, value in body.items() if name != "file"} for body in batch])
    return dict(found)


def test_every_key_gets_what_the_notebook_gives_it_though_a_worker_is_killed(tmp_path):
    local, deployed = tmp_path / "local", tmp_path / "deployed"
    graph = counted()
    for bodies in payments(local, 6, 40):
        for body in bodies:
            graph.run(body)
    with graph.deploy("process", progress=False, replicas={"work": 3}, timeout=60) as running:
        with ThreadPoolExecutor(6) as pool:  # one caller a card: the order of its payments is then known
            calls = [
                pool.submit(lambda bodies=bodies: [running.invoke(body) for body in bodies])
                for bodies in payments(deployed, 6, 40)
            ]
            time.sleep(0.4)
            os.kill(running._hosted._members["work"][0].pid, signal.SIGKILL)
            for call in calls:
                call.result(timeout=60)
        assert noted(deployed, 60) == noted(local, 60)


def write(batch):
    with Path(batch[0]["file"]).open("a") as file:
        file.write(json.dumps([body["n"] for body in batch]) + "\n")


def test_what_a_single_function_holds_goes_in_time_and_when_it_stops(tmp_path):
    file = tmp_path / "written"
    graph = Graph("held")
    graph.to("Batch", max_events=10, flush_after_seconds=0.5).to(write)
    with graph.deploy("process", progress=False) as running:
        for number in (1, 2):
            running.invoke({"n": number, "file": str(file)})
        deadline = time.monotonic() + 10
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        running.invoke({"n": 3, "file": str(file)})
    assert file.read_text().splitlines() == ["[1, 2]", "[3]"]
