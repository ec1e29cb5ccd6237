"""Dockerfile: two stages, so that the image holds the packages but neither pip's leftovers nor the wheels."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from urllib.parse import urlsplit

from nbgraph.contract import (
    KEY_SECRET,
    LIVE_PATH,
    METRICS_PORT,
    PORT,
    PROMISED_FOLDER,
    WORKER_MODULE,
    Option,
    secret_path,
)
from nbgraph.deploy.project.hardening import USER
from nbgraph.errors import ExportError

PYTHON = "/packages/bin/python"
PATH = "/runtime"
WHEELS_NOTE = b"Wheels in this folder are taken before those of an index.\n"  # so that the folder is there without any
STAGE = "nbgraph.stage=packages"  # by this the leftovers of builds are found
_TAG = re.compile(r"(?:^|/)python:(\d+)\.(\d+)(?!\d)")
_PIP = f"pip --python {PYTHON} --disable-pip-version-check install --no-cache-dir --no-warn-script-location"
_GIT = (
    'RUN if grep -q "@ git+" requirements.txt; then apt-get update && '
    "apt-get install -y --no-install-recommends git; fi\n"
)
# Over TLS where the port speaks that; the certificate is for callers, and this asks itself.
_ASK = """\
import socket, sys
def live(wrapped):
    try:
        asked = wrapped(socket.create_connection(('127.0.0.1', {port}), 4))
        asked.sendall(b'{request}')
        return b' 200 ' in asked.recv(64)
    except OSError:
        return False
def secured(plain):
    import ssl
    return ssl._create_unverified_context().wrap_socket(plain)
sys.exit(not (live(lambda plain: plain) or live(secured)))
"""
_TEXT = """\
# The graph {graph} as an image. `docker compose up --build` in this folder builds and starts it.
ARG BASE={base}
FROM ${{BASE}} AS packages
LABEL {stage}
# PIP_NO_INDEX=1 takes every package from wheels/; otherwise pip asks its index for what is not there.
ARG PIP_NO_INDEX
{index}WORKDIR /build
RUN ["python3", "-m", "venv", "--without-pip", "--system-site-packages", "/packages"]
COPY wheels/ wheels/
COPY ["runtime/requirements.txt", "runtime.txt"]
COPY ["requirements.txt", "./"]
{install}
# nbgraph in a place of its own, so that another version of it leaves the packages' layer as it is.
COPY runtime/ runtime/
RUN {pip} --no-index --no-deps --target {path} runtime/*.whl
RUN ["mkdir", "{promised}"]

FROM ${{BASE}}
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={path}
COPY --from=packages /packages /packages
COPY --from=packages {path} {path}
COPY --from=packages --chown={user} {promised} {promised}
{owned}WORKDIR /graph
{copies}
USER {user}
EXPOSE {port} {metrics_port}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD {health}
ENTRYPOINT {entrypoint}
"""


def default_base() -> str:
    return f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"


def python_of(base: str) -> tuple[int, int] | None:
    """The Python that the name of an image tells of.

    >>> python_of("python:3.12-slim"), python_of("registry.example.com/python:3.9.1@sha256:ab"), python_of("ours:1")
    ((3, 12), (3, 9), None)
    """
    found = _TAG.search(base)
    return (int(found[1]), int(found[2])) if found else None


def dockerfile(
    graph: str,
    base: str,
    paths: Iterable[str],
    owned: Iterable[str] = (),
    requirements: str = "",
    index_url: str | None = None,
) -> str:
    """The Dockerfile for the project files at the given paths.

    `owned`: folders that belong to the worker's user. `requirements`: the code's, by which pip is told how to
    read them. `index_url`: where pip asks, written without a login.
    """
    if not base or any(character.isspace() or not character.isprintable() for character in base):
        raise ExportError(
            f'The base image {base!r} is no name of an image; expected something like "{default_base()}".'
        )
    return _TEXT.format(
        graph=json.dumps(graph), base=base, install=_install(requirements), index=_index(index_url), pip=_PIP,
        path=PATH, stage=STAGE, copies=_copies(sorted(paths)), user=USER,
        port=PORT, metrics_port=METRICS_PORT, promised=PROMISED_FOLDER,
        health=json.dumps(asking(PYTHON, PORT, LIVE_PATH)),
        entrypoint=json.dumps(entrypoint()),
        owned="".join(_owned(path) for path in sorted(owned)),
    )  # fmt: skip


def entrypoint() -> list[str]:
    """Exec form, so that SIGTERM reaches the worker; -P, so that no file of the project shadows a package."""
    everywhere = "0.0.0.0"  # inside the container; what is published is decided outside
    return [
        PYTHON, "-P", "-m", WORKER_MODULE, Option.PROJECT, "/graph", Option.HOST, everywhere, Option.PORT, str(PORT),
        Option.METRICS_HOST, everywhere, Option.METRICS_PORT, str(METRICS_PORT),
        Option.KEY_FILE, secret_path(KEY_SECRET),
    ]  # fmt: skip


def asking(python: str, port: int, path: str) -> list[str]:
    """The command that fails unless a port of this container answers with 200.

    It runs every few seconds in each container, so without the imports that make Python slow to start.

    >>> asking("python3", 8080, "/health/live")[:4]
    ['python3', '-I', '-S', '-c']
    """
    return [python, "-I", "-S", "-c", _ASK.format(port=port, request=f"GET {path} HTTP/1.0\\r\\n\\r\\n")]


def _install(requirements: str) -> str:
    """How pip is called: where one package has a hash it wants one of each, and the worker's own have none."""
    git = _GIT if "@ git+" in requirements else ""
    if " --hash" not in requirements:
        return f"{git}RUN {_PIP} --find-links wheels -r runtime.txt -r requirements.txt"
    return (
        f"RUN {_PIP} --find-links wheels -r runtime.txt\n"
        f"RUN {_PIP} --find-links wheels --require-hashes -r requirements.txt"
    )


def _index(url: str | None) -> str:
    """
    >>> _index("https://me:secret@example.com:8443/simple"), _index(None)
    ('ARG PIP_INDEX_URL=https://example.com:8443/simple\\n', '')
    """
    if url is None:
        return ""
    parts = urlsplit(url)
    return f"ARG PIP_INDEX_URL={parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()}\n"


def _owned(path: str) -> str:
    """An empty folder of the worker's user, as which Docker makes a new volume that is mounted there."""
    return f"COPY --from=packages --chown={USER} {json.dumps([PROMISED_FOLDER, path])}\n"


def _copies(paths: list[str]) -> str:
    """Files at the top in one layer, then a layer for every folder."""
    files = [path for path in paths if "/" not in path]
    folders = sorted({path.partition("/")[0] for path in paths if "/" in path})
    lines = [f"COPY {json.dumps([folder + '/', f'/graph/{folder}/'])}" for folder in folders]
    return "\n".join([*lines, f"COPY {json.dumps([*files, '/graph/'])}"])
