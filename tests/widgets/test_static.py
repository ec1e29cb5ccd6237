"""The widgets' JavaScript: what concatenation and the house's own law ask of the files."""

import base64
import gzip
import re
from collections import Counter

import pytest

from nbgraph.widgets.assets import STATIC
from nbgraph.widgets.builder import BuilderWidget
from nbgraph.widgets.debugger import DebugWidget
from nbgraph.widgets.deployment import DeploymentView
from nbgraph.widgets.graph import GraphWidget
from nbgraph.widgets.job import JobView
from nbgraph.widgets.parity import ParityView

WIDGETS = [GraphWidget, DebugWidget, BuilderWidget, DeploymentView, JobView, ParityView]
DECLARED = re.compile(r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)
IMPORTED = re.compile(r'^import \{([^}]*)\} from "\./([\w.]+)";', re.MULTILINE)


def texts() -> dict[str, str]:
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(STATIC.glob("*.js"))}


def test_names_at_the_top_of_a_file_are_unique_among_all_files():
    names = Counter(name for text in texts().values() for name in DECLARED.findall(text))
    names.pop("render")  # what a widget's own file is asked for; no other file of it has one
    assert {name: count for name, count in names.items() if count > 1} == {}


def test_what_a_file_imports_the_other_one_has():
    files = texts()
    missing = [
        (name, one.strip(), file)
        for name, text in files.items()
        for listed, file in IMPORTED.findall(text)
        for one in listed.split(",")
        if one.strip() and one.strip() not in DECLARED.findall(files[file])
    ]
    assert missing == []


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widgets_module_is_whole_and_carries_no_more_than_a_browser_needs(widget):
    packed = re.search(r'atob\("([^"]*)"\)', widget._esm)[1]
    text = gzip.decompress(base64.b64decode(packed)).decode()
    rest = re.findall(r"^import .*|/\*.*|^ .*|^//.*", text, re.MULTILINE)
    assert (rest, len(text) <= 100_000, len(widget._esm.encode()) <= 60_000) == ([], True, True)


def test_lines_are_not_longer_than_those_of_python():
    is_type = re.compile(r"^ ?/?\*")  # a type can't be broken
    long = [
        (name, number)
        for name, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > 120 and not is_type.match(line)
    ]
    assert long == []
