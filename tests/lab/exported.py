"""Exported: projects loaded in processes that know nothing of this one, all of them started from one that waits."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from nbgraph.capture.project import Project

SERVING = """
import os, sys, traceback
from pathlib import Path
from nbgraph.engine.compile import bind
from nbgraph.errors import StepError
from nbgraph.serve.project import load_project

def answer(graph, body):
    try:
        return graph.run(body)
    except StepError as error:
        return f"{error.step}: {type(error.__cause__).__name__}"

for line in sys.stdin:
    folder, bodies = eval(line)
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            graph = load_project(Path(folder))
            told = repr([answer(graph, body) for body in bodies])
        except BaseException as error:
            told = repr("".join(traceback.format_exception(error)))
        with os.fdopen(writing, "w") as out:
            out.write(told)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as found:
        told = found.read()
    os.wait()
    print(told.replace(chr(10), " "), flush=True)
"""


class Exported:
    """Asks a project for answers."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", SERVING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def answers(self, project: Project, *bodies: Any) -> Any:
        """The answers to the bodies, or the text of what went wrong."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            for path, content in project.contents().items():
                place = Path(folder) / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            self._process.stdin.write(f"{(folder, bodies)!r}\n")
            self._process.stdin.flush()
            told = self._process.stdout.readline()
        return eval(told)

    def close(self) -> None:
        self._process.communicate()
