"""Days and moments as the definitions count them: days in UTC, months by the calendar.

Here belongs arithmetic with dates alone. Not here: which record's date means what.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time


def moment(text: str | None) -> datetime | None:
    """Any vendor's timestamp, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def midnight(of: date) -> datetime:
    return datetime.combine(of, time(), UTC)


def months_after(of: date, months: int) -> date:
    """The same day so many months on (or back), or the last of that month."""
    year, month = divmod(of.year * 12 + of.month - 1 + months, 12)
    return date(year, month + 1, min(of.day, monthrange(year, month + 1)[1]))
