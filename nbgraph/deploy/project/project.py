"""Project: one function as files, from which it runs as a process, and its image is built."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from nbgraph.capture.requirements import runtime_requirements
from nbgraph.contract import ARTIFACTS_FILE, FUNCTION_FILE, REQUIREMENTS_FILE
from nbgraph.deploy.options.requirements import hashed, wanted_of
from nbgraph.deploy.options.resources import Resources
from nbgraph.deploy.progress import Say, quiet
from nbgraph.deploy.project.dockerfile import WHEELS_NOTE, default_base, dockerfile, python_of
from nbgraph.deploy.project.hardening import Hardening
from nbgraph.deploy.project.wheel import own_wheel, wheel_of
from nbgraph.engine.partition import Function
from nbgraph.errors import ExportError
from nbgraph.streams.transport import DEFAULT, transport_named

LEAST = (3, 11)  # of `requires-python`
UNBOUND = ("json", "parquet", "polars", "npy", "pickle")  # formats of artifacts that every Python of ours reads
IGNORED = b"README.md\n.env\ncompose.yaml\nnbgraph.json\nsecrets.sh\napi_key\n.git\n"


def project_files(
    function: Function,
    base_image: str | None = None,
    requirements: Sequence[str] = (),
    more: Mapping[str, bytes] | None = None,
    owned: Sequence[str] = (),
    index_url: str | None = None,
    include: Sequence[str] = (),
    say: Say = quiet,
    transport: str = DEFAULT,
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """All files of the project of one function, with `more` that its worker reads, and the paths of what stays behind.

    Where it runs is not among them.

    `owned`: folders of the image that belong to the worker's user, as does a new volume that is mounted there.
    `index_url`: where pip asks for packages; a login in it is not written. `include`: files and folders here that the
    steps read. `say` is told what was proven, and what stays behind. `transport`: what joins it with other functions.

    >>> from nbgraph import Graph
    >>> graph = Graph("shout")
    >>> _ = graph.to(str.upper).respond()
    >>> [path for path in project_files(Function("shout", graph=graph))[0] if "/" not in path]
    ['.dockerignore', 'Dockerfile', 'graph.yaml', 'handlers.py', 'requirements.txt']
    """
    from nbgraph.capture.project import capture  # it needs cloudpickle, which images do not have

    wanted = wanted_of(requirements)
    project = capture(function.graph, wanted.lines, include)
    say(f"{function.name}: proven equal: {project.proof}")
    if project.left:
        say(f"{function.name}: big files stay behind: {', '.join(project.left)}; include=[...] takes them along")
    wheels = {**wanted.wheels, **dict(map(wheel_of, project.requirements.bundled))}
    lines = hashed(project.requirements.text(), wheels)
    running = {**project.contents(), **(more or {}), REQUIREMENTS_FILE: lines.encode()}
    own, content = own_wheel()
    packages = transport_named(transport).packages if function.is_part else ()
    files = {
        **running,
        f"runtime/{REQUIREMENTS_FILE}": runtime_requirements(packages).text().encode(),
        f"runtime/{own}": content,
        "wheels/README.txt": WHEELS_NOTE,
        **{f"wheels/{name}": content for name, content in wheels.items()},
    }
    if function.is_part or function.threads > 1:
        running[FUNCTION_FILE] = files[FUNCTION_FILE] = function.to_json()
    copied = [path for path in running if path != REQUIREMENTS_FILE]
    base = base_image or default_base()
    check_python(function.name, files, base, python_of(base))
    files["Dockerfile"] = dockerfile(function.graph.name, base, copied, owned, lines, index_url).encode()
    files[".dockerignore"] = IGNORED
    return dict(sorted(files.items())), project.left


def check_python(function: str, files: Mapping[str, bytes], base: str, version: tuple[int, int] | None) -> None:
    """Refuse an image with another Python than the one here, where that would not run or read the same."""
    here = (sys.version_info.major, sys.version_info.minor)
    if version is None or version == here:
        return
    words, told = ".".join(map(str, version)), f'"{function}" is to run on {base}'
    if version < LEAST:
        raise ExportError(f"{told}, whose Python is {words}, and nbgraph needs {'.'.join(map(str, LEAST))} at least.")
    listed = json.loads(files[ARTIFACTS_FILE]) if ARTIFACTS_FILE in files else []
    bound = [one["name"] for one in listed if one["format"] not in UNBOUND or one["python"]]
    if bound:
        raise ExportError(
            f"{told}, whose Python is {words}, but {', '.join(bound)} hold code of Python {here[0]}.{here[1]}, which "
            "alone can read it; write what they are in a module of your own, or take a base image of this Python."
        )
    for path in (path for path in files if path.endswith(".py")):
        try:
            ast.parse(files[path], feature_version=version)
        except SyntaxError as error:
            raise ExportError(f"{told}, whose Python {words} can't read {path}, line {error.lineno}.") from None


def profile_of(files: Mapping[str, bytes], given: Resources | None = None, workers: int = 1) -> Hardening:
    """What a container of the project may use; each of its workers loads the artifacts."""
    artifacts = sum(len(content) for path, content in files.items() if path.startswith("artifacts/"))
    return Hardening.of(artifacts, given, workers)


def digest(files: Mapping[str, bytes]) -> str:
    """One SHA-256 over paths and contents; what images are tagged with."""
    whole = hashlib.sha256()
    for path in sorted(files):
        whole.update(f"{path}\0{len(files[path])}\0".encode() + files[path])
    return whole.hexdigest()


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put the files into a folder that is new or ours."""
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
