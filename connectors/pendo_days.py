"""Which days of events have to be read: those that may still change, and those that Pendo shows otherwise than before.

Here belong the calendar and the cursor of such a read. Not here: how Pendo is asked for a day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Self

from connectors.base import Cursor

EAST = timedelta(hours=13)  # a day that begins anywhere from Hawaii to New Zealand is, so much later, on its date in UTC
WATCHED = 400  # days after which what was read stays as it is
LONGEST = 30  # days of one request; Pendo asks not to want more
_DAY = timedelta(days=1)

Sums = tuple[int, int]  # rows, and how often something was used


@dataclass(frozen=True)
class Stretch:
    """Days in a row, with the number of their rows."""

    first: date
    end: date  # the day after the last
    rows: int

    @property
    def days(self) -> int:
        return (self.end - self.first).days


@dataclass
class Days:
    """All days from `first`. `read`: of those that were read when nothing could be late any more, what they held.
    `there`: what Pendo has. From `open_from` on events may still come, and before `end` there may be some."""

    first: date
    read: dict[date, Sums] = field(default_factory=dict)
    there: Mapping[date, Sums] = field(default_factory=dict)
    open_from: date = date.min
    end: date = date.min
    _done: set[date] = field(default_factory=set)

    @classmethod
    def of(cls, cursor: Cursor | None) -> Self | None:
        if not cursor:
            return None
        days = cursor.get("days", {})  # without them everything is read anew
        read = {date.fromisoformat(day): (int(sums[0]), int(sums[1])) for day, sums in days.items()}
        return cls(date.fromisoformat(cursor["from"]), read)

    @staticmethod
    def asked(first: date, clock: datetime) -> int:
        """How many days to ask for: those of the future hold nothing, and until its first reply nobody knows what day
        it is at Pendo's."""
        return max(WATCHED, (clock.date() - first).days) + 2

    def beside(self, there: Mapping[date, Sums], clock: datetime, late_by: timedelta) -> Self:
        """With what Pendo has by now. `late_by`: how long after a date's end in UTC it is over everywhere and no event
        of it can come any more."""
        self.open_from = max(self.first, (clock - late_by).date())
        self.end = max(self.open_from, (clock + EAST).date()) + _DAY
        self.read = {day: sums for day, sums in self.read.items() if day < self.open_from}
        self.there = {day: sums for day, sums in there.items() if self.first <= day < self.end}
        return self

    @property
    def total(self) -> int:
        return sum(rows for rows, _ in self.there.values())

    @property
    def settled_rows(self) -> int:
        return sum(rows for day, (rows, _) in self.there.items() if day < self.open_from)

    def stretches(self, most: int, longest: int) -> Iterator[Stretch]:
        """What is left to read, in few stretches of no more than so many rows and days. What lies between two days that have to
        be read is read along, if that saves a request; a single day may have more rows."""
        first: date | None = None
        last, rows = date.min, 0
        for day in self._left():
            more = sum(self.there.get(each, (0, 0))[0] for each in _range(last + _DAY, day + _DAY)) if first else 0
            if first and (day - first).days < longest and rows + more <= most:
                last, rows = day, rows + more
                continue
            if first:
                yield Stretch(first, last + _DAY, rows)
            first, last, rows = day, day, self.there.get(day, (0, 0))[0]
        if first:
            yield Stretch(first, last + _DAY, rows)

    def _left(self) -> Iterator[date]:
        for day in _range(self.first, self.end):
            changed = day >= self.open_from or self.read.get(day) != self.there.get(day, (0, 0))
            if changed and day not in self._done:
                yield day

    def settle(self, stretch: Stretch, found: Mapping[date, Sums]) -> None:
        """Notes what came of a stretch that was read."""
        for day in _range(stretch.first, stretch.end):
            self._done.add(day)
            if day < self.open_from:
                self.read[day] = found.get(day, (0, 0))

    def cursor(self) -> Cursor:
        return {"from": self.first.isoformat(), "days": {day.isoformat(): list(sums) for day, sums in self.read.items()}}

    def done(self) -> Cursor:
        """The cursor when everything is read; what is older than anybody watches is left out of the next read."""
        first = max(self.first, self.end - WATCHED * _DAY)
        return type(self)(first, {day: sums for day, sums in self.read.items() if day >= first}).cursor()


def _range(first: date, end: date) -> Iterator[date]:
    return (first + number * _DAY for number in range((end - first).days))
