"""Provision: what the workers of a function are given where they run: variables, secrets, room, folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from nbgraph.deploy.options.resources import WORDS, Resources
from nbgraph.deploy.options.variables import read_variables, secrets_of, variables_of
from nbgraph.deploy.options.volumes import Volume, volumes_of
from nbgraph.errors import DeployError
from nbgraph.graph.deploy_options import FunctionOptions

EVERYWHERE = ""  # in the place of a function's name: for all of them


@dataclass(frozen=True, slots=True)
class Provision:
    """`secrets`: values by name, which stand in no label, file or log; a worker finds them in /run/secrets."""

    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    resources: Resources = field(default_factory=Resources)
    volumes: tuple[Volume, ...] = ()

    @property
    def public(self) -> Provision:
        """The same without the values of the secrets."""
        return replace(self, secrets=dict.fromkeys(self.secrets, ""))


def provisions_of(
    functions: Sequence[str], options: FunctionOptions, *, are_values_needed: bool = True
) -> dict[str, Provision]:
    """What each function is given, of what was said for all and for one; what a further one would be, under "".

    >>> said = FunctionOptions(env={"LEVEL": "info", "b": {"LEVEL": "debug"}}, resources={"b": {"cpus": 2}})
    >>> found = provisions_of(["a", "b"], said)
    >>> found["a"].env, found["b"].env, found["b"].resources.cpus
    ({'LEVEL': 'info'}, {'LEVEL': 'debug'}, 2.0)
    """
    variables = _by_function(_read(options.env, "env"), functions, "env")
    hidden = _by_function(_read(options.secrets, "secrets"), functions, "secrets")
    room = _by_function(options.resources, functions, "resources", words=WORDS)
    folders = _by_function(options.volumes, functions, "volumes")
    found = {}
    for name in variables:
        found[name] = _checked(
            Provision(
                variables_of(variables[name], _where("env", name)),
                secrets_of(hidden[name], _where("secrets", name), are_values_needed=are_values_needed),
                Resources.of(room[name], _where("resources", name)),
                volumes_of(folders[name], _where("volumes", name)),
            )
        )
    return found


def changed(
    before: Mapping[str, Provision], functions: Sequence[str], options: FunctionOptions
) -> dict[str, Provision]:
    """What each function is given from now on: each word that was said in place of what was said of it before.

    >>> before = provisions_of(["a"], FunctionOptions(env={"LEVEL": "info"}, secrets={"k": "v"}))
    >>> after = changed(before, ["a"], FunctionOptions(env={"LEVEL": "debug"}))
    >>> after["a"].env, after["a"].secrets
    ({'LEVEL': 'debug'}, {'k': 'v'})
    """
    words = [field.name for field in fields(Provision) if getattr(options, field.name) is not None]
    found = {}
    for name, fresh in provisions_of(functions, options).items():
        known = before.get(name) or before.get(EVERYWHERE) or Provision()
        found[name] = _checked(replace(known, **{word: getattr(fresh, word) for word in words}))
    return found


def _checked(one: Provision) -> Provision:
    for variable in one.env:
        if variable in one.secrets:
            raise DeployError(f'"{variable}" is given by env and by secrets; leave one of them out.')
    return one


def _where(word: str, function: str) -> str:
    return f'{word} of "{function}"' if function else word


def _read(given: Any, word: str) -> Any:
    """A file's variables in the place of its path; names alone as names without values."""
    if isinstance(given, str | Path):
        return read_variables(Path(given), word)
    if isinstance(given, list | tuple | set | frozenset):
        return dict.fromkeys(given)
    return given


def _by_function(
    given: Any, functions: Sequence[str], word: str, words: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """What was said for all, and over it what was said for one; `words`: all that can be said."""
    if given is None:
        return {name: {} for name in (EVERYWHERE, *functions)}
    if not isinstance(given, Mapping):
        raise DeployError(f"{word}={type(given).__name__} can't be read; expected {_EXPECTED[word]}.")
    own = {key: _read(its, word) for key, its in given.items() if _is_for_one(key, its, functions, word)}
    for name in own:
        if name not in functions:
            raise DeployError(f'{word} names "{name}"; functions: {", ".join(functions)}.')
    shared = {key: value for key, value in given.items() if key not in own}
    for key in shared:
        if words and key in functions and key not in words:
            raise DeployError(f'{word} of "{key}" is {given[key]!r}; expected {_EXPECTED[word]}.')
    return {name: {**shared, **own.get(name, {})} for name in (EVERYWHERE, *functions)}


def _is_for_one(key: Any, value: Any, functions: Sequence[str], word: str) -> bool:
    """A dict is always a function's; names or a file are, where they stand under a function's name."""
    if isinstance(value, Mapping):
        return True
    is_list = word == "secrets" and isinstance(value, list | tuple | set | frozenset)
    return key in functions and (is_list or (word == "env" and isinstance(value, Path)))


_EXPECTED = {
    "env": '{"NAME": "value"} for all functions, {"score": {"NAME": "value"}}, or the path of a file',
    "secrets": '{"name": None} (taken from here), {"name": "value"}, {"score": {...}}, a list of names, or a file',
    "resources": '{"score": {"cpus": 1.5, "memory": "512m", "gpus": 1, "tmp": "64m"}}, or the same for all',
    "volumes": '{"/data/models": "/models:ro"} for all functions, or {"score": {...}}',
}
