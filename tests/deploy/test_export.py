"""The exported folder."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from nbgraph import Graph
from nbgraph.deploy.wheel import own_wheel, wheel_of
from nbgraph.errors import ExportError
from tests.lab.notebook import Notebook


@pytest.fixture
def graph() -> Graph:
    notebook = Notebook()
    notebook.cell("from nbgraph import Graph\nLIMITS = list(range(1000))")
    notebook.cell("def check(body):\n    return body in LIMITS\n\ng = Graph('Fraud $1')\n_ = g.to(check).respond()")
    found: Graph = notebook["g"]
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_project_is_whole_and_the_same_again(graph: Graph, tmp_path: Path) -> None:
    export = graph.export(tmp_path / "one")
    again = graph.export(tmp_path / "two")
    assert contents(export.folder) == contents(again.folder)
    assert (export.digest, export.files) == (again.digest, again.files)
    (wheel,) = (export.folder / "runtime").glob("nbgraph-*.whl")
    assert sorted(export.files) == sorted([
        ".dockerignore", "Dockerfile", "README.md", "artifacts.json", "artifacts/LIMITS.json", "compose.yaml",
        "graph.yaml", "handlers.py", "nbgraph.json", "requirements.txt", f"runtime/{wheel.name}",
        "runtime/requirements.txt", "wheels/README.txt",
    ])  # fmt: skip
    assert sorted(tmp_path.iterdir()) == [tmp_path / "one", tmp_path / "two"]


def test_the_compose_file_holds_the_profile(graph: Graph, tmp_path: Path) -> None:
    graph.export(tmp_path / "x")
    service = yaml.safe_load((tmp_path / "x" / "compose.yaml").read_text())["services"]["fraud-1"]
    assert service | {"labels": 0, "logging": 0, "image": 0} == {
        "build": ".", "image": 0, "ports": ["127.0.0.1:8080:8080"], "user": "10001:10001", "read_only": True,
        "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "tmpfs": ["/tmp:noexec,nosuid,nodev,size=64m"],
        "pids_limit": 256, "mem_limit": "1024m", "init": True, "restart": "unless-stopped",
        "stop_grace_period": "30s", "logging": 0, "labels": 0,
    }  # fmt: skip
    assert service["labels"]["nbgraph.graph"] == "Fraud $$1"


def test_a_second_export_replaces_the_first_and_nothing_else(graph: Graph, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    graph.export(folder)
    (folder / "notes.txt").write_text("mine")
    (folder / "artifacts" / "LIMITS.json").write_text("changed")
    smaller = Graph("small")
    smaller.to("(event)", "same").respond()
    export = smaller.export(folder)
    assert set(contents(folder)) == {*export.files, "notes.txt"}
    assert "artifacts.json" not in export.files
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_folder_of_somebody_else_is_left_alone(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ExportError, match="is not empty and was not written by an export"):
        graph.export(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_graph_that_cannot_leave_leaves_no_folder(tmp_path: Path) -> None:
    graph = Graph("g")
    with open(os.devnull) as handle:
        graph.to(handle.write, "write")
        with pytest.raises(ExportError, match="is an open file"):
            graph.export(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_targets_of_later(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r'Target "swarm" can.t be written yet'):
        graph.export(tmp_path / "x", target="swarm")
    with pytest.raises(ExportError, match='There is no target "balloon"'):
        graph.export(tmp_path / "x", target="balloon")


def test_hostile_names_stay_in_their_place(tmp_path: Path) -> None:
    graph = Graph('"; RUN evil\n"""')
    graph.to("(event)", "same").respond()
    export = graph.export(tmp_path / "x")
    docker = (export.folder / "Dockerfile").read_text().splitlines()
    assert [line for line in docker if line.startswith("RUN evil")] == []
    ast.parse((export.folder / "handlers.py").read_text())
    assert yaml.safe_load((export.folder / "compose.yaml").read_text())["services"].keys() == {"run-evil"}
    assert json.loads((export.folder / "nbgraph.json").read_text())["graph"] == graph.name


def test_the_worker_runs_from_the_folder_with_its_own_wheel_alone(graph: Graph, tmp_path: Path) -> None:
    export = graph.export(tmp_path / "x")
    with zipfile.ZipFile(next((export.folder / "runtime").glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "installed")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r})\n"
        "from pathlib import Path; import nbgraph; from nbgraph.serve.project import load_project\n"
        f"print(nbgraph.__file__, load_project(Path({str(export.folder)!r})).run(5))"
    )
    told = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.split() == [str(tmp_path / "installed" / "nbgraph" / "__init__.py"), "True"]


def test_wheels_are_the_same_bytes_and_whole() -> None:
    name, content = own_wheel()
    assert own_wheel() == (name, content)
    assert wheel_of("PyYAML") == wheel_of("pyyaml")


def test_a_bundled_wheel_installs(tmp_path: Path) -> None:
    name, content = wheel_of("starlette")
    (tmp_path / name).write_bytes(content)
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(tmp_path / "t"),
    ]
    subprocess.run([*install, str(tmp_path / name)], check=True, timeout=60, capture_output=True)
    assert (tmp_path / "t" / "starlette" / "routing.py").exists()
