"""Project: one function as files, from which it runs as a process, and its image is built."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from nbgraph.capture.project import Project, capture
from nbgraph.capture.requirements import runtime_requirements
from nbgraph.deploy.dockerfile import WHEELS_NOTE, default_base, dockerfile
from nbgraph.deploy.profile import Profile
from nbgraph.deploy.resources import Resources
from nbgraph.deploy.split import Function
from nbgraph.deploy.wheel import own_wheel, wheel_of

IGNORED = b"README.md\n.env\ncompose.yaml\nnbgraph.json\nsecrets.sh\napi_key\n.git\n"


def project_files(
    function: Function,
    base_image: str | None = None,
    requirements: Sequence[str] = (),
    more: Mapping[str, bytes] | None = None,
    owned: Sequence[str] = (),
) -> dict[str, bytes]:
    """All files of the project of one function, and `more` that its worker reads; where it runs is not among them.

    `owned`: folders of the image that belong to the worker's user, as does a new volume that is mounted there.

    >>> from nbgraph import Graph
    >>> graph = Graph("shout")
    >>> _ = graph.to(str.upper).respond()
    >>> [path for path in project_files(Function("shout", graph)) if "/" not in path]
    ['.dockerignore', 'Dockerfile', 'graph.yaml', 'handlers.py', 'requirements.txt']
    """
    project = capture(function.graph, requirements)
    running = {**project.contents(), **(more or {})}
    files = {
        **running,
        "runtime/requirements.txt": runtime_requirements(is_part=function.is_part).text().encode(),
        **dict(_wheels(project)),
    }
    if function.is_part:
        running["function.json"] = files["function.json"] = function.document().encode()
    copied = [path for path in running if path != "requirements.txt"]
    files["Dockerfile"] = dockerfile(function.graph.name, base_image or default_base(), copied, owned).encode()
    files[".dockerignore"] = IGNORED
    return dict(sorted(files.items()))


def profile_of(files: Mapping[str, bytes], given: Resources | None = None) -> Profile:
    """What a container of the project may use."""
    artifacts = sum(len(content) for path, content in files.items() if path.startswith("artifacts/"))
    return Profile.of(artifacts, given)


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


def _wheels(project: Project) -> list[tuple[str, bytes]]:
    """nbgraph itself, then packages that no index has."""
    own, content = own_wheel()
    bundled = [wheel_of(name) for name in project.requirements.bundled]
    return [
        (f"runtime/{own}", content),
        ("wheels/README.txt", WHEELS_NOTE),
        *((f"wheels/{name}", content) for name, content in bundled),
    ]
