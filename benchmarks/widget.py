"""The live widget in a real JupyterLab: pause clicks, frames, messages, bytes, drawing. `python -m benchmarks.widget`

It needs the test extra and a Chromium (apt-get install chromium). Every number is printed beside its goal.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbgraph import Graph
from nbgraph.render.layout import laid_out
from nbgraph.widgets.builder import BuilderWidget
from nbgraph.widgets.debugger import DebugWidget
from nbgraph.widgets.deployment import DeploymentView
from nbgraph.widgets.graph import GraphWidget
from nbgraph.widgets.picture.synced_picture import SyncedPicture
from tests.browser.conftest import FLAGS
from tests.browser.lab import CLOSE, CURRENT, OPEN, Lab

GRAPH = """
import threading, time
from nbgraph import Graph
graph = Graph("large")
ref = graph.to(len, "s0")
for n in range(1, {steps}):
    ref = ref.to(len, f"s{{n}}") if n % 10 else graph.step(f"s{{n - 5}}").to(len, f"s{{n}}")
graph.view()
"""
BUSY = """
from nbgraph.engine.interpret.observer import StepRun
from nbgraph.event import Event
from nbgraph.widgets.live.monitor import Monitor
def work():
    monitor, event, n, began = Monitor.on(graph), Event(1), 0, time.monotonic()
    monitor.started(event)
    while time.monotonic() - began < 8:
        for _ in range(20):
            move = StepRun(f"s{n % len(graph.steps)}", event, 1, 1)
            monitor.before(move)
            monitor.after(move)
            n += 1
        time.sleep(0.02)
    monitor.finished(event, [], None)
threading.Thread(target=work, daemon=True).start()
"""
FRAMES = """async selector => {
    let frames = 0, messages = 0, ends = performance.now() + 4000;
    const seen = new MutationObserver(() => { messages++; });
    const manager = document.querySelector(selector);
    seen.observe(manager, { subtree: true, attributes: true, attributeFilter: ["data-status", "aria-label"] });
    const began = performance.now();
    await new Promise(done => {
        const tick = () => { frames++; performance.now() < ends ? requestAnimationFrame(tick) : done(); };
        requestAnimationFrame(tick);
    });
    seen.disconnect();
    return [frames / (performance.now() - began) * 1000, messages / (performance.now() - began) * 1000];
}"""
SLOW = """
import time
from nbgraph import Graph
graph = Graph("slow")
graph.to(lambda body: time.sleep(0.001) or body, "s0")
graph.step("s0").cycle_to("s0", max_iterations=1_000_000)
from nbgraph.widgets.debugger import DebugWidget
DebugWidget(graph.debug(0))
"""
PAUSES = """async ([selector, times]) => {
    const panel = document.querySelector(selector), found = [];
    const buttons = [...panel.querySelectorAll("button")];
    const click = text => buttons.find(one => one.textContent === text && !one.hidden).click();
    const until = async test => { while (!test()) await new Promise(done => setTimeout(done, 1)); };
    for (let n = 0; n < times; n++) {
        click("Continue");
        await until(() => panel.querySelector(".nbg-busy"));
        await new Promise(done => setTimeout(done, 150));
        const began = performance.now();
        click("Pause");
        await until(() => !panel.querySelector(".nbg-busy"));
        found.push(performance.now() - began);
    }
    return found;
}"""


@dataclass(frozen=True)
class Figure:
    """One measured number, and what it should be."""

    what: str
    value: float
    unit: str
    goal: float
    is_at_least: bool = False

    @property
    def is_met(self) -> bool:
        return self.value >= self.goal if self.is_at_least else self.value <= self.goal

    def __str__(self) -> str:
        sign = "≥" if self.is_at_least else "≤"
        mark = "" if self.is_met else "   MISSED"
        return f"{self.what:<58}{self.value:>10,.1f} {self.unit:<10} goal {sign} {self.goal:,g}{mark}"


def graph_of(steps: int) -> Graph:
    """A graph with side branches, one in ten."""
    graph = Graph("large")
    ref = graph.to(len, "s0")
    for number in range(1, steps):
        before = ref if number % 10 else graph.step(f"s{number - 5}")
        ref = before.to(len, f"s{number}")
    return graph


def drawing(steps: int, goal: float) -> Figure:
    """Drawing in the kernel, layout and all, nothing kept from before; the median of nine."""
    graph, times = graph_of(steps), []
    for _ in range(9):
        laid_out.cache_clear()
        began = time.perf_counter()
        SyncedPicture(graph, "LR")
        times.append((time.perf_counter() - began) * 1000)
    return Figure(f"a picture of {steps:,} steps, drawn in the kernel", statistics.median(times), "ms", goal)


def sizes() -> Iterator[Figure]:
    """What a front end gets with every instance."""
    for widget in (GraphWidget, DebugWidget, BuilderWidget, DeploymentView):
        yield Figure(f"module of {widget.__name__}", len(widget._esm.encode()) / 1000, "kB", 60)


def frames(page: Any, lab: Lab, steps: int, goal: float) -> Iterator[Figure]:
    """First draw, then frames and updates a second while 1,000 statuses a second change."""
    page.evaluate(OPEN, lab.notebook(f"frames{steps}.ipynb", "0", GRAPH.format(steps=steps), BUSY))
    page.wait_for_selector(f"{CURRENT}.nbg-stage [data-step]")
    page.wait_for_selector(f'{CURRENT}[data-status="done"]')
    found, updates = page.evaluate(FRAMES, f"{CURRENT}.nbg-stage")
    yield Figure(f"frames while statuses change, {steps:,} steps", found, "frames/s", goal, is_at_least=True)
    yield Figure(f"updates of the page meanwhile, {steps:,} steps", updates, "messages/s", 30)
    page.wait_for_timeout(6_000)
    again = """async () => {
        const panel = window.jupyterapp.shell.currentWidget;
        panel.content.activeCellIndex = 1;
        const cell = panel.content.activeCell.node;
        const began = performance.now();
        const run = window.jupyterapp.commands.execute('notebook:run-cell');
        await new Promise(done => setTimeout(done, 30));
        while (!cell.querySelector('.nbg-stage [data-step]')) await new Promise(done => setTimeout(done, 2));
        const took = performance.now() - began;
        await run;
        return took;
    }"""
    took = page.evaluate(again)
    yield Figure(f"from running the cell to the picture, {steps:,} steps", took, "ms", 600 if steps <= 100 else 1_500)
    page.evaluate(CLOSE)


def pauses(page: Any, lab: Lab, times: int = 20) -> Figure:
    """From the click on Pause, while a run is under way, until the view says that it stands."""
    page.evaluate(OPEN, lab.notebook("pause.ipynb", SLOW))
    page.locator(f"{CURRENT}.nbg-standing", has_text="paused at s0").wait_for()
    found = page.evaluate(PAUSES, [".jp-NotebookPanel:not(.lm-mod-hidden)", times])
    page.evaluate(CLOSE)
    return Figure(f"a click on Pause, served during a run; median of {times}", statistics.median(found), "ms", 50)


@contextmanager
def lab_page() -> Iterator[tuple[Any, Lab]]:
    """A page of a JupyterLab with a folder of its own."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("No Chromium on this machine; install one: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        lab = Lab(Path(folder))
        try:
            browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
            page = browser.new_page(viewport={"width": 1100, "height": 700})
            page.set_default_timeout(60_000)
            page.goto(f"{lab.url}/lab?reset")
            page.wait_for_selector(".jp-Launcher")
            yield page, lab
            browser.close()
        finally:
            lab.stop()


def measured() -> Iterator[Figure]:
    """Every figure, as it is measured."""
    yield from (drawing(100, 40), drawing(1_000, 400))
    yield from sizes()
    with lab_page() as (page, lab):
        yield pauses(page, lab)
        yield from frames(page, lab, 100, 50)
        yield from frames(page, lab, 1_000, 30)


if __name__ == "__main__":
    for figure in measured():
        print(figure, flush=True)
