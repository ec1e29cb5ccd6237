"""Projects that the tests write, load and run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbgraph.capture.project import Project

Written = Callable[[Project], Path]


def answers(folder: Path, *bodies: Any) -> list[Any]:
    """What the project answers in a Python that knows nothing of this one."""
    code = (
        "import json, os, sys; from pathlib import Path; from nbgraph.serve.project import load_project\n"
        f"graph = load_project(Path({str(folder)!r}))\n"
        "print(json.dumps([graph.run(body) for body in json.loads(sys.argv[1])]), flush=True); os._exit(0)"
    )
    command = [sys.executable, "-I", "-c", code, json.dumps(bodies)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
