"""Image: built by the Docker daemon from a project, without a docker command or a network."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nbgraph.contract import REQUIREMENTS_FILE
from nbgraph.deploy.options.requirements import without_urls
from nbgraph.deploy.project.dockerfile import STAGE, default_base, python_of
from nbgraph.deploy.project.function_project import FunctionProject, Projects
from nbgraph.deploy.project.project import check_python, digest
from nbgraph.errors import DeployError

if TYPE_CHECKING:
    from docker import DockerClient

LAST_LINES = 12
DIGITS = 16  # of a content's SHA-256, which are the tag
KEPT_STAGES = 5  # they are what makes the next build quick
BUILDS = 3  # another kernel that deploys at the same time may remove layers of the cache that this build goes on from
_GONE_LAYER = "unknown parent image"
_STEP = re.compile(r"Step (\d+/\d+) : (.*)")
Say = Callable[[str], None]


def tag_of(name: str, digest: str) -> str:
    """The name of an image: the same content, the same name.

    >>> tag_of("score", "0123456789abcdef01")
    'nbgraph/score:0123456789abcdef'
    """
    return f"nbgraph/{name}:{digest[:DIGITS]}"


def built(
    client: DockerClient, files: Mapping[str, bytes], wheels: Sequence[Path], repository: str, digest: str, say: Say
) -> str:
    """The tag of an image of the project; built only where there is none of the same content yet."""
    tag = f"{repository}:{digest[:DIGITS]}"
    if client.images.list(tag):
        say("The image is there already")
        return tag
    arguments = {"PIP_NO_INDEX": "1"} if wheels else {}
    with tempfile.TemporaryFile() as context:
        pack(context, files, wheels)
        for tries_left in range(BUILDS - 1, -1, -1):
            context.seek(0)
            stream = client.api.build(
                fileobj=context, custom_context=True, decode=True, tag=tag, buildargs=arguments, rm=True, forcerm=True
            )
            try:
                _follow(stream, say)
                break
            except DeployError as error:
                if _GONE_LAYER not in str(error) or not tries_left:
                    raise
                say("A layer was removed meanwhile; building again")
    return tag


def bases_there(client: DockerClient, projects: Projects, say: Say) -> None:
    """Have all bases at the daemon, the broker's among them, before anything else is done for one."""
    every = [part.base for part in projects] + ([default_base()] if len(projects) > 1 else [])
    for base in dict.fromkeys(every):
        base_there(client, base, say)


def image_of(client: DockerClient, part: FunctionProject, say: Say) -> str:
    """The tag of the image of a function's project, built if there is none yet; older ones that nobody uses go."""
    from nbgraph.deploy.project.wheelhouse import can_fetch, check_login, fetched_for

    function, files = part.function.name, part.files
    repository, wheels = f"nbgraph/{function}", []
    version = python_in(client, part.base)
    check_python(function, files, part.base, version)
    if can_fetch(client.version()["Arch"]):
        say("Fetching packages")
        wheels = fetched_for(files, version, part.index_url)
        packed = {**files, REQUIREMENTS_FILE: without_urls(files[REQUIREMENTS_FILE].decode()).encode()}
    else:
        check_login(part.index_url)
        packed = dict(files)
    image = built(client, packed, wheels, repository, digest(files), say)
    pruned(client, repository, image)
    return image


def base_there(client: DockerClient, base: str, say: Say) -> None:
    """Have the base of an image at the daemon before anything else is done for it."""
    import docker

    try:
        client.images.get(base)
        return
    except docker.errors.ImageNotFound:
        say(f"Pulling {base}")
    except docker.errors.APIError as error:
        raise DeployError(f"The base image {base!r} can't be asked for: {error.explanation or error}") from None
    try:
        name, at, mark = base.partition("@")
        client.images.pull(f"{name}{at}{mark}" if at or ":" in name.rpartition("/")[2] else f"{name}:latest")
    except docker.errors.APIError as error:
        raise DeployError(
            f'The base image "{base}" is not here and can\'t be pulled ({error.explanation or error}); name another: '
            "base_image=..."
        ) from None


def python_in(client: DockerClient, base: str) -> tuple[int, int]:
    """The Python of an image: what its name says, or it says itself; else the one that is here."""
    told = dict(text.partition("=")[::2] for text in client.images.get(base).attrs["Config"].get("Env") or ())
    found = re.match(r"(\d+)\.(\d+)", told.get("PYTHON_VERSION", ""))
    here = (sys.version_info.major, sys.version_info.minor)
    return (int(found[1]), int(found[2])) if found else python_of(base) or here


def pruned(client: DockerClient, repository: str, image: str) -> None:
    """Take away older images of the same function that no container uses, and all but the latest first stages."""
    import docker

    for older in client.images.list(repository):
        for tag in older.tags:
            if tag != image and tag.startswith(f"{repository}:"):
                with contextlib.suppress(docker.errors.APIError):  # in use
                    client.images.remove(tag)

    stages = client.images.list(filters={"dangling": True, "label": STAGE})
    for stage in sorted(stages, key=lambda found: str(found.attrs["Created"]), reverse=True)[KEPT_STAGES:]:
        with contextlib.suppress(docker.errors.APIError):
            client.images.remove(str(stage.id))


def pack(into: IO[bytes], files: Mapping[str, bytes], wheels: Sequence[Path] = ()) -> None:
    """The build context; times and owners are left out, since Docker's cache would take them for a change.

    >>> first, second = io.BytesIO(), io.BytesIO()
    >>> pack(first, {"a": b"1", "b/c": b"2"})
    >>> pack(second, {"b/c": b"2", "a": b"1"})
    >>> first.getvalue() == second.getvalue()
    True
    """
    with tarfile.open(fileobj=into, mode="w") as archive:
        for path in sorted(files):
            archive.addfile(_entry(path, len(files[path])), io.BytesIO(files[path]))
        for wheel in sorted(wheels):
            with wheel.open("rb") as content:
                archive.addfile(_entry(f"wheels/{wheel.name}", wheel.stat().st_size), content)


def _entry(path: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode, entry.mtime = size, 0o644, 0
    return entry


def _follow(stream: Any, say: Say) -> None:
    """Tell the steps as they come, to the end of the stream, which frees its connection; raise if one has failed."""
    lines: list[str] = []
    doing, error = "", None
    for message in stream:
        text = str(message.get("stream") or message.get("status") or "").strip()
        step = _STEP.match(text)
        if step:
            doing = step[2]
            say(f"Building the image, step {step[1]}: {step[2][:60]}")
        if text:
            lines = [*lines, *text.splitlines()][-LAST_LINES:]
        error = message.get("error", error)
    if error is not None:
        told = "\n".join([*lines, str(error).strip()])
        hint = "\nThe base image is not here and can't be pulled; name another: base_image=..."
        raise DeployError(f"The image could not be built:\n{told}" + (hint if doing.startswith("FROM") else ""))
