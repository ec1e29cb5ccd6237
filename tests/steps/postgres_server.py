"""A PostgreSQL server of a test's own: Debian's, on a free port of 127.0.0.1, its data in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import needs
from tests.steps.redis_server import free_port, wait_for

OWNER = "postgres"  # the server refuses to run as root


@contextmanager
def postgres_server() -> Iterator[str]:
    """The server's URL; the test is skipped where there is no server, or no driver."""
    initdb, postgres = _program("initdb"), _program("postgres")
    _raise_unless_driver()
    as_owner = ["runuser", "-u", OWNER, "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="nbgraph-postgres-", dir="/tmp") as folder:
        if as_owner:
            shutil.chown(folder, OWNER)
        data, port = f"{folder}/data", free_port()
        made = subprocess.run(
            [*as_owner, initdb, "-D", data, "-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            needs.give_up(f"initdb failed: {made.stderr.strip()[-300:]}")
        options = ["-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]
        process = subprocess.Popen(
            [*as_owner, postgres, *options], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(port)
            yield f"postgresql+psycopg://{OWNER}@127.0.0.1:{port}/{OWNER}"
        finally:
            process.terminate()
            process.wait(timeout=20)


def _program(name: str) -> str:
    places = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        needs.give_up("no PostgreSQL on this machine; install it: apt-get install postgresql")
    return found


def _raise_unless_driver() -> None:
    try:
        import psycopg  # noqa: F401
    except ImportError:
        needs.give_up('no driver of PostgreSQL; install it: pip install "psycopg[binary]"')
