"""Features: sets and vectors that steps use, whose online rows a target has to reach, or take along."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nbgraph.contract import SNAPSHOTS
from nbgraph.deploy.options.provision import Provision
from nbgraph.deploy.options.secrets import reached
from nbgraph.engine.partition import Function
from nbgraph.errors import DeployError
from nbgraph.graph.graph import Graph
from nbgraph.streams.transport import LOCAL_HOSTS

if TYPE_CHECKING:
    from nbgraph.features.place import StorePlace
    from nbgraph.features.set import FeatureSet
    from nbgraph.features.vector import FeatureVector

LARGEST = 200 * 2**20  # bytes of the snapshots of a function


def features_in(graph: Graph) -> Iterator[tuple[str, FeatureSet | FeatureVector, StorePlace]]:
    """The sets and vectors that are in a store and that steps reach, each with its step and where the store is."""
    if "nbgraph.features.store" not in sys.modules:
        return
    from nbgraph.features.set import FeatureSet
    from nbgraph.features.vector import FeatureVector

    for step, thing in reached(graph):
        if isinstance(thing, FeatureSet | FeatureVector) and thing.place is not None:
            yield step, thing, thing.place


def check_features(target: str, functions: Sequence[Function], *, is_here: bool, snapshot: bool = False) -> None:
    """Refuse online rows that the target's workers would not see; `is_here`: they see what this process sees."""
    for function in functions:
        for step, found, place in features_in(function.graph):
            if snapshot:
                _check_packed(step, found, place)
            elif place.is_file and not is_here:
                raise DeployError(
                    f'Step "{step}" reads features of "{found.name}", whose online rows are a SQLite file in {place}, '
                    f'which target "{target}" does not reach: give the store online="redis://..." or '
                    'online="postgresql://...", take the rows along as they are now: snapshot=True, or deploy to '
                    '"process".'
                )
            elif not is_here and (host := _local_host(place)):
                raise DeployError(
                    f'Step "{step}" reads features of "{found.name}", whose online rows are at {host}, which is this '
                    f'machine alone, and target "{target}" runs in containers: give the store an address that leads '
                    "to it from there too."
                )


def _check_packed(step: str, found: FeatureSet | FeatureVector, place: StorePlace) -> None:
    """Refuse what a snapshot can't be made of."""
    from nbgraph.features.vector import FeatureVector

    if not place.is_file:
        raise DeployError(
            f'Step "{step}" reads features of "{found.name}", whose online rows are at {place.online}: workers read '
            "them there. Leave snapshot out, which packs rows of a SQLite file."
        )
    if not isinstance(found, FeatureVector):
        raise DeployError(
            f'Step "{step}" writes to the set "{found.name}", and a snapshot is only read: give the store '
            'online="redis://..." or online="postgresql://...".'
        )


def _local_host(place: StorePlace) -> str | None:
    host = urlsplit(place.online).hostname if isinstance(place.online, str) else None
    return host if host is not None and host.startswith(LOCAL_HOSTS) else None


def with_access(given: Mapping[str, Provision], functions: Sequence[Function]) -> dict[str, Provision]:
    """What functions are given, with the secrets by which they reach the stores that their steps use."""
    found = dict(given)
    for function in functions:
        names = {place.secret for _, _, place in features_in(function.graph) if place.secret is not None}
        if names:
            one = found[function.name]
            own = {name: os.environ[name] for name in sorted(names)}
            found[function.name] = replace(one, secrets={**one.secrets, **own})
    return found


def snapshots(function: Function) -> dict[str, bytes]:
    """The online rows that the vectors of a function read, a file a store, by their paths in its project."""
    from nbgraph.features.snapshot import file_of, packed
    from nbgraph.features.vector import FeatureVector

    vectors: dict[StorePlace, dict[str, FeatureVector]] = {}
    for _, found, place in features_in(function.graph):
        if isinstance(found, FeatureVector):
            vectors.setdefault(place, {})[f"{found.name}@{found.version}"] = found
    files = {f"{SNAPSHOTS}/{file_of(place)}": packed([*own.values()]) for place, own in vectors.items()}
    size = sum(map(len, files.values()))
    if size > LARGEST:
        raise DeployError(
            f'The online rows that "{function.name}" reads take {size / 2**20:.0f} MB, more than the '
            f'{LARGEST // 2**20} MB of a snapshot: give the store online="redis://...", and leave snapshot out.'
        )
    return files
