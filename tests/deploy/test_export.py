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
from nbgraph.deploy.project.wheel import own_wheel, wheel_of
from nbgraph.errors import DeployError, ExportError
from nbgraph.steps import Queue
from tests.lab.notebook import Notebook

PROJECT = ["Dockerfile", "function.json", "graph.yaml", "handlers.py", "requirements.txt"]

MONITORING = [
    f"monitoring/{name}" for name in ("README.md", "grafana.json", "prometheus.yml", "rules.yml", "rules_test.yml")
]


@pytest.fixture
def graph() -> Graph:
    notebook = Notebook()
    notebook.cell("from nbgraph import Graph\nLIMITS = list(range(1000))")
    notebook.cell("def check(body):\n    return body in LIMITS\n\ng = Graph('Fraud $1')\n_ = g.to(check).respond()")
    found: Graph = notebook["g"]
    return found


@pytest.fixture
def parts() -> Graph:
    """Three functions, of which one has a package, one has data, and one has neither."""
    notebook = Notebook()
    notebook.cell("import yaml\nfrom nbgraph import Graph\nfrom nbgraph.steps import Queue\nRATES = list(range(2000))")
    notebook.cell("def read(body):\n    return yaml.safe_load(body)\n\ndef rate(body):\n    return RATES[body]\n")
    notebook.cell(
        "g = Graph('Orders')\n_ = g.to(read).to(Queue('fees', key='(event)', shards=4))"
        ".to(rate, function='rating').to('(event + 1)', 'add', function='adding').respond()"
    )
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
        ".dockerignore", ".env", "Dockerfile", "README.md", "artifacts.json", "artifacts/LIMITS.json", "compose.yaml",
        "graph.yaml", "handlers.py", *MONITORING, "nbgraph.json", "requirements.txt", f"runtime/{wheel.name}",
        "runtime/requirements.txt", "secrets.sh", "wheels/README.txt",
    ])  # fmt: skip
    assert sorted(tmp_path.iterdir()) == [tmp_path / "one", tmp_path / "two"]


def test_the_compose_file_holds_the_profile(graph: Graph, tmp_path: Path) -> None:
    graph.export(tmp_path / "x")
    service = yaml.safe_load((tmp_path / "x" / "compose.yaml").read_text())["services"]["fraud-1"]
    assert service | {"labels": 0, "logging": 0, "image": 0} == {
        "build": ".", "image": 0, "ports": ["127.0.0.1:8080:8080"], "user": "10001:10001", "read_only": True,
        "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "tmpfs": ["/tmp:noexec,nosuid,nodev,size=64m"],
        "pids_limit": 256, "mem_limit": "1024m", "memswap_limit": "1024m", "init": True, "restart": "unless-stopped",
        "stop_grace_period": "30s", "logging": 0, "labels": 0, "volumes": ["promised:/promised"],
        "command": ["--data", "/promised", "--data-sync"],
    }  # fmt: skip
    assert service["labels"]["nbgraph.graph"] == "Fraud $$1"


def test_each_function_has_a_folder_with_what_it_needs_alone(parts: Graph, tmp_path: Path) -> None:
    parts.export(tmp_path, replicas={"rating": 3})
    names = ["orders", "rating", "adding"]
    assert [sorted(path.name for path in (tmp_path / name).iterdir() if path.is_file() and path.name[0] != ".")
            for name in names] == [PROJECT, sorted([*PROJECT, "artifacts.json"]), PROJECT]  # fmt: skip
    assert [(tmp_path / name / "requirements.txt").read_text()[:6] for name in names] == ["PyYAML", "", ""]
    services = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"]
    assert {
        name: (service.get("ports"), service.get("deploy"), service["networks"], service["secrets"])
        for name, service in services.items()
    } == {
        "orders": (["127.0.0.1:8080:8080"], None, ["default", "queues"], ["broker_token"]),
        "rating": (None, {"replicas": 3}, ["default", "queues"], ["broker_token"]),
        "adding": (None, {"replicas": 1}, ["default", "queues"], ["broker_token"]),
        "broker": (None, None, ["queues"], ["broker_auth"]),
    }


def test_only_the_changed_function_gets_a_new_image(tmp_path: Path) -> None:
    def images(rate: str) -> dict[str, str]:
        graph = Graph("orders")
        graph.to("(event + 1)", "read").to(Queue("fees")).to(rate, "rate", function="rating").respond()
        graph.export(tmp_path)
        services = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"]
        return {name: service["image"] for name, service in services.items()}

    first, second = images("(event * 2)"), images("(event * 3)")
    assert {name for name, image in first.items() if second[name] != image} == {"rating"}


@pytest.mark.parametrize("target", ["compose", "swarm", "kubernetes", "nuclio"])
def test_the_same_bytes_again_and_no_secret_among_them(
    parts: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setenv("NBGRAPH_SECRETS", str(tmp_path / "secrets"))
    first = parts.export(tmp_path / "one", target)
    made = subprocess.run(
        ["sh", "secrets.sh"], cwd=first.folder, capture_output=True, text=True, check=True, timeout=20
    )
    again = parts.export(tmp_path / "two", target)
    secrets = {path.name: path.read_text() for path in Path(made.stdout.strip()).iterdir()}
    assert secrets.keys() == {"api_key", "broker_token", "broker_auth"}
    assert secrets["broker_auth"] == f'token: "{secrets["broker_token"]}"\n'
    assert len({len(secrets["api_key"]), 32}) == 1
    assert contents(first.folder) == contents(again.folder)
    assert not any(text.encode() in content for text in secrets.values() for content in contents(first.folder).values())


def test_every_target_means_the_same_containers(parts: Graph, tmp_path: Path) -> None:
    for target in ("compose", "swarm", "kubernetes"):
        parts.export(tmp_path / target, target)
    composed = yaml.safe_load((tmp_path / "compose" / "compose.yaml").read_text())["services"]
    swarmed = yaml.safe_load((tmp_path / "swarm" / "stack.yaml").read_text())["services"]
    for name in ("orders", "rating", "adding"):
        text = (tmp_path / "kubernetes" / "manifests" / "functions" / f"{name}.yaml").read_text()
        (container,) = next(yaml.safe_load_all(text))["spec"]["template"]["spec"]["containers"]
        options = composed[name]["command"]
        assert [composed[name]["image"]] * 2 == [swarmed[name]["image"], container["image"]]
        assert (swarmed[name]["command"][-4:], container["args"][-len(options) :]) == (options[:4], options)
        assert options[4:] == (["--data", "/promised", "--data-sync"] if name == "orders" else [])
        megabytes = int(swarmed[name]["deploy"]["resources"]["limits"]["memory"]) // 2**20
        limits = composed[name]["mem_limit"], container["resources"]["limits"]["memory"]
        assert limits == (f"{megabytes}m", f"{megabytes}Mi")


def test_secrets_are_made_once_and_for_their_owner(parts: Graph, tmp_path: Path) -> None:
    parts.export(tmp_path / "x")
    environment = {**os.environ, "NBGRAPH_SECRETS": str(tmp_path / "secrets")}
    seen = []
    for _ in range(2):
        subprocess.run(["sh", "secrets.sh"], cwd=tmp_path / "x", env=environment, check=True, timeout=20)
        seen.append(contents(tmp_path / "secrets" / "orders"))
    assert (seen[0] == seen[1], oct((tmp_path / "secrets" / "orders").stat().st_mode)[-3:]) == (True, "700")


def test_a_second_export_replaces_the_first_and_nothing_else(graph: Graph, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    graph.export(folder, target="kubernetes")
    (folder / "notes.txt").write_text("mine")
    (folder / "fraud-1" / "artifacts" / "LIMITS.json").write_text("changed")
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "balloon"}, 'There is no target "balloon"'),
        ({"replicas": {"orders": 2}}, "one port"),
        ({"replicas": {"rating": 5}}, r'"rating" can have 1 to 4 workers; 5 were asked for'),
        ({"replicas": {"ratings": 1}}, 'replicas names "ratings"'),
        ({"autoscale": {"rating": (1, 4, 10)}}, "does not scale by itself"),
        ({"target": "kubernetes", "autoscale": {"rating": (1, 9, 10)}}, "1 to 4 workers; 9 were asked for"),
        ({"target": "kubernetes", "autoscale": {"rates": (1, 2, 10)}}, 'autoscale names "rates"'),
    ],
)
def test_what_cannot_be_is_said_and_leaves_no_folder(
    parts: Graph, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises((ExportError, DeployError), match=message):
        parts.export(tmp_path / "x", **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["broker", "manifests"])
def test_names_that_an_export_needs_itself(tmp_path: Path, name: str) -> None:
    graph = Graph("g")
    graph.to("(event)", "a").to("(event)", "b", function=name)
    with pytest.raises(ExportError, match=f'A function is called "{name}", which is'):
        graph.export(tmp_path / "x", "kubernetes")


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
    place = ["--target", str(tmp_path / "t"), str(tmp_path / name)]
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", *place]
    subprocess.run(install, check=True, timeout=60, capture_output=True)
    assert (tmp_path / "t" / "starlette" / "routing.py").exists()
