"""Jira: which reads there are, what a permission or a first read costs, and what was put aside opened again.

Here belongs what is true of all streams together. Not here: how each is read (`jira_issues`, `jira_worklogs`,
`jira_lists`), how Jira is asked (`jira_asking`), or the columns, which are data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from math import ceil

import msgspec
import pyarrow as pa

from connectors.base import Batch, Cursor, Estimate, Finding, Read, SourceError, Stream, Unavailable
from connectors.jira_asking import STREAMS
from connectors.jira_groups import BODIES, SIZE
from connectors.jira_issues import IDS
from connectors.jira_lists import LISTED, PROJECTS, Lists
from connectors.jira_worklogs import ENTRIES, Worklogs

_TOGETHER = {"components": "projects", "versions": "projects", "sprints": "boards"}
_TOGETHER |= dict.fromkeys(("issue_links", "comments", "changelog", "remote_links"), "issues")
_TOKENS_END = "Atlassian ends every API token after a year at the latest: renew it in time"


class _Counted(msgspec.Struct):
    count: int


class _Permission(msgspec.Struct, rename="camel"):
    have_permission: bool


class _Permissions(msgspec.Struct):
    permissions: dict[str, _Permission] = {}


class _Totalled(msgspec.Struct):
    total: int


def _reads() -> tuple[Read, ...]:
    """One of each stream, or of those that the same replies bring."""
    found: dict[str, list[Stream]] = {}
    for name, stream in STREAMS.items():
        found.setdefault(_TOGETHER.get(name, name), []).append(stream)
    return tuple(Read(name, tuple(streams)) for name, streams in found.items())


class Jira(Worklogs, Lists):
    reads = _reads()
    kept = ("fields", "moved", "lacking")

    def batches(self, read: Read, cursor: Cursor | None) -> Iterator[Batch]:
        ways: Mapping[str, Callable[[], Iterator[Batch]]] = {
            "issues": partial(self.issues, read, cursor),
            "worklogs": partial(self.worklogs, cursor),
            "projects": partial(self.projects, read),
            "users": partial(self.users, read),
            "boards": partial(self.boards, read),
        }
        return ways.get(read.name, partial(self.listed, read))()

    def again(self, read: Read, cursor: Cursor | None, missing: Mapping[str, pa.Table]) -> Iterator[Batch]:
        """Issues and logged work can be asked for by their ids."""
        if read.name == "issues" and "issues" in missing:
            return self._again(read, cursor, missing["issues"]["id"].to_pylist())
        if read.name == "worklogs" and "worklogs" in missing:
            return self.lacking_worklogs(missing["worklogs"]["id"].to_pylist())
        return self.batches(read, cursor)

    def _again(self, read: Read, cursor: Cursor | None, missing: Iterable[str]) -> Iterator[Batch]:
        """The changes once more as well, since something that hangs on them may differ too. A first read has just read all."""
        if cursor or not self.swept:
            yield from self.issues(read, cursor)
        if self.swept:
            yield from self.mended(read, self.swept, missing)

    def at(self, read: Read, moment: datetime) -> Cursor | None:
        if read.name == "issues":
            return {"until": moment.astimezone(UTC).isoformat()}
        return {"since": round(moment.timestamp() * 1000)} if read.name == "worklogs" else None

    def opened(self, stream: Stream, records: bytes) -> Batch:
        decoder = self.issues_decoder(self.resolved({})) if stream.name == "issues" else self.decoder(stream)
        page = decoder.page(records)
        return Batch({}, {stream.name: page.table}, page.rejects)

    # what can be read, and what it costs -----------------------------------------------------------------------------

    def check(self) -> Iterator[Finding]:
        """Who may browse projects sees all that is in them; lists ask for no permission but to use Jira at all."""
        login = self.tried("login", self._login)
        yield login
        if not login.ok:
            return
        limits: list[str] = []
        browsing = self.tried("projects", partial(self._browsing, limits))
        found = {
            "projects": browsing,
            "fields": self.tried("fields", self._known_fields),
            "issues": self.tried("issues", lambda: f"can be read ({self._count()} issues)") if browsing.ok else browsing,
            "users": self.tried("users", partial(self._tried, STREAMS["users"])),
            "boards": self.tried("boards", partial(self._tried, STREAMS["boards"])),
        }
        for read in self.reads:
            said = found.get(read.name, Finding(read.name, True, "can be read"))
            yield from (Finding(stream.name, said.ok, said.message) for stream in read.streams)
        yield Finding("limits", True, "; ".join(limits) or "Jira does not tell them")

    def _login(self) -> str:
        ending = f". {_TOKENS_END}" if self.gate.site.login.endswith("JIRA_API_TOKEN") else ""
        return f"works, in the time zone {self.ask_zone()}{ending}"

    def _browsing(self, limits: list[str]) -> str:
        reply = self.get("mypermissions", {"permissions": "BROWSE_PROJECTS"})
        if limit := reply.headers.get("X-RateLimit-Limit"):
            limits.append(f"each endpoint {limit} requests, {reply.headers.get('X-RateLimit-Remaining')} left of this one's")
        found = self.decoded(reply, _Permissions).permissions.get("BROWSE_PROJECTS")
        if found is None or not found.have_permission:
            raise SourceError(f"The user of {self.gate.site.login} lacks the permission to browse projects. Grant it.")
        return "can be read"

    def _known_fields(self) -> str:
        found = self.resolved({}).ids
        missing = [wanted for column, wanted in self.mapped.items() if column not in found]
        return "can be read" + (f", except {', '.join(missing)}: hidden from this user, or not there" if missing else "")

    def _tried(self, stream: Stream) -> str:
        try:
            self.get(stream.source, {"maxResults": 1}, of=stream)
        except Unavailable as missing:
            return f"left out: {missing}"
        return "can be read"

    def _count(self) -> int:
        """The issues that a first read brings, about."""
        jql = self.everything(self.gate.clock).partition(" ORDER")[0]
        return self.decoded(self.post("search/approximate-count", {"jql": jql}), _Counted).count

    def estimate(self, reads: tuple[Read, ...]) -> Iterator[Estimate]:
        """As quick as the replies come just now, so many at a time as are allowed."""
        self.ask_zone()
        started = time.monotonic()
        issues = self._count()
        seconds = time.monotonic() - started
        for read in reads:
            records, requests, note = self._guessed(read.name, issues)
            yield Estimate(read.name, records, requests, requests * seconds / self.concurrency, note=note)

    def _guessed(self, name: str, issues: int) -> tuple[int, int, str]:
        """Records, requests, and what that rests on."""
        if name == "issues":
            requests = 1 + self.names_fields + ceil(issues / IDS) + ceil(issues / BODIES) + ceil(issues / SIZE)
            return issues, requests, "more for issues with long histories, many comments or links to pages"
        if name == "projects":
            projects = self._total(STREAMS["projects"])
            return projects, ceil(projects / PROJECTS) + projects, "and their components and versions"
        if name == "boards":
            boards = self._total(STREAMS["boards"])
            return boards, ceil(boards / LISTED) + boards, "more for boards with many sprints"
        if name == "worklogs":
            return issues, 2 * ceil(issues / ENTRIES), "Jira does not count them; taken as one for each issue"
        return 0, 2 if name == "users" else 1, "Jira does not count them; usually so many requests"

    def _total(self, stream: Stream) -> int:
        try:
            return self.decoded(self.get(stream.source, {"maxResults": 1}, of=stream), _Totalled).total
        except Unavailable:
            return 0
