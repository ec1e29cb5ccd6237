"""Real flights through two functions on Docker while parts of it die: `make faults` in small."""

from benchmarks.faults import Fault, run
from benchmarks.strikes import end_broker, kill_worker
from tests.lab import needs

pytestmark = needs.needs_docker()


def test_flights_outlive_a_killed_worker_and_a_restarted_broker() -> None:
    found = run("docker", Fault("in small", (kill_worker, end_broker), events=600))
    assert (found.lost, found.wrong, found.in_order) == ([], 0, True)
