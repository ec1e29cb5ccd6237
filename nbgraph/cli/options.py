"""Options of `export` and `deploy` on the command line, and their values in the form that these take.

Where something is meant for one function its name stands before it: `score/LEVEL=debug`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import msgspec
from msgspec.structs import asdict, replace
from typer import Argument, Option

from nbgraph.cli.document import Allow, Json, Module, NoIo, Saved
from nbgraph.deploy.options.variables import read_variables
from nbgraph.deploy.target import any_of, exports, hosts
from nbgraph.errors import NbgraphError
from nbgraph.graph.deploy_options import DeployOptions, ExportOptions, HostingOptions, ServiceOptions

Given = dict[str, Any] | None
P = ParamSpec("P")
F = TypeVar("F")


class ServiceFlags(msgspec.Struct, frozen=True, kw_only=True):
    """What `export` and `deploy` are told alike; their options are those of `ServiceOptions`."""

    target: str
    name: str | None
    port: int | None
    host: str
    replicas: Annotated[list[str] | None, Option(help="FUNCTION=NUMBER; one for each function")] = None
    threads: Annotated[
        list[str] | None, Option(help="FUNCTION=NUMBER: synchronous steps that its workers run at once")
    ] = None
    workers: Annotated[int | None, Option(help="processes of the function that callers reach")] = None
    autoscale: Annotated[
        list[str] | None, Option(help="FUNCTION=LEAST:MOST:TARGET, as score=1:8:100; one for each function")
    ] = None
    env: Annotated[
        list[str] | None, Option(help="NAME=VALUE, or NAME to take it from here; FUNCTION/NAME=... for one function")
    ] = None
    env_file: Annotated[Path | None, Option(help="a file of lines NAME=VALUE")] = None
    secret: Annotated[
        list[str] | None, Option(help="NAME to take it from the environment, NAME=FILE from a file; FUNCTION/NAME...")
    ] = None
    secrets_file: Annotated[Path | None, Option(help="a file of lines NAME=VALUE, which are secrets")] = None
    resources: Annotated[list[str] | None, Option(help="[FUNCTION/]cpus=1.5,memory=512m,gpus=1,tmp=64m")] = None
    volume: Annotated[list[str] | None, Option(help="[FUNCTION/]FOLDER-OR-NAME:PATH[:ro]")] = None
    cors: Annotated[list[str] | None, Option(help="a site whose pages may call, as https://shop.example")] = None
    requirement: Annotated[list[str] | None, Option(help="a package to install as well; one for each")] = None
    requirements: Annotated[
        list[Path] | None, Option("--requirements", "-r", help="a file of packages to install as well")
    ] = None
    index_url: Annotated[
        str | None, Option(envvar="NBGRAPH_INDEX_URL", help="the index that packages are taken from")
    ] = None
    base_image: Annotated[
        list[str] | None, Option(help="what the images are made from; FUNCTION=IMAGE for one function")
    ] = None
    include: Annotated[list[str] | None, Option(help="a file or folder here that the steps read; one for each")] = None
    snapshot: Annotated[bool, Option(help="take the online rows along that feature vectors read")] = False
    durability: Annotated[str | None, Option(help="sync or fast")] = None
    streams: Annotated[
        str, Option(help="nats; an existing Kafka cluster, kafka://host:9092; or kafka, as NBGRAPH_KAFKA says")
    ] = ServiceOptions().streams
    capture: Annotated[float, Option(help="the part of all events that is recorded, as 0.01")] = 0.0
    registry: Annotated[str | None, Option(help="where images are pushed to, and pulled from")] = None
    module: Module = None
    allow: Allow = None
    no_io: NoIo = False
    as_json: Json = False

    def service(self) -> ServiceOptions:
        """What they mean; key and certificate are told to each command in its own way."""
        return ServiceOptions(
            name=self.name,
            port=self.port,
            host=self.host,
            replicas=counts(self.replicas),
            threads=counts(self.threads, "threads"),
            workers=self.workers,
            autoscale=rules(self.autoscale),
            env=variables(self.env, self.env_file),
            secrets=secrets(self.secret, self.secrets_file),
            resources=resources(self.resources),
            volumes=volumes(self.volume),
            cors=self.cors or None,
            requirements=requirements(self.requirement, self.requirements),
            index_url=self.index_url,
            base_image=images(self.base_image),
            include=tuple(self.include or ()),
            snapshot=self.snapshot,
            durability=self.durability,
            streams=self.streams,
            capture=self.capture,
            registry=self.registry,
        )


class ExportKeywords(ServiceFlags, frozen=True, kw_only=True):
    """The flags of `export`; what stands without a flag is in `ExportFlags`."""

    target: Annotated[str, Option(help=any_of(exports()))] = "compose"
    name: Annotated[str | None, Option(help="what the project is called; default: the graph's name")] = None
    port: Annotated[int | None, Option(help="where Compose listens; default: 8080")] = None
    host: Annotated[str, Option(help="others than this machine need a key: --api-key")] = "127.0.0.1"
    api_key: Annotated[bool, Option("--api-key", help="callers need a key, which secrets.sh makes")] = False


class ExportFlags(ExportKeywords, frozen=True):
    """All that `export` is told.

    >>> ExportFlags(Path("g.yaml"), Path("out"), env=["LEVEL=info"]).options()
    ExportOptions(folder, env)
    """

    graph: Saved
    folder: Annotated[Path, Argument(help="where the project is written")]

    def options(self) -> ExportOptions:
        service = replace(self.service(), api_key=self.api_key or None)
        return ExportOptions(self.folder, self.target, **asdict(service))


class DeployKeywords(ServiceFlags, frozen=True, kw_only=True):
    """The flags of `deploy`; what stands without a flag is in `DeployFlags`."""

    target: Annotated[str, Option(help=any_of(hosts()))] = "docker"
    name: Annotated[str | None, Option(help="what runs under it goes on with this graph")] = None
    version: Annotated[str | None, Option(help="what it is, as 1.2; default: a count that goes up")] = None
    port: Annotated[int | None, Option(help="a free one if left out")] = None
    host: Annotated[str, Option(help="others than this machine need a key: --key-file")] = "127.0.0.1"
    key_file: Annotated[Path | None, Option(help="a file with the API key of callers")] = None
    autoscale: Annotated[
        list[str] | None, Option(help="FUNCTION=LEAST:MOST:TARGET, as score=1:8:100; of processes")
    ] = None
    certificate: Annotated[Path | None, Option(help="PEM file of a certificate: callers come by HTTPS")] = None
    certificate_key: Annotated[Path | None, Option(help="PEM file of its key")] = None
    timeout: Annotated[float, Option(help="seconds until all has to be ready")] = HostingOptions().timeout


class DeployFlags(DeployKeywords, frozen=True):
    """All that `deploy` is told.

    >>> DeployFlags(Path("g.yaml"), target="process", secret=["key"], as_json=True).options()
    DeployOptions(secrets, progress)
    """

    graph: Saved

    def options(self) -> DeployOptions:
        key = self.key_file.read_text().strip() if self.key_file is not None else None
        service = replace(self.service(), api_key=key, certificate=self._certificate())
        return DeployOptions(
            self.target,
            **asdict(service),
            version=self.version,
            timeout=self.timeout,
            progress=not self.as_json,
        )

    def _certificate(self) -> tuple[Path, Path] | None:
        if self.certificate is not None and self.certificate_key is not None:
            return self.certificate, self.certificate_key
        if self.certificate or self.certificate_key:
            raise NbgraphError("--certificate and --certificate-key go together.")
        return None


def told(flags: Callable[P, F]) -> Callable[[Callable[[F], None]], Callable[P, None]]:
    """Let a command that gets a record of flags be called with them, as Typer does after reading their types."""

    def taking(command: Callable[[F], None]) -> Callable[P, None]:
        @wraps(command)
        def called(*args: P.args, **given: P.kwargs) -> None:
            command(flags(*args, **given))

        called.__signature__ = inspect.signature(flags)  # type: ignore[attr-defined]  # PEP 362
        return called

    return taking


def counts(texts: Sequence[str] | None, word: str = "replicas") -> dict[str, int] | None:
    """
    >>> counts(["score=3"]), counts(None)
    ({'score': 3}, None)
    """
    found = {}
    for text in texts or ():
        name, _, number = text.partition("=")
        if not number.isdigit():
            raise NbgraphError(f"--{word} {text}: expected FUNCTION=NUMBER, such as --{word} score=3.")
        found[name] = int(number)
    return found or None


def rules(texts: Sequence[str] | None) -> dict[str, tuple[int, int, float]] | None:
    """
    >>> rules(["score=1:8:100"])
    {'score': (1, 8, 100.0)}
    """
    found = {}
    for text in texts or ():
        name, _, rule = text.partition("=")
        try:
            least, most, target = rule.split(":")
            found[name] = (int(least), int(most), float(target))
        except ValueError:
            raise NbgraphError(
                f"--autoscale {text}: expected FUNCTION=LEAST:MOST:TARGET, such as --autoscale score=1:8:100."
            ) from None
    return found or None


def variables(texts: Sequence[str] | None, file: Path | None) -> Given:
    """The environment; a name alone is taken from here.

    >>> variables(["LEVEL=info", "score/URL=http://a/b", "HOME"], None)
    {'LEVEL': 'info', 'score': {'URL': 'http://a/b'}, 'HOME': None}
    """
    pairs = ((where, *text.partition("=")) for where, text in map(_placed, texts or ()))
    return _gathered(
        ((where, name, value if equals else None) for where, name, equals, value in pairs), file, "--env-file"
    )


def secrets(texts: Sequence[str] | None, file: Path | None) -> Given:
    """Secrets, never their values, which other users of the machine would see: names, or names with a file.

    >>> secrets(["db_password", "score/key=/etc/key"], None)
    {'db_password': None, 'score': {'key': PosixPath('/etc/key')}}
    """
    pairs = ((where, *text.partition("=")) for where, text in map(_placed, texts or ()))
    found = ((where, name, Path(value) if equals else None) for where, name, equals, value in pairs)
    return _gathered(found, file, "--secrets-file")


def resources(texts: Sequence[str] | None) -> Given:
    """
    >>> resources(["score/cpus=1.5,memory=512m"]), resources(["gpus=1"])
    ({'score': {'cpus': 1.5, 'memory': '512m'}}, {'gpus': 1})
    """
    found = []
    for where, text in map(_placed, texts or ()):
        for part in text.split(","):
            word, equals, value = part.partition("=")
            if not equals:
                raise NbgraphError(f"--resources {text}: expected such as --resources score/cpus=1.5,memory=512m.")
            found.append((where, word, _number(value) if word in ("cpus", "gpus") else value))
    return _gathered(found)


def volumes(texts: Sequence[str] | None) -> Given:
    """
    >>> volumes(["/data/models:/models:ro", "score/cache:/cache"])
    {'/data/models': '/models:ro', 'score': {'cache': '/cache'}}
    """
    pairs = ((where, *text.partition(":")) for where, text in map(_placed, texts or ()))
    return _gathered((where, source, path) for where, source, _, path in pairs)


def requirements(lines: Sequence[str] | None, files: Sequence[Path] | None) -> list[str] | None:
    """
    >>> requirements(["scipy"], [Path("more.txt")])
    ['scipy', '-r more.txt']
    """
    return [*(lines or ()), *(f"-r {file}" for file in files or ())] or None


def images(texts: Sequence[str] | None) -> Any:
    """
    >>> images(["python:3.12"]), images(["score=python:3.12"])
    ('python:3.12', {'score': 'python:3.12'})
    """
    if texts and len(texts) == 1 and "=" not in texts[0]:
        return texts[0]
    found = {}
    for text in texts or ():
        function, equals, image = text.partition("=")
        if not equals:
            raise NbgraphError(f"--base-image {text}: beside others it has to be FUNCTION=IMAGE.")
        found[function] = image
    return found or None


def _placed(text: str) -> tuple[str, str]:
    """A function's name and the rest; no name where it is meant for all."""
    head, slash, rest = text.partition("/")
    return (head, rest) if slash and head and not set("=:") & set(head) else ("", text)


def _gathered(found: Iterable[tuple[str, str, Any]], file: Path | None = None, option: str = "") -> Given:
    every: dict[str, Any] = dict(read_variables(file, option)) if file is not None else {}
    for where, name, value in found:
        (every.setdefault(where, {}) if where else every)[name] = value
    return every or None


def _number(text: str) -> Any:
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return text  # which is refused by name
