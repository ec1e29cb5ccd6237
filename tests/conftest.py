"""Fixtures that every test may ask for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab import needs


@pytest.fixture(scope="session")
def a_browser() -> str:
    """The path of a Chromium."""
    return needs.browser() or needs.give_up("no Chromium on this machine; install one: apt-get install chromium")


@pytest.fixture(scope="session")
def a_docker_daemon() -> None:
    """A Docker daemon that answers."""
    if problem := needs.docker_problem():
        needs.give_up(problem)


@pytest.fixture(scope="session")
def a_compose() -> None:
    """A program that reads compose.yaml."""
    if needs.compose() is None:
        needs.give_up("neither `docker compose` nor `docker-compose` is here")


@pytest.fixture(scope="session")
def a_prometheus() -> None:
    """Prometheus and the tool that checks what it reads."""
    if missing := [name for name in ("prometheus", "promtool") if shutil.which(name) is None]:
        needs.give_up(f"not here: {', '.join(missing)} (Debian: apt-get install prometheus)")


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a Docker daemon is marked, so that it can run beside the others.

    Browser tests come last: Playwright leaves an event loop running on the thread that all tests share.
    """
    for item in items:
        if "a_docker_daemon" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.docker)
    items.sort(key=lambda item: "browser" in item.path.parts)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of this machine for itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed; on Debian: apt-get install openssl")
    found = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-out", str(found[0]), "-keyout", str(found[1]),
        ],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return found
