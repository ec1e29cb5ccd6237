"""Jobs: the same graph over a data set, on all cores or many machines, resumed after whatever died."""

from nbgraph.jobs.job import Job

__all__ = ["Job"]
