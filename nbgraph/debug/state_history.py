"""State history: copies of the states of steps, so that a debugger can step back.

There is one copy of each step's state, updated at every move; a move keeps only how to undo the update. So memory
grows with the changes, not with the size of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import compress
from operator import is_, is_not
from typing import Any

from nbgraph.debug.copies import PLAIN, Copies, UncopiedError
from nbgraph.engine.plan import Plan
from nbgraph.handler import Handler
from nbgraph.streams.tracking_dict import TrackingDict

LARGE = 32  # keys above which a state is not compared as a whole
Undo = Callable[[], None]
_COPYING = {"__deepcopy__", "__getstate__", "__setstate__", "__slots__", "__reduce__", "__reduce_ex__", "__getattr__"}


@dataclass(slots=True)
class StateCopy:
    """The copy of the state of a step's object; `why` is the reason if it can't be copied.

    `tracked` is the dict that the step uses meanwhile, if it records the keys that were accessed. `items` has
    lists that hold bodies, by the id of the list's copy: that copy, and the items of the list.
    """

    target: Any
    state: Any = None
    why: str = ""
    tracked: TrackingDict | None = None
    items: dict[int, tuple[list[Any], list[Any]]] = field(default_factory=dict)

    def start_tracking(self) -> None:
        """Give a built-in step, which keeps no other reference to its state, a dict that records the accessed keys."""
        state = self.target.state
        is_ours = isinstance(self.target, Handler) and type(self.target).__module__.startswith("nbgraph.")
        if is_ours and type(state) is dict and len(state) >= LARGE:
            self.tracked = self.target.state = TrackingDict(state)

    def stop_tracking(self) -> None:
        """Give the step a plain dict again."""
        if self.tracked is not None and self.target.state is self.tracked:
            self.target.state = dict(dict.items(self.tracked))
        self.tracked = None


@dataclass(slots=True)
class StateChange:
    """One update of the copy of a step's state, with how to undo it."""

    step: str
    copy: StateCopy
    before: StateCopy | None  # where this is not the same copy
    undos: list[Undo] = field(default_factory=list)


class StateHistory:
    """The copies of the states of a plan's steps, and their changes."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._plan: Plan | None = None
        self._targets: dict[str, Any] = {}  # the stateful objects of this plan
        self._kept: dict[str, StateCopy] = {}
        self._undone: dict[str, StateChange] = {}

    def record(self, plan: Plan, steps: Iterable[str]) -> tuple[StateChange, ...]:
        """Update the copies of these steps' states; what changed since they were last recorded."""
        if plan is not self._plan:
            self._plan = plan
            self._targets = {name: step.call.target for name, step in plan.steps.items() if step.call.has_state}
        if not self._targets:
            return ()
        there = [name for name in dict.fromkeys(steps) if name in self._targets]
        return tuple([self._change(name, self._targets[name]) for name in there])

    def release(self) -> None:
        """End tracking: steps use plain dicts again."""
        for copy in self._kept.values():
            copy.stop_tracking()

    def recall(self, step: str) -> None:
        """Restore the state of a step as last recorded."""
        copy = self._kept.get(step)
        if copy is not None and not copy.why:
            copy.tracked, copy.target.state = None, self._copies.copy(copy.state)

    def undo(self, changes: Iterable[StateChange]) -> None:
        """Undo these changes in the copies; the steps themselves are restored once, by `restore`."""
        for change in changes:
            later = self._undone.get(change.step)
            if later is not None:
                self._revert(later)
            self._undone[change.step] = change

    def restore(self) -> None:
        """Restore the states of steps whose changes were undone."""
        for change in self._undone.values():
            self.recall(change.step)
            self._revert(change)
        self._undone.clear()

    def discard(self, changes: Iterable[StateChange]) -> None:
        """Undo the changes of a move in which nothing ran."""
        for change in changes:
            self._revert(change)

    def _change(self, step: str, target: Any) -> StateChange:
        before = self._kept.get(step)
        if before is None or before.target is not target or before.why:
            self._kept[step] = copy = StateCopy(target)
            try:
                copy.state = self._copies.copy(target.state)
                copy.start_tracking()
            except UncopiedError as error:
                copy.why = str(error)
            return StateChange(step, copy, before)
        holds = isinstance(target, Handler) and target.holds_bodies
        diff = StateDiff(self._copies, before.items if holds else None)
        state = before.state
        try:
            if before.tracked is not None and target.state is before.tracked and not before.tracked.has_lost:
                diff.update_keys(state, before.tracked)
            else:
                before.stop_tracking()
                before.state = diff.updated(state, target.state)
                before.start_tracking()
        except UncopiedError as error:
            self._kept[step] = StateCopy(target, why=str(error))
            return StateChange(step, self._kept[step], before, diff.undos)
        if before.state is not state:
            diff.undos.append(lambda: setattr(before, "state", state))
        return StateChange(step, before, None, diff.undos)

    def _revert(self, change: StateChange) -> None:
        for undo in reversed(change.undos):
            undo()
        change.copy.items.clear()
        if change.before is not None:
            self._kept[change.step] = change.before


class StateDiff:
    """Updates a copy to its changed original, and collects how to undo that."""

    def __init__(self, copies: Copies, items: dict[int, tuple[list[Any], list[Any]]] | None = None) -> None:
        self.undos: list[Undo] = []
        self._copies, self._items = copies, items
        self._pairs: dict[int, Any] = {}  # original -> its copy
        self._taken: set[int] = set()

    def updated(self, copy: Any, value: Any) -> Any:
        """The copy, changed in place where that is possible, else a new one."""
        kind = type(value)
        if kind in PLAIN or copy is value:
            return value
        if id(value) in self._pairs:
            return self._pairs[id(value)]
        is_updatable = type(copy) is kind and (kind in (dict, list, tuple) or _is_bare(kind))
        if not is_updatable or id(copy) in self._taken:
            found = self._pairs[id(value)] = copy if _is_equal(copy, value) else self._copies.copy(value)
            return found
        self._pairs[id(value)] = copy
        self._taken.add(id(copy))
        if kind is dict:
            self._update_dict(copy, value)
        elif kind is list:
            self._update_list(copy, value)
        elif kind is tuple:
            return self._updated_tuple(copy, value)
        else:
            self._update_dict(vars(copy), vars(value))
        return copy

    def update_keys(self, copy: dict[Any, Any], value: TrackingDict) -> None:
        """As `updated`, for a dict that recorded the keys that may have changed."""
        for key in value.reached():
            if not dict.__contains__(value, key):
                continue  # accessed, but not present
            item = dict.__getitem__(value, key)
            if key not in copy:
                self.undos.append(_dropper(copy, key))
                copy[key] = self._copies.copy(item)
                continue
            old = copy[key]
            new = self.updated(old, item)
            if new is not old:
                self.undos.append(_putter(copy, key, old))
                copy[key] = new

    def _update_dict(self, copy: dict[Any, Any], value: dict[Any, Any]) -> None:
        if len(copy) != len(value) or not all(map(is_, copy, value)):
            self._update_order(copy, value)
        for key in list(compress(copy, map(is_not, copy.values(), value.values()))):
            old = copy[key]
            new = self.updated(old, value[key])
            if new is not old:
                self.undos.append(_putter(copy, key, old))
                copy[key] = new

    def _update_order(self, copy: dict[Any, Any], value: dict[Any, Any]) -> None:
        """Give the copy the same keys in the same order."""
        gone = [(place, key) for place, key in enumerate(copy) if key not in value]
        for place, key in reversed(gone):
            self.undos.append(_inserter(copy, place, key, copy.pop(key)))
        if all(map(is_, copy, value)):
            added = list(value)[len(copy) :]
            self.undos.append(lambda: _drop(copy, added))
            copy.update((key, self._copies.copy(value[key])) for key in added)
            return
        before = dict(copy)
        self.undos.append(lambda: _refill(copy, before))
        _refill(copy, {key: before[key] if key in before else self._copies.copy(value[key]) for key in value})

    def _update_list(self, copy: list[Any], value: list[Any]) -> None:
        common = min(len(copy), len(value))
        if len(copy) > common:
            end = copy[common:]
            self.undos.append(lambda: copy.extend(end))
            del copy[common:]
        known = self._last_items(copy, value)
        for place in list(compress(range(common), map(is_not, known, value))):
            old = copy[place]
            new = self.updated(old, value[place])
            if new is not old:
                self.undos.append(_putter(copy, place, old))
                copy[place] = new
        if len(value) > common:
            self.undos.append(lambda: copy.__delitem__(slice(common, None)))
            copy.extend([self._copies.copy(item) for item in value[common:]])

    def _last_items(self, copy: list[Any], value: list[Any]) -> list[Any]:
        """The items when last recorded, if they are surely unchanged; else those of the copy."""
        if self._items is None:
            return copy
        _, last = self._items.get(id(copy), (copy, copy))
        self._items[id(copy)] = copy, list(value)
        return last

    def _updated_tuple(self, copy: tuple[Any, ...], value: tuple[Any, ...]) -> Any:
        if len(copy) != len(value):
            return self._replaced(value)
        items = [self.updated(old, new) for old, new in zip(copy, value, strict=True)]
        return copy if all(map(is_, items, copy)) else self._paired(value, tuple(items))

    def _replaced(self, value: Any) -> Any:
        return self._paired(value, self._copies.copy(value))

    def _paired(self, value: Any, copy: Any) -> Any:
        self._pairs[id(value)] = copy
        return copy


def _putter(copy: Any, place: Any, old: Any) -> Undo:
    return lambda: copy.__setitem__(place, old)


def _dropper(copy: dict[Any, Any], key: Any) -> Undo:
    return lambda: copy.__delitem__(key)


def _inserter(copy: dict[Any, Any], place: int, key: Any, old: Any) -> Undo:
    """Put a key back to its place."""

    def insert() -> None:
        items = list(copy.items())
        items.insert(place, (key, old))
        _refill(copy, dict(items))

    return insert


def _refill(copy: dict[Any, Any], items: dict[Any, Any]) -> None:
    copy.clear()
    copy.update(items)


def _drop(copy: dict[Any, Any], keys: list[Any]) -> None:
    for key in keys:
        del copy[key]


def _is_bare(kind: type) -> bool:
    """Whether its objects consist only of attributes, and are copied so."""
    own = vars(kind)
    return "__dict__" in own and kind.__mro__[1:] == (object,) and not _COPYING & set(own)


def _is_equal(copy: Any, value: Any) -> bool:
    """Whether a set of plain values is unchanged; other values can't be compared."""
    kind = type(value)
    if type(copy) is not kind or kind not in (set, frozenset) or len(copy) != len(value):
        return False
    return {*map(id, copy)} == {*map(id, value)}
