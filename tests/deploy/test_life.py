"""The life of a deployment: workers that die, other graphs, other processes, failures that are mended."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from nbgraph import Graph
from nbgraph.deploy.deployment import Deployment, InvokeError
from nbgraph.errors import DeployError
from nbgraph.steps import Queue
from tests.lab.callers import calling
from tests.lab.notebook import Notebook


def first(number):
    return {"n": number, "take": 1}


def second(number):
    return {"n": number, "take": 2}


def plain(body):
    return {**body, "rate": 1}


def doubled(body):
    return {**body, "rate": 2}


def strict(body):
    if body["n"] < 0:
        raise ValueError(f"negative: {body['n']}")
    return body


class Stuck:
    def __init__(self):
        raise OSError("no licence")

    def do(self, body):
        return body


def made(take, rate, *, shards=4):
    graph = Graph("lively")
    graph.to(take, "take").to(Queue("numbers", key="n", shards=shards)).to(rate, "rate", function="rating").respond()
    return graph


@pytest.fixture(scope="module")
def deployment():
    with made(first, plain).deploy("process", progress=False, replicas={"rating": 2}) as running:
        yield running


def until(what, seconds=20):
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.05)
    return what()


def pids(deployment):
    return dict(zip(deployment.status()["replica"], deployment.status()["function"], strict=True))


def test_a_new_graph_takes_over_and_no_caller_notices(deployment):
    before = pids(deployment)
    with calling(deployment.url) as seen:
        time.sleep(0.5)
        changed = [deployment.update(made(*steps), progress=False) for steps in ((first, doubled), (second, doubled))]
        after = pids(deployment)
        time.sleep(0.5)
    assert changed == [["rating"], ["lively"]]
    assert (Counter(after.values()), set(before) & set(after)) == (Counter({"rating": 2, "lively": 1}), set())
    assert (seen.failures, {(answer["take"], answer["rate"]) for answer in seen.answers}) == (
        [],
        {(1, 1), (1, 2), (2, 2)},
    )
    assert [answer["n"] for answer in seen.answers] == seen.sent


def test_a_graph_that_can_not_start_changes_nothing(deployment):
    before = pids(deployment)
    with pytest.raises(DeployError, match="no licence"):
        deployment.update(made(first, Stuck), progress=False)
    assert (pids(deployment), deployment.invoke(7)["n"]) == (before, 7)


def test_a_queue_that_would_be_another_one_is_refused(deployment):
    with pytest.raises(DeployError, match=r'Queue "numbers" runs with 4 shards, keys .* wants 8 shards'):
        deployment.update(made(first, plain, shards=8), progress=False)


def test_who_dies_is_replaced(deployment):
    before = pids(deployment)
    deployment.invoke(1)
    for pid in before:
        os.kill(int(pid), signal.SIGKILL)
    broker = deployment._hosted._server
    os.kill(broker.pid, signal.SIGKILL)
    assert until(lambda: deployment.status()["restarts"].tolist() == [1, 1, 1] and broker.is_alive)
    assert until(lambda: set(deployment.status()["state"]) == {"running"})
    assert (deployment.invoke(2)["n"], set(pids(deployment)) & set(before)) == (2, set())


ELSEWHERE = """
import json, sys, time
from nbgraph.deploy.deployment import Deployment
found = Deployment.attach(sys.argv[1])
found.scale("rating", 3)
told = [found.functions, found.invoke(5)["n"], len(found.status())]
deadline = time.monotonic() + 30  # a broker that was killed may take what was done for under way until a lease ends
while (backlog := found._hosted.backlog("rating")) and time.monotonic() < deadline:
    time.sleep(0.1)
told.append(backlog)
found.scale("rating", 2)
print(json.dumps([*told, "rating" in found.pulse()]))
"""


def elsewhere(code, *words):
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=90, check=False)
    return json.loads(done.stdout) if done.stdout else done.stderr


def test_another_process_can_look_after_it(deployment):
    assert elsewhere(ELSEWHERE, deployment.name) == [["lively", "rating"], 5, 4, 0, True]
    assert len(deployment.status()) == 3


def test_another_process_can_stop_it():
    graph = Graph("briefly")
    graph.to("(event)", "same").respond()
    running = graph.deploy("process", progress=False)
    stop = (
        "import sys\nfrom nbgraph.deploy.deployment import Deployment\nDeployment.attach(sys.argv[1]).stop()\nprint(1)"
    )
    assert elsewhere(stop, "briefly") == 1
    with pytest.raises(DeployError, match="is stopped"):
        running.invoke(1)
    assert list(Path(tempfile.gettempdir()).glob(f"nbgraph-{running.name}-*")) == []


def test_a_name_means_one_deployment(deployment):
    named = {"target": "process", "name": "one-name", "progress": False}
    with made(first, plain).deploy(**named) as one:
        again = made(second, plain).deploy(**named)
        assert (again is one, one.invoke(1)["take"], Deployment.attach("one-name") is one) == (True, 2, True)
        with pytest.raises(DeployError, match="runs with another port"):
            made(second, plain).deploy(**named, port=1)
    with pytest.raises(DeployError, match=r"can't name a deployment.*: .one-name"):
        made(first, plain).deploy("process", name="One Name!")


def test_a_failure_is_run_again_after_the_fix():
    with made(first, strict).deploy("process", progress=False) as running:
        with pytest.raises(InvokeError, match="negative: -1"):
            running.invoke(-1)
        with pytest.raises(InvokeError):
            running.invoke(-2)
        running.update(made(first, plain), progress=False)
        for failure in running.failures():
            running.resubmit(failure)
        assert until(lambda: running.pulse()["rating"].events == 2 and running.pulse()["rating"].backlog == 0)
        assert running.failures() == []


def test_a_failure_of_a_caller_s_event_answers_when_run_again():
    graph = Graph("alone")
    graph.to(strict).respond()
    with graph.deploy("process", progress=False) as running:
        with pytest.raises(InvokeError):
            running.invoke({"n": -1})
        (failure,) = running.failures()
        assert (running.resubmit(failure, {"n": 4}), running.failures()) == ({"n": 4}, [])


def test_a_text_that_failed_is_the_same_text_in_the_debugger_and_when_run_again():
    graph, mended = Graph("text"), Graph("text")
    graph.to("(event['n'])", "read").respond()
    mended.to("(event)", "read").respond()
    with graph.deploy("process", progress=False) as running:
        with pytest.raises(InvokeError):
            running.invoke('"5"')
        (failure,) = running.failures()
        stood = graph.debug(failure).current.input
        running.update(mended, progress=False)
        assert (failure.event.body, stood, running.resubmit(failure)) == ("5", "5", "5")


def test_the_magic_renews_what_it_deployed():
    notebook = Notebook()
    notebook.cell("%load_ext nbgraph\nfrom nbgraph import Graph")
    cell = "g = Graph('Magic one')\n_ = g.to('(event + {n})').respond()"
    notebook.cell(cell.format(n=1))
    notebook.cell("%graph g --deploy process --hide\nfirst = _")
    notebook.cell("first = get_ipython().run_line_magic('graph', 'g --deploy process --hide')")
    notebook.cell(cell.format(n=2))
    notebook.cell("again = get_ipython().run_line_magic('graph', 'g --deploy process --hide')")
    with notebook["first"] as first:
        assert (notebook["again"] is first, first.name, first.invoke(1)) == (True, "magic-one", 3)
