"""Hidden state: what steps of one's own change while they run, outside of their `state`: each worker has its own.

Nothing can tell for sure whether it matters: a cache does not, a count does. So a job that is cut says it, and runs.
"""

from __future__ import annotations

import dis
import inspect
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from nbgraph.engine.compile.bind import resolve
from nbgraph.engine.compile.flatten import flatten
from nbgraph.engine.step_facts import built_in
from nbgraph.graph.graph import Graph

CHANGEABLE = (list, dict, set, deque, Counter, OrderedDict, defaultdict)
CHANGES = frozenset(
    [
        "append", "appendleft", "add", "update", "extend", "insert", "pop", "popleft", "popitem", "setdefault",
        "remove", "discard", "clear",
    ]
)  # fmt: skip
MADE_IN = ("__init__", "__new__", "post_init")
PASSED = ("PRECALL", "PUSH_NULL", "CACHE", "EXTENDED_ARG", "RESUME", "NOP", "COPY", "SWAP")


def hidden_state(target: Any) -> list[str]:
    """What a step's function or object changes from event to event, as it is written in its code.

    Of `self.n += 1` in a method it is `self.n`, of a list that is appended to its name.

    >>> hidden_state(len)
    []
    """
    if built_in(target) is not None:
        return []
    if isinstance(target, types.FunctionType):
        return sorted(set(_of_function(target)))
    if inspect.isroutine(target):
        return []
    kind = target if isinstance(target, type) else type(target)
    members = {
        name: member
        for base in reversed(kind.__mro__)
        for name, member in vars(base).items()
        if isinstance(member, types.FunctionType) and not member.__module__.startswith("nbgraph.")
    }
    held = {name for name in MADE_IN if name in members for name in _containers(members[name].__code__)}
    running = [member for name, member in members.items() if name not in MADE_IN]
    return sorted({f"self.{name}" for member in running for name in _of_method(member, held) if name != "state"})


def remarks_of(graph: Graph) -> list[str]:
    """A sentence for each step that may remember something that a job can't keep together."""
    found = []
    for name, owned in flatten(graph).steps.items():
        changed = hidden_state(resolve(owned.graph, owned.step))
        if changed:
            found.append(
                f'Step "{name}" changes {", ".join(changed)} while it runs, and each worker of a job has its own. A '
                "cache may be so; keep what answers depend on in self.state, which a job looks after."
            )
    return found


def _containers(code: types.CodeType) -> Iterator[str]:
    """The attributes that a constructor sets to a new container."""
    before: list[dis.Instruction] = []
    for one in _instructions(code):
        if one.opname == "STORE_ATTR" and len(before) > 1 and before[-2].opname.startswith(("BUILD_", "CALL")):
            yield str(one.argval)
        before = [*before[-1:], one]


def _of_method(method: types.FunctionType, held: Collection[str]) -> Iterator[str]:
    first = next(iter(method.__code__.co_varnames[: method.__code__.co_argcount]), "")
    on_self, just, loaded, before = False, "", "", ""  # self was loaded just now; an attribute of it just now, or last
    for one in _instructions(method.__code__):
        name = str(one.argval) if one.opname in ("LOAD_ATTR", "LOAD_METHOD") and on_self else ""
        is_added_to = before == "BINARY_OP" and one.argval == loaded  # self.n += 1
        if one.opname == "STORE_ATTR" and (on_self or is_added_to):
            yield str(one.argval)
        changed = _changed(one, just, loaded)
        if changed in held:
            yield changed
        on_self = one.opname.startswith("LOAD_FAST") and one.argval == first
        just, loaded, before = name, name or loaded, one.opname


def _of_function(function: types.FunctionType) -> Iterator[str]:
    free = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    just, loaded = "", ""
    for one in _instructions(function.__code__):
        name = str(one.argval) if one.opname in ("LOAD_GLOBAL", "LOAD_DEREF") else ""
        if one.opname == "STORE_GLOBAL" or (one.opname == "STORE_DEREF" and one.argval in free):
            yield str(one.argval)
        changed = _changed(one, just, loaded)
        if changed and isinstance(_held(function, free, changed), CHANGEABLE):
            yield changed
        just, loaded = name, name or loaded


def _changed(one: dis.Instruction, just: str, loaded: str) -> str:
    """The name of what an instruction changes, of that which was loaded just before it, or last."""
    if one.opname in ("LOAD_ATTR", "LOAD_METHOD") and one.argval in CHANGES:
        return just
    return loaded if one.opname in ("STORE_SUBSCR", "DELETE_SUBSCR") else ""


def _held(function: types.FunctionType, free: Mapping[str, Any], name: str) -> Any:
    try:
        return free[name].cell_contents if name in free else function.__globals__.get(name)
    except ValueError:  # not yet bound
        return None


def _instructions(code: types.CodeType) -> Iterator[dis.Instruction]:
    return (one for one in dis.get_instructions(code) if one.opname not in PASSED)
