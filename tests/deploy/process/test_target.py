"""A graph hosted in a process of its own."""

from __future__ import annotations

import gc
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy
import pytest

from nbgraph import Graph
from nbgraph.deploy.deployment import Deployment, InvokeError
from nbgraph.errors import DeployError
from tests.lab.notebook import Notebook

CELL = """
from nbgraph import Graph
RATES = {"DE": 0.19, "FR": 0.2}

class Taxed:
    def __init__(self, rates):
        self.rates = rates
    def do(self, body):
        print("taxing", body["amount"])
        return {**body, "tax": round(body["amount"] * self.rates[body["country"]], 2)}

g = Graph("taxes")
_ = g.to(Taxed, "tax", rates=RATES).respond()
"""
EVENTS = [{"amount": 10, "country": "DE"}, {"amount": 0.1, "country": "FR"}, {"amount": 1, "country": "XX"}, {}]


@pytest.fixture(scope="module")
def graph() -> Graph:
    notebook = Notebook()
    notebook.cell(CELL)
    found: Graph = notebook["g"]
    return found


@pytest.fixture(scope="module")
def deployment(graph: Graph) -> Iterator[Deployment]:
    with graph.deploy("process", progress=False) as found:
        yield found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deployments that a test makes have their files here, so that those of other tests are not counted."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def left_behind() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("nbgraph-slow-*"))


def test_it_answers_what_the_notebook_answers(graph: Graph, deployment: Deployment) -> None:
    event = EVENTS[0]
    assert graph.run(event) == deployment.invoke(event) == httpx.post(deployment.url, json=event).json()
    assert list(deployment.parity(EVENTS)["equal"]) == [True] * 4


def test_bodies_and_answers_of_all_kinds() -> None:
    graph = Graph("kinds")
    graph.to("(event)", "same").respond()
    bodies: list[Any] = [{"a": [1, None]}, "text", "[1]", b"\xff\x00", 0, numpy.arange(3), None, {}]
    with graph.deploy("process", progress=False) as deployment:
        assert [deployment.invoke(body) for body in bodies] == [
            {"a": [1, None]}, "text", [1], b"\xff\x00", 0, [0, 1, 2], None, {},
        ]  # fmt: skip


def test_a_failing_event_says_which_step(deployment: Deployment) -> None:
    with pytest.raises(InvokeError) as failed:
        deployment.invoke(EVENTS[2])
    assert str(failed.value) == "POST / answered 500: Step \"tax\" failed: KeyError: 'XX'"
    assert failed.value.status == 500


def test_a_failure_can_be_debugged_in_the_notebook(graph: Graph, deployment: Deployment) -> None:
    with pytest.raises(InvokeError):
        deployment.invoke({"amount": 7, "country": "ZZ"})
    failure = deployment.failures()[0]
    assert failure.keys() == {"event", "step", "error", "trace", "time"}
    assert (failure["event"].body, failure["step"]) == ({"amount": 7, "country": "ZZ"}, "tax")
    with pytest.raises(KeyError):
        raise graph.trace(failure["event"]).error.__cause__  # type: ignore[union-attr, misc]


def test_what_it_tells_of_itself(deployment: Deployment) -> None:
    deployment.invoke({"amount": 12345, "country": "DE"})
    (status,) = deployment.status().to_dict("records")
    assert (status["function"], status["state"], status["restarts"]) == ("taxes", "running", 0)
    assert "taxing 12345" in deployment.logs("taxes").splitlines()
    metrics = deployment.metrics()
    counted = metrics[(metrics["step"] == "tax") & (metrics["name"] == "nbgraph_events_total")]
    assert list(metrics.columns) == ["function", "step", "name", "value"]
    assert counted["value"].item() >= 1
    assert deployment.functions == ["taxes"]
    with pytest.raises(DeployError, match='There is no function "other"; functions: taxes'):
        deployment.logs("other")


def test_attach_finds_it_by_name(graph: Graph, deployment: Deployment) -> None:
    other = Deployment.attach(deployment.name, graph=graph)
    assert (other.url, other.invoke(EVENTS[0])["tax"]) == (deployment.url, 1.9)
    with pytest.raises(DeployError, match='No running deployment is called "nobody"'):
        Deployment.attach("nobody")


def test_a_stopped_one_leaves_nothing(graph: Graph) -> None:
    deployment = graph.deploy("process", progress=False)
    pid = int(deployment.status()["replica"].item())
    deployment.stop()
    deployment.stop()
    assert list(Path(tempfile.gettempdir()).glob(f"nbgraph-{deployment.name}-*")) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    asked: list[Callable[[], Any]] = [
        lambda: deployment.invoke(1), deployment.failures, deployment.captures, lambda: deployment.scale("taxes", 1),
        deployment.update,
    ]  # fmt: skip
    for ask in asked:
        with pytest.raises(DeployError, match="is stopped; deploy the graph again"):
            ask()
    assert (list(deployment.status())[:2], len(deployment.metrics())) == (["function", "replica"], 0)


def test_keys_and_ports(graph: Graph) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with graph.deploy("process", progress=False, port=port, api_key="k1", host="0.0.0.0") as deployment:
        assert deployment.url == f"http://127.0.0.1:{port}"
        assert deployment.invoke(EVENTS[0])["tax"] == 1.9
        assert httpx.post(deployment.url, json={}).status_code == 401
        with pytest.raises(DeployError, match=f"Port {port} on 127.0.0.1 is in use; choose another"):
            graph.deploy("process", progress=False, port=port)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"target": "balloon"}, 'There is no target "balloon"; targets: process, docker'),
    ({"host": "0.0.0.0"}, 'host="0.0.0.0" opens the graph to everyone who reaches this machine; give an api_key'),
    ({"replicas": 3}, "has one replica"),
    ({"replicas": {"taxes": 2}}, "has one replica"),
    ({"replicas": {"nobody": 1}}, 'replicas names "nobody"; functions: taxes'),
    ({"port": 70000}, "port=70000 must be between 0 and 65535"),
    ({"port": "8080"}, "port='8080' must be between 0 and 65535"),
    ({"api_key": ""}, "api_key is empty"),
    ({"api_key": "k\nX-Other: 1"}, "no text that a header can carry"),
    ({"timeout": 0}, "timeout=0 must be > 0"),
    ({"base_image": ""}, "base_image='' is no name of an image"),
    ({"requirements": "numpy"}, "requirements: the file numpy can't be read: No such file or directory; packages are"),
    ({"requirements": {"nobody": ["numpy"]}}, 'requirements names "nobody"; functions: taxes'),
    ({"autoscale": {"taxes": (1, 2, 3)}}, 'autoscale names "taxes"; functions that can be scaled: none'),
    ({"autoscale": 4}, "autoscale=4 is no rule"),
    ({"durability": "maybe"}, "durability='maybe' is unknown"),
    ({"requirements": ["what is this"]}, 'requirements: "what is this" can\'t be read'),
]


@pytest.mark.parametrize(("given", "said"), REFUSED)
def test_what_cannot_be_is_said_before_anything_starts(graph: Graph, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match=r"\w") as refused:
        graph.deploy(**{"target": "process", "progress": False, **given})
    assert said in str(refused.value)


SLOW = """
import time
from nbgraph import Graph

class Slow:
    def __init__(self):
        print("building", flush=True)
        time.sleep(60)
    def do(self, body):
        return body

g = Graph("slow")
_ = g.to(Slow)
"""


def test_a_start_that_takes_too_long(graph: Graph) -> None:
    before = left_behind()
    notebook = Notebook()
    notebook.cell(SLOW)
    with pytest.raises(DeployError, match="not ready within 3 seconds; the end of its log:\nbuilding"):
        notebook["g"].deploy("process", progress=False, timeout=3)
    assert left_behind() == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a pipe, if it comes inside Popen
def test_ctrl_c_leaves_nothing(request: pytest.FixtureRequest) -> None:
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, ours))
    before = left_behind()
    notebook = Notebook()
    notebook.cell(SLOW)

    def interrupt() -> None:
        deadline = time.monotonic() + 20
        while left_behind() == before and time.monotonic() < deadline:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        notebook["g"].deploy("process", progress=False)
    gc.collect()
    assert left_behind() == before


def test_a_step_that_fails_to_build_is_told_from_the_log() -> None:
    before = left_behind()
    notebook = Notebook()
    notebook.cell(SLOW.replace("time.sleep(60)", "raise OSError('no licence')").replace('"slow"', '"slow2"'))
    with pytest.raises(DeployError) as failed:
        notebook["g"].deploy("process", progress=False)
    assert 'The worker of "slow2" ended before it was ready' in str(failed.value)
    assert "no licence" in str(failed.value)
    assert left_behind() == before


def test_a_module_that_deploys_when_it_is_imported_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text(
        "from nbgraph import Graph\nimport parts\ng = Graph('again')\n_ = g.to(parts.double).respond()\n"
        "g.deploy('process', progress=False, timeout=20)\n"
    )
    (tmp_path / "parts.py").write_text("def double(body):\n    return body * 2\n\nimport pipeline\n")
    done = subprocess.run([sys.executable, "pipeline.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "A worker can't deploy." in done.stderr) == (1, True)


def test_pages_of_named_sites_may_call(graph: Graph) -> None:
    shop = "https://shop.example"
    with graph.deploy("process", cors=[shop], progress=False) as found:
        told = [
            httpx.post(found.url, json=EVENTS[0], headers={"origin": origin}, trust_env=False)
            for origin in (shop, "https://other.example")
        ]
    assert [(one.status_code, one.headers.get("access-control-allow-origin")) for one in told] == [
        (200, shop),
        (403, None),
    ]


@pytest.mark.parametrize("origin", ["*", "shop.example", "https://shop.example/", "https://*.example", 7])
def test_what_is_no_origin_is_refused(graph: Graph, origin: Any) -> None:
    with pytest.raises(DeployError, match="which is no origin"):
        graph.deploy("process", cors=[origin], progress=False)


def test_with_a_certificate_callers_come_by_https(graph: Graph, certificate: tuple[Path, Path]) -> None:
    with graph.deploy("process", name="by-tls", certificate=certificate, workers=2, progress=False) as found:
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        told = httpx.post(found.url, json=EVENTS[0], verify=trusting, trust_env=False)
        other = subprocess.run(
            [sys.executable, "-c", "from nbgraph.cli import main; main()", "status", "by-tls"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "TMPDIR": tempfile.gettempdir()},
        ).stdout
        assert (found.url[:8], found.invoke(EVENTS[0]), told.json(), "running" in other) == (
            "https://",
            {**EVENTS[0], "tax": 1.9},
            {**EVENTS[0], "tax": 1.9},
            True,
        )


def test_what_is_no_certificate_is_refused(graph: Graph, certificate: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text("no key")
    told = []
    for given in ("cert.pem", (certificate[0],), (certificate[0], tmp_path / "none.pem"), (certificate[0], other)):
        with pytest.raises(DeployError) as caught:
            graph.deploy("process", certificate=given, progress=False)
        told.append(str(caught.value)[:30])
    assert told == [
        "certificate is 'cert.pem'; exp",
        f"certificate is ({(certificate[0])!r}"[:30],
        f'certificate names "{tmp_path}'[:30],
        f'"{certificate[0]}" and'[:30],
    ]


def test_big_files_of_own_packages_that_stay_behind_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "package_with_big_data"
    package.mkdir()
    (package / "__init__.py").write_text("def twice(body): return body * 2\n")
    (package / "big.bin").write_bytes(b"0" * 20)
    monkeypatch.setattr("nbgraph.capture.local_modules.MAX_DATA", 10)
    monkeypatch.syspath_prepend(str(tmp_path))
    notebook = Notebook()
    notebook.cell("import package_with_big_data\nfrom nbgraph import Graph\ng = Graph('g')")
    notebook.cell("_ = g.to(package_with_big_data.twice).respond()")
    with notebook["g"].deploy("process") as deployment:
        assert (deployment.left, deployment.invoke(2)) == (("package_with_big_data/big.bin",), 4)
    assert "big files stay behind: package_with_big_data/big.bin" in capsys.readouterr().out
