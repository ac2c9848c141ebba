"""The vendor's requests of the day: how many are used, and whether one more may be sent.

Here belongs what all who ask one host, from whichever process, share of that. Not here: how fast it may be asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from requests import Response

from connectors.base import SourceError

_DAY = 86_400.0
_COUNTED = 3_600.0  # seconds after which a vendor has surely counted a request, even if who sent it was killed
_FIRST = 60.0  # seconds that others wait for the reply to the first request, in case that who sent it was killed


@dataclass(frozen=True)
class Quota:
    """The share of a vendor's daily requests that may be used up, by whomever, before this connector stops asking.

    What is used only replies tell, and asking for the limits is a request as well: so it is kept in `folder`, and whoever
    shares that asks nothing while the share is known to be used. A day counts from a request to the same time of the next
    day, so nothing that was told is true for longer.

    `used` reads requests used and allowed from a reply's headers. `setting` names what a person can change.
    """

    share: float
    setting: str
    used: Callable[[Mapping[str, str]], tuple[int, int] | None]
    folder: Path


@dataclass
class _Known:
    """Of one host: `used`, those included that are under way or may be counted twice, of `allowed`, as of `told_at`; None
    allowed before the first reply, infinity where the host tells no limit. Times are seconds of the epoch."""

    used: int = 0
    allowed: float | None = None
    told_at: float = 0.0
    sent: int = 0  # by all who share this
    under_way: list[float] = field(default_factory=list)  # when each was sent

    def forget(self, now: float) -> None:
        """What is no longer true, a clock that was set back included."""
        if abs(now - self.told_at) > _DAY:
            self.allowed = None
        self.under_way = [sent for sent in self.under_way if abs(now - sent) < _COUNTED]


class Day:
    """What is known of one host's requests of the day, in a small file: of all who share its folder, only one at a time
    reads and writes it."""

    def __init__(self, host: str, folder: Path) -> None:
        self._file = folder / f"{host.replace(':', '_')}.json"

    @contextmanager
    def request(self, tool: str, quota: Quota, deadline: float) -> Iterator[Callable[[Response], None]]:
        """Counts one request from before it is sent. What this hands out wants to see the reply. Raises SourceError where the
        share has no room for it."""
        while (sent := self._send(tool, quota)) is None and time.monotonic() < deadline:
            time.sleep(0.02)  # the first reply of all is awaited alone: it tells what is left
        if sent is None:
            raise SourceError(f"{tool} does not answer the first request; trying again later can help.", transient=True)
        began, before = sent
        try:
            yield lambda response: self._told(before, quota.used(response.headers), served=response.ok)
        finally:
            with self._known() as known:
                if began in known.under_way:
                    known.under_way.remove(began)

    def _send(self, tool: str, quota: Quota) -> tuple[float, int] | None:
        """When one more was sent, and how many had been counted for sure; None if it must wait."""
        with self._known() as known:
            now = time.time()
            known.forget(now)
            if known.allowed is None and any(now - sent < _FIRST for sent in known.under_way):
                return None
            if known.allowed is not None and known.used + 1 > quota.share * known.allowed:
                until = datetime.fromtimestamp(known.told_at + _DAY, UTC)
                raise SourceError(
                    f"{tool}: {known.used} of {known.allowed:.0f} requests of the day are used, by this and by other programs, "
                    f"and {quota.setting} leaves the rest to those. Raise it, or wait until {until:%Y-%m-%d %H:%M} UTC; trying "
                    "again later can help.",
                    transient=True,
                )
            before = known.sent - len(known.under_way)
            known.used += 1
            known.sent += 1
            known.under_way.append(now)
            return now, before

    def _told(self, before: int, used: tuple[int, int] | None, *, served: bool) -> None:
        """`before`: how many had ended when this one was sent. Those the vendor has counted; of those that overlapped with it
        nobody knows, so they are counted once more."""
        with self._known() as known:
            if used:
                known.used, known.allowed = used[0] + known.sent - before - 1, used[1]
            elif served and known.allowed is None:
                known.allowed = float("inf")
            else:
                return
            known.told_at = time.time()

    @contextmanager
    def _known(self) -> Iterator[_Known]:
        """What is known, to be changed by nobody else meanwhile. A file that cannot be read is one that tells nothing."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._file}.lock"):
                try:
                    known = _Known(**json.loads(self._file.read_bytes()))
                except (FileNotFoundError, ValueError, TypeError):
                    known = _Known()
                before = asdict(known)
                yield known
                if asdict(known) != before:
                    aside = self._file.with_suffix(".new")
                    aside.write_text(json.dumps(asdict(known)))
                    aside.replace(self._file)
        except OSError as error:
            raise SourceError(f"{error.filename or self._file} must be written to: {error.strerror}.") from None
