"""The debugger's view in a real browser: buttons, keys, slider, edits, breakpoints with conditions."""

import pytest
from host import Host

from nbgraph import Graph
from nbgraph.widgets.debugger import DebugWidget


def add(body):
    return {**body, "p": body["amount"] / 100}


def check(body):
    if body["p"] > 1:
        raise ValueError("too much")
    return body


@pytest.fixture
def view(context):
    opened = []

    def show(events, **options) -> Host:
        graph = Graph("fraud")
        graph.to(add).to(check).to(str, "text").respond()
        host = Host(context, DebugWidget(graph.debug(events, **options)))
        opened.append(host)
        host.page.wait_for_selector(".nbg-panel .nbg-tabs")
        return host

    yield show
    for host in opened:
        host.close()


def standing(host: Host, text: str) -> None:
    host.page.locator(".nbg-standing", has_text=text).wait_for(timeout=20_000)


def test_stepping_forward_and_back(view):
    host = view({"amount": 50})
    standing(host, "paused at add")
    host.page.get_by_text("Next ▶").click()
    standing(host, "paused at check")
    host.wait("add", "done")  # what the picture shows comes with the next frame of the browser
    host.wait("check", "paused")
    host.page.keyboard.press("F8")
    standing(host, "finished")
    host.page.get_by_text("◀ Back").click()
    standing(host, "paused at text")


def test_the_slider_shows_any_frame_and_the_diff(view):
    host = view({"amount": 50})
    host.page.get_by_role("button", name="Run to the next breakpoint").click()
    standing(host, "finished")
    host.page.get_by_label("Time: frames of the run").fill("0")
    host.page.get_by_role("tab", name="diff").click()
    host.page.wait_for_selector(".nbg-diff")
    row = host.page.locator(".nbg-diff tbody tr").first.text_content()
    host.page.get_by_text("Go back to here").click()
    standing(host, "paused at add")
    assert row == "pnothing0.5"


def test_an_error_then_another_input_then_on(view):
    host = view({"amount": 500})
    host.page.get_by_role("button", name="Run to the next breakpoint").click()
    standing(host, "too much")
    assert "ValueError: too much" in host.page.locator(".nbg-panel pre").text_content()
    host.page.get_by_text("◀ Back").click()
    standing(host, "paused at check")
    host.page.get_by_text("Change the input and go on from here").click()
    host.page.get_by_label("Change the input and go on from here").first.fill("{**event, 'p': 0.25}")
    host.page.get_by_role("button", name="Change the input").click()
    host.page.get_by_label("Line of the run").wait_for()
    host.page.get_by_role("button", name="Run to the next breakpoint").click()
    standing(host, "finished")
    assert host.widget.debugger.answer == "{'amount': 500, 'p': 0.25}"


def test_another_output_is_a_fork_and_breakpoints_and_pins_outlive_the_debugger(view):
    host = view({"amount": 50})
    host.page.get_by_text("Next ▶").click()
    standing(host, "paused at check")
    host.page.locator('[aria-label^="add "]').click()
    host.page.get_by_text("Change the output and go on from here").click()
    host.page.get_by_label("Change the output and go on from here").first.fill("{'p': 0.75}")
    host.page.get_by_role("button", name="Change the output").click()
    host.page.get_by_label("Line of the run").wait_for()
    host.widget.receive({"kind": "break", "step": "n1", "on": True, "when": "event['p'] == 0.75"})
    host.widget.session.do("pin", "add", "{'p': 0.5}").result(5)
    host.page.get_by_role("button", name="Run to the next breakpoint").click()
    standing(host, "finished")
    again = DebugWidget(host.widget.graph.debug({"amount": 1}))
    kept = (again.debugger.breakpoints["check"].text, again.debugger.pins, host.widget.debugger.answer)
    again.close()
    assert kept == ("event['p'] == 0.75", {"add": {"p": 0.5}}, "{'p': 0.75}")


def test_into_a_router_stands_before_each_route_and_over_takes_it_as_one(context):
    graph = Graph("routes")
    graph.to("ParallelRun", "both", routes={"up": str.upper, "size": len}, executor_type="array").to(str, "text")
    host = Host(context, DebugWidget(graph.debug("abc")))
    host.page.wait_for_selector(".nbg-panel .nbg-tabs")
    host.page.get_by_role("button", name="Into").click()
    standing(host, "paused at up in both")
    host.page.keyboard.press("]")
    standing(host, "paused at size in both")
    host.page.get_by_role("tab", name="routes").click()
    host.page.locator(".nbg-sheet summary", has_text="up").wait_for()
    values = host.page.locator(".nbg-sheet .nbg-value").all_text_contents()
    host.page.get_by_role("tab", name="break").click()
    host.page.get_by_role("button", name="Set the breakpoint").click()
    host.page.keyboard.press("[")
    standing(host, "paused at up in both")
    host.page.get_by_text("◀ Back").click()
    standing(host, "paused at both")
    host.page.keyboard.press("F8")
    standing(host, "paused at size in both")
    host.page.get_by_text("|◀").click()
    standing(host, "paused at both")
    host.page.keyboard.press("F10")
    standing(host, "paused at text")
    host.page.locator(".nbg-count", has_text="1").wait_for()
    host.page.keyboard.press("[")
    host.page.locator(".nbg-count").wait_for(state="detached")
    assert values == ['"abc"', '"ABC"']
    host.close()


def test_a_breakpoint_with_a_condition(view):
    host = view({"amount": 50})
    host.page.locator('[aria-label^="check "]').click()
    host.page.get_by_role("tab", name="break").click()
    host.page.get_by_label("Condition").fill("event['p'] == 0.5")
    host.page.get_by_role("button", name="Set the breakpoint").click()
    host.page.wait_for_selector('[aria-label="Breakpoint on check"][aria-checked="true"]')
    host.page.get_by_role("button", name="Run to the next breakpoint").click()
    standing(host, "paused at check")


def test_a_watched_expression_follows_the_run(view):
    host = view({"amount": 50})
    host.page.get_by_label("Watch an expression").fill("event['amount'] * 2")
    host.page.keyboard.press("Enter")
    host.page.locator(".nbg-watch .nbg-number", has_text="100").wait_for()


def test_a_refused_condition_leaves_the_panel_as_it_is(view):
    host = view({"amount": 50})
    page = host.page
    page.locator('[aria-label^="check "]').click()
    page.get_by_role("tab", name="break").click()
    page.get_by_label("Condition").fill("event['p'] > ")
    page.get_by_role("button", name="Set the breakpoint").click()
    page.locator(".nbg-problem", has_text="not Python").wait_for()
    refused = page.locator(".nbg-panel h3").text_content(), page.get_by_label("Condition").input_value()
    page.get_by_label("Condition").fill("event['p'] == 0.5")
    page.get_by_role("button", name="Set the breakpoint").click()
    page.locator(".nbg-hint", has_text="held 0 times").wait_for()
    kept = page.locator(".nbg-panel h3").text_content(), list(host.widget.debugger.breakpoints)
    assert (refused, kept) == (("check", "event['p'] > "), ("check", ["check"]))


def test_a_refused_input_stays_in_its_editor(view):
    host = view({"amount": 50})
    page = host.page
    page.get_by_text("Change the input and go on from here").click()
    page.get_by_label("Change the input and go on from here").first.fill("{**event, 'amount': 9")
    page.get_by_role("button", name="Change the input").click()
    page.locator(".nbg-problem", has_text="SyntaxError").wait_for()
    assert page.get_by_label("Change the input and go on from here").first.input_value() == "{**event, 'amount': 9"


def test_a_pin_leaves_the_panel_at_its_step(view):
    host = view({"amount": 50})
    page = host.page
    page.get_by_text("Next ▶").click()
    standing(host, "paused at check")
    page.locator('[aria-label^="add "]').click()
    page.get_by_role("button", name="Pin this output").click()
    page.get_by_role("button", name="Unpin").wait_for()
    assert page.locator(".nbg-panel h3").text_content() == "add"


def test_only_the_step_it_stands_before_is_paused(context):
    graph = Graph.parse("%%graph fork\na -> b if event > 5\na -> c else\n", namespace={"a": int, "b": int, "c": int})
    host = Host(context, DebugWidget(graph.debug(10)))
    host.page.get_by_text("Next ▶").click()
    host.wait("b", "paused")
    host.page.get_by_text("◀ Back").click()
    host.wait("a", "paused")
    back = host.status("b")
    host.widget.session.do("input", text="1").result(5)
    host.widget.session.do("continue").result(5)
    standing(host, "finished")
    host.wait("c", "done")
    states = [host.status(step) for step in "abc"]
    host.close()
    assert (back, states) == ("idle", ["done", "idle", "done"])


def test_the_slider_takes_the_picture_along_and_forks_have_theirs(view):
    host = view({"amount": 50})
    page, states = host.page, ("add", "check", "text")
    page.get_by_role("button", name="Run to the next breakpoint").click()
    standing(host, "finished")
    host.wait("text", "done")
    page.get_by_label("Time: frames of the run").fill("1")
    host.wait("text", "idle")
    past = [host.status(step) for step in states]
    page.get_by_label("Time: frames of the run").fill("2")
    host.wait("text", "done")
    host.widget.session.do("to", index=1).result(5)
    host.widget.session.do("input", text="{'p': 0.25}").result(5)
    standing(host, "paused at check")
    host.wait("check", "paused")
    page.get_by_label("Line of the run").select_option(label="fork 1 from check, 3 frames")
    host.wait("check", "done")
    assert past == ["done", "done", "idle"]


def test_the_panel_is_docked_sized_and_maximised_by_key(view):
    host = view({"amount": 50})
    page, panel = host.page, host.page.locator(".nbg-panel")
    heights = [panel.bounding_box()["height"]]
    page.get_by_label("Size of the panel").focus()
    page.keyboard.press("ArrowDown")
    heights.append(panel.bounding_box()["height"])
    page.keyboard.press("m")
    is_whole = not page.locator(".nbg-stage").is_visible()
    page.keyboard.press("?")
    listed = page.locator(".nbg-keys", has_text="undo the last move").is_visible()
    page.get_by_role("button", name="Panel below the picture or beside it").click()
    page.get_by_role("button", name="Give the panel all the room").click()
    sides = panel.bounding_box()["x"] > page.locator(".nbg-stage").bounding_box()["x"]
    page.get_by_role("button", name="Panel below the picture or beside it").click()
    assert (heights[1] - heights[0], is_whole, listed, sides) == (24, True, True, True)


def test_what_a_step_printed_has_its_tab(view):
    graph = Graph("loud")
    graph.to(lambda body: print("got", body) or body, "say")
    host = Host(view({"amount": 1}).page.context, DebugWidget(graph.debug(3)))
    host.page.get_by_text("Next ▶").click()
    host.page.get_by_role("tab", name="printed").click()
    text = host.page.locator(".nbg-panel pre").text_content()
    host.close()
    assert text == "got 3\n"
