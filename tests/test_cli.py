"""The command line on a saved graph."""

import json
import subprocess
import sys

import pytest

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


def test_what_is_wrong_is_told_in_a_line(tmp_path):
    done = nbgraph("run", tmp_path / "missing.yaml", "1")
    assert (done.returncode, done.stderr.count("\n"), "missing.yaml" in done.stderr) == (1, 1, True)
    assert "No running deployment" in nbgraph("status", "nobody").stderr
