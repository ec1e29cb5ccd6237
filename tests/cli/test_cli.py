"""The command line on a saved graph."""

import json
import subprocess
import sys
import time

import httpx
import pytest
import yaml

from nbgraph import Graph

HANDLERS = "def double(body):\n    return {'twice': body['x'] * 2}\n"


@pytest.fixture
def saved(tmp_path):
    graph = Graph("doubled")
    graph.to("double").respond()
    (tmp_path / "handlers.py").write_text(HANDLERS)
    return graph.save(tmp_path / "graph.yaml")


def nbgraph(*words, stdin=None):
    command = [sys.executable, "-m", "nbgraph.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=60)


def test_run_prints_the_answer(saved):
    assert json.loads(nbgraph("run", saved, '{"x": 21}').stdout) == {"twice": 42}


def test_run_reads_an_event_a_line(saved):
    done = nbgraph("run", saved, "-", stdin='{"x": 1}\n{"x": 2}\n')
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"twice": 2}, {"twice": 4}]


def test_an_event_that_fails_does_not_end_those_after_it(saved):
    done = nbgraph("run", saved, "-", "--json", stdin='{"x": 1}\n{"y": 2}\n{"x": 3}\n')
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"twice": 2}, {"twice": 6}]
    assert (done.returncode, done.stderr) == (1, "nbgraph: Step \"double\" failed: KeyError: 'x'\n")


def test_handlers_are_taken_from_modules_that_are_allowed(tmp_path):
    graph = Graph("read")
    graph.to("json.loads").to("beside.double").respond()
    (tmp_path / "beside.py").write_text("def double(number):\n    return number * 2\n")
    saved = graph.save(tmp_path / "graph.yaml")
    refused = nbgraph("run", saved, '"[4]"')
    answer = nbgraph("run", saved, '"4"', "--allow", "json", "--allow", "beside")
    assert ("may not import" in refused.stderr, refused.returncode, answer.stdout) == (True, 1, "8\n")


def test_draw_tells_the_graph_as_json(saved, tmp_path):
    told = json.loads(nbgraph("draw", saved, "--json").stdout)
    file = json.loads(nbgraph("draw", saved, "--to", tmp_path / "graph.dot", "--json").stdout)
    assert (told == Graph.load(saved, namespace={"double": len}).to_dict(), file) == (
        True,
        {"file": str(tmp_path / "graph.dot")},
    )


def test_draw_writes_a_picture_or_an_outline(saved, tmp_path):
    nbgraph("draw", saved, "--to", tmp_path / "graph.svg")
    outline = nbgraph("draw", saved).stdout
    assert ("<svg" in (tmp_path / "graph.svg").read_text(), "double" in outline) == (True, True)


def test_export_writes_a_project_that_runs(saved, tmp_path):
    nbgraph("export", saved, tmp_path / "project")
    assert json.loads(nbgraph("run", tmp_path / "project", '{"x": 3}').stdout) == {"twice": 6}


def test_export_reaches_every_target_with_its_options(saved, tmp_path):
    options = ["--target", "kubernetes", "--replicas", "doubled=3", "--registry", "registry.example.com"]
    told = nbgraph("export", saved, tmp_path / "x", *options).stdout
    scale = (tmp_path / "x" / "manifests" / "scale.yaml").read_text()
    images = (tmp_path / "x" / "manifests" / "functions" / "doubled.yaml").read_text()
    assert "not run on a cluster" in told
    assert ("minReplicas: 3" in scale, "image: registry.example.com/nbgraph/doubled:" in images) == (True, True)
    wrong = nbgraph("export", saved, tmp_path / "y", "--replicas", "many")
    assert "expected FUNCTION=NUMBER" in wrong.stderr
    wrong = nbgraph("deploy", saved, "--autoscale", "doubled=1:2")
    assert "expected FUNCTION=LEAST:MOST:TARGET" in wrong.stderr


def test_what_is_wrong_is_told_in_a_line(tmp_path):
    done = nbgraph("run", tmp_path / "missing.yaml", "1")
    assert (done.returncode, done.stderr.count("\n"), "missing.yaml" in done.stderr) == (1, 1, True)
    assert "No running deployment" in nbgraph("status", "nobody").stderr


@pytest.fixture
def hosted(saved, tmp_path):
    """The command that hosts the saved graph, still running, and what it told."""
    words = [sys.executable, "-m", "nbgraph.cli", "deploy", str(saved), "--target", "process", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as command:
        yield command, json.loads(command.stdout.readline())
        command.terminate()


def test_a_deployment_is_looked_after_from_another_terminal(hosted):
    command, told = hosted
    answer = httpx.post(told["url"], json={"x": 4}, trust_env=False).json()
    (row,) = json.loads(nbgraph("status", told["name"], "--json").stdout)
    assert (answer, row["function"], row["state"]) == ({"twice": 8}, "doubled", "running")
    assert "info: ready" in json.loads(nbgraph("logs", "doubled", "--json").stdout)
    (entry,) = [one for one in json.loads(nbgraph("catalog", "--json").stdout) if one["url"] == told["url"]]
    assert (entry["graph"], entry["where"], entry["version"]) == ("doubled", "process", row["version"])
    assert nbgraph("scale", "doubled", "doubled", 2).returncode == 0
    assert len(json.loads(nbgraph("status", told["name"], "--json").stdout)) == 2
    stopped = json.loads(nbgraph("stop", "doubled", "--json").stdout)
    assert (stopped, command.wait(30)) == ({"name": told["name"], "stopped": True}, 0)


def test_serve_is_what_a_container_does(saved, tmp_path):
    nbgraph("export", saved, tmp_path / "project", "--json")
    ready = tmp_path / "ready.json"
    words = ["serve", tmp_path / "project", "--port", 0, "--metrics-port", 0, "--ready-file", ready]
    with subprocess.Popen(
        [sys.executable, "-m", "nbgraph.cli", *map(str, words)], stderr=subprocess.DEVNULL
    ) as serving:
        deadline = time.monotonic() + 30
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        answer = httpx.post(f"http://127.0.0.1:{json.loads(ready.read_text())['port']}", json={"x": 1}, trust_env=False)
        serving.terminate()
    assert (answer.json(), serving.returncode) == ({"twice": 2}, 0)


def test_serve_runs_all_functions_of_a_saved_graph(tmp_path):
    graph = Graph("shared")
    graph.to("(event + 1)", "plus").to("Queue", "numbers").to("(event * 2)", "twice", function="other").respond()
    saved = graph.save(tmp_path / "graph.yaml")
    words = [sys.executable, "-m", "nbgraph.cli", "serve", str(saved), "--port", "0", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as serving:
        told = json.loads(serving.stdout.readline())
        answer = httpx.post(told["url"], json=20, trust_env=False).json()
        scaled = json.loads(nbgraph("scale", "shared", "other", 2, "--json").stdout)
        serving.terminate()
    assert (told["functions"], answer, scaled["replicas"], serving.returncode) == (["shared", "other"], 42, 2, 0)


def test_export_takes_what_deploy_takes(saved, tmp_path):
    (tmp_path / "prod.env").write_text("LEVEL=info\nREGION=eu\n")
    words = [
        "--env",
        "REGION=us",
        "--env-file",
        tmp_path / "prod.env",
        "--secret",
        "db",
        "--capture",
        "0.5",
        "--api-key",
    ]
    words += ["--resources", "doubled/cpus=0.5,memory=256m", "--volume", "models:/models:ro", "--name", "twice"]
    done = nbgraph("export", saved, tmp_path / "x", *words, "--port", "8001")
    service = yaml.safe_load((tmp_path / "x" / "compose.yaml").read_text())["services"]["doubled"]
    keys = ("environment", "secrets", "cpus", "mem_limit", "ports")
    assert (done.returncode, *(service[key] for key in keys), service["volumes"][1]["source"]) == (
        0,
        {"LEVEL": "info", "REGION": "us"},
        ["api_key", "db"],
        0.5,
        "256m",
        ["127.0.0.1:8001:8080"],
        "models",
    )


def test_deploy_tells_what_a_step_is_not_given(tmp_path):
    graph = Graph("asking")
    graph.to("ask").respond()
    (tmp_path / "handlers.py").write_text("def ask(body, context):\n    return context.secret('shop_key')\n")
    done = nbgraph("deploy", graph.save(tmp_path / "graph.yaml"), "--target", "process")
    assert (done.returncode, done.stderr.partition(", which")[0]) == (
        1,
        'nbgraph: Step "ask" asks for context.secret("shop_key")',
    )
