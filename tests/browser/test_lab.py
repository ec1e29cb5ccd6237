"""The live view and the static picture where they live: JupyterLab, Notebook 7, a reopened notebook, nbconvert."""

import subprocess
import sys

import httpx
import nbformat
import pytest
from lab import CLOSE, CURRENT, OPEN

GRAPH = """
from nbgraph import Graph
from nbgraph.widgets.picture.static_output import show
def clean(body): return body.strip()
def shout(body): return body.upper()
graph = Graph("shout")
graph.to(clean).to(shout).respond()
show(graph)
"""
BUILDER = """
from nbgraph.widgets.builder import BuilderWidget
BuilderWidget(graph)
"""
RUN = 'answers = [graph.run(f" a{n} ") for n in range(50)]\nprint(answers[-1])'


@pytest.fixture(scope="module")
def page(context, lab):
    """One JupyterLab page for all tests of this file; no request may leave the server."""
    page = context.new_page()
    page.set_default_timeout(20_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{lab.url}/lab?reset")
    page.wait_for_selector(".jp-Launcher")
    yield page
    page.close()
    assert [url for url in asked if not url.startswith((lab.url, "data:", "blob:"))] == []


def test_the_live_view_follows_runs_and_hides_the_static_picture(page, lab):
    page.evaluate(OPEN, lab.notebook("live.ipynb", GRAPH, RUN))
    page.wait_for_selector(f'{CURRENT}[data-status="done"][aria-label^="shout "][data-status="done"]')
    page.wait_for_function(
        "() => document.querySelector('[aria-label^=\"shout \"][data-status=\"done\"]').ariaLabel.includes('50 events')"
    )
    boxes = [
        page.locator(f'{CURRENT}[aria-label^="shout "]{part}').first.bounding_box()
        for part in (" > path", " .nbg-mark")
    ]
    assert abs(boxes[1]["y"] + boxes[1]["height"] / 2 - boxes[0]["y"]) < 6  # the mark sits on the step's upper edge
    images = page.locator(f"{CURRENT}.nbg-static img")
    assert (images.count(), images.first.is_visible()) == (1, False)
    page.locator(f'{CURRENT}[aria-label^="clean "]').click()
    page.wait_for_selector(f"{CURRENT}.nbg-panel .nbg-value")
    assert page.locator(f"{CURRENT}.nbg-panel .nbg-value").text_content() == '"a49"'
    page.wait_for_timeout(2_500)  # the static picture is brought up to date a second after the run
    page.evaluate(CLOSE)
    book = nbformat.read(lab.folder / "live.ipynb", 4)
    static = next(output for output in book.cells[0].outputs if "image/svg+xml" in output.get("data", {}))
    assert "shout: function, answers, done" in static["data"]["text/plain"]


def test_two_graphs_in_one_cell_each_have_their_picture(page, lab):
    page.evaluate(OPEN, lab.notebook("two.ipynb", GRAPH + "other = Graph('other'); other.to(len); show(other)"))
    stages = f"{CURRENT}.nbg-stage svg"
    page.wait_for_function("stages => document.querySelectorAll(stages).length === 2", arg=stages)
    assert [image.is_visible() for image in page.locator(f"{CURRENT}.nbg-static img").all()] == [False, False]
    page.evaluate(CLOSE)


SLOW = """
import time
from nbgraph import Graph
from nbgraph.widgets.picture.static_output import register
register(get_ipython())
def wait(body):
    time.sleep(0.01)
    return body + 1
graph = Graph("slow")
ref = graph.to(wait, "s0")
for number in range(1, 300): ref = ref.to(wait, f"s{number}")
debugger = graph.debug(0)
debugger
"""


def test_a_debugger_is_paused_at_once_while_it_runs(page, lab):
    page.evaluate(OPEN, lab.notebook("pause.ipynb", SLOW))
    standing = page.locator(f"{CURRENT}.nbg-standing")
    page.locator(f"{CURRENT}.nbg-standing", has_text="paused at s0").wait_for()
    page.locator(f"{CURRENT}button", has_text="Continue").click()
    page.locator(f"{CURRENT}.nbg-busy").wait_for()
    page.wait_for_timeout(500)
    seconds = page.evaluate("""async () => {
        const panel = document.querySelector(".jp-NotebookPanel:not(.lm-mod-hidden)");
        const began = performance.now();
        [...panel.querySelectorAll("button")].find(one => one.textContent === "Pause").click();
        while (panel.querySelector(".nbg-busy")) await new Promise(done => setTimeout(done, 2));
        return (performance.now() - began) / 1000;
    }""")
    print(f"\npause click to standing still: {seconds * 1000:.0f} ms")
    assert (seconds < 0.5, "paused at s" in standing.text_content()) == (True, True)
    page.evaluate(CLOSE)


def test_a_reopened_notebook_shows_the_picture_and_no_error_box(browser, page, lab):
    parity = """import pandas; from nbgraph.widgets.parity import ParityView
ParityView(pandas.DataFrame({"event": [1], "local": [2], "deployed": [2], "equal": [True]}))"""
    page.evaluate(OPEN, lab.notebook("again.ipynb", GRAPH, "graph.view()", "graph.debug('a')", parity))
    page.locator(f"{CURRENT}.nbg-root .nbg-good").wait_for(state="attached")
    page.evaluate(CLOSE)
    context = browser.new_context(viewport={"width": 1100, "height": 700})
    fresh = context.new_page()
    fresh.goto(f"{lab.url}/doc/tree/again.ipynb")
    fresh.wait_for_selector(".nbg-static td", state="attached", timeout=20_000)
    fresh.get_by_text("model not found").first.wait_for(state="attached")
    boxes = [*fresh.get_by_text("model not found").all(), *fresh.get_by_text("Loading widget").all()]
    pictures = [image.is_visible() for image in fresh.locator(".nbg-static img").all()]
    assert (pictures, any(box.is_visible() for box in boxes)) == ([True, True], False)
    context.close()


def test_notebook_7_shows_the_views_and_takes_a_cell(browser, lab):
    context = browser.new_context(viewport={"width": 1100, "height": 700})
    page = context.new_page()
    page.goto(f"{lab.url}/notebooks/{lab.notebook('seven.ipynb', GRAPH, BUILDER)}")
    page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
                           "?.connectionStatus === 'connected'", timeout=30_000)  # fmt: skip
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_selector(".nbg-stage svg", timeout=20_000)
    page.locator(".nbg-builder button", has_text="To a new cell").click()
    page.locator(".jp-Cell", has_text="%%graph shout").wait_for()
    static = [image.is_visible() for image in page.locator(".nbg-static img").all()]
    assert (static, page.locator(".jp-CodeCell").count()) == ([False, False], 3)
    context.close()


def test_the_builders_text_is_put_into_a_new_cell_below(page, lab):
    page.evaluate(OPEN, lab.notebook("build.ipynb", GRAPH, BUILDER, "'the cell after'"))
    page.locator(f"{CURRENT}.nbg-builder .nbg-source").wait_for()
    page.locator(f"{CURRENT}.nbg-builder button", has_text="To a new cell").click()
    page.locator(f"{CURRENT}.nbg-builder [role=status]", has_text="new cell below").wait_for()
    page.evaluate(CLOSE)
    book = nbformat.read(lab.folder / "build.ipynb", 4)
    assert [cell.source.split("\n")[0] for cell in book.cells[1:]] == [
        "", "%%graph shout", "'the cell after'",
    ]  # fmt: skip


SHOP = """
from nbgraph import Graph
from nbgraph.widgets.picture.static_output import show
def clean(body): return {**body, "clean": True}
def score(body):
    print("scoring", body)
    return {**body, "p": 10 / body["amount"]}
shop = Graph.parse('%%graph corner_shop\\nclean -> Queue("scored") -> score@scoring -> respond')
show(shop)
"""


def test_a_click_deploys_and_the_deployment_is_watched_scaled_debugged_and_stopped(page, lab):
    page.evaluate(OPEN, lab.notebook("deploy.ipynb", SHOP, "from nbgraph.deploy.deployment import Deployment"))
    page.locator(f"{CURRENT}.nbg-stage svg").wait_for()
    page.get_by_label("Deploy the graph").select_option("process")
    row = page.locator(f"{CURRENT}.nbg-functions tr", has_text="scoring")
    row.get_by_text("running").wait_for(timeout=60_000)
    url = page.locator(f"{CURRENT}.nbg-deployment .nbg-hint").first.text_content()
    for amount in (5, 0):
        httpx.post(f"{url}/", json={"amount": amount}, timeout=20)
    page.locator(f"{CURRENT}.nbg-figures", has_text="1 failed").first.wait_for()
    page.get_by_role("button", name="One replica of scoring more").click()
    row.locator(".nbg-replicas", has_text="2").wait_for()
    page.get_by_role("button", name="Logs: What scoring").click()
    page.locator(f"{CURRENT}.nbg-below pre", has_text="scoring {'amount': 5").wait_for()
    page.get_by_role("button", name="Failures").click()
    page.locator(f"{CURRENT}.nbg-below summary", has_text="ZeroDivisionError").first.click()
    page.get_by_role("button", name="Debug: ").first.click()
    page.locator(f"{CURRENT}.nbg-standing", has_text="paused at score").wait_for()
    page.get_by_role("button", name="Stop: End the deployment").click()
    page.get_by_role("button", name="Yes: ").click()
    page.locator(f"{CURRENT}.nbg-deployment [role=group] .nbg-hint", has_text="stopped").wait_for()
    figures = page.locator(f"{CURRENT}.nbg-figures").all_text_contents()
    assert (row.locator(".nbg-replicas").text_content(), figures) == ("0", ["stopped", "stopped"])
    page.evaluate(CLOSE)


def test_nbconvert_shows_the_picture(lab, tmp_path):
    lab.notebook("book.ipynb", GRAPH)
    command = [
        sys.executable,
        "-m",
        "nbconvert",
        "--execute",
        "--to",
        "html",
        "--output-dir",
        str(tmp_path),
        "book.ipynb",
    ]
    subprocess.run(command, cwd=lab.folder, check=True, capture_output=True, timeout=120)
    assert 'src="data:image/svg+xml;base64,' in (tmp_path / "book.html").read_text()


MAGIC = ["%load_ext nbgraph\ndef clean(body): return body.strip()\ndef shout(body): return body.upper()",
         "%%graph loud\nclean -> shout -> respond", "loud.run(' a ')"]  # fmt: skip


def run_cell(page, index: int) -> None:
    page.evaluate("""async index => {
        const panel = window.jupyterapp.shell.currentWidget;
        panel.content.activeCellIndex = index;
        await window.jupyterapp.commands.execute('notebook:run-cell');
    }""", index)  # fmt: skip


def test_the_cell_magic_shows_the_view_marks_changed_steps_and_runs_again(page, lab):
    cells = [
        *MAGIC,
        "def shout(body): return body.upper() + '!'",
        "print('watching', len(loud.observers), loud.run(' b '))",
    ]
    page.evaluate(OPEN, lab.notebook("magic.ipynb", *cells))
    output = page.locator(f"{CURRENT}.jp-OutputArea-output pre", has_text="watching")
    output.wait_for()
    page.wait_for_selector(f'{CURRENT}[data-status="done"][aria-label^="shout "]')
    run_cell(page, 3)
    page.wait_for_selector(f'{CURRENT}[data-status="changed"][aria-label^="shout "]')
    page.get_by_role("checkbox", name="Breakpoint on shout").click()
    run_cell(page, 1)
    page.wait_for_selector(f'{CURRENT}[aria-label^="shout "][aria-label$="breakpoint"]')
    run_cell(page, 4)
    page.wait_for_selector(f'{CURRENT}[data-status="done"][aria-label^="shout "]')
    assert (output.text_content().strip(), page.locator(f"{CURRENT}.nbg-stage svg").count()) == ("watching 1 B!", 1)
    page.evaluate(CLOSE)


def test_a_debugger_that_ends_a_cell_is_shown_and_follows_cells(page, lab):
    page.evaluate(OPEN, lab.notebook("debug.ipynb", *MAGIC[:2], "d = loud.debug(' a ')\nd", "d.next().output"))
    page.locator(f"{CURRENT}.nbg-standing", has_text="paused at shout").wait_for()
    page.evaluate(CLOSE)


FIGURE = """
class Figure:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": "<i class='figure'>a figure</i>", "text/plain": "a figure"}
graph = Graph("figures")
graph.to(lambda body: Figure(), "draw")
show(graph)
"""


def test_what_a_notebook_shows_better_is_shown_by_it(page, lab):
    page.evaluate(OPEN, lab.notebook("figure.ipynb", GRAPH, FIGURE, "graph.run(1)"))
    page.locator(f'{CURRENT}[data-status="done"][aria-label^="draw "]').click()
    page.get_by_role("button", name="Show it as a cell would").click()
    page.locator(f"{CURRENT}.nbg-shown .figure", has_text="a figure").wait_for()
    page.evaluate(CLOSE)


def test_a_reloaded_page_and_a_restarted_kernel_show_the_live_view_again(browser, lab):
    context = browser.new_context(viewport={"width": 1100, "height": 700})
    page = context.new_page()
    ready = """() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel
        ?.connectionStatus === 'connected'"""
    page.goto(f"{lab.url}/doc/tree/{lab.notebook('reload.ipynb', GRAPH, RUN)}")
    page.wait_for_function(ready, timeout=30_000)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_selector('[data-status="done"][aria-label^="shout "]', timeout=20_000)
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.reload()
    page.wait_for_selector('[data-status="done"][aria-label^="shout "]', timeout=30_000)
    page.wait_for_function(ready, timeout=30_000)
    page.evaluate("""async () => {
        window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
        await window.jupyterapp.commands.execute('notebook:run-cell');
    }""")
    page.locator('[aria-label^="shout "][aria-label*="100 events"]').wait_for()
    page.evaluate("""async () => {
        const panel = window.jupyterapp.shell.currentWidget;
        await panel.sessionContext.session.kernel.restart();
        await window.jupyterapp.commands.execute('notebook:run-all-cells');
    }""")
    page.locator('[aria-label^="shout "][aria-label*="50 events"]').wait_for()
    assert page.locator(".nbg-static img").is_visible() is False
    context.close()


DEBUGGER = """
from nbgraph import Graph
from nbgraph.widgets.picture.static_output import register
register(get_ipython())
graph = Graph("keys")
graph.to(str.strip).to(str.upper).to(len, "size")
debugger = graph.debug(" hi ")
debugger.resume()
debugger
"""


def test_keys_belong_to_the_view_and_a_restart_of_the_kernel_is_told(page, lab):
    page.evaluate(OPEN, lab.notebook("keys.ipynb", DEBUGGER))
    page.locator(f"{CURRENT}.nbg-standing", has_text="finished").wait_for()
    slider = page.locator(f"{CURRENT}[aria-label='Time: frames of the run']")
    slider.focus()
    for key in ("Home", "ArrowRight"):
        page.keyboard.press(key)
    clock = page.locator(f"{CURRENT}.nbg-clock", has_text="frame 2 of 3")
    clock.wait_for()
    page.locator(f'{CURRENT}[data-step][aria-label^="strip "]').focus()
    for key in "dd":  # would delete the cell
        page.keyboard.press(key)
    is_there = page.locator(f"{CURRENT}.jp-CodeCell").count()
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.locator(f"{CURRENT}.nbg-gone .nbg-lost", has_text="run its cell again").wait_for()
    page.evaluate(CLOSE)
    assert is_there == 1
