"""For everyone: axe-core, names, roles and contrast of the views, light and dark; the picture is left by keyboard."""

from pathlib import Path

import pandas
import pytest
from axe_playwright_python.sync_playwright import Axe
from host import Host

from nbgraph import Event, Graph, StepError
from nbgraph.deploy.operation.metrics import FunctionMetrics
from nbgraph.failure import Failure, RowOrigin
from nbgraph.widgets.builder import BuilderWidget
from nbgraph.widgets.debugger import DebugWidget
from nbgraph.widgets.deployment import DeploymentView
from nbgraph.widgets.graph import GraphWidget
from nbgraph.widgets.job import JobView
from nbgraph.widgets.parity import ParityView

AUDIT = (Path(__file__).parent / "audit.js").read_text()
# Everything that axe knows, the experimental rules too, but for those about a page as a whole, which is not ours.
RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice", "experimental"],
    "rules": {name: {"enabled": False} for name in ("page-has-heading-one", "heading-order", "region")},
}


def fail(body):
    raise ValueError("too much")


def table(body):
    return pandas.DataFrame({"n": range(80), "name": ["x"] * 80})


def graph() -> Graph:
    made = Graph("fraud")
    scored = made.to(str.strip).to("ModelRouter", "score", routes={"m1": str.upper, "m2": str.lower})
    scored.to("Queue", "later").to(str.upper, function="other").to("CSVTarget", "store", function="other")
    made.to(fail, "bad").error_handler(print, "handler")
    return made.error_handler(print, "catcher")


def runs() -> Graph:
    made = Graph("runs")
    made.to(table).to(fail).respond()
    return made


@pytest.fixture(params=["light", "dark"])
def shown(context, request):
    opened = []

    def show(widget, names=("picture", "breakpoints", "direction", "faults", "targets"), **more) -> Host:
        host = Host(context, widget, names, **more)
        host.page.emulate_media(color_scheme=request.param)
        host.page.wait_for_selector(f".nbg-root.nbg-{request.param}")
        opened.append(host)
        return host

    yield show
    for host in opened:
        host.close()


def audited(host: Host) -> list[str]:
    """What axe finds in the view, and what our own eyes do: axe reads no colours in an SVG."""
    host.page.wait_for_timeout(250)  # colours fade
    found = Axe().run(host.page, ".nbg-root", RULES).response["violations"]
    told = [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]
    return told + host.page.evaluate(f"({AUDIT})(document.querySelector('.nbg-root'))")


def test_every_kind_of_step_can_be_read(shown):
    assert audited(shown(GraphWidget(graph()))) == []


def test_a_run_with_an_error_an_open_panel_events_and_the_table_can_be_read(shown):
    ran = runs()
    host = shown(GraphWidget(ran))
    with pytest.raises(StepError):
        ran.run(" a ")
    host.wait("fail", "failed")
    host.page.locator('[aria-label^="table"]').click()
    host.page.wait_for_selector(".nbg-panel table")
    problems = audited(host)
    host.page.get_by_role("button", name="List the last events").click()
    host.page.locator(".nbg-events button").first.click()
    host.page.wait_for_selector(".nbg-panel details")
    host.page.get_by_role("button", name="Show the steps as a table").click()
    assert (problems, audited(host)) == ([], [])


def test_the_debugger_can_be_read_tab_by_tab(shown):
    host = shown(DebugWidget(runs().debug(" a ")))
    host.page.wait_for_selector(".nbg-panel .nbg-tabs")
    host.page.get_by_text("Next ▶").click()
    host.page.locator(".nbg-standing", has_text="paused at fail").wait_for()
    found = {}
    for tab in ("in and out", "diff", "break"):
        host.page.get_by_role("tab", name=tab).click()
        found[tab] = audited(host)
    assert found == {"in and out": [], "diff": [], "break": []}


def test_the_builder_can_be_read(shown):
    host = shown(BuilderWidget(graph()), ("picture", "breakpoints", "direction", "faults", "sheet", "offered"))
    host.page.locator('[data-step][aria-label^="score"]').click()
    host.page.wait_for_selector(".nbg-form")
    assert audited(host) == []


class Deployed:
    """What a deployment says of itself, written down: here it is looks that count."""

    name, url, functions, graph = "fraud-1", "http://127.0.0.1:1", ["fraud", "other"], graph()

    def pulse(self):
        states = {"fraud": "running", "other": "failing"}
        return {
            name: FunctionMetrics(name, 1, 2, state, 10, 2.5, 1, 1, 3, 1, 2.0, 0.01, {"score": 0.82})
            for name, state in states.items()
        }

    def logs(self, function=None, lines=100):
        return "a line\nanother"


def test_a_deployment_can_be_read(shown):
    host = shown(DeploymentView(Deployed()), ("picture", "about", "direction"))
    host.page.locator(".nbg-functions", has_text="failing").wait_for()
    host.page.locator('[data-step][aria-label*="82 % busy"]').wait_for()
    host.page.get_by_role("button", name="Logs: What other").click()
    host.page.wait_for_selector(".nbg-below pre")
    host.page.get_by_role("button", name="Stop: ").click()
    assert audited(host) == []


class Working:
    """What a job says of itself, written down."""

    name, state, error, graph = "fraud", "running", "", graph()

    def pulse(self):
        states = {0: "done", 1: "failed", 2: "running", 3: "searching"}
        return {
            "words": "fraud: 2 of 6 parts, 200 rows, 10 rows/s, 1 failed",
            "states": states,
            "total": 6,
            "failed": 1,
            "steps": {"good": (201, 0), "bad": (200, 1)},
        }

    def failures(self, n=100):
        return [
            Failure(
                event=Event({"x": 1}),
                step="bad",
                error="ValueError: too much",
                trace=[],
                time=0.0,
                origin=RowOrigin(17),
            )
        ]


def test_a_job_can_be_read(shown):
    host = shown(JobView(Working()), ("told",), ready=".nbg-parts > i")
    host.page.get_by_role("button", name="Failures: ").click()
    host.page.locator("details", has_text="row 17").click()
    assert audited(host) == []


def test_two_lives_of_a_graph_are_compared_what_differs_first(shown):
    found = pandas.DataFrame({"event": range(60), "local": range(60), "deployed": [*range(59), "x"], "equal": True})
    found.loc[59, "equal"] = False
    host = shown(ParityView(found), ("summary",), ready=".nbg-table")
    first = host.page.locator(".nbg-table tbody tr").first.locator("td").all_text_contents()
    host.page.get_by_role("button", name="Next page").click()
    host.page.locator(".nbg-pages", has_text="page 2 of 2").wait_for()
    assert (first, audited(host)) == (["59", "59", "x", "False"], [])


def test_one_stop_of_the_tab_key_in_the_picture(shown):
    host = shown(GraphWidget(graph()))
    host.page.locator('[data-step][tabindex="0"]').focus()
    host.page.keyboard.press("Tab")
    assert host.page.evaluate("document.activeElement.closest('.nbg-stage')") is None
