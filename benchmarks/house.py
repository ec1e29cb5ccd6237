"""House: the sizes of nbgraph's files, functions and folders. `python -m benchmarks.house`"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

PACKAGE = Path(__file__).parent.parent / "nbgraph"


def functions() -> Iterator[tuple[int, str]]:
    """The lines of each function, decorators left out, and where it is."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                yield lines, f"{path.relative_to(PACKAGE)}:{node.name}"


def files() -> Iterator[tuple[int, str]]:
    """The lines of each file; packages' `__init__.py` without code are no files to read."""
    for path in sorted(PACKAGE.rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > 3:
            yield lines, str(path.relative_to(PACKAGE))


def folders() -> Iterator[tuple[int, str]]:
    """The entries of each folder."""
    for folder in sorted({path.parent for path in PACKAGE.rglob("*.*") if "__pycache__" not in path.parts}):
        entries = [entry for entry in folder.iterdir() if entry.name != "__pycache__"]
        yield len(entries), str(folder.relative_to(PACKAGE.parent))


def line_of(what: str, found: list[tuple[int, str]]) -> str:
    """One line: how many there are, their median, 90th percentile and the largest three."""
    sizes = [size for size, _ in found]
    largest = ", ".join(f"{name} {size}" for size, name in sorted(found, reverse=True)[:3])
    return f"{what}: {len(sizes)}, median {median(sizes):g}, 90 % below {quantiles(sizes, n=10)[-1]:.0f}; {largest}"


def scars() -> Counter[str]:
    """How often a checker was told to look away."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    return Counter({mark: text.count(mark) for mark in ("type: ignore", "# noqa", "fmt: skip")})


if __name__ == "__main__":
    print(line_of("files", list(files())))
    print(line_of("functions", list(functions())))
    print(line_of("folders", list(folders())))
    print("silenced:", ", ".join(f"{mark} {count}" for mark, count in scars().items()))
