"""What widgets and their views tell each other: Python's side held against the types in static/protocol.js."""

import ast
import inspect
import re
import textwrap

import pandas
import pytest

from nbgraph import Graph, StepError
from nbgraph.widgets.assets import STATIC
from nbgraph.widgets.builder import BuilderWidget
from nbgraph.widgets.debug.session import DebugSession
from nbgraph.widgets.debugger import DebugWidget
from nbgraph.widgets.deployment import DeploymentView
from nbgraph.widgets.graph import GraphWidget
from nbgraph.widgets.job import JobView
from nbgraph.widgets.live.step_record import Figures
from nbgraph.widgets.parity import ParityView

BLOCKS = re.compile(r"/\*\*(.*?)\*/", re.DOTALL)
ALIAS = re.compile(r"@typedef \{(?!object\})(.*)\} (\w+)")
OBJECT = re.compile(r"@typedef \{object\} (\w+)")
PROPERTY = re.compile(r"@property \{(.*)\} (\[?)(\w+)\]?$", re.MULTILINE)
TEXT = (STATIC / "protocol.js").read_text(encoding="utf-8")
BLOCK_TEXTS = BLOCKS.findall(TEXT)
ALIASES = {name: type for block in BLOCK_TEXTS for type, name in ALIAS.findall(block)}
OBJECTS = {
    OBJECT.findall(block)[0]: {name: (type, bool(optional)) for type, optional, name in PROPERTY.findall(block)}
    for block in BLOCK_TEXTS
    if OBJECT.search(block)
}
PLAIN = {"string": (str,), "number": (int, float), "boolean": (bool,), "null": (type(None),)}


def split(text: str, at: str) -> list[str]:
    """The parts of a type, cut where no bracket is open."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "<[{(") - (letter in ">]})")
        if letter == at and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def faults(value, type: str, at: str) -> list[str]:
    """Where a value is not of the type."""
    options = split(type, "|")
    if len(options) > 1:
        found = [faults(value, option, at) for option in options]
        return [] if [] in found else min(found, key=len)
    if type in PLAIN:
        is_wrong = not isinstance(value, PLAIN[type]) or (type == "number" and isinstance(value, bool))
        return [f"{at}: {value!r} is no {type}"] * is_wrong
    if type in OBJECTS:
        return faults_of_object(value, OBJECTS[type], at)
    if type in ALIASES:
        return faults(value, ALIASES[type], at)
    if type[0] == '"' or type in ("true", "false"):
        return (
            [] if value == {"true": True, "false": False}.get(type, type[1:-1]) else [f"{at}: {value!r} is no {type}"]
        )
    if " & " in type:
        properties = {name: one for part in split(type, "&") for name, one in OBJECTS[part].items()}
        return faults_of_object(value, properties, at)
    if type.endswith("[]"):
        return [fault for index, item in enumerate(value) for fault in faults(item, type[:-2], f"{at}[{index}]")]
    if type[0] == "[":
        types = [one.partition(": ")[2] for one in split(type[1:-1], ",")]
        if len(types) != len(value):
            return [f"{at}: {len(value)} items, not {len(types)}"]
        return [fault for index, item in enumerate(value) for fault in faults(item, types[index], f"{at}[{index}]")]
    key, item = split(type.removeprefix("Record<")[:-1], ",")
    assert key == "string", type
    return [fault for name, one in value.items() for fault in faults(one, item, f"{at}.{name}")]


def faults_of_object(value, properties, at: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at}: {value!r} is no object"]
    lost = [f"{at}: no {name}" for name, (_, optional) in properties.items() if not optional and name not in value]
    more = [f"{at}: {name} is in no type" for name in value if name not in properties]
    inside = [
        fault
        for name, (type, _) in properties.items()
        if name in value
        for fault in faults(value[name], type, f"{at}.{name}")
    ]
    return lost + more + inside


def clean(body):
    return {**body, "p": body["amount"] / 100}


def check(body):
    if body["p"] > 1:
        raise ValueError("too much")
    return pandas.DataFrame({"n": range(100)})


def graph() -> Graph:
    graph = Graph("fraud")
    graph.to(clean).to(check).to("ParallelRun", "both", routes={"size": len}, executor_type="array").respond()
    return graph


def heard(widget) -> list[dict]:
    """What a widget sends from now on."""
    sent: list[dict] = []
    widget.send = lambda content, buffers=None: sent.append(content)
    return sent


def of_graph() -> list[dict]:
    widget = GraphWidget(graph())
    sent = heard(widget)
    widget.graph.run({"amount": 5})
    with pytest.raises(StepError):
        widget.graph.run({"amount": 500})
    widget.monitor.flush()
    step, line = (widget.picture[name][0]["id"] for name in ("steps", "lines"))
    ids = [one["id"] for one in widget.monitor.events("", only_failed=False, slower=0)]
    for one in widget.picture["steps"]:
        widget.receive({"kind": "inspect", "step": one["id"]})
    of = {"step": step, "side": "output"}
    table = widget.monitor.shown(pandas.DataFrame({"n": range(200)}))
    for request in (
        {"kind": "hello"}, {"kind": "events"}, {"kind": "event", "id": ids[0]}, {"kind": "line", "line": line},
        {"kind": "save", "as": "svg"}, {"kind": "hold", "step": step, "on": True}, {"kind": "show", "of": of},
        {"kind": "part", "token": "1", "of": of, "path": [], "from": 0}, {"kind": "rows", "ref": table["ref"]},
        {"kind": "rows", "ref": "gone"},
    ):  # fmt: skip
        widget.receive(request)
    widget.close()
    return sent


def of_debugger() -> list[dict]:
    widget = DebugWidget(graph().debug({"amount": 5}))
    sent = heard(widget)
    first = widget.picture["steps"][0]["id"]
    for what in ("next", "back", "next", "continue", "back"):
        widget.session.do(what).result(10)
    widget.session.do("output", text="{'p': 9}").result(10)
    widget.session.do("continue").result(10)
    for request in (
        {"kind": "break", "step": first, "on": True, "when": "event > 1"}, {"kind": "watch", "texts": ["event", "x"]},
        {"kind": "inspect", "step": first}, {"kind": "frame", "index": 0}, {"kind": "frame", "index": 0, "branch": 0},
        {"kind": "break", "step": first, "on": True, "when": "event >"}, {"kind": "stop"},
    ):  # fmt: skip
        widget.receive(request)
    widget.close()
    return sent


@pytest.mark.parametrize("told", [of_graph, of_debugger])
def test_messages_are_what_the_types_say(told):
    messages = told()
    assert [fault for message in messages for fault in faults(message, "Message", message["kind"])] == []


def test_what_is_synced_is_what_the_types_say():
    builder = BuilderWidget(graph())
    synced = {"Picture": builder.picture, "Sheet": builder.sheet, "Offer[]": builder.offered}
    found = pandas.DataFrame({"event": [1], "local": [2], "deployed": [2], "equal": [True]})
    parity = ParityView(found)
    synced["Parity"] = parity.summary
    wrong = [fault for type, value in synced.items() for fault in faults(value, type, type)]
    builder.close()
    parity.close()
    assert wrong == []


def test_a_line_of_a_status_has_the_same_fields_in_the_same_order():
    named = [one.partition(": ")[0] for one in split(ALIASES["Figures"][1:-1], ",")]
    assert named == list(Figures._fields)


def cases(function) -> set[str]:
    """The texts that a function's `match` knows."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    patterns = [one.pattern for one in ast.walk(tree) if isinstance(one, ast.match_case)]
    return {one.value.value for one in patterns if isinstance(one, ast.MatchValue)}


def literals(type: str) -> set[str]:
    return set(re.findall(r'"(\w+)"', ALIASES[type]))


def test_python_handles_every_request_and_no_other():
    answers = [GraphWidget.receive, DebugWidget.receive, DeploymentView.receive, JobView.receive]
    assert set().union(*map(cases, answers)) | {"edit"} == set(OBJECTS["Requests"])


def test_moves_and_edits_are_those_of_python():
    found = cases(DebugSession._move), cases(BuilderWidget._edit)
    assert found == (literals("Move"), literals("EditKind"))


def test_python_sends_no_kind_that_has_no_type():
    sources = [file.read_text() for file in STATIC.parent.glob("*.py")]
    sent = {kind for text in sources for kind in re.findall(r'send\(\s*\{\s*"kind": "(\w+)"', text)}
    kinds = {
        kind for properties in OBJECTS.values() for kind in re.findall(r'"(\w+)"', properties.get("kind", ("",))[0])
    }
    assert sent - kinds == set()
