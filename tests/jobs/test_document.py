"""What docs/jobs.md shows is so."""

from __future__ import annotations

import doctest
from pathlib import Path


def test_the_document_runs() -> None:
    path = Path(__file__).parents[2] / "docs" / "jobs.md"
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    text = path.read_text(encoding="utf-8").replace("```python\n", "\n").replace("```\n", "\n")
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, "jobs.md", str(path), 0)
    told: list[str] = []
    found = doctest.DocTestRunner(optionflags=flags).run(test, out=told.append)
    assert (found.failed, found.attempted > 10, "".join(told)) == (0, True, "")
