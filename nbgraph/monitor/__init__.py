"""Monitoring: what flows through a graph is counted, compared with what flowed when all was well, and told."""

from nbgraph.monitor.alert import Alert, AlertState
from nbgraph.monitor.baseline import Baseline
from nbgraph.monitor.monitor import Monitor
from nbgraph.monitor.profile import Profile
from nbgraph.monitor.rule import (
    AlertRule,
    Backlog,
    Constant,
    Drift,
    Errors,
    Fields,
    Latency,
    Missing,
    Quality,
    Range,
    Rule,
    Types,
    Unseen,
)
from nbgraph.monitor.statistics.field_profile import FieldProfile

__all__ = [
    "Alert",
    "AlertRule",
    "AlertState",
    "Backlog",
    "Baseline",
    "Constant",
    "Drift",
    "Errors",
    "FieldProfile",
    "Fields",
    "Latency",
    "Missing",
    "Monitor",
    "Profile",
    "Quality",
    "Range",
    "Rule",
    "Types",
    "Unseen",
]
