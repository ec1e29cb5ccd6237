"""A watched run: where drift begins, the very events, alerts that steps handle, labels, sampling."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph, NbgraphError
from nbgraph.monitor import Backlog, Baseline, Drift, Errors, Latency, Missing, Quality, Rule, Unseen
from tests.monitor.graphs import payments, scoring


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return scoring().profile(payments(5000), every=500)


def pushed(graph: Graph, rows: list[Any]) -> Any:
    """The run of a graph, closed, after all rows."""
    with graph.start() as run:
        for number, row in enumerate(rows):
            run.push(row, id=f"e-{number}")
    return run


def test_a_stream_becomes_a_baseline_of_every_edge(baseline: Baseline) -> None:
    assert (list(baseline), baseline["clean -> score"].events, baseline["clean -> score"]["amount"].mean) == (
        ["-> clean", "clean -> score", "score ->"],
        5000,
        pytest.approx(60, rel=0.05),
    )


def test_nothing_drifts_where_all_is_as_it_was(baseline: Baseline) -> None:
    graph = scoring()
    graph.monitor(baseline, every=500, share=1.0)
    run = pushed(graph, payments(3000, seed=1))
    found = run.monitor.drift()
    assert (len(found), found["drifted"].any(), run.monitor.alerts) == (6 * 6, False, [])


def test_drift_is_named_where_it_begins_and_opens_there(baseline: Baseline) -> None:
    graph = scoring(since=1000)
    graph.monitor(baseline, every=500, share=1.0, rules=[Drift()])
    run = pushed(graph, payments(3000, seed=2))
    found = run.monitor.drift()
    alert = next(one for one in run.monitor.alerts if one.at == "clean -> score")
    debugger = graph.debug(alert.events()[0])
    assert (
        sorted(set(found[found["drifted"]].edge)),
        set(found[found["first"]].edge),
        alert.state,
        alert.since,
        debugger.current.step,
        debugger.current.input["amount"] > 100,
        debugger.resume()["p"],
    ) == (["clean -> score", "score ->"], {"clean -> score"}, "firing", 1000.0, "score", True, 1.0)


def test_an_alert_is_an_event_that_steps_handle(baseline: Baseline) -> None:
    told: list[Any] = []
    graph = scoring(since=1000)
    graph.alert_handler(
        lambda alert: told.append(("score", alert["at"], alert["state"])),
        "retrain",
        at="score",
        when='event["field"] == "amount"',
    )
    graph.alert_handler(lambda alert: told.append(("all", alert["at"], alert["state"])), "page")
    graph.monitor(baseline, every=500, share=1.0, rules=[Drift()])
    pushed(graph, payments(3000, seed=2))
    edges = ["clean -> score", "score ->"]
    assert sorted(told) == sorted(
        [("all", edge, state) for edge in edges for state in ("pending", "firing")]
        + [("score", edges[0], state) for state in ("pending", "firing")]
    )


def test_an_alert_is_resolved_after_three_good_windows_and_a_silent_one_is_told_to_nobody(baseline: Baseline) -> None:
    told: list[str] = []
    graph = scoring()
    graph.alert_handler(lambda alert: told.append(alert["state"]), "page")
    graph.monitor(baseline, every=500, share=1.0, rules=[Missing(0.05)])
    with graph.start() as run:
        for row in payments(1000, seed=1, country=None):
            run.push(row)
        run.flush()
        for alert in run.monitor.alerts:
            if alert.at != "-> clean":
                alert.silence("1h")
        for row in payments(2000, seed=3):
            run.push(row)
    assert (sorted(told), {alert.state for alert in run.monitor.alerts}) == (
        ["firing", "firing", "firing", "resolved"],
        {"resolved"},
    )


def test_an_unseen_class_is_named(baseline: Baseline) -> None:
    graph = scoring()
    graph.monitor(baseline, every=1000, share=1.0, rules=[Unseen(0.01)], at="-> clean")
    run = pushed(graph, [*payments(900), *payments(100, country="XX")])
    (alert,) = run.monitor.alerts
    assert (alert.name, alert.value, "'XX'" in alert.text, alert.events()[0].event.body["country"]) == (
        "unseen",
        pytest.approx(0.1),
        True,
        "XX",
    )


def test_the_first_events_become_the_baseline() -> None:
    graph = scoring(since=2000)
    graph.monitor(warm_up=2000, every=500, share=1.0)
    with graph.start() as run:
        with pytest.raises(NbgraphError, match="first 2000 events become it"):
            run.monitor.profile()
        for row in payments(4000):
            run.push(row)
    found = run.monitor.drift()
    assert (run.monitor.baseline["-> clean"].events, set(found[found["first"]].edge)) == (2000, {"clean -> score"})


def test_labels_come_late_and_restate_their_window() -> None:
    p = [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1]
    y = [1, 0, 1, 1, 0, 0, 1, 0]
    graph = Graph("fraud")
    graph.to(lambda body: {"p": body["x"]}, "score").respond()
    graph.monitor(graph.profile([{"x": x} for x in p], every=8), every=8, score="p", share=1.0)
    run = pushed(graph, [{"x": x} for x in p])
    first = run.monitor.labels([(f"e-{n}", y[n], None) for n in range(4)])
    half = run.monitor.quality().iloc[0]
    again = run.monitor.labels([(f"e-{n}", y[n], None) for n in range(8)])
    whole = run.monitor.quality().iloc[0]
    assert (tuple(first), tuple(again), half.coverage, half.labels) == ((4, 0, 0), (4, 0, 4), 0.5, 4)
    assert (whole.accuracy, whole.auc, whole.log_loss, whole.brier, whole.ece, whole.estimated) == (
        pytest.approx((0.75, 0.6875, 0.645575, 0.225, 0.4, 0.75), abs=1e-6)
    )


def test_truth_may_come_through_the_graph() -> None:
    graph = Graph("fraud")
    graph.to(lambda body: body, "read")
    graph.step("read").to(lambda body: {"p": body["x"]}, "score", when='"x" in event').respond()
    graph.step("read").to("Label", "truth", id="of", label="fraud", when='"of" in event')
    graph.monitor(graph.profile([{"x": 0.5}] * 10, every=10), every=2, score="p", share=1.0)
    run = pushed(graph, [{"x": 0.9}, {"x": 0.2}, {"of": "e-0", "fraud": 1}, {"of": "e-1", "fraud": 0}])
    assert run.monitor.quality().iloc[0][["predictions", "labels", "accuracy"]].tolist() == [2, 2, 1.0]


def test_windows_of_the_clock(baseline: Baseline) -> None:
    graph = scoring()
    graph.monitor(baseline, every="1s", share=1.0)
    with graph.start() as run:
        for row in payments(300):
            run.push(row).result()
        time.sleep(1.3)
        for row in payments(300):
            run.push(row).result()
    found = run.monitor.drift(since="1m")
    assert (len(set(found.start)) >= 2, found[found.edge == "score ->"]["count"].sum()) == (True, 1200)


def test_what_a_step_changes_in_place_is_counted_as_it_was() -> None:
    graph = Graph("in place")
    graph.to(lambda body: body, "first").to(lambda body: body.update(x=-1.0) or body, "second").respond()
    base = graph.profile([{"x": 1.0} for _ in range(10)], every=10)
    assert [base[edge]["x"].mean for edge in base] == [1.0, 1.0, -1.0]


def test_redacted_fields_are_not_counted(tmp_path: Path) -> None:
    graph = scoring()
    graph.redacted = {"country"}
    baseline = graph.profile(payments(1000), every=100)
    graph.monitor(baseline, every=500, share=1.0)
    run = pushed(graph, payments(1000, amount=1e6, country="SECRET"))
    shown = [trace.event.body["country"] for alert in run.monitor.alerts for trace in alert.events()]
    content = baseline.save(tmp_path / "x.profile").read_bytes()
    assert (b"NL" in content, set(shown), "SECRET" in str([alert.body() for alert in run.monitor.alerts])) == (
        False,
        {"•••"},
        False,
    )


def test_beyond_its_share_fewer_events_are_looked_at(baseline: Baseline) -> None:
    graph = scoring()
    graph.monitor(baseline, every="1m", share=0.001)
    with graph.start() as run:
        for _ in range(5):
            for row in payments(2000):
                run.push(row)
            time.sleep(0.1)
        sampled = run.monitor.sampled
    profile = run.monitor.profile()["-> clean"]
    assert (sampled < 1, 0 < profile.events < 10_000, profile.passed > profile.events) == (True, True, True)


def test_an_unwatched_run_says_so() -> None:
    with scoring().start() as run, pytest.raises(NbgraphError, match="Nothing of graph"):
        run.monitor  # noqa: B018


def test_a_step_that_fails_with_an_alert_is_no_other_alert(baseline: Baseline) -> None:
    graph = scoring(since=500)
    graph.alert_handler(lambda alert: alert["nothing"], "page")
    graph.monitor(baseline, every=500, share=1.0, rules=[Drift(), Errors(0.01)])
    run = pushed(graph, payments(2000, seed=2))
    assert {alert.name for alert in run.monitor.alerts} == {"drift"}


def test_queues_and_async_steps_are_watched() -> None:
    async def double(body: dict[str, float]) -> dict[str, float]:
        return {"x": body["x"] * 2}

    graph = Graph("both")
    graph.to(double, "double").to("Queue", "waiting").to(lambda body: body, "last").respond()
    graph.monitor(graph.profile([{"x": 1.0}, {"x": 3.0}] * 100, every=50), every=100, share=1.0)
    run = pushed(graph, [{"x": 1.0}, {"x": 3.0}] * 100)
    found = run.monitor.profile()
    assert {edge: (one.events, one["x"].mean) for edge, one in found.items()} == {
        "-> double": (200, 2.0),
        "double -> waiting": (200, 4.0),
        "waiting -> last": (200, 4.0),
        "last ->": (200, 4.0),
    }


def test_steps_that_fail_or_take_long_are_alerts(baseline: Baseline) -> None:
    graph = Graph("fraud")
    graph.to(lambda body: body, "clean").to(lambda body: 1 / body["amount"], "score").respond()
    graph.monitor(graph.profile(payments(500), every=100), every=100, share=1.0, rules=[Errors(0.01), Latency(p95=10)])
    run = pushed(graph, [*payments(100), *payments(100, amount=0.0)])
    assert [(alert.name, alert.at, alert.state) for alert in run.monitor.alerts] == [("errors", "score", "firing")]


def test_a_measure_that_is_too_low_is_an_alert_once_labels_are_there() -> None:
    graph = Graph("fraud")
    graph.to(lambda body: {"p": body["x"]}, "score").respond()
    baseline = graph.profile([{"x": 0.9}, {"x": 0.2}] * 200, every=100)
    graph.monitor(baseline, every=100, score="p", share=1.0, rules=[Quality("auc", below=0.8)])
    with graph.start() as run:
        for number in range(400):
            run.push({"x": 0.9 if number % 2 else 0.2}, id=f"e-{number}")
        run.flush()
        run.monitor.labels([(f"e-{number}", number % 3 == 0, None) for number in range(400)])
        for number in range(400, 500):
            run.push({"x": 0.5}, id=f"e-{number}")
    assert [(alert.name, alert.field, alert.state) for alert in run.monitor.alerts] == [("quality", "auc", "firing")]


def names_of(run: Any, state: str) -> set[tuple[str, str, str]]:
    return {(alert.name, alert.at, alert.field) for alert in run.monitor.alerts if alert.state == state}


def until(is_so: Callable[[], bool], seconds: float = 8.0) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_so()


def test_a_graph_in_which_nothing_comes_is_an_alert_by_the_clock() -> None:
    told: list[str] = []
    graph = Graph("quiet")
    graph.to(lambda body: body, "same").respond()
    graph.alert_handler(lambda alert: told.append(alert["state"]), "page")
    rule = Rule("event_rate < 5", over="1s")
    graph.monitor(every="1m", rules=[rule, Rule("event_rate > 1000000", over="1s")])
    with graph.start() as run:
        assert until(lambda: names_of(run, "firing") == {("rule", "", rule.expression)})
        stop = time.monotonic() + 8.0
        while not names_of(run, "resolved") and time.monotonic() < stop:
            run.push({"x": 1}).result()
            time.sleep(0.02)
    assert (names_of(run, "resolved"), told) == ({("rule", "", rule.expression)}, ["firing", "resolved"])


def test_events_that_wait_in_a_queue_are_an_alert_until_they_are_taken() -> None:
    graph = Graph("queued")
    graph.to(lambda body: body, "first").to("Queue", "waiting").to(lambda body: body, "last").respond()
    graph.monitor(every="1s", rules=[Backlog(5)])
    with graph.start() as run:
        run.hold("waiting")
        for number in range(20):
            run.push({"x": number})
        assert until(lambda: names_of(run, "firing") == {("backlog", "waiting", "")})
        value = run.monitor.alerts[0].value
        run.release("waiting")
        assert until(lambda: names_of(run, "resolved") == {("backlog", "waiting", "")})
    assert value > 5


def test_what_is_older_than_it_is_kept_goes(baseline: Baseline) -> None:
    graph = scoring()
    graph.monitor(baseline, every=100, keep="1s", share=1.0, score="p")
    with graph.start() as run:
        for pause in (1.1, 1.1, 0):
            for row in payments(300):
                run.push(row)
            run.flush()
            time.sleep(pause)
    counts = run.monitor.drift()["count"].sum() / 6, len(list(run.monitor.ledger.rows()))
    assert [0 < count < 900 for count in (*counts, run.monitor.profile()["-> clean"].events)] == [True] * 3


def test_a_profile_is_told_apart_by_segment(baseline: Baseline) -> None:
    graph = scoring()
    graph.monitor(baseline, every=500, share=1.0, segments=["country"])
    rows = payments(1000) + payments(500, country="XX", amount=7.0)
    run = pushed(graph, rows)
    dutch, other = (run.monitor.profile(segment={"country": name})["-> clean"] for name in ("NL", "other"))
    assert (dutch.events, dutch["country"].top, other.events, other["amount"].mean) == (
        sum(row["country"] == "NL" for row in rows),
        [("NL", dutch.events)],
        500,
        7.0,
    )
    assert run.monitor.profile()["-> clean"].events == 1500
    with pytest.raises(NbgraphError, match="country='BE' is not counted apart; those that came: DE, FR, NL, other"):
        run.monitor.profile(segment={"country": "BE"})
    with pytest.raises(NbgraphError, match="expected one field of the monitor's: country"):
        run.monitor.profile(segment={"amount": 1})
