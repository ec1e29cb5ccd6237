"""Job workers: started on a target for a job, which asks for them by `nbgraph.graph.facade.job_workers`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nbgraph.deploy.options.calls import check_calls, with_places
from nbgraph.deploy.options.features import check_features
from nbgraph.deploy.options.provision import Provision
from nbgraph.deploy.options.validation import check_here
from nbgraph.deploy.project.job_project import JobRequest, JobWorkers, StartJobWorkers, job_project
from nbgraph.deploy.target import host_target
from nbgraph.engine.partition import Function
from nbgraph.graph.graph import Graph


def start_of(
    target: str, graph: Graph, *, folder: Path, cwd: str, reads: Sequence[Path], writes: Sequence[Path],
    packages: Sequence[str], workers: int,
) -> StartJobWorkers:  # fmt: skip
    """What starts the workers, whenever it is called; that somebody could run them is asked here.

    Parameters
    ----------
    target
        `"docker"` or `"swarm"`.
    graph
        The graph, which becomes the image.
    folder
        Folder of the job.
    cwd
        Folder that relative paths begin at.
    reads
        Files and folders that workers read.
    writes
        Folders that they write to.
    packages
        Modules that the image has besides what the graph needs.
    workers
        How many there are.
    """
    check_here()
    host = host_target(target)
    host.check_job()
    whole = [Function(graph.name, graph=graph)]
    check_features(target, whole, is_here=False)
    check_calls(host, whole, {graph.name: Provision()})
    request = JobRequest(graph, folder, cwd, reads, writes, workers)

    def start(say: Callable[[str], None]) -> JobWorkers:
        say("Capturing what the steps use")
        [project] = with_places(host, [job_project(graph, packages, say)])
        request.make_ready(project.given.secrets)
        return host.work(request, project, say)

    return start
