"""Schedule: events that the clock gives, by a cron expression."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.steps.optional import package
from nbgraph.steps.sources.base import Source
from nbgraph.types import Shape

__all__ = ["Schedule"]

MISFIRES = ("last", "skip", "all")
LOOK = 30.0  # seconds between looks at the clock, which may be set, or sleep with its machine
MOST = 1000  # ticks that are caught up with
_logger = logging.getLogger("nbgraph.schedule")


class Schedule(Source):
    """An event at every moment of a cron expression; the first step of a graph, or what `graph.stream` takes.

    >>> schedule = Schedule("*/5 * * * *")
    >>> schedule.next_after(datetime(2026, 1, 1, 12, 3, tzinfo=UTC)).isoformat()
    '2026-01-01T12:05:00+00:00'
    >>> from nbgraph import Graph
    >>> graph = Graph.parse("%%graph report\\nSchedule('0 6 * * *') -> list -> respond", namespace={"list": list})
    >>> graph.run(None)                                               # now, whatever the clock says
    ['scheduled', 'missed']

    While `graph.start()` is up, and wherever the graph is deployed, its events come by themselves: each tick once,
    however many workers there are. The body is `{"scheduled": "2026-01-01T12:05:00+00:00", "missed": 0}`. What callers
    send goes on as it came.

    Parameters
    ----------
    cron
        Five fields (minute, hour, day, month, weekday), or six with the seconds last; `"@hourly"` and its kin.
    timezone
        Where its hours are: an IANA name. An hour that a change of clocks repeats has its ticks twice; one that is left
        out has them at its end.
    misfire
        What becomes of ticks that nobody was there for, or that come more than `grace` seconds late: `"last"` runs the
        last of them and tells how many were missed, `"skip"` none, `"all"` each of up to 1,000.
    grace
        Seconds.
    """

    shape = Shape.EVENTS
    packages = ("croniter", "tzdata")  # slim images know no zones, not even UTC

    def __init__(self, cron: str, timezone: str = "UTC", misfire: str = "last", grace: float = 60.0) -> None:
        if misfire not in MISFIRES:
            raise GraphError(f'Schedule got misfire={misfire!r}; expected one of "last", "skip", "all".')
        try:
            self._zone = ZoneInfo(timezone)
        except (KeyError, ValueError, TypeError):
            raise GraphError(
                f'Schedule got timezone={timezone!r}; expected an IANA name such as "Europe/Amsterdam".'
            ) from None
        self._croniter = package("croniter", "Schedule").croniter
        if not isinstance(cron, str) or not self._croniter.is_valid(cron):
            raise GraphError(
                f'Schedule got {cron!r}; expected a cron expression of five fields, such as "*/5 * * * *", or six with '
                "the seconds last."
            )
        self.cron, self._misfire, self._grace = cron, misfire, grace

    def next_after(self, moment: datetime) -> datetime:
        """The first tick behind a moment, in UTC."""
        found: datetime = self._croniter(self.cron, moment.astimezone(self._zone), ret_type=datetime).get_next()
        return found.astimezone(UTC)

    def ticks(self, last: datetime, now: datetime) -> list[Event]:
        """The ticks behind `last` that are to run by `now`, as events.

        >>> noon, later = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 12, 5, 1, tzinfo=UTC)
        >>> [event.body["missed"] for event in Schedule("* * * * *").ticks(noon, later)]
        [4]
        """
        found: list[datetime] = []
        missed, tick = 0, self.next_after(last)
        while tick <= now:
            found.append(tick)
            if len(found) > MOST:
                del found[0]
                missed += 1
            tick = self.next_after(tick)
        running = self._running(found, now)
        missed += len(found) - len(running)
        if missed:
            _logger.warning(
                'Schedule "%s" missed %d ticks up to %s; misfire="%s" runs %d now.',
                self.cron,
                missed,
                found[-1].isoformat(),
                self._misfire,
                len(running),
            )
        return [self._event(tick, missed if tick is running[0] else 0) for tick in running]

    def __iter__(self) -> Iterator[Event]:
        last = datetime.now(UTC)
        while True:
            now = datetime.now(UTC)
            yield from self.ticks(last, now)
            last = now
            time.sleep(self.seconds_until_next(last))

    def seconds_until_next(self, last: datetime) -> float:
        """For how long nothing has to be looked at."""
        left = (self.next_after(last) - datetime.now(UTC)).total_seconds()
        return min(max(left, 0.0), LOOK)

    def do(self, event: Event) -> Iterator[Event]:
        """A tick, and what a caller sends, go on; nothing at all is a tick of now."""
        if event.body is None:
            event.body = self._event(datetime.now(UTC).replace(microsecond=0), 0).body
        yield event

    def _running(self, ticks: list[datetime], now: datetime) -> list[datetime]:
        """Those of the ticks that run, by what is said of misfires."""
        if self._misfire == "all":
            return ticks
        on_time = [tick for tick in ticks if (now - tick).total_seconds() <= self._grace]
        return on_time if on_time or self._misfire == "skip" else ticks[-1:]

    def _event(self, tick: datetime, missed: int) -> Event:
        body: dict[str, Any] = {"scheduled": tick.isoformat(), "missed": missed}
        return Event(body, id=f"{self.cron.replace(' ', '_')}-{tick.isoformat()}", time=tick)
