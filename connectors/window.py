"""How a read by time goes on where the last one ended, also where that one was killed in the middle.

Here belongs the cursor of such a read. Not here: how a vendor is asked for a window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.base import Cursor


@dataclass(frozen=True)
class Window:
    """What changed from `since` (None: everything there is) to before `until`, read in the order of ids.

    What changes while a window is read belongs to the next one, which begins before the end of this one.
    """

    since: datetime | None
    until: datetime

    def reached(self, record_id: str | None) -> Cursor:
        """In the middle: everything up to this id has been read."""
        return {"since": self.since and self.since.isoformat(), "until": self.until.isoformat(), "after": record_id}

    def done(self) -> Cursor:
        return {"until": self.until.isoformat()}


def windows(cursor: Cursor | None, until: datetime, look_back: timedelta) -> Iterator[tuple[Window, str | None]]:
    """What is left to read up to `until`, each with the id after which it goes on: first what an earlier read left
    unfinished, then what is new. `look_back` is read again, for what became visible late."""
    if cursor is None:
        yield Window(None, until), None
        return
    reached = datetime.fromisoformat(cursor["until"])
    if "after" in cursor:
        since = cursor["since"]
        yield Window(datetime.fromisoformat(since) if since else None, reached), cursor["after"]
    yield Window(reached - look_back, max(until, reached)), None
