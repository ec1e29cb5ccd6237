"""Imports point down only: read from the source, so that it holds for code that no test runs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "nbgraph"
FLOORS = (
    (
        "event",
        "body",
        "contract",
        "errors",
        "failure",
        "introspection",
        "error_transport",
        "types",
        "values",
        "handler",
    ),
    ("graph",),
    ("streams",),
    ("steps",),
    ("engine",),
    ("debug", "render", "capture", "features"),
    ("monitor",),
    ("serve", "deploy", "jobs", "widgets"),
    ("magic", "completion", "cli", "testing", "brokered", "__main__"),
)
SEES_ONLY = {"render": {"graph"}}  # besides the words of floor 0

# The methods of a Graph that belong to upper floors, each with the one import inside it.
DOORS = {
    "_compile": "engine.compile.compile",
    "_inspected": "engine.compile.inspection",
    "stream": "engine.schedule.stream",
    "astream": "engine.schedule.stream",
    "start": "engine.live.run",
    "_over": "brokered.graph",
    "trace": "debug.recorder",
    "debug": "debug.debugger",
    "monitor": "monitor.monitor",
    "monitor_of": "monitor.monitor",
    "monitor_named": "monitor.monitor",
    "profile": "monitor.counting.profiling",
    "dot": "render.dot",
    "svg": "render.svg",
    "png": "render.svg",
    "view": "widgets.graph",
    "job_view": "widgets.job",
    "deployment_view": "widgets.deployment",
    "deploy_targets": "deploy.target",
    "library": "steps",
    "built_in_steps": "steps",
    "_repr_mimebundle_": "render.svg",
    "captured": "capture.captured",
    "export": "deploy.export",
    "deploy": "deploy.deploy",
    "job": "jobs.job",
    "ingest_job": "jobs.ingest",
    "job_workers": "deploy.operation.job_workers",
}
ROOT_DOORS = {"load_ipython_extension": "magic"}  # `nbgraph.steps` is loaded by importlib when first asked for


# Inside a floor: modules and folders from the lowest to the highest; those of one line do not see each other, but for
# files of one folder. Annotations (`if TYPE_CHECKING`) and imports inside of functions may point up.
ORDER = {
    "engine": (
        ("loop", "nested_loop", "paths", "results", "context", "chat", "event_run"),
        ("interruptible", "params"),
        ("routing",),
        ("plan",),
        ("interpret",),
        ("codegen",),
        ("compile",),
        ("function_spec", "step_facts", "schedule"),
        ("partition", "live"),
    ),
}


def floor_of(folder: str) -> int:
    return next(number for number, folders in enumerate(FLOORS) if folder in folders)


@cache
def modules() -> list[tuple[str, ast.Module]]:
    """Each module's name inside the package, dots between folders, and its tree."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        found.append((name, ast.parse(path.read_text(encoding="utf-8"))))
    return found


@cache
def imports(tree: ast.Module) -> list[tuple[str, str]]:
    """(function it stands in, or "" at the top; module of nbgraph) of each import that runs."""
    found = []
    todo: list[tuple[str, ast.AST]] = [("", tree)]
    while todo:
        function, node = todo.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            is_outermost = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not function
            todo.append((child.name if is_outermost else function, child))
            found += [(function, name) for name in imported(child)]
    return found


def imported(node: ast.AST) -> Iterator[str]:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, "nbgraph imports by full names"
        is_root = node.module == "nbgraph"
        names = [f"nbgraph.{alias.name}" for alias in node.names] if is_root else [node.module or ""]
    yield from (name.removeprefix("nbgraph").lstrip(".") for name in names if name.split(".")[0] == "nbgraph")


def folder_of(module: str) -> str:
    return module.split(".")[0]


def is_allowed(importer: str, target: str) -> bool:
    here, there = folder_of(importer), folder_of(target)
    if here == there or floor_of(there) == 0:
        return True
    return floor_of(there) < floor_of(here) and there in SEES_ONLY.get(here, {there})


def test_every_file_stands_on_a_floor() -> None:
    known = {folder for folders in FLOORS for folder in folders} | {""}
    assert {folder_of(name) for name, _ in modules()} <= known


def names_a_floor(target: str) -> bool:
    """False for names of the package itself: `from nbgraph import Event`."""
    return any(folder_of(target) in folders for folders in FLOORS)


def test_imports_point_down() -> None:
    wrong = [
        f"{module}: {function or 'top'} imports {target}"
        for module, tree in modules()
        if module not in ("", "graph.facade")  # these two have doors, see below
        for function, target in imports(tree)
        if names_a_floor(target) and not is_allowed(module, target)
    ]
    assert wrong == []


def rank_of(floor: str, module: str) -> int | None:
    inside = module.removeprefix(f"{floor}.").split(".")[0]
    return next((number for number, line in enumerate(ORDER[floor]) if inside in line), None)


@pytest.mark.parametrize("floor", ORDER)
def test_imports_point_down_inside_a_floor(floor: str) -> None:
    unknown, wrong = [], []
    for module, tree in modules():
        if not module.startswith(f"{floor}."):
            continue
        here, own = rank_of(floor, module), module.split(".")[1]
        unknown += [] if here is not None else [module]
        for function, target in imports(tree):
            if function or not target.startswith(f"{floor}.") or target.split(".")[1] == own:
                continue
            there = rank_of(floor, target)
            if here is None or there is None or there >= here:
                wrong.append(f"{module} imports {target}")
    assert (unknown, wrong) == ([], [])


def test_nothing_imports_the_package_itself() -> None:
    """`from nbgraph import Graph` inside nbgraph would depend on everything, and on the order of imports."""
    wrong = [
        f"{module} imports nbgraph.{target}"
        for module, tree in modules()
        for _, target in imports(tree)
        if not names_a_floor(target) and target != "__version__"
    ]
    assert wrong == []


@pytest.mark.parametrize(("module", "doors"), [("graph.facade", DOORS), ("", ROOT_DOORS)])
def test_only_the_doors_import_upwards(module: str, doors: dict[str, str]) -> None:
    upwards = {
        function: target
        for function, target in imports(dict(modules())[module])
        if names_a_floor(target) and floor_of(folder_of(target)) > floor_of("graph")
    }
    assert upwards == doors


HEAVY = ("pandas", "numpy", "docker", "IPython", "ipywidgets", "anywidget", "graphviz", "rich", "jedi")


@pytest.mark.parametrize("module", ["nbgraph", "nbgraph.serve"])
def test_heavy_packages_are_loaded_when_needed_only(module: str) -> None:
    if module == "nbgraph.serve" and not (PACKAGE / "serve").is_dir():
        pytest.skip("no nbgraph.serve yet")
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.split() == []


# Folders of targets, and the other such folders that each may see: a Swarm is made of Docker engines, Nuclio runs on
# Kubernetes. Nothing else in deploy/ sees any of them: it asks `deploy.target`.
TARGETS = {"process": (), "docker": (), "swarm": ("docker",), "kubernetes": (), "nuclio": ("kubernetes",)}


def test_targets_do_not_see_each_other() -> None:
    seen_from = {
        (module.split(".")[1], target.split(".")[1])
        for module, tree in modules()
        for _, target in imports(tree)
        if module.startswith("deploy.") and target.startswith("deploy.")
    }
    found = {(importer, target) for importer, target in seen_from if target in TARGETS and importer != target}
    assert found == {(folder, seen) for folder, others in TARGETS.items() for seen in others}
