"""Order: what an export is to write, before it is put into a target's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nbgraph.contract import KEY_SECRET, PORT, TOKEN_SECRET
from nbgraph.deploy.operation.autoscale import ScalingRule
from nbgraph.deploy.project.function_project import Projects
from nbgraph.deploy.project.services import BROKER, Service, broker_folder
from nbgraph.streams.transport import OWN, StreamAddress


@dataclass(frozen=True)
class ExportSpec:
    """What there is, and how many of each.

    `name`: the graph's, as hosts and labels allow it. `rules`: for the functions that scale by themselves.
    `is_pushed`: the images belong to a registry. `is_guarded`: callers need a key, where the target lets them do
    without. `host`, `port`: where Compose listens. `is_safe`: what is acknowledged is on the disk. `streams`: what
    joins the functions; the values of its secret are asked for when the export is started.
    """

    graph: str
    name: str
    projects: Projects
    services: tuple[Service, ...]
    rules: Mapping[str, ScalingRule] = field(default_factory=dict)
    is_pushed: bool = False
    is_guarded: bool = False
    is_safe: bool = True
    host: str = "127.0.0.1"
    port: int = PORT
    streams: StreamAddress = OWN

    @property
    def functions(self) -> list[Service]:
        """The services but the broker, the gateway first."""
        return [service for service in self.services if service.function is not None]

    @property
    def broker(self) -> Service | None:
        """The server that joins the functions, where there are several and it is their own."""
        return next((service for service in self.services if service.function is None), None)

    @property
    def is_parted(self) -> bool:
        """Whether there are several functions."""
        return len(self.functions) > 1

    @property
    def has_login(self) -> bool:
        """Whether the functions log in to an external broker."""
        return self.is_parted and self.streams.is_external and bool(self.streams.secret)

    @property
    def given_secrets(self) -> list[str]:
        """The names of those that a person has to give."""
        names = {name for service in self.functions for name in service.secrets}
        return sorted(names - {KEY_SECRET, TOKEN_SECRET})

    @property
    def has_secrets(self) -> bool:
        """Whether there is something to make before it can start."""
        return self.broker is not None or self.has_login or self.is_guarded or bool(self.given_secrets)

    def base(self, service: Service) -> str:
        """What the image of a function is made from."""
        return next(part.base for part in self.projects if part.function is service.function)

    def folders(self) -> dict[str, bytes]:
        """What the images are built from, each in a folder of its own."""
        files = {f"{part.function.name}/{path}": text for part in self.projects for path, text in part.files.items()}
        if self.broker is not None:
            files |= {f"{BROKER}/{path}": text for path, text in broker_folder(is_safe=self.is_safe).items()}
        return files

    def builds(self) -> str:
        """The commands that build the images and, where they belong to a registry, push them there."""
        builds = [f"docker build -t {service.image} {service.folder}" for service in self.services]
        pushes = [f"docker push {service.image}" for service in self.services if self.is_pushed]
        return "\n".join([*builds, *pushes])
