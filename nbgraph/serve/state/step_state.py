"""StepState: what one step remembers, as pages of which only those are written that an event has changed.

A state that is a dict has a page for each of its keys, and so has each dict that stands in it from the start (the
windows of AggregateByKey); any other state is one page.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from nbgraph.streams.codec.values import DICTS, UnfitError, freeze, thaw
from nbgraph.streams.tracking_dict import TrackingDict

Path = tuple[Any, ...]  # (step,): what kind of state it is; (step, key) and (step, part, key): a value of it
_GONE = object()
log = logging.getLogger("nbgraph.serve")


class StateError(UnfitError):
    """A state has something in it that can't be kept."""


class StepState:
    """The state of one step's instance.

    >>> from nbgraph.steps import Batch
    >>> batch = Batch(2)
    >>> memory = StepState("batch", batch)
    >>> _ = batch.do("a")
    >>> other = Batch(2)
    >>> pages = {path: page for path, page in memory.changes()}
    >>> StepState("batch", other).restore(pages)
    >>> other.do("b")
    [['a', 'b']]
    """

    def __init__(self, step: str, target: Any) -> None:
        self.step, self._target = step, target
        try:
            self._first = freeze(target.state)
        except UnfitError as error:
            raise self._told(error) from error
        self._form = (type(target).__qualname__, getattr(target, "state_form", None))
        self._is_kept = False  # the pages there are tell of this state
        self._paths: dict[Path, None] = {}  # of the pages there are, in their order
        self._top: TrackingDict | None = None
        self._parts: dict[Any, TrackingDict] = {}
        first = thaw(self._first)
        self._names = [key for key, value in first.items() if type(value) is dict] if type(first) is dict else []
        self._install(first)

    def restore(self, pages: dict[Path, bytes | None]) -> None:
        """The state that these pages, all there are of this step, tell of; the first one where there are none."""
        self._paths = dict.fromkeys(pages)
        marker = pages.get((self.step,))
        if marker is None or not self._take(marker):
            self._is_kept = False
            self._install(thaw(self._first))
            return
        for path, page in pages.items():
            if len(path) > 1:
                self.put(path, page)

    def put(self, path: Path, page: bytes | None) -> bool:
        """Another worker's change of one value; False where the whole state has to be restored."""
        if len(path) == 1:
            return self._top is None and page is not None and self._take(page)
        place = self._top if len(path) == 2 else self._parts.get(path[1])
        if place is None or not self._is_kept:
            return False
        if page is None:
            dict.pop(place, path[-1], None)
            self._paths.pop(path, None)
        else:
            dict.__setitem__(place, path[-1], thaw(page))
            self._paths[path] = None
        return True

    def _take(self, marker: bytes) -> bool:
        """Begin with what the first page tells of: the whole state, or the parts of a dict; False for another form."""
        is_dict, content, form = thaw(marker)
        self._is_kept = bool(form == self._form)
        if self._is_kept:
            self._install({part: {} for part in content} if is_dict else content)
        else:
            log.warning("Step %r begins anew: its state was kept as %r, and now is %r", self.step, form, self._form)
        return self._is_kept

    def changes(self) -> Iterator[tuple[Path, bytes | None]]:
        """The pages that the last event may have changed; None for one that is gone."""
        try:
            reached = self._reached()
            found = list(self._whole() if reached is None else map(self._page, reached))
        except UnfitError as error:
            raise self._told(error) from error
        for path, page in found:
            if page is None:
                self._paths.pop(path, None)
            else:
                self._paths[path] = None
        yield from found

    def _reached(self) -> list[Path] | None:
        """The values that were reached for; None where the state is another object, or was never written."""
        top = self._top
        if top is None or self._target.state is not top:
            return None
        keys = top.reached()
        if any(dict.get(top, key, _GONE) is not self._parts[key] for key in keys if key in self._parts):
            return None
        paths: list[Path] = [(self.step, key) for key in keys if key not in self._parts]
        paths += [(self.step, name, key) for name, part in self._parts.items() for key in part.reached()]
        return None if paths and not self._is_kept else paths

    def _page(self, path: Path) -> tuple[Path, bytes | None]:
        place: Any = self._top if len(path) == 2 else self._parts[path[1]]
        value = dict.get(place, path[-1], _GONE)
        return path, None if value is _GONE else freeze(value)

    def _whole(self) -> Iterator[tuple[Path, bytes | None]]:
        """Every page of the state as it is, and the end of those that it no longer has."""
        state = self._target.state
        if type(state) not in (dict, TrackingDict):
            pages: dict[Path, bytes | None] = {(self.step,): freeze((False, state, self._form))}
        else:
            self._install(dict(dict.items(state)))
            pages = {(self.step,): freeze((True, list(self._parts), self._form))}
            pages |= dict(map(self._page, self._all()))
        self._is_kept = True
        yield from pages.items()
        yield from ((path, None) for path in list(self._paths) if path not in pages)

    def _all(self) -> Iterator[Path]:
        assert self._top is not None
        yield from ((self.step, key) for key in dict.keys(self._top) if key not in self._parts)
        for name, part in self._parts.items():
            yield from ((self.step, name, key) for key in dict.keys(part))

    def _install(self, state: Any) -> None:
        """Let the step go on with that state."""
        self._top, self._parts = None, {}
        if type(state) is dict:
            parts = {key: value for key, value in state.items() if key in self._names and type(value) in DICTS}
            self._parts = {key: TrackingDict(dict.items(value)) for key, value in parts.items()}
            state = self._top = TrackingDict({**state, **self._parts})
        self._target.state = state

    def _told(self, error: UnfitError) -> StateError:
        return StateError(
            f'The state of step "{self.step}" can\'t be kept for the next worker: {error}. Let it hold plain data '
            "(numbers, texts, lists, tuples, dicts, sets, dates), and set what is not outside of `state`."
        )
