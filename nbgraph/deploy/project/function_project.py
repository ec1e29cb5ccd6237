"""Part: a function of a graph on its way to where it will run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nbgraph.deploy.options.provision import Provision
from nbgraph.engine.partition import Function


@dataclass(frozen=True, slots=True)
class FunctionProject:
    """A function, the files of its project, what its workers are given, what its image is made from.

    `index_url`: where packages come from that this machine fetches. `left`: big files of the user's own packages that
    stay behind.
    """

    function: Function
    files: Mapping[str, bytes]
    given: Provision
    base: str
    index_url: str | None = field(default=None, repr=False)
    left: tuple[str, ...] = ()


Projects = Sequence[FunctionProject]
