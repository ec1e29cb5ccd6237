"""Scope: where the names of a graph are looked up, and how far its texts are trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Scope:
    """The namespace that names are bound in, late; the modules a document may import from.

    `is_document` is True for a graph that was loaded (YAML, JSON, `Graph.parse`): its expressions are limited to
    the safe subset and its dotted names to `allow`. `is_given` is True when the loader named the namespace itself.
    """

    namespace: Mapping[str, Any] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    is_document: bool = False
    is_given: bool = False

    def allows(self, module: str) -> bool:
        """Whether a document may import the module: it, or a package above it, is in `allow`.

        >>> Scope(allow=("json",), is_document=True).allows("json.decoder")
        True
        >>> Scope(is_document=True).allows("os")
        False
        """
        return not self.is_document or any(module == name or module.startswith(f"{name}.") for name in self.allow)
