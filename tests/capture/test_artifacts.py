"""Values in files."""

from __future__ import annotations

import json
import subprocess

import pytest

from nbgraph.capture.project import capture
from tests.capture.exports import Written, answers
from tests.lab.notebook import Notebook


def test_values_take_the_plainest_format(notebook: Notebook, written: Written) -> None:
    notebook.cell("import numpy as np, pandas as pd, datetime\nfrom collections import Counter")
    notebook.cell("""
        A, B, C, D = [0] * 3000, pd.DataFrame({"a": [1, None]}), np.ones((2, 2)), Counter("aab")
        def use(body): return [len(A), len(B), C.sum().item(), D["a"]]
        _ = g.to(use)
    """)
    project = capture(notebook["g"])
    rows = json.loads(project.files["artifacts.json"])
    assert [(row["name"], row["format"]) for row in rows] == [
        ("A", "json"),
        ("B", "parquet"),
        ("C", "npy"),
        ("D", "pickle"),
    ]
    assert rows[2]["versions"].keys() == {"numpy"}
    assert answers(written(project), 0) == [[3000, 2, 4.0, 2]]


def test_an_artifact_that_was_tampered_with_is_not_read(notebook: Notebook, written: Written) -> None:
    notebook.cell("BIG = [0] * 3000\ndef use(body): return len(BIG)\n_ = g.to(use)")
    folder = written(capture(notebook["g"]))
    (folder / "artifacts" / "BIG.json").write_text("[1]")
    with pytest.raises(subprocess.CalledProcessError) as failure:
        answers(folder, 0)
    assert "artifacts/BIG.json is not the file that was exported" in failure.value.stderr
