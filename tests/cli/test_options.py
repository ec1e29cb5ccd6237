"""Options of deployments: methods, records and the command line have the same ones, with the same defaults."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import typer
from msgspec.structs import asdict

from nbgraph import Deployment, Graph
from nbgraph.cli import app
from nbgraph.cli.options import DeployFlags, ExportFlags
from nbgraph.graph.deploy_options import DeployOptions, ExportOptions, UpdateOptions

GIVEN = """--target {target} --name shop --port 8123 --host 0.0.0.0 --replicas score=3 --threads score=2 --workers 2
--autoscale score=1:8:100 --env LEVEL=info --secret key --resources cpus=1.5 --volume /data:/data:ro
--cors https://shop.example --requirement scipy --index-url https://index.example/simple --base-image python:3.12
--include words.txt --snapshot --durability sync --streams kafka://host:9092 --capture 0.01
--registry r.example --json"""
MEANT: dict[str, Any] = {
    "name": "shop",
    "port": 8123,
    "host": "0.0.0.0",
    "replicas": {"score": 3},
    "threads": {"score": 2},
    "workers": 2,
    "autoscale": {"score": (1, 8, 100.0)},
    "env": {"LEVEL": "info"},
    "secrets": {"key": None},
    "resources": {"cpus": 1.5},
    "volumes": {"/data": "/data:ro"},
    "cors": ["https://shop.example"],
    "requirements": ["scipy"],
    "index_url": "https://index.example/simple",
    "base_image": "python:3.12",
    "include": ("words.txt",),
    "snapshot": True,
    "durability": "sync",
    "streams": "kafka://host:9092",
    "capture": 0.01,
    "registry": "r.example",
}


def parsed(command: str, *words: str) -> dict[str, Any]:
    """What the command is called with."""
    commands: Any = typer.main.get_command(app)
    found: dict[str, Any] = commands.commands[command].make_context(command, list(words)).params
    return found


def test_each_option_of_deploy_has_a_flag(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k3y\n")
    own = ["--version", "1.2", "--timeout", "60", "--key-file", str(tmp_path / "key")]
    files = [*own, "--certificate", "cert.pem", "--certificate-key", "key.pem"]
    flags = parsed(
        "deploy", "g.yaml", *GIVEN.format(target="process").split(), *files, "--timeout", "60", "--version", "1.2"
    )
    assert asdict(DeployFlags(**flags).options()) == MEANT | {
        "target": "process",
        "api_key": "k3y",
        "certificate": (Path("cert.pem"), Path("key.pem")),
        "version": "1.2",
        "timeout": 60,
        "progress": False,
    }


def test_each_option_of_export_has_a_flag() -> None:
    flags = parsed("export", "g.yaml", "out", *GIVEN.format(target="swarm").split(), "--api-key")
    assert asdict(ExportFlags(**flags).options()) == MEANT | {
        "folder": Path("out"),
        "target": "swarm",
        "api_key": True,
        "certificate": None,  # an export takes none
    }


def test_without_flags_the_defaults_are_those_of_the_methods() -> None:
    deployed = DeployFlags(**parsed("deploy", "g.yaml", "--target", "process")).options()
    exported = ExportFlags(**parsed("export", "g.yaml", "out")).options()
    assert (deployed, exported) == (DeployOptions(), ExportOptions(Path("out")))


METHODS: list[Any] = [(Graph.deploy, DeployOptions), (Graph.export, ExportOptions), (Deployment.update, UpdateOptions)]


@pytest.mark.parametrize(("method", "record"), METHODS, ids=lambda each: each.__name__)
def test_a_method_takes_the_fields_of_its_record(method: Any, record: Any) -> None:
    taken = list(inspect.signature(method).parameters.values())[1:]
    by_position = [one.name for one in taken if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert ([one.name for one in taken], by_position) == (
        list(record.__struct_fields__),
        list(record.__match_args__),
    )


def test_an_option_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r'deploy\(\) takes no "replica"; it takes target, replicas, '):
        Graph("g").deploy("process", replica=2)  # type: ignore[call-arg]
