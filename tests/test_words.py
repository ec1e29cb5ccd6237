"""Names can be guessed: modules have words of the glossary or of the field, no class name stands twice."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from docs.diagrams import EVENT, FLOORS, drawing

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "nbgraph"
VOCABULARY = Path(__file__).parent / "vocabulary.txt"
MOST_ENTRIES = 20  # `__init__.py` among them
# The floors of the design are folders of the root; the scripts of the views are files of one, loaded one by one.
EXCEPTIONS = {"nbgraph": 29, "nbgraph/widgets/static": 30}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if not path.stem.startswith("__"))


def classes() -> dict[str, list[str]]:
    """The files that define a class at their top, by its name without underscores."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found[node.name.strip("_")].append(str(path.relative_to(PACKAGE)))
    return found


def glossary() -> list[str]:
    return re.findall(r"\*\*([A-Z][a-z ]*)\*\*", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))


def test_the_glossary_is_short_and_each_word_has_one_sentence() -> None:
    rows = re.findall(r"^\| \*\*.*\*\* \| (.*) \|$", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.M)
    assert (len(glossary()) <= 36, [row for row in rows if not re.fullmatch(r"[A-Z][^.]*\.", row)]) == (True, [])


def test_modules_are_named_by_words_of_the_field() -> None:
    words = {word.lower() for term in glossary() for word in term.split()}
    words |= {name.lower() for name in classes()} | set(VOCABULARY.read_text(encoding="utf-8").split())
    names = {path.stem for path in modules()} | {path.parent.name for path in modules()}
    unknown = {
        name for name in names if name not in words and not all(is_known(part, words) for part in name.split("_"))
    }
    assert unknown == set(), "a word of the glossary, of the field (tests/vocabulary.txt), or of a class"


def is_known(word: str, words: set[str]) -> bool:
    return bool({word, word.removesuffix("s"), word.removesuffix("es")} & words)


def test_no_class_name_stands_twice() -> None:
    assert {name: files for name, files in classes().items() if len(files) > 1} == {}


def test_a_folder_can_be_seen_at_a_glance() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.*") if "__pycache__" not in path.parts}
    sizes = {str(f.relative_to(ROOT)): sum(e.name != "__pycache__" for e in f.iterdir()) for f in folders}
    assert {name: size for name, size in sizes.items() if size > EXCEPTIONS.get(name, MOST_ENTRIES)} == {}


def test_the_diagrams_are_as_they_are_drawn() -> None:
    images = ROOT / "docs" / "images"
    stored = [(images / f"{name}.svg").read_text(encoding="utf-8") for name in ("floors", "event")]
    assert stored == [drawing(FLOORS), drawing(EVENT)], "draw them again: python docs/diagrams.py"


def test_files_that_documents_name_exist() -> None:
    pages = [ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]
    named = {name for page in pages for name in re.findall(r"`([\w/]+\.py)`", page.read_text(encoding="utf-8"))}
    paths = [
        f"/{path.relative_to(ROOT)}"
        for top in ("nbgraph", "tests", "benchmarks")
        for path in (ROOT / top).rglob("*.py")
    ]
    assert [name for name in sorted(named) if not any(path.endswith(f"/{name}") for path in paths)] == []
