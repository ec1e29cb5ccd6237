"""Identity: which deployment a gateway is, in which version, and whether a caller means that one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from nbgraph.contract import DEPLOYMENT_HEADER, VERSION_FILE, VERSION_HEADER, DeploymentVersion
from nbgraph.serve.gateway.limits import RefusedError
from nbgraph.serve.reply import Reply

MISDIRECTED, ANOTHER_VERSION = 421, 412


class Identity:
    """What the worker was started as; a file in its data folder tells of a later version with the same gateway.

    >>> identity = Identity("scoring", DeploymentVersion("scoring", "1.2", 0.0))
    >>> identity.check({"x-nbgraph-deployment": "scoring", "x-nbgraph-version": "1.1"})
    Traceback (most recent call last):
    nbgraph.serve.gateway.limits.RefusedError: Deployment "scoring" runs version "1.2", not "1.1".
    """

    def __init__(self, graph: str, told: DeploymentVersion | None = None, data: Path | None = None) -> None:
        self._graph, self._told = graph, told
        self._file = data / VERSION_FILE if data is not None else None
        self._read_at = 0  # when the file was written that was read last

    @property
    def current(self) -> DeploymentVersion | None:
        """The later of both."""
        if self._file is not None:
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                written_at = self._file.stat().st_mtime_ns
                if written_at != self._read_at:
                    found = DeploymentVersion.of_text(self._file.read_bytes())
                    self._told = found if self._told is None or found.time > self._told.time else self._told
                    self._read_at = written_at
        return self._told

    def check(self, headers: Mapping[str, str]) -> None:
        """Refuse a caller who means another deployment, or another version."""
        current = self.current
        name, version = (current.name, current.version) if current is not None else (self._graph, None)
        asked, wanted = headers[DEPLOYMENT_HEADER], headers.get(VERSION_HEADER)
        if asked not in (name, self._graph):
            raise RefusedError(MISDIRECTED, f'This is deployment "{name}", not "{asked[:100]}".')
        if wanted is not None and wanted != version:
            found = f'version "{version}"' if version is not None else "no version"
            raise RefusedError(ANOTHER_VERSION, f'Deployment "{name}" runs {found}, not "{wanted[:100]}".')

    def signed(self, reply: Reply) -> Reply:
        """The reply to a caller who asked for a deployment, with what it is."""
        current = self.current
        name = current.name if current is not None else self._graph
        told = {DEPLOYMENT_HEADER: name} | ({VERSION_HEADER: current.version} if current is not None else {})
        lines = tuple((word.encode(), text.encode("latin-1", "replace")) for word, text in told.items())
        return reply._replace(headers=(*reply.headers, *lines))
