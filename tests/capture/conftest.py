"""A notebook to capture from, and a folder to write projects into."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbgraph.capture.project import Project
from tests.capture.exports import Written
from tests.lab.notebook import Notebook


@pytest.fixture
def notebook() -> Notebook:
    found = Notebook()
    found.cell("from nbgraph import Graph\ng = Graph('g')")
    return found


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Puts a project into a folder."""

    def write(project: Project) -> Path:
        for path, content in project.contents().items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)
        return tmp_path

    return write
