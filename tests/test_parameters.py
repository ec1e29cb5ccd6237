"""What a public callable takes is documented, each parameter by its name, in the order of its signature."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from nbgraph import steps

INJECTED = ("context", "name")  # what the engine gives by itself


def taken(found: Any) -> list[str]:
    parameters = inspect.signature(found).parameters.values()
    return [p.name for p in parameters if not (p.name in INJECTED and p.kind is p.KEYWORD_ONLY) and p.name != "self"]


def documented(found: Any) -> list[str]:
    text = inspect.getdoc(found) or ""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+$|\Z)", text, re.DOTALL | re.MULTILINE)
    labels = re.findall(r"^(\S[^\n]*)$", section[1], re.MULTILINE) if section else []
    return [
        name.strip("* ") for label in labels if not label.startswith(">>>") for name in label.split(":")[0].split(",")
    ]


@pytest.mark.parametrize("name", [name for name in steps.__all__ if inspect.isclass(getattr(steps, name))])
def test_the_parameters_of_a_step(name: str) -> None:
    step = getattr(steps, name)
    assert documented(step) == taken(step)
