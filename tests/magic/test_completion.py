"""Completion in the cells of `%%graph`, by the way that every front end asks for it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from nbgraph.deploy.operation.process_identity import born
from nbgraph.graph.documents.catalogue import PLACE, GraphCatalogue, RunningGraph


def completed(shell: Any, text: str) -> list[str]:
    from IPython.core.completer import provisionalcompleter

    with provisionalcompleter():
        return [one.text for one in shell.Completer.completions(text, len(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%%graph g\nclean -> sco", ["score"]),
        ("%%graph g\nfirst -> [clean, sco", ["score"]),
        ("%%graph g\nearlier -> clean\nclean -> earl", ["earlier"]),
        ("%%graph g\nclean -> Bat", ["Batch"]),
        ("%%graph g\nsave -> respo", ["respond"]),
        ("%%graph g\nclean -> score i", ["if"]),
        ("%%graph g\nclean -> score on", ["on error"]),
        ("%%graph g\nclean@audit -> score\nscore -> save@au", ["audit"]),
        ("%%graph g\nclean -> score if eve", ["event"]),
        ("%%graph g --max", ["--max-iterations"]),
        ("%%graph g --api\nDELE", ["DELETE"]),
        ("%%graph g --api\n* /internal/* -> for", ["forbid"]),
        ("%%graph g --api op", ["openai"]),
        ("%%graph g --deploy d", ["docker"]),
        ("%graph fraud --bu", ["--build"]),
        ("%graph fra", ["fraud"]),
    ],
)
def test_what_can_stand_there_is_offered(shell: Any, text: str, expected: list[str]) -> None:
    shell.run_cell("def score(x): return x\ndef clean(x): return x")
    shell.run_cell("%%graph fraud --hide\nclean -> score")
    assert expected[0] in completed(shell, text)


def test_steps_are_offered_within_20_ms(shell: Any) -> None:
    shell.run_cell("def score(x): return x")
    completed(shell, "%%graph g\nclean -> sco")
    begin = time.perf_counter()
    assert completed(shell, "%%graph g\nclean -> sco") == ["score"]
    assert time.perf_counter() - begin < 0.1  # 2 to 4 ms; the machine of a test may be busy


def test_python_keeps_its_own_completion(shell: Any) -> None:
    shell.run_cell("import math")
    assert "sqrt" in " ".join(completed(shell, "%%graph g\nx = math.sq"))


def test_what_runs_is_offered_to_be_called(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLACE, str(tmp_path))
    owner = (os.getpid(), born(os.getpid()))
    for name in ("scoring", "rates"):
        told = RunningGraph(name=name, graph="models", version="1", target="process", url="http://[::1]:9", owner=owner)
        GraphCatalogue(tmp_path).enter(told)
    found = [completed(shell, f"%%graph g\n{text}") for text in ('Deployed("sc', 'clean -> Deployed("')]
    assert found == [["scoring"], ["models", "rates", "scoring"]]
