"""Finding: what is wrong with a graph, or looks like a slip, and the step or arrow that it is about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about a step, or with `target` an arrow; what is no fault is told and does not stop a run."""

    text: str
    step: str = ""
    target: str = ""
    is_fault: bool = True


def faults(findings: Iterable[Finding]) -> list[str]:
    """The sentences of those that stop a run."""
    return [finding.text for finding in findings if finding.is_fault]


def meant(name: str, known: Iterable[str]) -> str:
    """The likeliest slip, as a sentence to be put behind another one.

    >>> meant("tabel", ["table", "on"]), meant("x", ["table"])
    (' Did you mean "table"?', '')
    """
    close = get_close_matches(name, [one for one in known if not one.startswith("_")], n=1)
    return f' Did you mean "{close[0]}"?' if close else ""
