"""The vendor's requests of the day: how many are used, and whether one more may be sent.

Here belongs what all who ask one host in this process share of that. Not here: how fast it may be asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from requests import Response

from connectors.base import SourceError


@dataclass(frozen=True)
class Quota:
    """The share of a vendor's daily requests that may be used up, by whomever, before this connector stops asking.

    What is used only replies tell, and asking for the limits is a request as well: so a process sends its first request
    alone, without knowing. Where the share is used up already, each process that begins goes beyond it by that one.

    `used` reads requests used and allowed from a reply's headers. `setting` names what a person can change.
    """

    share: float
    setting: str
    used: Callable[[Mapping[str, str]], tuple[int, int] | None]


class Day:
    """What this process knows of one host's requests of the day, shared by all who ask: how many are used, those that are
    under way included. Nothing before the first reply, and nothing any more when the last one is a day old."""

    _all: ClassVar[dict[str, Day]] = {}
    _lock = threading.Lock()

    def __init__(self) -> None:
        self._sent = self._ended = 0
        self._others = 0  # used, and not sent from here
        self._allowed: float | None = None
        self._told_at = 0.0
        self._turn = threading.Condition()

    @classmethod
    def of(cls, host: str) -> Day:
        with cls._lock:
            return cls._all.setdefault(host, cls())

    @contextmanager
    def request(self, tool: str, quota: Quota, deadline: float) -> Iterator[Callable[[Response], None]]:
        """Counts one request from before it is sent. What this hands out wants to see the reply. Raises SourceError where the
        share has no room for it."""
        with self._turn:
            if time.monotonic() - self._told_at > 86_400:
                self._allowed = None
            while self._allowed is None and self._sent > self._ended and (left := deadline - time.monotonic()) > 0:
                self._turn.wait(left if left < float("inf") else None)
            used = self._others + self._sent
            if self._allowed is not None and used + 1 > quota.share * self._allowed:
                raise SourceError(
                    f"{tool}: {used} of {self._allowed:.0f} requests of the day are used, by this and by other programs, "
                    f"and {quota.setting} leaves the rest to those. Raise it, or wait; trying again later can help.",
                    transient=True,
                )
            self._sent += 1
            before = self._ended
        try:
            yield lambda response: self._told(before, quota.used(response.headers), served=response.ok)
        finally:
            with self._turn:
                self._ended += 1
                self._turn.notify_all()

    def _told(self, before: int, used: tuple[int, int] | None, *, served: bool) -> None:
        """`before`: how many had ended when this one was sent. Those the vendor has counted; of those that overlapped with it
        nobody knows, so they are counted once more."""
        with self._turn:
            if used:
                self._others, self._allowed = used[0] - before - 1, used[1]
                self._told_at = time.monotonic()
            elif served and self._allowed is None:  # this host says nothing of a limit
                self._allowed, self._told_at = float("inf"), time.monotonic()
