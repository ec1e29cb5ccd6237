"""Compose: the text that `docker compose up` reads, with the same profile that deploy("docker") uses."""

from __future__ import annotations

from typing import Any

import yaml

from nbgraph.deploy.profile import GRACE_SECONDS, PIDS, PORT, TMP, USER, Profile, labels

_HEAD = """\
# docker compose up --build --wait
# Reachable from this machine only. To open it to others, put keys (one a line) into a file, uncomment both
# `secrets` parts, and drop "127.0.0.1:".
"""
_TAIL = """\
#   in the service:
#     secrets: [api_key]
#
# secrets:
#   api_key:
#     file: ./api_key
"""


def compose(graph: str, function: str, profile: Profile) -> str:
    """The text of compose.yaml.

    >>> yaml.safe_load(compose("fraud", "fraud", Profile()))["services"]["fraud"]["cap_drop"]
    ['ALL']
    """
    document = {"name": function, "services": {function: _service(graph, function, profile)}}
    return _HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110) + _TAIL


def _service(graph: str, function: str, profile: Profile) -> dict[str, Any]:
    return {
        "build": ".",
        "image": f"nbgraph/{function}",
        "ports": [f"127.0.0.1:{PORT}:{PORT}"],
        "user": USER,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": [f"/tmp:{TMP}"],
        "pids_limit": PIDS,
        "mem_limit": profile.megabytes,
        "init": True,
        "restart": "unless-stopped",
        "stop_grace_period": f"{GRACE_SECONDS}s",
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
        "labels": {name: value.replace("$", "$$") for name, value in labels(graph, function, function).items()},
    }
