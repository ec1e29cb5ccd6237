"""The view of a job in a browser: its strip grows, it stops and goes on, a failed row opens, anyone can read it."""

import time

import pytest
from host import Host

from nbgraph import Graph


def pause(x):
    time.sleep(0.004)
    return 1 / x


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setenv("NBGRAPH_JOBS", str(tmp_path / "home"))
    graph = Graph("inverse")
    graph.to(pause, "inverse")
    rows = [*range(-150, 350)]
    job = graph.job(rows, tmp_path / "out", engine="thread", workers=1, part_rows=50, progress=False)
    yield job
    job.stop()


def test_a_job_from_its_first_part_to_a_failed_row_in_the_debugger(context, job):
    host = Host(context, job.view(), ("told",), ".nbg-parts > i")
    page = host.page
    page.wait_for_selector(".nbg-part-done")
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector("text=stopped")
    stopped = page.locator(".nbg-part-done").count()
    page.get_by_role("button", name="Resume").click()
    page.wait_for_selector("text=· done")
    label = page.locator(".nbg-parts").get_attribute("aria-label")
    page.get_by_role("button", name="Failures").click()
    row = page.locator("details summary")
    row.wait_for()
    told = row.text_content()
    row.click()
    page.get_by_role("button", name="Debug").click()
    page.wait_for_selector("section.nbg-below div")
    assert (1 <= stopped < 10, label, told, page.get_by_role("button", name="Stop").count()) == (
        True, "10 parts: 9 done, 1 failed", "row 150  inverse  ZeroDivisionError: division by zero", 0,
    )  # fmt: skip
    host.close()
