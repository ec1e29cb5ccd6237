"""Validation: options of `graph.deploy` and `graph.export` are checked before anything is started."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from nbgraph.deploy.options.provision import EVERYWHERE
from nbgraph.deploy.options.requirements import lines_of
from nbgraph.deploy.project.hardening import is_public
from nbgraph.errors import DeployError
from nbgraph.graph.naming import slug
from nbgraph.introspection import attribute

DURABILITIES = (None, "sync", "fast")
WORKERS = ("nbgraph.serve.__main__", "nbgraph.serve.fingerprint")


def check_here() -> None:
    """Refuse to deploy from a worker, whose workers would deploy again, without an end."""
    if attribute(attribute(sys.modules["__main__"], "__spec__"), "name") in WORKERS:
        raise DeployError(
            "A worker can't deploy. A module that a step imports calls graph.deploy as it is imported; put that below "
            '`if __name__ == "__main__":`.'
        )


def checked_key(api_key: Any) -> str | None:
    """The key that callers send, where a header can carry it."""
    if api_key is None:
        return None
    if not (isinstance(api_key, str) and api_key.isascii() and api_key.isprintable()):
        raise DeployError("api_key is no text that a header can carry; expected printable ASCII.")
    if not api_key or api_key != api_key.strip():
        raise DeployError("api_key is empty, or has spaces around it; leave it out where callers need none.")
    return api_key


def check_place(host: Any, port: Any, api_key: str | None) -> None:
    """Refuse an address that nobody could use, or that opens the graph to everyone."""
    if port is not None and not (_is_whole(port) and 0 <= port <= 65535):
        raise DeployError(f"port={port!r} must be between 0 and 65535, or None for a free one.")
    if is_public(host) and not api_key:
        raise DeployError(
            f'host="{host}" opens the graph to everyone who reaches this machine; give an api_key as well, or leave '
            "`host` out to keep it to this machine."
        )


def check_numbers(timeout: Any, capture: Any) -> None:
    """Refuse a patience that can't be waited, and a part that is none."""
    if not (_is_number(timeout) and timeout > 0):
        raise DeployError(f"timeout={timeout!r} must be > 0; expected seconds, such as 180.")
    if not (_is_number(capture) and 0 <= capture <= 1):
        raise DeployError(f"capture={capture!r} must be between 0 and 1, such as 0.01.")


def check_durability(durability: Any) -> None:
    if durability not in DURABILITIES:
        raise DeployError(f'durability={durability!r} is unknown; expected "sync" or "fast".')


def checked_name(name: str) -> str:
    """The name, where hosts and labels take it."""
    if slug(name) != name:
        raise DeployError(f'name="{name}" can\'t name a deployment; as small letters, digits and "-": "{slug(name)}".')
    return name


def base_images_of(given: Any, functions: Sequence[str]) -> dict[str, str]:
    """What the images are made from, by function, where it is not the usual one.

    >>> base_images_of("python:3.11", ["a", "b"]), base_images_of({"b": "python:3.12-slim"}, ["a", "b"])
    ({'': 'python:3.11'}, {'b': 'python:3.12-slim'})
    """
    told = given if isinstance(given, Mapping) else {EVERYWHERE: given} if given is not None else {}
    for name, image in told.items():
        if name not in functions and name != EVERYWHERE:
            raise DeployError(f'base_image names "{name}"; functions: {", ".join(functions)}.')
        if not (isinstance(image, str) and image):
            raise DeployError(f'base_image={image!r} is no name of an image, such as "python:3.11-slim".')
    return dict(told)


def requirements_of(given: Any, functions: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What is to be installed beside what was found, by function.

    >>> requirements_of(["six"], ["a", "b"]), requirements_of({"b": ["six"]}, ["a", "b"])
    ({'': ('six',)}, {'b': ('six',)})
    """
    told = given if isinstance(given, Mapping) else {EVERYWHERE: given or ()}
    for name in told:
        if name not in functions and name != EVERYWHERE:
            raise DeployError(f'requirements names "{name}"; functions: {", ".join(functions)}.')
    return {name: lines_of(its, "requirements") for name, its in told.items()}


def check_index(index_url: Any) -> None:
    """Refuse what is no address of an index; it is not told, since a login may stand in it."""
    if index_url is not None and not (isinstance(index_url, str) and urlsplit(index_url).scheme in ("http", "https")):
        raise DeployError('index_url is no address of an index; expected "https://HOST/simple".')


def check_cors(given: Any) -> tuple[str, ...]:
    """The sites whose pages may call: each by scheme, host and port, as a browser names them.

    >>> check_cors(["https://shop.example", "http://localhost:3000"])
    ('https://shop.example', 'http://localhost:3000')
    """
    if isinstance(given, str) or not isinstance(given, Sequence | None):
        raise DeployError(f"cors is {given!r}; expected a list of origins, such as ['https://shop.example'].")
    for origin in given or ():
        parts = urlsplit(origin) if isinstance(origin, str) else None
        is_one = parts is not None and parts.scheme in ("http", "https") and parts.netloc and "*" not in origin
        if not is_one or origin != f"{parts.scheme}://{parts.netloc}":  # type: ignore[union-attr]
            raise DeployError(
                f"cors names {origin!r}, which is no origin; expected scheme and host, such as 'https://shop.example'."
            )
    return tuple(given or ())


def whole(n: Any, what: str) -> int:
    """The number, where it is a whole one."""
    if not _is_whole(n):
        raise DeployError(f"{what} is {n!r}; expected a whole number.")
    return int(n)


def _is_whole(value: Any) -> bool:
    return not isinstance(value, bool) and hasattr(value, "__index__")


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
