"""Options of `export` and `deploy` on the command line, and their values in the form that these take.

Where something is meant for one function its name stands before it: `score/LEVEL=debug`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nbgraph.deploy.options.variables import read_variables
from nbgraph.errors import NbgraphError

Given = dict[str, Any] | None
Replicas = Annotated[list[str] | None, typer.Option(help="FUNCTION=NUMBER; one for each function")]
Threads = Annotated[
    list[str] | None, typer.Option(help="FUNCTION=NUMBER: synchronous steps that its workers run at once")
]
Workers = Annotated[int | None, typer.Option(help="processes of the function that callers reach")]
Autoscale = Annotated[
    list[str] | None, typer.Option(help="FUNCTION=LEAST:MOST:TARGET, as score=1:8:100; one for each function")
]
Env = Annotated[
    list[str] | None, typer.Option(help="NAME=VALUE, or NAME to take it from here; FUNCTION/NAME=... for one function")
]
EnvFile = Annotated[Path | None, typer.Option(help="a file of lines NAME=VALUE")]
Secret = Annotated[
    list[str] | None, typer.Option(help="NAME to take it from the environment, NAME=FILE from a file; FUNCTION/NAME...")
]
SecretsFile = Annotated[Path | None, typer.Option(help="a file of lines NAME=VALUE, which are secrets")]
Resource = Annotated[
    list[str] | None, typer.Option("--resources", help="[FUNCTION/]cpus=1.5,memory=512m,gpus=1,tmp=64m")
]
Volume = Annotated[list[str] | None, typer.Option(help="[FUNCTION/]FOLDER-OR-NAME:PATH[:ro]")]
Cors = Annotated[list[str] | None, typer.Option(help="a site whose pages may call, as https://shop.example")]
Requirement = Annotated[list[str] | None, typer.Option(help="a package to install as well; one for each")]
Requirements = Annotated[
    list[Path] | None, typer.Option("--requirements", "-r", help="a file of packages to install as well")
]
IndexUrl = Annotated[
    str | None, typer.Option(envvar="NBGRAPH_INDEX_URL", help="the index that packages are taken from")
]
BaseImage = Annotated[
    list[str] | None, typer.Option(help="what the images are made from; FUNCTION=IMAGE for one function")
]
Streams = Annotated[
    str, typer.Option(help="nats; an existing Kafka cluster, kafka://host:9092; or kafka, as NBGRAPH_KAFKA says")
]
Durability = Annotated[str | None, typer.Option(help="sync or fast")]
Capture = Annotated[float, typer.Option(help="the part of all events that is recorded, as 0.01")]


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
