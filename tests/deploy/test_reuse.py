"""A graph calls what is deployed by its name: in the kernel, in a job, and from another deployment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import pytest

import nbgraph
from nbgraph import Deployed, DeployedError, DeployError, Deployment, Graph, GraphError, NbgraphError, StepError
from nbgraph.contract import PLACES_VARIABLE
from nbgraph.graph.documents.catalogue import PLACE, GraphCatalogue, RunningGraph


def inverse(amount: float) -> float:
    return 1 / amount


def half(amount: float) -> float:
    return amount / 2


def scoring() -> Graph:
    graph = Graph("scoring")
    graph.to(inverse).to("Queue", "inverted").to("(event * 1)", "score", function="far").respond()
    return graph


def calling(name: str = "checkout", **options: str) -> Graph:
    graph = Graph(name)
    graph.to(Deployed("scoring", **options)).to("(event + 1)", "plus").respond()
    return graph


@pytest.fixture(scope="module", autouse=True)
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphCatalogue]:
    folder = tmp_path_factory.mktemp("catalogue")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PLACE, str(folder))
        yield GraphCatalogue(folder)


@pytest.fixture(scope="module")
def called(catalogue: GraphCatalogue) -> Iterator[Deployment]:
    with scoring().deploy("process", name="scoring", version="1.2", progress=False) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def caller(called: Deployment) -> Iterator[Deployment]:
    with calling().deploy("process", name="checkout", progress=False) as deployment:
        yield deployment


def test_every_life_of_the_caller_gives_the_same(called: Deployment, caller: Deployment, tmp_path: Path) -> None:
    graph, amounts = calling(), [1, 2, 4]
    debugger = graph.debug(4)
    debugger.next()
    with graph.start() as run:
        pushed = [future.result(30) for future in [run.push(amount) for amount in amounts]]
    job = graph.job(amounts, tmp_path / "out.csv", workers=1, progress=False).wait(60)
    lives = [
        [graph.run(amount) for amount in amounts], list(graph.stream(amounts)), pushed,
        [caller.invoke(amount) for amount in amounts], list(job.result().iloc[:, -1]),
    ]  # fmt: skip
    assert (lives, debugger.current.input, debugger.resume()) == ([[2.0, 1.5, 1.25]] * 5, 0.25, 1.25)


def test_what_goes_there_and_comes_back_is_what_it_was() -> None:
    echo, outer = Graph("echo"), Graph("outer")
    echo.to("(event)", "same").respond()
    outer.to("(event['value'])", "value").to(Deployed("echo"))
    values = [None, "5", (1, 2), {"a": [float("inf")]}, {3: b"x"}, date(2026, 11, 30)]
    with echo.deploy("process", name="echo", progress=False):
        assert [outer.run({"value": value}) for value in values] == values


def test_an_error_names_the_called_graph_its_step_and_its_event(called: Deployment, caller: Deployment) -> None:
    with pytest.raises(StepError) as kernel:
        calling().run(0, id="e1")
    with pytest.raises(NbgraphError) as deployed:
        caller.invoke(0)
    cause = kernel.value.__cause__
    assert isinstance(cause, DeployedError)
    words = ("scoring", "1.2", '"inverse"', "ZeroDivisionError")
    assert (kernel.value.step, cause.deployment, cause.version, cause.step, str(cause.event).split(":")[0]) == (
        "scoring", "scoring", "1.2", "inverse", "e1",
    )  # fmt: skip
    assert [all(word in str(error.value) for word in words) for error in (kernel, deployed)] == [True, True]


def test_what_fails_there_can_be_debugged_here_and_there(called: Deployment, caller: Deployment) -> None:
    with pytest.raises(NbgraphError):
        caller.invoke(0, headers={"X-Event-Id": "lost"})
    here, there = caller.failures()[0], called.failures()[0]
    stands = [calling().debug(here).current.step, scoring().debug(there).current.step]
    assert (here.event.id, there.event.id.split(":")[0], stands) == ("lost", "lost", ["scoring", "inverse"])


def test_the_trace_goes_along(called: Deployment) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    with traced().deploy("process", name="traced", progress=False):
        outer = Graph("outer")
        outer.to(Deployed("traced")).respond()
        with outer.deploy("process", name="outer", progress=False) as deployment:
            headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
            told = deployment.invoke(1, headers={**headers, "X-Request-Timeout": "9"})
    assert (told["trace"], told["left"] <= 9) == (trace, True)


def traced() -> Graph:
    def told(event: nbgraph.Event) -> nbgraph.Event:
        event.body = {
            "trace": event.headers["traceparent"][3:35], "left": float(event.headers["x-request-timeout"]),
        }  # fmt: skip
        return event

    graph = Graph("traced")
    graph.to(told, full_event=True).respond()
    return graph


def test_updates_are_taken_at_once_and_a_pin_holds(called: Deployment, caller: Deployment) -> None:
    pinned = calling("pinned", version="1.2")
    before = [caller.invoke(4), pinned.run(4)]
    other = Graph("scoring")
    other.to(half, "inverse").to("Queue", "inverted").to("(event * 1)", "score", function="far").respond()
    called.update(other, version="1.3", progress=False)
    try:
        with pytest.raises(StepError, match=r'runs version "1\.3", not "1\.2"'):
            pinned.run(4)
        after = [caller.invoke(4), calling(version="1.3").run(4)]
    finally:
        called.update(scoring(), version="1.2", progress=False)
    assert (before, after, pinned.run(4)) == ([1.25, 1.25], [3.0, 3.0], 1.25)


def test_another_deployment_of_the_name_is_found_and_none_is_told() -> None:
    graph, answers = Graph("outer"), []
    graph.to(Deployed("passing", timeout=20)).respond()
    for factor in (2, 3):
        inner = Graph("passing")
        inner.to(f"(event * {factor})", "times").respond()
        with inner.deploy("process", name="passing", progress=False):
            answers.append(graph.run(5))
    with pytest.raises(StepError, match=r'No deployment "passing" runs.*graph\.deploy\(name="passing"\)'):
        graph.run(5)
    assert answers == [10, 15]


def test_nobody_else_answers_in_its_place(called: Deployment, catalogue: GraphCatalogue) -> None:
    catalogue.enter(RunningGraph(name="other", graph="other", version="1", target="docker", url=called.url))
    graph = Graph("outer")
    graph.to(Deployed("other", retries=1)).respond()
    with pytest.raises(StepError, match=r'421.*This is deployment "scoring", not "other"'):
        graph.run(1)
    catalogue.leave("docker", "other")


def test_a_circle_is_refused() -> None:
    first, second = Graph("first"), Graph("second")
    first.to(Deployed("second")).respond()
    second.to(Deployed("first")).respond()
    circle = pytest.raises(GraphError, match="in a circle: second -> first -> second")
    with first.deploy("process", name="first", progress=False), circle:
        second.deploy("process", name="second", progress=False)
    with pytest.raises(GraphError, match="in a circle: second -> second"):
        first.deploy("process", name="second", progress=False)


def test_the_catalogue_tells_what_runs_and_who_calls_it(called: Deployment, caller: Deployment) -> None:
    rows = nbgraph.catalog().set_index("graph")[["version", "where", "inputs", "url", "callers"]].to_dict("index")
    assert rows == {
        "scoring": {
            "version": "1.2", "where": "process", "inputs": ["POST /"], "url": called.url, "callers": ["checkout"],
        },
        "checkout": {
            "version": caller.version, "where": "process", "inputs": ["POST /"], "url": caller.url, "callers": [],
        },
    }  # fmt: skip


def test_a_graph_comes_out_of_the_catalogue_without_its_code(called: Deployment) -> None:
    names = {"inverse": inverse}
    mine = Graph("mine")
    mine.to(half).respond()
    mine.save(GraphCatalogue.here().folder / "mine.yaml")
    with pytest.raises(GraphError, match="which a loaded graph may not import"):
        nbgraph.get("scoring", namespace={})
    got = nbgraph.get("scoring", "1.2", allow=[__name__])
    with pytest.raises(NbgraphError, match='no graph "nothing" in the catalogue'):
        nbgraph.get("nothing", namespace=names)
    assert (got.run(4), nbgraph.get("mine", allow=[__name__]).run(4)) == (0.25, 2.0)


def test_a_cell_names_what_it_calls_and_its_picture_opens_it(called: Deployment) -> None:
    text = '%%graph shop\nDeployed("scoring", version="1.2") -> respond\n'
    graph = Graph.parse(text)
    widget = graph.view()
    widget.receive({"kind": "inspect", "step": "n0_n0"})  # a step that runs elsewhere is shown, as it is there
    paths = [step["path"] for step in widget.picture["steps"]]
    assert (graph.source(), graph.run(4), paths, "inverse" in graph.svg()) == (
        text, 0.25, ["scoring", "scoring/inverse", "scoring/inverted", "scoring/score"], True,
    )  # fmt: skip


def test_a_key_is_shown_and_who_has_none_is_refused(catalogue: GraphCatalogue) -> None:
    graph = Graph("outer")
    graph.to(Deployed("guarded")).respond()
    inner = Graph("guarded")
    inner.to("(event + 1)", "plus").respond()
    with inner.deploy("process", name="guarded", api_key="hidden", progress=False) as deployment:
        answers = [graph.run(1), httpx.post(deployment.url, json=1, trust_env=False).status_code]
    own = [path for folder in ("running", "graphs") for path in (catalogue.folder / folder).rglob("*")]
    modes = {path.stat().st_mode & 0o077 for path in own}
    assert (answers, modes, "hidden" in repr(graph.to_dict())) == ([2, 401], {0}, False)


def test_an_export_has_to_be_told_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(NbgraphError, match=r'calls the deployment "scoring", and an export can\'t know'):
        calling().export(tmp_path / "out")
    told = {PLACES_VARIABLE: "scoring=https://scoring.example"}
    assert (
        "https://scoring.example" in (calling().export(tmp_path / "out", env=told).folder / "compose.yaml").read_text()
    )


@pytest.mark.parametrize(
    ("arguments", "found"),
    [({"name": ""}, "name=''"), ({"name": "a", "path": "b"}, "path='b'"), ({"name": "a", "retries": -1}, "retries=-1")],
)
def test_arguments_that_make_no_sense_are_told(arguments: dict[str, str], found: str) -> None:
    with pytest.raises(GraphError, match=found):
        Deployed(**arguments)
    with pytest.raises(DeployError, match="can't name a version"):
        Deployed("a", version="no version")
