"""Local modules: `.py` files and packages of the user's own that the captured code imports, copied as they are."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nbgraph.capture.requirements import distribution_of
from nbgraph.errors import ExportError

MAX_DATA = 5 * 2**20  # one file of a package that is no module
MAX_BYTES = 10 * 2**20  # all local code together; more is data, or a package that wants to be installed


@dataclass(frozen=True, slots=True)
class Local:
    """The files by their path in the project, all modules that are needed, and the files beside them that stay."""

    files: Mapping[str, bytes]
    modules: set[str]
    left: tuple[str, ...] = ()


def local_files(modules: set[str], include: Iterable[str] = ()) -> Local:
    """The files of the local modules among those, with the data of their packages; `include` are paths of more."""
    files: dict[str, bytes] = {}
    seen: set[str] = set()
    waiting = sorted(modules)
    while waiting:
        module = waiting.pop(0)
        if module in seen:
            continue
        seen.add(module)
        for path, content in _files_of(module).items():
            if path not in files:
                files[path] = content
                waiting += sorted(_imported(content, path) - seen)
    data, left = _data_of({path.partition("/")[0] for path in files if "/" in path})
    files |= data | _included(include)
    size = sum(map(len, files.values()))
    if size > MAX_BYTES:
        raise ExportError(
            f"The local modules that the graph imports take {size / 2**20:.0f} MiB, more than {MAX_BYTES // 2**20}; "
            "make them a package and `pip install` it."
        )
    return Local(files, seen, left)


def _data_of(packages: Iterable[str]) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """What lies in the packages beside their modules; what is big is left, and told of."""
    found: dict[str, bytes] = {}
    left = []
    for package in sorted(packages):
        origin = _origin(package)
        for place in sorted(origin.parent.rglob("*")) if origin is not None and origin.name == "__init__.py" else ():
            path = f"{package}/{place.relative_to(origin.parent).as_posix()}" if origin is not None else ""
            if not place.is_file() or any(part.startswith((".", "__pycache__")) for part in Path(path).parts):
                continue
            if place.suffix in (".py", ".pyc"):
                continue
            if place.stat().st_size > MAX_DATA:
                left.append(path)
            else:
                found[path] = place.read_bytes()
    return found, tuple(left)


def _included(paths: Iterable[str]) -> dict[str, bytes]:
    """Files and folders that the user names, relative to where the notebook is: at the same place in the project."""
    found: dict[str, bytes] = {}
    for name in paths:
        given = Path(name)
        if given.is_absolute() or ".." in given.parts:
            raise ExportError(f'include="{name}" is outside of this folder; name a file or folder within it.')
        if not given.exists():
            raise ExportError(f'include="{name}" is not here ({Path.cwd()}); name a file or folder within it.')
        places = sorted(given.rglob("*")) if given.is_dir() else [given]
        found |= {place.as_posix(): place.read_bytes() for place in places if place.is_file()}
    return found


def folders_of(modules: Iterable[str]) -> set[str]:
    """The folders that modules of the user's own were imported from."""
    origins = [_origin(module.partition(".")[0]) for module in modules]
    return {
        str(origin.parent.parent if origin.name == "__init__.py" else origin.parent)
        for origin in origins
        if origin is not None
    }


def is_local(module: str) -> bool:
    """Whether the module is a file of the user's own: neither the standard library nor installed.

    >>> is_local("json"), is_local("yaml"), is_local("no_such_module")
    (False, False, False)
    """
    return _origin(module) is not None


def imported_by(code: ast.AST) -> set[str]:
    """The modules that a function or class imports when it is called, which the names it uses do not tell.

    >>> sorted(imported_by(ast.parse("def load():\\n    import yaml\\n    from json.decoder import JSONDecoder")))
    ['json.decoder', 'yaml']
    """
    found: set[str] = set()
    for node in ast.walk(code):
        whole = {node.module} if isinstance(node, ast.ImportFrom) else set(_names(node, ""))
        parts = {name for name in _names(node, "") if name in sys.modules or is_local(name)}
        found |= {name for name in whole | parts if name}
    return found


def _origin(module: str) -> Path | None:
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names or distribution_of(root) is not None or root in ("nbgraph", "__main__"):
        return None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def _files_of(module: str) -> dict[str, bytes]:
    """A single file, or the module with the packages above it: `a.b` needs a/__init__.py and a/b.py."""
    found: dict[str, bytes] = {}
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        origin = _origin(".".join(parts[:depth]))
        if origin is not None:
            inside = "/".join(parts[:depth])
            path = f"{inside}/__init__.py" if origin.name == "__init__.py" else f"{inside}.py"
            found[path] = origin.read_bytes().replace(b"\r\n", b"\n")
    return found


def _imported(content: bytes, path: str) -> set[str]:
    """The modules that a file imports, wherever in it; those that are not here are optional, or fail there too."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return set()
    package = (
        path.removesuffix("/__init__.py").replace("/", ".")
        if path.endswith("/__init__.py")
        else (path.removesuffix(".py").replace("/", ".").rpartition(".")[0])
    )
    return {name for node in ast.walk(tree) for name in _names(node, package)}


def _names(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, base]).rstrip(".")
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
