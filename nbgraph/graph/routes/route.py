"""Route: where a caller's request enters a graph: a method, a path, and what becomes of the body.

    GET /users/{id}        a part of the path in braces is a parameter
    * /internal/*          any method, any path from there on

Paths are matched as they came, part by part between the slashes, and decoded after that, so that `%2F` stays inside of
a parameter. Of several routes that fit the most exact is taken: a text before a parameter before `*`, from the left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote

from nbgraph.contract import LIVE_PATH, READY_PATH
from nbgraph.errors import GraphError, RouteError
from nbgraph.graph.routes.selection import Selection, selections

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
ANY = "*"  # each method; as the last part of a path: all that follows
DEFAULT = "POST"  # of an event that names no method
GATEWAY = (LIVE_PATH, READY_PATH, "/openapi.json")  # what a deployment answers itself, whatever the routes,
REQUESTS = "/requests/"  # and, by GET, what became of a request
_PARAMETER = re.compile(r"\{([^\W\d]\w*)\}")
_LITERAL = re.compile(r"[^\s?#{}*\"'\\]*")
_TEXT, _NAME, _REST = 0, 1, 2  # what a part is; the lower the more exact

Params = dict[str, Any]


@dataclass(frozen=True)
class Route:
    """A method and a path; with `forbid` the caller is refused, `body` makes a new body of parts of the caller's.

    >>> route = Route("get", "/users/{id}")
    >>> route.name, route.match("/users/a%2Fb"), route.match("/users/a/b")
    ('GET /users/{id}', {'id': 'a/b'}, None)
    """

    method: str
    path: str
    forbid: bool = False
    body: Mapping[str, str] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or self.method.upper() not in (*METHODS, ANY):
            raise GraphError(f"The method of a route is {self.method!r}; expected one of {', '.join(METHODS)}, or *.")
        object.__setattr__(self, "method", self.method.upper())
        if fault := _path_fault(self.path):
            raise GraphError(f"The path of a route is {self.path!r}; {fault}.")
        if self.body is not None and self.forbid:
            raise GraphError(f'Route "{self.name}" is forbidden and has a body; nothing would ever get it.')
        _ = self.selections

    @property
    def name(self) -> str:
        """What its step is called."""
        return f"{self.method} {self.path}"

    @property
    def shape(self) -> str:
        """What is alike in two routes that take the same requests."""
        return f"{self.method} {_PARAMETER.sub('{}', self.path)}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in braces."""
        return tuple(_PARAMETER.findall(self.path))

    @cached_property
    def selections(self) -> Mapping[str, Selection]:
        """What the new body has under each name."""
        return selections(self.body) if self.body is not None else {}

    @cached_property
    def rank(self) -> tuple[tuple[int, ...], bool]:
        """Of two routes that fit, the lower one is taken."""
        return tuple(kind for kind, _ in self._parts), self.method == ANY

    def match(self, path: str) -> Params | None:
        """The parameters of a path that has not been decoded; None where the route is another one's."""
        return self.fitted(parts_of(path))

    def fitted(self, given: Sequence[str]) -> Params | None:
        """As `match`, of a path's parts."""
        parts = self._fixed
        if len(given) != len(parts) and not (self._is_open and len(given) > len(parts)):
            return None
        found: Params = {}
        for (kind, text), part in zip(parts, given, strict=False):
            if kind == _TEXT:
                if part != text:
                    return None
            elif part:
                found[text] = part
            else:
                return None
        return found

    @cached_property
    def _parts(self) -> tuple[tuple[int, str], ...]:
        return tuple(_part(text) for text in self.path.split("/")[1:])

    @cached_property
    def first(self) -> str | None:
        """The text that a path begins with; None where that may be anything."""
        kind, text = self._parts[0]
        return text if kind == _TEXT else None

    @cached_property
    def _is_open(self) -> bool:
        """Whether anything may follow."""
        return self._parts[-1][0] == _REST

    @cached_property
    def _fixed(self) -> tuple[tuple[int, str], ...]:
        return self._parts[:-1] if self._is_open else self._parts


def parts_of(path: str) -> list[str]:
    """The parts of a path between its slashes, each as what it stands for.

    >>> parts_of("/users/a%2Fb")
    ['users', 'a/b']
    """
    return [decoded(part) for part in (path.split("/")[1:] if path.startswith("/") else [path])]


def decoded(part: str) -> str:
    """A part of a path, or of a query, as what it stands for; RouteError (400) for what is no UTF-8.

    >>> decoded("caf%C3%A9")
    'café'
    """
    if "%" not in part:
        return part
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise RouteError(f"The path has {part!r}, which stands for no UTF-8 text.", 400) from None


def query_of(text: str) -> Params:
    """The parameters of a query; a name that stands there several times has a list.

    >>> query_of("q=a+b&tag=x&tag=y&empty=")
    {'q': 'a b', 'tag': ['x', 'y'], 'empty': ''}
    """
    found: Params = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except (ValueError, UnicodeDecodeError):
        raise RouteError(
            f"The query {text[:100]!r} can't be read; expected `name=value`, joined by `&`.", 400
        ) from None
    for name, value in pairs:
        known = found.get(name)
        found[name] = value if known is None else [*known, value] if isinstance(known, list) else [known, value]
    return found


def is_of_gateway(method: str, path: str) -> bool:
    """Whether a deployment answers a request itself, so that no route takes it, in the notebook neither."""
    return path in GATEWAY or (method in ("GET", "HEAD", ANY) and path.startswith(REQUESTS))


class RouteTable:
    """The routes of a graph, those that begin alike together.

    >>> table = RouteTable([Route("GET", "/users/me"), Route("GET", "/users/{id}"), Route("POST", "/users/{id}")])
    >>> table.chosen("GET", "/users/me")[0].name, table.chosen("POST", "/users/me")[0].name
    ('GET /users/me', 'POST /users/{id}')
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = list(routes)
        self._open = [route for route in self.routes if route.first is None]
        firsts = dict.fromkeys(route.first for route in self.routes if route.first is not None)
        self._beginning = {first: [route for route in self.routes if route.first in (first, None)] for first in firsts}

    def fitting(self, path: str) -> list[tuple[Route, Params]]:
        """The routes of a path, whatever their method, with its parameters."""
        parts = parts_of(path)
        near = self._beginning.get(parts[0], self._open)
        return [(route, found) for route in near if (found := route.fitted(parts)) is not None]

    def chosen(self, method: str, path: str) -> tuple[Route, Params]:
        """The route of a request and the parameters of its path; a RouteError (404, 405, 403) where it has none."""
        if is_of_gateway(method, path):
            raise RouteError(f"{method} {path}: a deployment answers this itself; no route takes it.", 404)
        fitting = self.fitting(path)
        if not fitting:
            raise RouteError(f"{method} {path}: there is no such path. {listed(self.routes)}", 404)
        by_rank = sorted(fitting, key=lambda one: one[0].rank) if len(fitting) > 1 else fitting
        taken = next((one for one in by_rank if one[0].method in (method, ANY)), None)
        if taken is None and method == "HEAD":  # as GET, of which the caller wants the headers alone
            taken = next((one for one in by_rank if one[0].method == "GET"), None)
        if taken is None:
            allow = allowed(route for route, _ in fitting)
            raise RouteError(f"{method} {path}: this path takes {', '.join(allow)}.", 405, allow=allow)
        if taken[0].forbid:
            raise RouteError(f"{method} {path}: forbidden.", 403)
        return taken


def allowed(routes: Iterable[Route]) -> tuple[str, ...]:
    """The methods that routes of one path take, in the order in which HTTP lists them."""
    found = {route.method for route in routes if not route.forbid}
    if ANY in found:
        return METHODS
    found |= {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())
    return tuple(method for method in METHODS if method in found)


def listed(routes: Iterable[Route]) -> str:
    """The routes in a sentence."""
    return f"Routes: {', '.join(route.name for route in routes if not route.forbid)}."


def _part(text: str) -> tuple[int, str]:
    if text == ANY:
        return _REST, ""
    name = _PARAMETER.fullmatch(text)
    return (_NAME, name[1]) if name else (_TEXT, decoded(text))


def _path_fault(path: Any) -> str | None:
    if not isinstance(path, str) or not path.startswith("/"):
        return 'expected one that begins with "/"'
    parts = path.split("/")[1:]
    for number, part in enumerate(parts):
        if part == ANY and number < len(parts) - 1:
            return '"*" stands for all that follows, so it can only be the last part'
        if part != ANY and not _PARAMETER.fullmatch(part) and not _LITERAL.fullmatch(part):
            return f'its part "{part}" is neither a plain text nor a parameter such as "{{id}}"'
    names = _PARAMETER.findall(path)
    twice = next((name for name in names if names.count(name) > 1), None)
    return f'its parameter "{twice}" stands there twice' if twice else None
