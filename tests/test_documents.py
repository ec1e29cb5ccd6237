"""The documents at the root: their links lead somewhere, and what they show runs."""

from __future__ import annotations

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
