"""Samples: kept in a readable file, run at each change."""

import datetime

import pytest

from nbgraph import Graph, NbgraphError
from nbgraph.debug.samples import Samples
from nbgraph.testing import assert_samples


def fraud(limit: float = 0.5) -> Graph:
    graph = Graph("fraud")
    graph.to("({**event, 'p': event['amount'] / 100})", "score")
    graph.add_step("({'risk': True})", "alert", after="score", when=f"event['p'] > {limit}")
    graph.add_step("({'risk': False})", "save", after="score", otherwise=True)
    graph.add_step("(event)", "answer", after=["alert", "save"])
    graph.step("answer").respond()
    return graph


@pytest.fixture
def samples(tmp_path) -> Samples:
    kept = Samples(tmp_path / "fraud.samples.yaml")
    kept.keep({"amount": 90}, answer={"risk": True}, name="large")
    return kept


def test_a_file_of_samples_can_be_read_by_people_and_gives_the_same_again(samples):
    at = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    samples.keep({"amount": 1, "at": at, "of": (1, 2)})
    text = samples.path.read_text()
    assert text.startswith("samples:\n- name: large\n  body:\n    amount: 90\n  answer:\n    risk: true\n")
    assert list(Samples(samples.path)) == list(samples)


def test_changed_answers_and_arrows_that_no_sample_takes_are_told(samples):
    samples.keep({"amount": "much"}, name="broken")
    found = samples.check(fraud(limit=0.95))
    assert str(found).splitlines() == [
        "0 of 2 samples are answered as they were kept.",
        "  - large: risk: true kept, false now",
        "  - broken: StepError: Step \"score\" failed: TypeError: unsupported operand type(s) for /: 'str' and 'int'",
        "No sample takes:",
        "  - score -> alert",
        "  - alert -> answer",
    ]


def test_a_trace_is_kept_with_its_event_and_answer_and_steps_remember_nothing_of_a_check(samples):
    graph = fraud()
    samples.keep(graph.trace({"amount": 10}), name="small")
    check = samples.check(graph)
    assert (samples[1].answer, check.equal, check.untaken) == (({"risk": False},), True, [])


def test_under_pytest_samples_are_asserted(samples):
    assert_samples(fraud(), samples.path)
    with pytest.raises(AssertionError, match="large: risk: true kept, false now"):
        assert_samples(fraud(limit=0.95), str(samples.path))
    with pytest.raises(NbgraphError, match="has no samples"):
        assert_samples(fraud(), "nowhere.yaml")


def test_names_are_used_once_and_other_files_are_refused(samples, tmp_path):
    with pytest.raises(NbgraphError, match='has a sample "large" already'):
        samples.keep(1, name="large")
    other = tmp_path / "other.yaml"
    other.write_text("- 1\n")
    with pytest.raises(NbgraphError, match="expected `samples:`"):
        Samples(other)
