"""How Jira Cloud is read: ids by JQL, bodies by bulk fetch, several at a time, and a sweep of all ids for deletes.

Here belong Jira's addresses, paging and custom fields. Not here: its columns, which are data, rich text, or any HTTP.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw
from requests import Response

from connectors import adf, rows
from connectors.auth import Basic, Bearer, secret
from connectors.base import Batch, Cursor, Finding, Read, Reject, SourceError
from connectors.columns import streams
from connectors.http import CONNECTING, Gate, HttpConnector, Login, Patience, Site
from connectors.window import Window, windows

if TYPE_CHECKING:
    from jira import JIRA

_MARGIN = timedelta(minutes=1)  # what is younger than this may not be in the index yet
_LOOK_BACK = timedelta(minutes=15)  # the index follows late
_IDS = 5000  # issues of a page when only ids are asked for
_BODIES = 100  # issues of a bulk fetch
_BATCH = 10  # bulk fetches that make a batch
_EVERYTHING = 'created >= "1970-01-01" ORDER BY created ASC'  # JQL must be bounded
_WRAPPING = ("expand",)  # says what more could be asked for, and is no field
_STREAMS = streams("jira")

_Unread = dict[int, str]  # issues that Jira could not give so far, and why


class _Id(msgspec.Struct):
    id: str


class _Found(msgspec.Struct, rename="camel"):
    issues: list[_Id]
    next_page_token: str | None = None


class _Failure(msgspec.Struct, rename="camel"):
    error_message: str | None = None


class _Bodies(msgspec.Struct, rename="camel"):
    issues: Raw
    issue_errors: list[_Failure] = []


class _Projects(msgspec.Struct, rename="camel"):
    values: Raw
    is_last: bool


class _Field(msgspec.Struct):
    id: str
    name: str


class Jira(HttpConnector):
    """One Jira Cloud site, asked with an e-mail address and an API token, or with an OAuth access token."""

    tool = "jira"
    reads = tuple(Read(name, (_STREAMS[name],)) for name in ("projects", "fields", "issues"))

    def __init__(
        self,
        url: str,
        *,
        email: str | None = None,
        api_token: str | None = None,
        access_token: str | None = None,
        fields: Mapping[str, Mapping[str, str]] | None = None,
        concurrency: int = 8,
        patience: Patience | None = None,
    ) -> None:
        by_bearer = bool(access_token) and not api_token
        site = Site("Jira", url, "JIRA_URL", "JIRA_ACCESS_TOKEN" if by_bearer else "JIRA_EMAIL and JIRA_API_TOKEN")
        login: Login
        if email and api_token:
            login = Basic(email.strip(), secret("JIRA_API_TOKEN", api_token))
        elif access_token and by_bearer:
            login = Bearer(secret("JIRA_ACCESS_TOKEN", access_token))
        else:
            raise SourceError("Set JIRA_EMAIL and JIRA_API_TOKEN, or JIRA_ACCESS_TOKEN.")
        self.gate = Gate(site, login, patience=patience, bucket=lambda path: path)  # Jira limits each endpoint by itself
        self._mapped = (fields or {}).get("issues", {})
        self._concurrency = concurrency

    def batches(self, read: Read, cursor: Cursor | None) -> Iterator[Batch]:
        if read.name == "projects":
            return self._snapshot("projects", self._projects(), cursor or {})
        if read.name == "fields":
            return self._snapshot("fields", self._fields(), cursor or {})
        return self._issues(cursor)

    def check(self) -> Iterator[Finding]:
        login = self.tried("login", lambda: f"works, in the time zone {self._zone()}")
        yield login
        if login.ok:
            yield self.tried("projects", self._browsable)
            yield self.tried("fields", self._known_fields)
            yield self.tried("issues", lambda: f"can be read, {self._count()} of them")

    @cached_property
    def _jira(self) -> JIRA:
        from jira import JIRA  # costs start time, and Dagster loads this module far more often than it reads

        options: dict[str, Any] = {"server": self.gate.site.url, "rest_api_version": "3"}
        client = JIRA(options=options, get_server_info=False, max_retries=0, timeout=CONNECTING)
        client.deploymentType = "Cloud"  # not asked for, to spare a request
        self.gate.guard(client._session)
        return client

    def _get(self, path: str, parameters: Mapping[str, Any] | None = None) -> Response:
        return self._jira._session.get(self._jira._get_url(path), params=parameters)

    def _post(self, path: str, body: Mapping[str, Any]) -> Response:
        return self._jira._session.post(self._jira._get_url(path), data=msgspec.json.encode(body))

    def _page(self, decoder: rows.Decoder, records: Raw | bytes, response: Response) -> rows.Page:
        try:
            return decoder.page(records)
        except msgspec.DecodeError:
            raise self.surprise(response, f"no list of {decoder.stream.name}") from None

    # projects and fields --------------------------------------------------------------------------------------------

    def _snapshot(self, name: str, pages: Iterator[tuple[Raw | bytes, bool, Response]], cursor: Cursor) -> Iterator[Batch]:
        """Pages of (records, whether it is the last one, the reply) as batches; the last one says what exists."""
        finish = _archived_or_not if name == "projects" else rows.as_it_is
        decoder = rows.Decoder(_STREAMS[name], drop=_WRAPPING, finish=finish)
        ids: list[str] = []
        known = cursor.get("count", 0)
        until = None
        for records, ended, response in pages:
            until = until or self.gate.clock
            page = self._page(decoder, records, response)
            ids += page.table["id"].to_pylist()
            if known and ended and not ids:
                raise self.emptied(name, known)
            known = len(ids) if ended else max(known, len(ids))
            present = {name: rows.keys(_STREAMS[name], {"id": ids})} if ended else {}
            yield Batch({"count": known}, {name: page.table}, page.rejects, present, until if ended else None)

    def _projects(self) -> Iterator[tuple[Raw, bool, Response]]:
        start, ended = 0, False
        while not ended:
            asked = {"startAt": start, "maxResults": 100, "expand": "lead", "status": ["live", "archived"]}
            response = self._get("project/search", asked)
            page = self.decoded(response, _Projects)
            read = len(msgspec.json.decode(page.values, type=list[Raw]))
            if not read and not page.is_last:
                raise self.surprise(response, "a page without projects that is not the last one")
            start, ended = start + read, page.is_last
            yield page.values, ended, response

    def _fields(self) -> Iterator[tuple[bytes, bool, Response]]:
        response = self._get("field")
        yield response.content, True, response

    # issues ---------------------------------------------------------------------------------------------------------

    def _issues(self, cursor: Cursor | None) -> Iterator[Batch]:
        zone = self._zone()
        decoder = self._decoder()
        until = on_the_minute(self.gate.clock - _MARGIN, zone)
        known = cursor.get("issues", 0) if cursor else 0
        unread: _Unread = dict.fromkeys(cursor.get("unread", ()) if cursor else (), "")
        if cursor and unread:
            for _, table, rejects in self._batched(decoder, sorted(unread), unread):
                yield Batch({**cursor, "unread": sorted(unread)}, {"issues": table}, rejects)
        for window, after in windows(cursor, until, _LOOK_BACK):
            ids = [issue_id for issue_id in self._ids(_jql(window, zone)) if after is None or issue_id > int(after)]
            known = max(known, len(ids))
            for last, table, rejects in self._batched(decoder, ids, unread):
                reached = {**window.reached(str(last)), "issues": known, "unread": sorted(unread)}
                yield Batch(reached, {"issues": table}, rejects)
        present = self._ids(_EVERYTHING)
        if known and not present:
            raise self.emptied("issues", known)
        exist = {"issues": rows.keys(_STREAMS["issues"], {"id": list(map(str, present))})}
        left = sorted(unread.keys() & set(present))
        rejects = tuple(_unread(issue_id, unread[issue_id]) for issue_id in left)
        yield Batch({**window.done(), "issues": len(present), "unread": left}, {}, rejects, exist, window.until)

    def _ids(self, jql: str) -> list[int]:
        """The ids of all issues that match, rising. Only a page without a token is the last: what is missing here would
        be taken for deleted."""
        ids: list[int] = []
        tokens: set[str] = set()
        asked: dict[str, Any] = {"jql": jql, "fields": "id", "maxResults": _IDS}
        while True:
            response = self._get("search/jql", asked)
            found = self.decoded(response, _Found)
            ids += [int(issue.id) for issue in found.issues]
            if found.next_page_token is None:
                return sorted(set(ids))
            if found.next_page_token in tokens:
                raise self.surprise(response, "the same page token again")
            tokens.add(found.next_page_token)
            asked["nextPageToken"] = found.next_page_token

    def _batched(
        self, decoder: rows.Decoder, ids: Sequence[int], unread: _Unread
    ) -> Iterator[tuple[int, pa.Table, tuple[Reject, ...]]]:
        """Issues and rejects, some replies at a time, with the last id that was asked for."""
        pages: list[rows.Page] = []
        for asked, response in self._bodies(ids):
            pages += self._opened(decoder, asked, response, unread)
            if len(pages) >= _BATCH or asked[-1] == ids[-1]:
                table = pa.concat_tables(page.table for page in pages)
                yield asked[-1], table, tuple(reject for page in pages for reject in page.rejects)
                pages = []

    def _bodies(self, ids: Sequence[int]) -> Iterator[tuple[Sequence[int], Response]]:
        """Replies to the bulk fetches in the order of the ids, while the next ones are under way."""
        under_way: deque[tuple[Sequence[int], Future[Response]]] = deque()
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="jira")
        try:
            for start in range(0, len(ids), _BODIES):
                asked = ids[start : start + _BODIES]
                under_way.append((asked, pool.submit(self._fetch, asked)))
                if len(under_way) > self._concurrency:
                    asked, reply = under_way.popleft()
                    yield asked, reply.result()
            for asked, reply in under_way:
                yield asked, reply.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _fetch(self, ids: Sequence[int]) -> Response:
        # Comments and worklogs are records of their own, and cut off in here.
        fields = ["*all", "-comment", "-worklog"]
        return self._post("issue/bulkfetch", {"issueIdsOrKeys": list(map(str, ids)), "fields": fields})

    def _opened(
        self, decoder: rows.Decoder, asked: Sequence[int], response: Response, unread: _Unread, *, last_try: bool = False
    ) -> list[rows.Page]:
        """The issues of a reply. What it lacks is asked for once more, each alone, if Jira tells of errors: the reply may
        have become too large. What was deleted or hidden meanwhile it leaves out without a word."""
        bodies = self.decoded(response, _Bodies)
        page = self._page(decoder, bodies.issues, response)
        found = set(page.table["id"].to_pylist())
        lacking = [issue_id for issue_id in asked if str(issue_id) not in found]
        for issue_id in asked:
            unread.pop(issue_id, None)
        pages = [page]
        if bodies.issue_errors and not last_try:
            for issue_id in lacking:
                pages += self._opened(decoder, [issue_id], self._fetch([issue_id]), unread, last_try=True)
        else:
            why = next((failure.error_message for failure in bodies.issue_errors), None)
            unread.update(dict.fromkeys(lacking, why or "no reason given"))
        return pages

    def _decoder(self) -> rows.Decoder:
        sources = {column: f"fields.{field}" for column, field in (self._field_ids() if self._mapped else {}).items()}
        values = {"description_text": adf.plain, **dict.fromkeys(sources, chosen)}
        return rows.Decoder(_STREAMS["issues"], sources=sources, values=values, drop=_WRAPPING)

    def _field_ids(self) -> dict[str, str]:
        """The ids of the mapped fields, which the settings name by id or name. One that is not visible is left out."""
        known = self.decoded(self._get("field"), list[_Field])
        found = {}
        for column, wanted in self._mapped.items():
            ids = [field.id for field in known if field.id == wanted]
            ids = ids or [field.id for field in known if field.name.casefold() == wanted.casefold()]
            if len(ids) > 1:
                raise SourceError(
                    f'jira.fields.issues.{column}: {len(ids)} fields are named "{wanted}". Put the id of one there: '
                    f"{', '.join(ids)}; trying again will not help."
                )
            if ids:
                found[column] = ids[0]
        return found

    def _zone(self) -> ZoneInfo:
        """The asking user's time zone, in which JQL reads its dates."""
        name = msgspec.json.decode(self._get("myself").content).get("timeZone")
        try:
            return ZoneInfo(name or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            raise SourceError(f"The time zone {name} of the Jira user is not known here. Set it to another one.") from None

    # check ----------------------------------------------------------------------------------------------------------

    def _browsable(self) -> str:
        reply = self._get("mypermissions", {"permissions": "BROWSE_PROJECTS"})
        permission = msgspec.json.decode(reply.content)["permissions"]["BROWSE_PROJECTS"]
        if not permission["havePermission"]:
            raise SourceError(f"The user of {self.gate.site.login} lacks the permission to browse projects. Grant it.")
        return "can be read"

    def _known_fields(self) -> str:
        found = self._field_ids()
        missing = [wanted for column, wanted in self._mapped.items() if column not in found]
        return "can be read" + (f", except {', '.join(missing)}: hidden from this user, or not there" if missing else "")

    def _count(self) -> int:
        bounded = _EVERYTHING.partition(" ORDER")[0]
        return int(msgspec.json.decode(self._post("search/approximate-count", {"jql": bounded}).content)["count"])


def chosen(value: Any) -> Any:
    """What a custom field of any kind shows: the chosen option, several side by side, a person's name, a text."""
    if isinstance(value, list):
        return ", ".join(str(chosen(each)) for each in value if each is not None) or None
    if not isinstance(value, dict):
        return value
    if value.get("type") == "doc":
        return adf.plain(value)
    shown = next((value[key] for key in ("value", "name", "displayName", "key") if value.get(key) is not None), None)
    if shown is None:
        raise rows.Misfit("holds an object without a value or a name")
    return f"{shown} / {chosen(value['child'])}" if value.get("child") else shown


def _archived_or_not(table: pa.Table) -> pa.Table:
    """Jira leaves the mark out of living projects."""
    place = table.column_names.index("archived")
    return table.set_column(place, "archived", pc.fill_null(table["archived"], False))


def _unread(issue_id: int, why: str) -> Reject:
    return Reject("issues", str(issue_id), None, f"the record could not be fetched: {why}", f'{{"id":"{issue_id}"}}')


def on_the_minute(moment: datetime, zone: ZoneInfo) -> datetime:
    """The last full minute up to a moment that the user's clock shows only once: when summer time ends, JQL cannot tell
    the repeated hour from the first."""
    moment = moment.replace(second=0, microsecond=0)
    while len({moment.astimezone(zone).replace(fold=fold).utcoffset() for fold in (0, 1)}) > 1:
        moment -= timedelta(minutes=1)
    return moment


def _jql(window: Window, zone: ZoneInfo) -> str:
    if window.since is None:
        return _EVERYTHING
    since, until = (f"{on_the_minute(moment, zone).astimezone(zone):%Y-%m-%d %H:%M}" for moment in (window.since, window.until))
    return f'updated >= "{since}" AND updated < "{until}" ORDER BY created ASC'
