"""For everyone: names, roles and contrast of the views, light and dark; the picture is left by keyboard."""

from pathlib import Path

import pytest
from host import Host

from nbgraph import Graph, StepError
from nbgraph.widgets.debugger import DebugWidget
from nbgraph.widgets.graph import GraphWidget

AUDIT = (Path(__file__).parent / "audit.js").read_text()


def fail(body):
    raise ValueError("too much")


def graph() -> Graph:
    made = Graph("fraud")
    scored = made.to(str.strip).to("ModelRouter", "score", routes={"m1": str.upper, "m2": str.lower})
    scored.to("Queue", "later").to(str.upper, function="other").to("CSVTarget", "store", function="other")
    made.to(fail, "bad").error_handler(print, "handler")
    return made.error_handler(print, "catcher")


def runs() -> Graph:
    made = Graph("runs")
    made.to(str.strip).to(fail).respond()
    return made


@pytest.fixture(params=["light", "dark"])
def shown(context, request):
    opened = []

    def show(widget) -> Host:
        host = Host(context, widget)
        host.page.emulate_media(color_scheme=request.param)
        host.page.wait_for_selector(f".nbg-root.nbg-{request.param}")
        opened.append(host)
        return host

    yield show
    for host in opened:
        host.close()


def audited(host: Host) -> list[str]:
    host.page.wait_for_timeout(250)  # colours fade
    return host.page.evaluate(f"({AUDIT})(document.querySelector('.nbg-root'))")


def test_every_kind_of_step_can_be_read(shown):
    assert audited(shown(GraphWidget(graph()))) == []


def test_a_run_with_an_error_an_open_panel_and_the_table_can_be_read(shown):
    ran = runs()
    host = shown(GraphWidget(ran))
    with pytest.raises(StepError):
        ran.run(" a ")
    host.wait("fail", "failed")
    host.page.locator('[aria-label^="fail:"]').click()
    host.page.wait_for_selector(".nbg-panel pre")
    problems = audited(host)
    host.page.get_by_role("button", name="Show the steps as a table").click()
    assert (problems, audited(host)) == ([], [])


def test_the_debugger_can_be_read(shown):
    host = shown(DebugWidget(runs().debug(" a ")))
    host.page.wait_for_selector(".nbg-panel .nbg-tabs")
    host.page.get_by_text("Next ▶").click()
    host.page.locator(".nbg-standing", has_text="before fail").wait_for()
    assert audited(host) == []


def test_one_stop_of_the_tab_key_in_the_picture(shown):
    host = shown(GraphWidget(graph()))
    host.page.locator('[data-step][tabindex="0"]').focus()
    host.page.keyboard.press("Tab")
    assert host.page.evaluate("document.activeElement.closest('.nbg-stage')") is None
