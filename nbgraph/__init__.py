"""nbgraph: real-time graphs in the notebook, in the debugger, in containers, with one meaning."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nbgraph.errors import (
    BodyError,
    DeployError,
    ExportError,
    FeatureError,
    GraphError,
    JobError,
    NbgraphError,
    PathError,
    RequestError,
    RouteError,
    RowError,
    SchemaError,
    StepError,
)
from nbgraph.event import Event
from nbgraph.graph import Edge, Graph, Step, StepRef, step
from nbgraph.handler import Handler
from nbgraph.types import Shape

if TYPE_CHECKING:
    from nbgraph import steps
    from nbgraph.debug.debugger import Debugger
    from nbgraph.debug.frame import Frame
    from nbgraph.debug.trace import Trace
    from nbgraph.deploy.deployment import Deployment
    from nbgraph.deploy.export import Export
    from nbgraph.deploy.operation.catalogue import catalog, get
    from nbgraph.deploy.operation.client import InvokeError
    from nbgraph.deploy.options.variables import Public
    from nbgraph.engine.interpret.observer import Observer
    from nbgraph.engine.live.run import Run
    from nbgraph.jobs.job import Job
    from nbgraph.steps.http.deployed import Deployed, DeployedError
    from nbgraph.steps.sources.base import RowSource, Source
    from nbgraph.steps.targets.base import RowTarget, Target

__all__ = [
    "BodyError",
    "Debugger",
    "DeployError",
    "Deployed",
    "DeployedError",
    "Deployment",
    "Edge",
    "Event",
    "Export",
    "ExportError",
    "FeatureError",
    "Frame",
    "Graph",
    "GraphError",
    "Handler",
    "InvokeError",
    "Job",
    "JobError",
    "NbgraphError",
    "Observer",
    "PathError",
    "Public",
    "RequestError",
    "RouteError",
    "RowError",
    "RowSource",
    "RowTarget",
    "Run",
    "SchemaError",
    "Shape",
    "Source",
    "Step",
    "StepError",
    "StepRef",
    "Target",
    "Trace",
    "catalog",
    "get",
    "load_ipython_extension",
    "step",
    "steps",
]
__version__ = "0.1.0"

# Where the names of upper floors are; they are loaded when first asked for, so that the import stays small.
_LATER = {
    "Debugger": "debug.debugger",
    "Deployed": "steps.http.deployed",
    "DeployedError": "steps.http.deployed",
    "Deployment": "deploy.deployment",
    "Export": "deploy.export",
    "Frame": "debug.frame",
    "InvokeError": "deploy.operation.client",
    "Job": "jobs.job",
    "Observer": "engine.interpret.observer",
    "Public": "deploy.options.variables",
    "RowSource": "steps.sources.base",
    "RowTarget": "steps.targets.base",
    "Run": "engine.live.run",
    "Source": "steps.sources.base",
    "Target": "steps.targets.base",
    "Trace": "debug.trace",
    "catalog": "deploy.operation.catalogue",
    "get": "deploy.operation.catalogue",
}


def __getattr__(name: str) -> Any:
    if name == "steps":
        return importlib.import_module("nbgraph.steps")
    if name in _LATER:
        return getattr(importlib.import_module(f"nbgraph.{_LATER[name]}"), name)
    raise AttributeError(f"module 'nbgraph' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext nbgraph`: the magics, completion and the rest of the notebook side."""
    from nbgraph.magic import load

    load(shell)
