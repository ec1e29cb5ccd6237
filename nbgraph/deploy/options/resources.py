"""Resources: how much of a machine the containers of a function may take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbgraph.errors import DeployError

WORDS = ("cpus", "memory", "gpus", "tmp")
_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)i?b?", re.IGNORECASE)
LEAST_MEMORY = 6 * 2**20  # below which Docker starts nothing


@dataclass(frozen=True, slots=True)
class Resources:
    """What is None is not limited (`cpus`), or as it is without a word (`memory`, `tmp`); sizes are in bytes."""

    cpus: float | None = None
    memory: int | None = None
    gpus: int = 0
    tmp: int | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any], where: str) -> Resources:
        """What a person wrote.

        >>> Resources.of({"cpus": 1.5, "memory": "512m", "gpus": 1, "tmp": "1g"}, "resources")
        Resources(cpus=1.5, memory=536870912, gpus=1, tmp=1073741824)
        """
        for word in given:
            if word not in WORDS:
                raise DeployError(f'{where} has "{word}"; expected some of {", ".join(WORDS)}.')
        return cls(
            _cpus(given["cpus"], where) if given.get("cpus") is not None else None,
            _size(given["memory"], f"{where}: memory", LEAST_MEMORY) if given.get("memory") is not None else None,
            _gpus(given.get("gpus") or 0, where),
            _size(given["tmp"], f"{where}: tmp", 1) if given.get("tmp") is not None else None,
        )


def _cpus(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.01 <= value <= 10_000:
        raise DeployError(f"{where}: cpus is {value!r}; expected a number such as 1.5, of at least 0.01.")
    return round(float(value), 3)  # what Kubernetes can tell apart


def _gpus(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DeployError(f"{where}: gpus is {value!r}; expected a whole number, such as 1.")
    return value


def _size(value: Any, where: str, least: int) -> int:
    """Bytes as a number, or a number with its unit as Docker has it.

    >>> _size("512m", "memory", 1), _size("1.5 GiB", "memory", 1), _size(4096, "memory", 1)
    (536870912, 1610612736, 4096)
    """
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None:
        size = int(float(found[1]) * _UNITS[found[2].lower()])
    elif isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        raise DeployError(f'{where} is {value!r}; expected a size such as "512m" or "2g", or a number of bytes.')
    if size < least:
        raise DeployError(f"{where} is {value!r}, which is too little; expected at least {least} bytes.")
    return size
