"""Export: a graph as a folder that can be read, kept in version control, built and run without this notebook."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbgraph.capture.project import Project, capture
from nbgraph.capture.requirements import runtime_requirements
from nbgraph.deploy.compose import compose
from nbgraph.deploy.dockerfile import default_base, dockerfile
from nbgraph.deploy.profile import Profile
from nbgraph.deploy.readme import readme
from nbgraph.deploy.split import Function, split
from nbgraph.deploy.wheel import own_wheel, wheel_of
from nbgraph.errors import DeployError, ExportError
from nbgraph.graph.graph import Graph

MANIFEST = "nbgraph.json"
VERSION = 1
LATER = ("swarm", "kubernetes", "nuclio")


@dataclass(frozen=True, slots=True)
class Export:
    """What was written: the folder, its files by path with their SHA-256, and one hash over all of them."""

    folder: Path
    files: Mapping[str, str]
    digest: str

    def __repr__(self) -> str:
        listed = "\n".join(f"  {path}" for path in self.files)
        return f"{self.folder}\n{listed}"


def export(graph: Graph, folder: Path, target: str = "compose") -> Export:
    """Write the project of a graph; the same graph gives the same bytes."""
    if target in LATER:
        raise ExportError(f'Target "{target}" can\'t be written yet; today: "compose".')
    if target != "compose":
        raise ExportError(f'There is no target "{target}" for an export; today: "compose".')
    folder = folder.expanduser().resolve()
    before = _owned(folder)
    function = only_function(graph)
    files = project_files(function)
    _replace(folder, files, before)
    return Export(folder, _hashes(files), digest(files))


def only_function(graph: Graph) -> Function:
    """The one function that a graph must be today."""
    functions = split(graph)
    if len(functions) > 1:
        names = ", ".join(function.name for function in functions)
        raise DeployError(
            f'Graph "{graph.name}" has several functions ({names}), which can\'t be exported yet; host it with '
            'graph.deploy("process") or graph.deploy("docker"), or take the @function marks out.'
        )
    return functions[0]


def project_files(
    function: Function, base_image: str | None = None, requirements: Sequence[str] = ()
) -> dict[str, bytes]:
    """All files of the project of one function, the manifest included."""
    project = capture(function.graph, requirements)
    running = project.contents()
    files = {
        **running,
        "runtime/requirements.txt": runtime_requirements(is_part=function.is_part).text().encode(),
        **dict(_wheels(project)),
    }
    if function.is_part:
        running["function.json"] = files["function.json"] = function.document().encode()
    name = function.graph.name
    copied = [path for path in running if path != "requirements.txt"]
    size = sum(len(content) for path, content in files.items() if path.startswith("artifacts/"))
    files["Dockerfile"] = dockerfile(name, base_image or default_base(), copied).encode()
    files["compose.yaml"] = compose(name, function.name, Profile.of_artifacts(size)).encode()
    files[".dockerignore"] = b"README.md\ncompose.yaml\nnbgraph.json\napi_key\n.git\n"
    files["README.md"] = readme(name, list(files)).encode()
    files[MANIFEST] = _manifest(function, files).encode()
    return dict(sorted(files.items()))


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
    """nbgraph itself, then packages that no index has; a note, so that the folder is there without any."""
    own, content = own_wheel()
    bundled = [wheel_of(name) for name in project.requirements.bundled]
    note = ("wheels/README.txt", b"Wheels in this folder are taken before those of an index.\n")
    return [(f"runtime/{own}", content), note, *((f"wheels/{name}", content) for name, content in bundled)]


def _manifest(function: Function, files: Mapping[str, bytes]) -> str:
    document = {"version": VERSION, "graph": function.graph.name, "function": function.name, "files": _hashes(files)}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())}


def _owned(folder: Path) -> set[str]:
    """The files of an earlier export into the folder; refuses one that holds anything else's."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return set()
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return {*manifest["files"], MANIFEST}
    except (OSError, ValueError, KeyError, TypeError):
        raise ExportError(
            f"{folder} is not empty and was not written by an export (it has no {MANIFEST}); choose a new folder."
        ) from None


def _replace(folder: Path, files: Mapping[str, bytes], before: set[str]) -> None:
    """The new project stands complete beside the old one before it takes its place; files of others stay."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as room:
        fresh, old = Path(room) / "new", Path(room) / "old"
        fresh.mkdir(mode=0o755)
        write(fresh, files)
        for path in sorted(folder.rglob("*")) if folder.exists() else ():
            inside = path.relative_to(folder).as_posix()
            if path.is_file() and inside not in before and not (fresh / inside).exists():
                (fresh / inside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, fresh / inside)
        if folder.exists():
            os.replace(folder, old)
        try:
            os.replace(fresh, folder)
        except BaseException:
            if old.exists():
                os.replace(old, folder)
            raise
