"""Packages of every kind, installed in the image of a real Docker daemon; a base image that is not there."""

from __future__ import annotations

import hashlib
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph
from nbgraph.deploy.project.wheelhouse import fetched
from nbgraph.errors import DeployError
from tests.deploy.options.test_requirements import package
from tests.lab import needs
from tests.lab.notebook import Notebook

pytestmark = needs.needs_docker()


def graph() -> Graph:
    """Tells what is installed where it runs; of a notebook, so that this file and its packages do not go along."""
    notebook = Notebook()
    notebook.cell("from importlib.metadata import version\nfrom nbgraph import Graph")
    notebook.cell("def versions(body):\n    return [version(name) for name in body]")
    notebook.cell("g = Graph('versions')\n_ = g.to(versions).respond()")
    made: Graph = notebook["g"]
    return made


def repository(folder: Path) -> str:
    """A repository of git with a package in it."""
    root = package(folder, "fromgit", "0.7")
    me = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (["init", "-q"], ["add", "."], [*me, "commit", "-qm", "all"]):
        subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)
    return f"fromgit @ git+file://localhost{root}"  # pip wants a host


def test_a_folder_and_a_repository_are_installed(tmp_path: Path) -> None:
    given = [f"{package(tmp_path)}", repository(tmp_path)]
    with graph().deploy("docker", requirements=given, progress=False) as deployment:
        assert deployment.invoke(["mypack", "fromgit"]) == ["1.2", "0.7"]


def test_what_has_a_hash_is_held_to_it(tmp_path: Path) -> None:
    (six,) = fetched(["six==1.16.0"], {})
    right = hashlib.sha256(six.read_bytes()).hexdigest()
    with graph().deploy("docker", requirements=[f"six==1.16.0 --hash=sha256:{right}"], progress=False) as deployment:
        answer = deployment.invoke(["six"])
    with pytest.raises(DeployError, match="THESE PACKAGES DO NOT MATCH THE HASHES"):
        graph().deploy("docker", requirements=[f"six==1.16.0 --hash=sha256:{'0' * 64}"], progress=False)
    assert answer == ["1.16.0"]


def test_a_base_image_that_is_not_there_is_told_before_packages_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbgraph.deploy.project import wheelhouse

    def fetching(*words: Any, **options: Any) -> list[Path]:
        raise AssertionError("fetched first")

    monkeypatch.setattr(wheelhouse, "fetched_for", fetching)
    began = time.monotonic()
    with pytest.raises(DeployError, match=r'The base image "localhost:1/none:1" is not here and can\'t be pulled'):
        graph().deploy("docker", base_image="localhost:1/none:1", progress=False)
    assert time.monotonic() - began < 60
