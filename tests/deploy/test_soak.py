"""Workers, broker and gateway are killed while numbered events go through: `make soak` in small."""

from benchmarks.soak import soak


def test_the_history_of_a_deployment_under_kills_is_whole() -> None:
    found, growth, _ = soak(0.3, seed=11)
    assert (found.lost, found.wrong, found.in_order, growth.rows[-1]["backlog"]) == ([], 0, True, 0)
