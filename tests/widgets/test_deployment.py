"""The view of a deployment without a browser: how often it looks, what it does, that it ends."""

import json
import time

import pytest

from nbgraph import Graph
from nbgraph.widgets.deployment import DeploymentView


def inverse(body):
    return 1 / body


@pytest.fixture(scope="module")
def deployment():
    graph = Graph("inverse")
    graph.to(inverse).respond()
    with graph.deploy("process", progress=False) as deployment:
        yield deployment


@pytest.fixture
def view(deployment):
    view = DeploymentView(deployment)
    view.sent = []
    view.send = lambda content, buffers=None: view.sent.append(json.loads(json.dumps(content)))
    yield view
    view.close()


def told(view, kind: str) -> dict:
    """The last message of a kind, once there is one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = [message for message in view.sent if message["kind"] == kind]
        if found:
            return found[-1]
        time.sleep(0.02)
    raise TimeoutError(f"no {kind} in {view.sent}")


def test_it_looks_twice_a_second_while_a_browser_shows_it(view):
    view.receive({"kind": "opened"})
    time.sleep(1.3)
    view.receive({"kind": "left"})
    view._thread.join(5)
    assert 2 <= len(view.sent) <= 4
    assert told(view, "pulse")["functions"]["inverse"]["state"] == "running"


def test_what_can_not_be_done_is_one_sentence(view):
    view.receive({"kind": "scale", "function": "nobody", "n": 2})
    assert told(view, "did")["problem"] == 'There is no function "nobody"; functions: inverse.'


def test_a_failed_event_opens_in_the_debugger(view, deployment):
    with pytest.raises(Exception, match="500"):
        deployment.invoke(0)
    view.receive({"kind": "failures"})
    failed = told(view, "failures")["rows"][0]
    view.receive({"kind": "debug", "index": 0})
    told(view, "child")
    assert (failed["step"], view._debugger.debugger.current.step) == ("inverse", "inverse")


def test_steps_without_a_function_stand_in_the_first(view):
    assert (view.picture["functions"], view.picture["of"]) == ({"f0": "inverse"}, {"n0": "inverse"})


def test_it_ends_with_the_deployment(view):
    view.receive({"kind": "opened"})
    view.receive({"kind": "stop"})
    view._thread.join(20)
    assert (view._thread.is_alive(), told(view, "pulse")["over"], view.is_over) == (False, True, True)
