"""Pure code: whether a step's code only computes with what it is given, so that it can't wait for anything.

It is read off the code, and in doubt the answer is no: the step then runs on a thread. What goes round for as long as
it likes (`while`, `range`) is in doubt too: it may be quick a thousand times and then keep all waiting for a minute.
"""

from __future__ import annotations

import builtins
import dis
import inspect
import math
from collections.abc import Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodDescriptorType
from typing import Any

from nbgraph.engine.compile.call import Call
from nbgraph.engine.plan import Plan, PlanStep
from nbgraph.graph.safety.expression import SAFE_FUNCTIONS, SAFE_METHODS
from nbgraph.steps.operators.queue import QueueReader, QueueWriter

DATA = (int, float, complex, str, bytes, type(None))
GROUPS = (list, tuple, dict, set, frozenset)
TYPES = frozenset([*DATA, bool, *GROUPS])
ERRORS = {name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, Exception)}
NAMES = SAFE_FUNCTIONS | ERRORS | {"bytes", "complex", "hash", "repr", "round", "slice", "type"}
ATTRIBUTES = SAFE_METHODS | set(vars(math)) | {"body", "headers", "id", "key", "path", "time"}
MOST = 50  # functions that are looked through, and values of a group


def is_prompt_plan(plan: Plan) -> bool:
    """Whether no synchronous step of the plan can wait, nor a condition behind one."""
    tests = [arrow.test for step in plan.steps.values() for arrow in step.arrows if arrow.test is not None]
    calls = [
        is_prompt_call(step.call, is_sent=is_sent_on(step, plan))
        for step in plan.steps.values()
        if not isinstance(step.call.target, QueueWriter)
    ]
    return all(calls) and all(map(is_prompt, tests))


def is_sent_on(step: PlanStep, plan: Plan) -> bool:
    """Whether each result goes into a queue at once, which lets others go on before the next is drawn."""
    targets = [plan.steps[arrow.target].call.target for arrow in step.arrows]
    return bool(targets) and all(isinstance(target, QueueWriter) for target in targets)


def is_prompt_call(call: Call, *, is_sent: bool = False) -> bool:
    """Whether a step's call can't wait; `is_sent` where each of its results goes into a queue."""
    options = call.step.options
    if call.is_async or call.outlets is not None or options.retries or options.timeout:
        return False
    return isinstance(call.target, QueueReader) or is_prompt(call.target, is_sent=is_sent)


def is_prompt(function: Any, *, is_sent: bool = False) -> bool:
    """Whether a function, with those that it calls, can't wait; `range` is none of it where each round gives a result.

    >>> import time
    >>> is_prompt(lambda event: {"total": event["amount"] * 2}), is_prompt(str.upper), is_prompt(time.sleep)
    (True, True, False)
    >>> is_prompt(lambda event: time.sleep(1) or event), is_prompt(lambda event: sum(range(event)))
    (False, False)
    """
    waiting, seen = [function], set[int]()
    while waiting:
        found = waiting.pop()
        if isinstance(found, partial):
            waiting += [found.func, *found.args, *found.keywords.values()]
        elif isinstance(found, FunctionType) and id(found.__code__) not in seen:
            seen.add(id(found.__code__))
            meant = _meant(found, may_range=is_sent and _gives_each_round(found.__code__))
            if meant is None or len(seen) > MOST:
                return False
            waiting += meant
        elif not (isinstance(found, FunctionType) or _is_plain(found)):
            return False
    return True


def _is_plain(value: Any) -> bool:
    """Whether it is data, or something of Python's own that computes."""
    if isinstance(value, GROUPS):
        inner = value.values() if isinstance(value, dict) else value
        return len(value) <= MOST and all(isinstance(one, DATA) for one in inner)
    if isinstance(value, MethodDescriptorType):
        return value.__objclass__ in TYPES
    if isinstance(value, BuiltinFunctionType):
        return value.__name__ in NAMES or vars(math).get(value.__name__) is value
    return isinstance(value, DATA) or value is math or (isinstance(value, type) and value in TYPES)


def _meant(function: FunctionType, *, may_range: bool) -> list[Any] | None:
    """What the names of a function's code mean, as far as it matters; None where one is unknown."""
    found: list[Any] = []
    for code in _parts(function.__code__):
        each = {instruction.offset: instruction for instruction in dis.get_instructions(code)}
        for instruction in each.values():
            name = instruction.argval
            if instruction.opname == "IMPORT_NAME" or _goes_round(instruction, each):
                return None
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                if name in function.__globals__:
                    found.append(function.__globals__[name])
                elif name not in NAMES and not (may_range and name == "range"):
                    return None
            if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD") and name not in ATTRIBUTES:
                return None
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            return None  # not filled yet
    return found


def _goes_round(instruction: dis.Instruction, each: Mapping[int, dis.Instruction]) -> bool:
    """Whether it jumps back to anything but the head of a `for`, which comes to the end of what it goes through."""
    is_back = "JUMP" in instruction.opname and instruction.argval < instruction.offset
    return is_back and each[instruction.argval].opname != "FOR_ITER"


def _gives_each_round(code: CodeType) -> bool:
    """Whether it is a generator that gives something in each round of its loops."""
    if not code.co_flags & inspect.CO_GENERATOR:
        return False
    every = list(dis.get_instructions(code))
    gives = [one.offset for one in every if one.opname == "YIELD_VALUE"]
    back = [one for one in every if "JUMP_BACKWARD" in one.opname and "NO_INTERRUPT" not in one.opname]
    return all(any(one.argval < place < one.offset for place in gives) for one in back)


def _parts(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts(constant)
