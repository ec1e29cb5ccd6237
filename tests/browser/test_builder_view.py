"""The builder in a real browser: by palette, by drag, by form, by text."""

import pytest
from host import Host

from nbgraph import Graph
from nbgraph.widgets.builder import BuilderWidget

NAMES = ("picture", "breakpoints", "direction", "faults", "sheet", "offered")


def clean(body):
    """Make it clean."""
    return body


class Enrich:
    """Join a table."""

    def __init__(self, table, on="id"):
        self.table, self.on = table, on

    def do(self, body):
        return body


@pytest.fixture
def host(context):
    graph = Graph.parse("%%graph fraud\nclean -> respond\n", namespace={"clean": clean, "Enrich": Enrich})
    host = Host(context, BuilderWidget(graph), NAMES)
    yield host
    host.close()


def text(host: Host, part: str) -> None:
    host.page.wait_for_function("part => document.querySelector('.nbg-source').value.includes(part)", arg=part)


def test_a_step_from_the_palette_with_its_parameters(host):
    page = host.page
    page.locator('[data-step][aria-label^="clean "]').click()
    page.get_by_label("Search the palette").fill("join a tab")
    offer = page.get_by_role("button", name="Add Enrich")
    assert offer.evaluate("one => getComputedStyle(one, '::after').content") == "\"(table, on='id')\""
    offer.click()
    page.wait_for_selector('[data-step][aria-label^="Enrich "]')
    page.get_by_label("table", exact=True).fill("{7: 1}")
    page.keyboard.press("Tab")
    text(host, "Enrich(table={7: 1})")
    page.get_by_label("answers the caller").check()
    page.locator('[data-step][aria-label^="Enrich "] text', has_text="answers").wait_for()
    assert host.widget.graph.responder == "Enrich"


def test_an_arrow_is_dragged_and_gets_a_condition(host):
    page = host.page
    page.get_by_label("The graph as text").fill("%%graph fraud\nclean -> respond\nEnrich(1) -> len\n")
    page.get_by_role("button", name="Apply text").click()
    page.wait_for_selector('[data-step][aria-label^="Enrich "]')
    page.locator('[data-step][aria-label^="clean "]').drag_to(page.locator('[data-step][aria-label^="Enrich "]'))
    text(host, "clean -> Enrich")
    page.locator('[data-step][aria-label^="clean "]').click()
    page.get_by_label("When the arrow to Enrich is followed").select_option("if")
    page.get_by_label("Condition of the arrow to Enrich").fill("event > 1")
    page.keyboard.press("Tab")
    text(host, "if event > 1")


def test_undo_and_a_wrong_text(host):
    page = host.page
    page.locator('[data-step][aria-label^="clean "]').click()
    page.keyboard.press("Delete")
    page.wait_for_function("() => !document.querySelector('[data-step]')")
    page.get_by_role("button", name="Undo").click()
    page.wait_for_selector('[data-step][aria-label^="clean "]')
    page.get_by_label("The graph as text").fill("%%graph fraud\nclean -> ->\n")
    page.get_by_role("button", name="Apply text").click()
    page.locator(".nbg-problem", has_text="line 2").wait_for()
    assert page.get_by_label("The graph as text").input_value() == "%%graph fraud\nclean -> ->\n"


def test_a_refused_condition_stays_to_be_mended(host):
    page = host.page
    page.get_by_label("The graph as text").fill("%%graph fraud\nclean -> Enrich(1) -> respond\n")
    page.get_by_role("button", name="Apply text").click()
    page.locator('[data-step][aria-label^="clean "]').click()
    page.get_by_label("When the arrow to Enrich is followed").select_option("if")
    page.get_by_label("Condition of the arrow to Enrich").fill("event > ")
    page.keyboard.press("Enter")
    page.locator(".nbg-problem:not([hidden])").first.wait_for()
    refused = page.get_by_label("Condition of the arrow to Enrich").input_value()
    chosen = page.get_by_label("When the arrow to Enrich is followed").input_value()
    page.get_by_label("Condition of the arrow to Enrich").fill("event > 1")
    page.keyboard.press("Enter")
    text(host, "if event > 1")
    assert (refused, chosen) == ("event > ", "if")


def test_a_step_that_lacks_what_it_needs_is_marked(host):
    page = host.page
    page.get_by_label("The graph as text").fill("%%graph fraud\nclean -> Enrich(1)\nclean -> Late -> respond\n")
    page.get_by_role("button", name="Apply text").click()
    page.locator('[data-step][data-fault][aria-label^="Late "]').wait_for()
    assert page.locator("[data-fault]").count() == 1
