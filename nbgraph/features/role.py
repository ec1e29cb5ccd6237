"""Role: a feature set under other key fields, so that it can be in a vector more than once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbgraph.errors import GraphError

if TYPE_CHECKING:
    from nbgraph.features.set import FeatureSet


class Role:
    """What `set.on(...)` gives: `fields` has the field of the rows for each key of the set."""

    def __init__(self, set: FeatureSet, roles: Mapping[str, str], prefix: str = "") -> None:
        for key in roles:
            if key not in set.key:
                raise GraphError(f'The set "{set.name}" has no key "{key}"; its keys: {", ".join(set.key)}.')
        self.set, self.prefix = set, prefix
        self.fields = tuple(roles.get(key, key) for key in set.key)

    def __repr__(self) -> str:
        return f"<{self.set.id} on {', '.join(self.fields)}, prefix {self.prefix!r}>"
