"""The documents at the root: their links lead somewhere, and what they show runs."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_the_graph_of_the_readme_runs() -> None:
    blocks = re.findall(r"```\w*\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    functions = next(block for block in blocks if "def clean" in block)
    cell = next(block for block in blocks if block.startswith("%%graph"))
    namespace: dict[str, Any] = {}
    exec(functions, namespace)
    fraud = Graph.parse(cell, namespace=namespace)
    assert fraud.run({"card": "c-7", "amount": "120"}) == "c-7: paid"


@pytest.mark.parametrize("title", ["A distributed pipeline", "An advanced serving graph"])
def test_the_migrations_run_as_they_are_told(title: str) -> None:
    text = (ROOT / "docs" / "from_mlrun_and_storey.md").read_text(encoding="utf-8")
    section = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
    assert failures_of(section, title) == []


def test_the_api_is_as_it_is_told() -> None:
    assert failures_of((ROOT / "docs" / "api.md").read_text(encoding="utf-8"), "api") == []


def test_the_features_are_as_they_are_told() -> None:
    assert failures_of((ROOT / "docs" / "features.md").read_text(encoding="utf-8"), "features") == []


def test_reuse_is_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBGRAPH_CATALOG", "")  # the document has one of its own
    assert failures_of((ROOT / "docs" / "reuse.md").read_text(encoding="utf-8"), "reuse") == []


def failures_of(section: str, title: str) -> list[str]:
    """What a document tells otherwise than it is: its blocks run one behind the other."""
    namespace: dict[str, Any] = {"Graph": Graph, "__name__": "__main__"}
    failures = []
    for kind, block in re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL):
        match kind:
            case "python":
                exec(block, namespace)
            case "yaml":
                namespace["spec"] = block
            case "graph":
                graph = Graph.parse(block, namespace=namespace)
                namespace[graph.name] = graph
            case _:
                told: list[str] = []
                examples = doctest.DocTestParser().get_doctest(block, namespace, title, None, None)
                doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=told.append, clear_globs=False)
                namespace |= examples.globs
                failures += told
    return failures
