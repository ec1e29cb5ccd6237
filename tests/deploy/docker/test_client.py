"""A Docker daemon that is started again, as for an upgrade: all comes back, and what waited goes on.

It is a daemon of the test's own in a network of its own, so that nobody else's containers are touched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.lab import needs
from tests.lab.upgrade import upgraded

WANTED = ("dockerd", "docker", "unshare", "setpriv", "ip")
pytestmark = [
    needs.needs_docker(),
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, WANTED)),
        reason=f"a second Docker daemon needs root and {', '.join(WANTED)}",
    ),
]


def test_all_comes_back_with_the_daemon_and_what_waited_is_answered() -> None:
    with upgraded().deploy("docker", name="upgraded-first", progress=False):
        pass  # its packages are fetched: the second daemon's network leads nowhere
    inside = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-m", "tests.lab.upgrade"]
    done = subprocess.run(["unshare", "-n", *inside], capture_output=True, text=True, check=False, timeout=180)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    if "does not run" in found:
        pytest.skip(f"a second Docker daemon does not run here: {found['does not run']}")
    assert found == {"problem": "", "answers": [10 * (n + 1) for n in range(8)], "states": ["running"]}
