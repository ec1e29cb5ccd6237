"""Jobs: the same graph over a data set, on all cores or many machines, resumed after whatever died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbgraph.jobs.job import Job

__all__ = ["Job"]


def __getattr__(name: str) -> Any:
    """Loaded when asked for, so that a worker starts without what only the job's own process needs."""
    if name in __all__:
        from nbgraph.jobs import job

        return getattr(job, name)
    raise AttributeError(f"module 'nbgraph.jobs' has no attribute {name!r}")
