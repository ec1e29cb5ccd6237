"""Project: a graph together with everything it needs to run somewhere else, as text and files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from nbgraph import steps
from nbgraph.capture.artifacts import Artifact, manifest
from nbgraph.capture.local_modules import is_local, local_files
from nbgraph.capture.module.module import Module
from nbgraph.capture.module.stock import RestartError
from nbgraph.capture.policy import CapturePolicy
from nbgraph.capture.proof.proof import Loader, Proof, prove
from nbgraph.capture.proof.roots import is_deep, libraries_of
from nbgraph.capture.refusal import Where, raise_if_secret, raise_if_secrets
from nbgraph.capture.requirements import Requirements, requirements_of
from nbgraph.contract import ARTIFACTS_FILE, GRAPH_FILE, HANDLERS_MODULE, REQUIREMENTS_FILE
from nbgraph.engine.compile.bind import is_expression, resolve
from nbgraph.errors import ExportError, GraphError, NbgraphError
from nbgraph.graph.documents.literal import NotLiteralError, plain
from nbgraph.graph.edge import Edge
from nbgraph.graph.finding import faults
from nbgraph.graph.graph import Graph
from nbgraph.graph.safety.expression import check_safe
from nbgraph.graph.scope import Code
from nbgraph.graph.step import Step
from nbgraph.handler import Handler


@dataclass(frozen=True, slots=True)
class Project:
    """`document` is the graph in words of `handlers`; `files` are its artifacts, inner graphs and local modules."""

    name: str
    document: str
    handlers: str
    files: Mapping[str, bytes]
    requirements: Requirements
    artifacts: tuple[Artifact, ...] = ()
    left: tuple[str, ...] = ()  # files of the user's own packages that stayed behind
    proof: Proof = field(default_factory=Proof)

    def contents(self) -> dict[str, bytes]:
        """All files of the project by their path, sorted."""
        return {**self.code(), REQUIREMENTS_FILE: self.requirements.text().encode()}

    def code(self) -> dict[str, bytes]:
        """What a worker loads."""
        found = {GRAPH_FILE: self.document.encode(), f"{HANDLERS_MODULE}.py": self.handlers.encode(), **self.files}
        return dict(sorted(found.items()))


def capture(graph: Graph, requirements: Iterable[str] = (), include: Iterable[str] = ()) -> Project:
    """The project of a graph, taken from the live objects that its steps mean now, and proven equal to them.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.upper).respond()
    >>> print(capture(graph).handlers, end="")
    \"\"\"What the steps of the graph "shout" call, as it stood in the notebook.\"\"\"
    <BLANKLINE>
    upper = str.upper
    <BLANKLINE>
    __all__ = ["upper"]
    """
    project = attempt(graph, requirements, include)
    if not project.proof.is_equal:
        raise unproven(graph, project.proof)
    return project


def attempt(graph: Graph, requirements: Iterable[str] = (), include: Iterable[str] = ()) -> Project:
    """The project that comes nearest; its `proof` says whether it is equal.

    The text is tried first. What a proof finds different goes with what was set on it afterwards, or by value, and that
    is proven again; at last all goes by value.
    """
    problems = faults(graph.findings())
    if problems:
        raise GraphError.of_problems(graph.name, problems)
    try:
        return _attempt(graph, requirements, tuple(include))
    except (NbgraphError, AssertionError):
        raise
    except Exception as error:  # anything that an object of the user's raises when it is looked at
        raise ExportError(
            f'The graph "{graph.name}" can\'t leave the notebook: looking at what its steps use failed with '
            f"{type(error).__name__}: {error}. Make the object that raises it in a step's constructor or post_init()."
        ) from error


def _attempt(graph: Graph, requirements: Iterable[str], include: tuple[str, ...]) -> Project:
    policy = CapturePolicy()
    while True:
        project = _written(graph, requirements, include, policy)
        proof = project.proof
        if proof.is_equal or not policy.learn(proof.differences, proof.things, proof.evaluated):
            return project


def _written(graph: Graph, requirements: Iterable[str], include: tuple[str, ...], policy: CapturePolicy) -> Project:
    with Loader(libraries_of(graph)) as loader:
        while True:
            try:
                return _ProjectDraft(graph, policy, include).project(tuple(requirements), loader)
            except RestartError:
                continue


class _ProjectDraft:
    """One try: the graph written with what the policy knows by now."""

    def __init__(self, graph: Graph, policy: CapturePolicy, include: tuple[str, ...]) -> None:
        self._graph, self._include = graph, include
        self._module = Module(graph.scope.namespace, policy)
        self._inner: dict[str, bytes] = {}

    def project(self, requirements: tuple[str, ...], loader: Loader) -> Project:
        graph, module = self._graph, self._module
        written = _Portable(graph, module, self._inner).graph()
        title = f'What the steps of the graph "{_harmless(graph.name)}" call, as it stood in the notebook.'
        handlers = module.text(title)
        modules = module.modules | module.stock.modules | ({"numpy"} if graph.watched is not None else set())
        local = local_files({name for name in modules if is_local(name)}, self._include)
        _refuse_clash(local.files)
        files = {**self._inner, **module.stock.contents, **local.files}
        artifacts = tuple(module.stock.artifacts.values())
        if artifacts:
            files[ARTIFACTS_FILE] = manifest(list(artifacts)).encode()
        project = Project(
            graph.name,
            written.to_yaml(),
            handlers,
            MappingProxyType(files),
            requirements_of(modules | local.modules, requirements),
            artifacts,
            local.left,
        )
        own = {name for name in local.modules if is_local(name)}
        return replace(project, proof=prove(graph, written, project.code(), own, module.stock.hashes(), loader))


def unproven(graph: Graph, proof: Proof) -> ExportError:
    """The sentence for what can't be shown to be the same elsewhere."""
    more = len(proof.sentences()) - 1
    return ExportError(
        f'The graph "{graph.name}" can\'t leave the notebook as it is: {proof.sentences()[0]}'
        + (f" (and {more} more)" if more else "")
        + ". Make that in a function or class of the notebook that builds it where it runs (a step's constructor or "
        "post_init()), or put it into a module of your own."
    )


def _harmless(name: str) -> str:
    """A graph's name inside a docstring."""
    return name.replace("\\", "/").replace('"', "'") if name.isprintable() else ascii(name).replace('"', "'")


def _refuse_clash(files: Mapping[str, bytes]) -> None:
    for path in (f"{HANDLERS_MODULE}.py", f"{HANDLERS_MODULE}/__init__.py"):
        if path in files:
            raise ExportError(
                f'Your module "{HANDLERS_MODULE}" has the name that the project needs for its own; rename it.'
            )


class _Portable:
    """Rewrites a graph so that every handler and argument is data or a name in the module."""

    def __init__(self, graph: Graph, module: Module, inner: dict[str, bytes]) -> None:
        self._given = graph
        self._module = module
        self._inner = inner

    def graph(self) -> Graph:
        given = self._given
        written = Graph(given.name, given.max_iterations, given.error_stream, given.copy, given.protocol)
        for step in given.steps:
            written.place(self._step(step))
        for edge in given.edges:
            when = self._condition(edge)
            written.connect(edge.source, edge.target, when=when, otherwise=edge.otherwise, kind=edge.kind)
        for responder in given.responders:
            written.respond(responder)
        written.watched = given.watched
        return written

    def _step(self, step: Step) -> Step:
        where = Where(step.name)
        arguments = {name: self._argument(step.name, name, value) for name, value in step.arguments.items()}
        return replace(step, handler=self._handler(step, where), arguments=MappingProxyType(arguments))

    def _handler(self, step: Step, where: Where) -> Any:
        handler = step.handler
        if is_expression(handler):
            assert isinstance(handler, str)
            return handler if _is_safe(handler) else self._function(step.name, handler, where)
        target = resolve(self._given, step)
        if isinstance(target, type) and issubclass(target, Handler):
            self._module.modules.update(target.packages)
        if isinstance(handler, str) and self._is_known_anywhere(handler, target):
            return handler
        if isinstance(target, Graph):
            return self._inner_graph(step, target)
        preferred = handler.rpartition(".")[2] if isinstance(handler, str) else step.name
        return self._named(target, preferred, where)

    def _is_known_anywhere(self, name: str, target: Any) -> bool:
        """A built-in step, which a loaded graph finds by itself."""
        return steps.catalogue().get(name) is target

    def _inner_graph(self, step: Step, graph: Graph) -> str:
        """A graph inside the graph: a document of its own, loaded by the module."""
        name = self._module.free_name(step.name)
        file = f"{name}.yaml"
        self._inner[file] = _Portable(graph, self._module, self._inner).graph().to_yaml().encode()
        return self._exported(self._module.load_graph(name, graph, file))

    def _named(self, value: Any, preferred: str, where: Where) -> str:
        return self._exported(self._module.name_of(value, preferred, where))

    def _expression(self, preferred: str, text: str, where: Where) -> str:
        return self._exported(self._module.expression(preferred, text, where))

    def _function(self, preferred: str, text: str, where: Where) -> str:
        return self._exported(self._module.function(preferred, text, where))

    def _exported(self, name: str) -> str:
        self._module.exported.add(name)
        return name

    def _argument(self, step: str, name: str, value: Any) -> Any:
        where = Where(step, (name,))
        if isinstance(value, Step):
            return self._step(value)
        if isinstance(value, Code):
            return self._code(f"{step}_{name}", value, where)
        if type(value) is dict and is_deep(value):
            return {key: self._argument(step, str(key), item) for key, item in value.items()}
        if type(value) in (list, tuple) and is_deep(value):
            return type(value)(self._argument(step, name, item) for item in value)
        raise_if_secret(name, value, where)
        raise_if_secrets(value, where)
        try:
            plain(value)
        except NotLiteralError:
            return Code(self._named(value, f"{step}_{name}", where))
        policy = self._module.policy
        if id(value) in policy.named or (policy.is_by_value(value) and type(value) in (list, dict, set)):
            return Code(self._named(value, f"{step}_{name}", where))
        self._module.arguments.append(value)
        return value

    def _code(self, preferred: str, code: Code, where: Where) -> Code:
        """Code that names one thing keeps its name; any other becomes a name of its own in the module."""
        text = code.text.strip()
        if text.isidentifier():
            value = self._module.lookup(text, where)
            return Code(self._named(value, text, where))
        return Code(self._expression(preferred, text, where))

    def _condition(self, edge: Edge) -> Any:
        name, where = f"when_{edge.source}_{edge.target}", Where(edge.source, (f"the condition to {edge.target}",))
        if edge.when is None:
            return None
        if isinstance(edge.when, Code):
            return self._code(name, edge.when, where)
        if edge.is_error:
            return self._exceptions(edge.when, where)
        if isinstance(edge.when, str):
            return edge.when if _is_safe(edge.when) else Code(self._function(name, edge.when, where))
        return Code(self._named(edge.when, name, where))

    def _exceptions(self, names: Any, where: Where) -> Any:
        """The names of exceptions; the notebook's own are defined."""
        for name in str(names).split("|"):
            value = self._given.scope.namespace.get(name.strip())
            if isinstance(value, type):
                self._named(value, name.strip(), where)
        return names


def _is_safe(text: str) -> bool:
    """Whether a loaded document may hold the expression as it stands."""
    try:
        check_safe(text, {"event"}, "")
    except GraphError:
        return False
    return True
