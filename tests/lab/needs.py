"""Marks for tests that need a browser or a Docker daemon: skipped with the reason, but a failure in CI."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from functools import cache
from typing import NoReturn

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def needs_browser() -> pytest.MarkDecorator:
    return pytest.mark.usefixtures("a_browser")


def needs_docker() -> pytest.MarkDecorator:
    return pytest.mark.usefixtures("a_docker_daemon")


def needs_prometheus() -> pytest.MarkDecorator:
    return pytest.mark.usefixtures("a_prometheus")


def needs_compose() -> pytest.MarkDecorator:
    return pytest.mark.usefixtures("a_compose")


@cache
def compose() -> list[str] | None:
    """The command that reads compose.yaml: Docker's own, else the older program."""
    for command in (["docker", "compose"], ["docker-compose"]):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run([*command, "version"], capture_output=True, check=True, timeout=20)
            return command
    return None


@cache
def browser() -> str | None:
    """Where the browser is."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def docker_host() -> str:
    """Where the Docker daemon listens: in CI it is not at the usual place."""
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


@cache
def docker_problem() -> str | None:
    """Why the Docker daemon can't be used; None where it answers."""
    import docker

    try:
        client = docker.from_env(timeout=10)
        client.ping()
        client.close()
    except Exception as error:  # the SDK lets errors of requests and of the socket through as well
        return f"no Docker daemon answers: {error}"
    return None


def give_up(reason: str) -> NoReturn:
    """On CI a test that can't run has failed; elsewhere it is skipped."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
