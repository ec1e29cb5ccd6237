"""What `import nbgraph` offers."""

from __future__ import annotations

import subprocess
import sys

import nbgraph


def test_every_name_is_there_and_known_to_completion() -> None:
    found = [name for name in nbgraph.__all__ if getattr(nbgraph, name) is not None]
    assert (found, set(found) <= set(dir(nbgraph))) == (nbgraph.__all__, True)


def test_names_of_upper_floors_are_loaded_when_asked_for() -> None:
    code = (
        "import sys, nbgraph; before = 'nbgraph.debug' in sys.modules; nbgraph.Trace;"
        "print(before, 'nbgraph.debug' in sys.modules, 'nbgraph.deploy' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.split() == ["False", "True", "False"]
