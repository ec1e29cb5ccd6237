"""The pictures of this folder, taken of the real views in a browser: `python -m docs.images.pictures`"""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas
from playwright.sync_api import sync_playwright

from nbgraph import Graph
from nbgraph.widgets.builder import BuilderWidget
from nbgraph.widgets.debugger import DebugWidget
from nbgraph.widgets.deployment import DeploymentView
from nbgraph.widgets.graph import GraphWidget
from tests.browser.conftest import FLAGS
from tests.browser.host import Host

HERE = Path(__file__).parent
FRAUD = """%%graph fraud
clean -> enrich -> score
score -> alert if event["p"] > 0.9
score -> save else
score -> dead_letter on error
save -> Queue("scored") -> report@reporting
save -> respond
"""


def clean(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "amount": float(body["amount"])}


def enrich(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "country": "NL"}


def score(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "p": round(min(1.0, 9 / (100 - body["amount"])), 2)}


def alert(body: dict[str, Any]) -> dict[str, Any]:
    return body


def save(body: dict[str, Any]) -> dict[str, Any]:
    return body


def report(body: dict[str, Any]) -> dict[str, Any]:
    return body


def dead_letter(body: dict[str, Any]) -> dict[str, Any]:
    return body


def history(body: dict[str, Any]) -> pandas.DataFrame:
    """The payments of a card, the newest last."""
    amounts = [(17 * number) % 230 + 0.5 for number in range(120)]
    return pandas.DataFrame({"card": body["card"], "amount": amounts, "country": ["NL", "DE", "FR"] * 40})


def unusual(payments: pandas.DataFrame) -> pandas.DataFrame:
    return payments[payments["amount"] > payments["amount"].mean() * 1.8]


def fraud() -> Graph:
    return Graph.parse(
        FRAUD, namespace={one.__name__: one for one in (clean, enrich, score, alert, save, report, dead_letter)}
    )


def live(context: Any) -> Host:
    """After some runs, one of which failed."""
    graph = fraud()
    host = Host(context, GraphWidget(graph))
    for amount in (10, 20, 35, 60, 100, 99, 5, 42):
        graph.run({"amount": amount, "card": "4111"})
    host.wait("dead_letter", "done")
    host.page.locator('[aria-label^="score "]').click()
    host.page.wait_for_selector(".nbg-panel .nbg-tabs")
    return host


def paused(context: Any) -> Host:
    """At a breakpoint, a DataFrame in the panel."""
    graph = Graph("cards")
    graph.to(clean).to(history).to(unusual).to(lambda found: {"unusual": len(found)}, "count").respond()
    debugger = graph.debug({"card": "4111", "amount": 12})
    debugger.break_at("unusual", when="len(event) > 100")
    host = Host(context, DebugWidget(debugger))
    host.page.get_by_role("button", name="Run to the next breakpoint").click()
    host.page.locator(".nbg-standing", has_text="paused at unusual").wait_for()
    host.page.wait_for_selector(".nbg-panel table")
    return host


def builder(context: Any) -> Host:
    host = Host(context, BuilderWidget(fraud()), ("picture", "breakpoints", "direction", "sheet", "offered"))
    host.page.locator('[data-step][aria-label^="score "]').click()
    host.page.wait_for_selector(".nbg-form")
    return host


def folded(context: Any) -> Host:
    """Two hundred steps in five functions, one of them open."""
    graph = Graph("nightly")
    ref = graph.to(str, "read")
    for number in range(1, 200):
        ref = ref.to(str, f"step {number}", function=["clean", "enrich", "score", "report", "archive"][number // 40])
    host = Host(context, GraphWidget(graph))
    graph.run("a")
    host.page.wait_for_selector('[aria-label^="score "][data-status="done"]')
    return host


def deployment(context: Any) -> Host:
    deployed = Graph.parse(
        '%%graph shop\nclean -> Queue("orders") -> score@scoring -> save@scoring -> respond', namespace=globals()
    ).deploy("process", replicas={"scoring": 2}, progress=False)
    host = Host(context, DeploymentView(deployed), ("picture", "about", "direction"))
    feeding = threading.Thread(target=lambda: [_asked(deployed, number) for number in range(150)])
    feeding.start()
    host.page.locator(".nbg-functions td", has_text="ms").nth(1).wait_for()
    host.page.wait_for_timeout(2_500)
    host.widget.deployment = deployed
    return host


def _asked(deployed: Any, number: int) -> None:
    try:
        deployed.invoke({"amount": 100 if number % 20 == 7 else number % 60, "card": "4111"})
    except Exception as error:  # those that fail are to be seen in the picture
        print(error)


PICTURES: dict[str, tuple[Callable[[Any], Host], str]] = {
    "live": (live, "light"), "dark": (live, "dark"), "debugger": (paused, "light"), "builder": (builder, "light"),
    "folded": (folded, "light"), "deployment": (deployment, "light"),
}  # fmt: skip


@contextmanager
def taken(browser: Any, make: Callable[[Any], Host], scheme: str) -> Iterator[Host]:
    background = "#fff" if scheme == "light" else "#111318"
    context = browser.new_context(viewport={"width": 1000, "height": 900}, device_scale_factor=1.5, color_scheme=scheme)
    host = make(context)
    host.page.evaluate("colour => { document.body.style.background = colour; }", background)
    host.page.mouse.move(999, 899)
    host.page.wait_for_timeout(500)
    yield host
    if isinstance(host.widget, DeploymentView):
        host.widget.deployment.stop()
    host.close()
    context.close()


def main(names: list[str]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=FLAGS)
        for name in names or PICTURES:
            with taken(browser, *PICTURES[name]) as host:
                host.page.locator(".nbg-root").screenshot(path=HERE / f"{name}.png")
            print(name, (HERE / f"{name}.png").stat().st_size // 1000, "kB", flush=True)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
