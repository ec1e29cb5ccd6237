"""How projects are made of a graph's functions, kept for the next time; what an update changes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nbgraph.contract import CAPTURE_FILE, GATEWAY_FILE, CaptureSpec, GatewaySpec, to_file
from nbgraph.deploy.options.features import snapshots, with_access
from nbgraph.deploy.options.provision import EVERYWHERE, Provision, changed
from nbgraph.deploy.options.validation import base_images_of, check_cors, check_index, requirements_of
from nbgraph.deploy.options.workers import known, with_hands
from nbgraph.deploy.progress import Say, quiet
from nbgraph.deploy.project.dockerfile import default_base
from nbgraph.deploy.project.function_project import FunctionProject, Projects
from nbgraph.deploy.project.project import project_files
from nbgraph.engine.partition import Function
from nbgraph.graph.deploy_options import FunctionOptions, ServiceOptions
from nbgraph.graph.graph import Graph
from nbgraph.streams.transport import DEFAULT


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """By function, or for all: the base of the images, where it is not the usual one; what is to be installed beside
    what was found; what the workers are given.

    `cors`: the sites whose pages may call. `capture`: the part of all events that the workers record, with dots for the
    fields that are `redacted`. `threads` and `workers`: see `with_hands`.
    """

    base_images: Mapping[str, str] = field(default_factory=dict)
    requirements: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    given: Mapping[str, Provision] = field(default_factory=dict)
    capture: float = 0.0
    redacted: tuple[str, ...] = ()
    index_url: str | None = field(default=None, repr=False)
    threads: Any = None
    workers: Any = None
    cors: tuple[str, ...] = ()
    include: tuple[str, ...] = ()  # files and folders that the steps read
    transport: str = DEFAULT  # what joins the functions
    snapshot: bool = False  # the online rows that vectors read go along

    @classmethod
    def of(
        cls,
        graph: Graph,
        functions: Sequence[Function],
        given: Mapping[str, Provision],
        options: ServiceOptions,
        transport: str,
    ) -> BuildOptions:
        """What the options of a deployment or an export say of it, checked."""
        names = [function.name for function in functions]
        with_hands(functions, options.threads, options.workers)
        check_index(options.index_url)
        return cls(
            base_images_of(options.base_image, names),
            requirements_of(options.requirements, names),
            given,
            options.capture,
            tuple(sorted(graph.redacted)),
            options.index_url,
            options.threads,
            options.workers,
            check_cors(options.cors),
            tuple(options.include),
            transport,
            options.snapshot,
        )

    def updated(self, functions: Sequence[Function], options: FunctionOptions) -> BuildOptions:
        """The same with what an update says; what it does not say stays."""
        names = [function.name for function in functions]
        images = base_images_of(options.base_image, names)
        return replace(
            self,
            base_images=self.base_images if options.base_image is None else images,
            given=with_access(changed(self.given, names, options), functions),
            threads=self.threads if options.threads is None else options.threads,
            workers=self.workers if options.workers is None else options.workers,
        )

    def projects(self, graphs: Sequence[Function], say: Say = quiet) -> Projects:
        """Each function with the files that it becomes; `say` is told what was proven of it."""
        functions = with_hands(graphs, known(self.threads, graphs), known(self.workers, graphs))
        more = {CAPTURE_FILE: self._capture()} if self.capture else {}
        first = {GATEWAY_FILE: to_file(GatewaySpec(self.cors))} if self.cors else {}
        return [self._part(each, more if number else {**more, **first}, say) for number, each in enumerate(functions)]

    def provision(self, function: str) -> Provision:
        """What the workers of a function are given."""
        return self.given.get(function) or self.given.get(EVERYWHERE) or Provision()

    def base(self, function: str) -> str:
        """What the image of a function is made from."""
        return self.base_images.get(function) or self.base_images.get(EVERYWHERE) or default_base()

    def _part(self, function: Function, more: Mapping[str, bytes], say: Say) -> FunctionProject:
        base = self.base(function.name)
        given = self.provision(function.name)
        owned = [volume.path for volume in given.volumes if not volume.is_read_only]
        required = self._required(function.name)
        if self.snapshot:
            more = {**more, **snapshots(function)}
        files, left = project_files(
            function, base, required, more, owned, self.index_url, self.include, say, self.transport
        )
        return FunctionProject(function, files, given, base, self.index_url, left)

    def _required(self, function: str) -> list[str]:
        return [*self.requirements.get(EVERYWHERE, ()), *self.requirements.get(function, ())]

    def _capture(self) -> bytes:
        return to_file(CaptureSpec(self.capture, self.redacted))


def kept(
    given: Mapping[str, Provision], hands: tuple[Mapping[str, int], int], transport: str = DEFAULT
) -> BuildOptions:
    """What is known of a deployment that was found running."""
    threads, workers = hands
    return BuildOptions(given=given, threads=threads, workers=workers, transport=transport)
