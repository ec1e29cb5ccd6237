"""Plain YAML: documents as a person would write them: no anchors, short lists on one line, text line by line."""

from __future__ import annotations

from typing import Any

import yaml

SCALARS = (str, int, float, bool)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        is_short = all(isinstance(item, SCALARS) for item in sequence) and len(str(sequence)) < 90
        return super().represent_sequence(tag, sequence, flow_style=is_short)

    def represent_scalar(self, tag: str, value: Any, style: str | None = None) -> yaml.ScalarNode:
        return super().represent_scalar(tag, value, "|" if "\n" in value else style)


def plain_yaml(*documents: Any) -> str:
    """The text of one document, or of several in one file.

    >>> print(plain_yaml({"cap_drop": ["ALL"], "steps": [{"name": "a"}]}, {"kind": "Service"}), end="")
    cap_drop: [ALL]
    steps:
    - name: a
    ---
    kind: Service
    """
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
