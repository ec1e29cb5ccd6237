"""Targets: each folder tells about its own, and all that offers targets reads them there."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbgraph import Graph
from nbgraph.deploy.target import exports, host_target, hosts
from nbgraph.errors import DeployError, ExportError
from nbgraph.graph.facade import deploy_targets
from nbgraph.magic.completion import completions


def test_what_offers_targets_offers_those_that_folders_tell_of() -> None:
    offered = [name for name, _ in completions("%graph g --deploy ", 0, "%graph g --deploy ", {})[0]]
    assert (offered, deploy_targets()) == (list(hosts()), ["process", "docker"])


def test_an_unknown_target_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to("(event)").respond()
    with pytest.raises(DeployError, match=", ".join(hosts())):
        graph.deploy("moon", progress=False)
    with pytest.raises(ExportError, match=", ".join(exports())):
        graph.export(tmp_path / "x", "moon")


@pytest.mark.parametrize("name", ["process", "docker"])
def test_a_target_refuses_what_it_has_no_use_for(name: str) -> None:
    graph = Graph("g")
    graph.to("(event)").respond()
    with pytest.raises(DeployError, match="asks no registry"):
        graph.deploy(name, registry="registry.example.com", progress=False)
    assert not host_target(name).takes_registry
