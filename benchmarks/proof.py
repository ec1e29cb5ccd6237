"""What a proof costs: the largest graph of each notebook is captured, beside what the notebook's cells have defined."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROUNDS = 3
NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
OUTSIDE = (".deploy(", "deployment.", "docker_answers", "httpx.")  # what cells name that reach out of the notebook


@dataclass(frozen=True)
class Cost:
    """`captured`: seconds for the text, the files and the proof; `proven`: the proof's own part of it."""

    graph: str
    captured: float
    proven: float
    bytes: int
    compared: str


def measure() -> dict[str, Cost]:
    """The cost by notebook, each in a process of its own."""
    found = {}
    for path in sorted(NOTEBOOKS.glob("0*.ipynb")):
        command = [sys.executable, "-m", "benchmarks.proof", path.name]
        told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=NOTEBOOKS.parent)
        found[path.stem] = Cost(**json.loads(told.stdout.splitlines()[-1]))
    return found


def cost_of(path: Path) -> Cost:
    """The cheapest of some rounds."""
    from IPython.core.interactiveshell import InteractiveShell

    from nbgraph import Graph
    from nbgraph.capture.project import attempt

    os.chdir(path.parent)
    shell = InteractiveShell.instance()
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code" and not any(word in text for word in OUTSIDE):
            shell.run_cell(text, store_history=True)
    graphs = [found for found in shell.user_ns.values() if isinstance(found, Graph)]
    graph = max(graphs, key=lambda found: len(found.steps))
    costs = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        project = attempt(graph)
        seconds, proof = time.perf_counter() - began, project.proof
        costs.append(Cost(graph.name, seconds, proof.seconds, proof.bytes, str(proof) if proof.is_equal else "UNEQUAL"))
    return min(costs, key=lambda cost: cost.captured)


if __name__ == "__main__":
    print("\n" + json.dumps(asdict(cost_of(NOTEBOOKS / sys.argv[1]))))
