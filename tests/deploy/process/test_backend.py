"""Several functions in worker processes, joined by a real NATS server."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy
import pytest
import tritonclient.http as triton

from nbgraph import Graph
from nbgraph.deploy.deployment import InvokeError
from nbgraph.engine.partition import split
from nbgraph.errors import DeployError
from nbgraph.steps import ModelRouter, ModelServer, Queue


def add_fee(order):
    return {**order, "total": order["amount"] + 5}


def rate(order):
    if order["amount"] < 0:
        raise ValueError(f"negative: {order['amount']}")
    return {**order, "rate": order["total"] / 100}


def note(order):
    with Path(order["file"]).open("a") as file:
        file.write(f"{order['key']} {order['number']}\n")
    time.sleep(0.002)
    return order["number"]


def slow_note(order):
    time.sleep(0.03)
    return note(order)


def rated():
    graph = Graph("orders")
    graph.to(add_fee).to(Queue("fees")).to(rate, function="rating").respond()
    return graph


@pytest.fixture(scope="module")
def deployment():
    with rated().deploy("process", progress=False, replicas={"rating": 2}) as running:
        yield running


def test_the_deployment_answers_what_the_notebook_answers(deployment):
    found = deployment.parity([{"amount": amount} for amount in range(30)])
    assert (found["equal"].all(), deployment.functions) == (True, ["orders", "rating"])


def test_a_way_that_comes_back_to_the_first_function_is_gone_once_and_in_its_order():
    graph = Graph("orders")
    graph.to(add_fee).to(Queue("fees")).to(rate, function="rating").to(Queue("rates")).to("(len(event))", "size")
    graph.step("size").to("(event * 2)", "twice", function="orders").respond()
    moved = Graph("there and back")
    moved.to(add_fee, function="one").to(rate, function="two").to(sorted, function="one").respond()
    found = {}
    for each in (graph, moved):
        with each.deploy("process", progress=False) as running:
            found[running.functions[0]] = (running.invoke({"amount": 1}), each.run({"amount": 1}))
    keys = ["amount", "rate", "total"]
    assert found == {"orders": (6, 6), "one": (keys, keys)}


def tell(event):
    return event.with_body({"path": event.path, "method": event.method, "key": event.key, "headers": event.headers})


class Counting:
    def __init__(self, context):
        self.context = context

    def do(self, body):
        self.context.metric("rows", body)
        return body


def test_what_a_step_reports_and_what_a_queue_holds_have_their_names():
    graph = Graph("counted")
    graph.to("(event)", "same").to(Queue("numbers")).to(Counting, "count", function="far").respond()
    with graph.deploy("process", progress=False) as running:
        running.invoke(7)
        deadline = time.monotonic() + 20
        while True:  # the answer comes before the acknowledgement
            found = running.metrics()
            rows = found[found["name"].isin(["rows", "nbgraph_queue_backlog"])].values.tolist()
            if ["far", "numbers", "nbgraph_queue_backlog", 0.0] in rows or time.monotonic() > deadline:
                break
    assert sorted(rows) == [["far", "count", "rows", 7.0], ["far", "numbers", "nbgraph_queue_backlog", 0.0]]


def test_what_belongs_to_an_event_goes_along_but_no_credentials():
    graph = Graph("told")
    graph.to(Queue("asked", key="card", shards=2)).to(tell, function="far", full_event=True).respond()
    with graph.deploy("process", progress=False, api_key="k1") as running:
        answer = running.invoke({"card": 7}, "/a/b", {"X-Tenant": "t1", "Cookie": "c"})
    assert answer == {"path": "/a/b", "method": "POST", "key": 7, "headers": {"x-tenant": "t1"}}


def test_a_failure_on_the_far_side_comes_home(deployment):
    with pytest.raises(InvokeError, match="negative: -3"):
        deployment.invoke({"amount": -3})
    failure = deployment.failures()[0]
    current = deployment.graph.debug(failure).current
    assert (failure.step, current.step, current.input) == ("rate", "rate", {"amount": -3, "total": 2})


def test_functions_are_scaled_on_their_own(deployment):
    deployment.scale("rating", 3)
    three = deployment.status()["function"].tolist()
    deployment.scale("rating", 1)
    assert (three, len(deployment.status())) == (["orders", "rating", "rating", "rating"], 2)
    deployment.scale("orders", 2)
    two = deployment.status()["function"].tolist()
    deployment.scale("orders", 1)
    assert two == ["orders", "orders", "rating"]


class Doubled(ModelServer):
    def load(self):
        self.model = 2

    def predict(self, body):
        return [self.model * number for number in body["inputs"]]


def test_models_behind_a_queue_are_asked_about_as_if_they_were_here():
    graph = Graph("models")
    graph.to("(event)", "same").to(Queue("asked")).to(ModelRouter(), "router", function="far").respond()
    graph.step("router").add_route("two", Doubled)
    given = triton.InferInput("x", [3], "INT64")
    given.set_data_from_numpy(numpy.array([1, 2, 3]))
    with graph.deploy("process", progress=False) as running:
        client = triton.InferenceServerClient(running.url.removeprefix("http://"))
        ready = (client.is_server_live(), client.is_server_ready(), client.is_model_ready("two"))
        name, answer = client.get_model_metadata("two")["name"], client.infer("two", [given]).as_numpy("output_0")
        missing = httpx.get(f"{running.url}/v2/models/three")
        listed = httpx.get(f"{running.url}/v2/models").json()
        client.close()
    assert (ready, name, answer.tolist(), listed) == ((True,) * 3, "two", [2, 4, 6], {"models": ["two"]})
    assert (missing.status_code, "known models: two" in missing.json()["error"]) == (404, True)


def test_what_is_too_large_for_a_queue_is_refused_as_too_large(deployment):
    with pytest.raises(InvokeError, match="the broker takes") as refused:
        deployment.invoke({"amount": 1, "more": [0.1] * 3_700_000})
    assert refused.value.status == 413


def test_packages_are_for_all_functions_or_for_one():
    with rated().deploy("process", progress=False, requirements={"rating": ["scipy>=1.11"]}) as running:
        parts = running.recipe.projects(split(rated()))
        files = {part.function.name: part.files["requirements.txt"] for part in parts}
    assert {name: b"scipy" in text for name, text in files.items()} == {"orders": False, "rating": True}


@pytest.mark.parametrize("n", [0, -1, "2", 1.5, None, True])
def test_a_number_of_workers_that_is_none_is_refused(deployment, n):
    with pytest.raises(DeployError, match="rating"):
        deployment.scale("rating", n)


def test_the_numbers_of_each_function_are_its_own(deployment):
    numbers = deployment.metrics()
    processed = numbers[numbers["name"] == "nbgraph_messages_processed_total"].set_index("function")["value"]
    assert (processed["orders"], processed["rating"] > 0) == (0, True)


def test_nothing_is_lost_and_keys_keep_their_order_when_a_worker_is_killed(tmp_path):
    graph = Graph("noted")
    graph.to("(event)", "take").to(Queue("notes", key="key", shards=8)).to(note, function="writer").respond()
    file, count = tmp_path / "notes", 240
    orders = [{"key": f"k{n % 6}", "number": n, "file": str(file)} for n in range(count)]
    with graph.deploy("process", progress=False, replicas={"writer": 3}, timeout=60) as running:
        fleet = running._hosted
        with ThreadPoolExecutor(6) as pool:
            # One caller a key: the order in which a key's events are handed in is then known.
            calls = [
                pool.submit(lambda k=k: [running.invoke(o) for o in orders if o["key"] == f"k{k}"]) for k in range(6)
            ]
            time.sleep(0.5)
            victim = fleet._members["writer"][0]
            os.kill(victim.pid, signal.SIGKILL)
            answers = sorted(answer for call in calls for answer in call.result(timeout=120))
        deadline = time.monotonic() + 20
        while not (restarts := running.status()["restarts"].sum()) and time.monotonic() < deadline:
            time.sleep(0.1)  # the others may have been done before it was missed
        written = [line.split() for line in file.read_text().splitlines()]
    first = {number: index for index, (_, number) in reversed(list(enumerate(written)))}
    by_key = {key: [int(n) for k, n in written if k == key] for key, _ in written}
    in_order = all(sorted(dict.fromkeys(numbers)) == list(dict.fromkeys(numbers)) for numbers in by_key.values())
    assert (answers, len(first), in_order, restarts) == (list(range(count)), count, True, 1)


def end_once(order, when):
    """The end of this worker, the first time that this order comes to this point."""
    mark = Path(f"{order['file']}-{order['number']}")
    if order["ends"] == when and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def note_or_end(order):
    end_once(order, "before")
    with Path(order["file"]).open("a") as file:
        file.write(f"{order['number']} begun\n")
        file.flush()
        end_once(order, "mid")
        file.write(f"{order['number']} done\n")
    end_once(order, "after")
    return order["number"]


def test_where_a_worker_dies_tells_what_is_done_twice(tmp_path):
    graph = Graph("pointed")
    graph.to("(event)", "take").to(Queue("points", key="number", shards=8)).to(note_or_end, function="writer").respond()
    points = ("before", "mid", "after", "nowhere")
    file = tmp_path / "notes"
    orders = [{"number": number, "ends": point, "file": str(file)} for number, point in enumerate(points)]
    with (
        graph.deploy("process", progress=False, replicas={"writer": 4}, timeout=60) as running,
        ThreadPoolExecutor(4) as pool,
    ):
        answers = list(pool.map(running.invoke, orders))
    written = file.read_text().splitlines()
    done = [[written.count(f"{number} {word}") for word in ("begun", "done")] for number in range(3)]
    assert (answers, done) == ([0, 1, 2, 3], [[1, 1], [2, 1], [2, 2]])


def test_keys_keep_their_order_while_workers_come_and_go(tmp_path):
    graph = Graph("resized")
    graph.to("(event)", "take").to(Queue("notes", key="key", shards=8)).to(slow_note, function="writer").respond()
    orders = [{"key": f"k{n % 4}", "number": n, "file": str(tmp_path / "notes")} for n in range(200)]
    with graph.deploy("process", progress=False) as running, ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(lambda k=k: [running.invoke(o) for o in orders if o["key"] == f"k{k}"]) for k in range(4)]
        for n in (8, 1):
            running.scale("writer", n)
        answers = sorted(answer for call in calls for answer in call.result(timeout=100))
    written = [int(line.split()[1]) for line in (tmp_path / "notes").read_text().splitlines()]
    by_key = [[number for number in written if number % 4 == key] for key in range(4)]
    assert (answers, by_key) == (list(range(200)), [list(range(key, 200, 4)) for key in range(4)])


def test_the_backlog_brings_more_workers_and_none_lets_them_go(tmp_path, monkeypatch):
    monkeypatch.setattr("nbgraph.deploy.operation.autoscale.COOL_DOWN", 1.0)
    graph = Graph("grown")
    graph.to("(event)", "take").to(Queue("work", key="key", shards=8)).to(slow_note, function="writer")
    graph.step("take").to(str, "log")  # a second end: callers are told the id at once
    with graph.deploy("process", progress=False, autoscale={"writer": (1, 3, 5)}) as running:
        for number in range(200):
            running.invoke({"key": number, "number": number, "file": str(tmp_path / "notes")})
        deadline = time.monotonic() + 30
        while len(running.status()) < 3 and time.monotonic() < deadline:
            time.sleep(0.2)
        grown = len(running.status())
        while (tmp_path / "notes").read_text().count("\n") < 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        while len(running.status()) > 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert len(running.status()) == 2
    assert (grown > 2, (tmp_path / "notes").read_text().count("\n")) == (True, 200)


def test_the_pulse_of_every_function(deployment):
    before = deployment.pulse()
    with pytest.raises(InvokeError):
        deployment.invoke({"amount": -1})
    for amount in range(3):
        deployment.invoke({"amount": amount})
    time.sleep(0.25)  # a reading is shared for a while
    now = deployment.pulse()
    more = {name: (pulse.events - before[name].events, pulse.dead - before[name].dead) for name, pulse in now.items()}
    assert more == {"orders": (4, 0), "rating": (4, 1)}
    assert [(pulse.state, pulse.backlog, pulse.rate > 0) for pulse in now.values()] == [("running", 0, True)] * 2


def test_what_the_gateway_takes_a_queue_takes_too():
    graph = Graph("large")
    graph.to(str.upper, "loud").to(Queue("texts")).to(len, "long", function="far").respond()
    text = "x" * (16 * 2**20 - 10)
    with graph.deploy("process", progress=False) as running:
        assert running.invoke(text) == len(text) == graph.run(text) == graph.run(text, streams="nats")
