"""How Zendesk is read: cursor exports for tickets and users, a time export for organizations, the list of Jira links.

Here belong Zendesk's addresses, paging and ways of marking deletes. Not here: its columns, which are data, or any HTTP.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw
from requests import Response

from connectors import rows
from connectors.auth import Basic, ZendeskClient, secret
from connectors.base import Batch, Cursor, Finding, Read, SourceError
from connectors.columns import streams
from connectors.http import Gate, HttpConnector, Login, Patience, Site

if TYPE_CHECKING:
    from zenpy import Zenpy

log = logging.getLogger(__name__)

TOKENS_END = "Zendesk ends all API tokens on 2027-04-30. Set ZENDESK_CLIENT_ID and ZENDESK_CLIENT_SECRET before that day"
_UNSETTLED = timedelta(minutes=1)  # the exports leave out what changed in the last minute
_LOOK_BACK = 60  # seconds that a time export is read again, for what became visible late
_STREAMS = streams("zendesk")


class _Export(msgspec.Struct):
    """A page of an incremental export. Only `end_of_stream` ends it: a page may be empty before."""

    end_of_stream: bool
    after_cursor: str | None = None
    end_time: int | None = None
    tickets: Raw = Raw()
    users: Raw = Raw()
    organizations: Raw = Raw()


class _Links(msgspec.Struct):
    links: Raw
    total: int | None = None


class Zendesk(HttpConnector):
    """One Zendesk account, asked with an OAuth client's id and secret or, until they end, an agent's API token."""

    tool = "zendesk"
    reads = tuple(Read(name, (stream,)) for name, stream in _STREAMS.items())

    def __init__(
        self,
        url: str,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        email: str | None = None,
        api_token: str | None = None,
        fields: Mapping[str, Mapping[str, str]] | None = None,
        patience: Patience | None = None,
    ) -> None:
        by_client = bool(client_id or client_secret) or not (email and api_token)
        names = "ZENDESK_CLIENT_ID and ZENDESK_CLIENT_SECRET" if by_client else "ZENDESK_EMAIL and ZENDESK_API_TOKEN"
        site = Site("Zendesk", url, "ZENDESK_URL", names)
        login: Login
        if client_id and client_secret:
            client = secret("ZENDESK_CLIENT_ID", client_id), secret("ZENDESK_CLIENT_SECRET", client_secret)
            login = ZendeskClient(site, *client, patience=patience)
        elif email and api_token and not by_client:
            login = Basic(f"{email.strip()}/token", secret("ZENDESK_API_TOKEN", api_token))
            log.warning("%s.", TOKENS_END)
        else:
            raise SourceError("Set ZENDESK_CLIENT_ID and ZENDESK_CLIENT_SECRET, both of the same OAuth client.")
        self.gate = Gate(site, login, patience=patience, bucket=_bucket)
        self._ends = not by_client
        self._decoders = _decoders(fields or {})

    def batches(self, read: Read, cursor: Cursor | None) -> Iterator[Batch]:
        if read.name == "tickets":
            return self._cursor_export("tickets", cursor or {}, {"include": "metric_sets"})
        if read.name == "users":
            return self._cursor_export("users", cursor or {}, {})
        if read.name == "organizations":
            return self._time_export("organizations", cursor or {})
        return self._jira_links(cursor or {})

    def check(self) -> Iterator[Finding]:
        me = self.tried("login", lambda: f"works, as {self._me()}" + (f". {TOKENS_END}" if self._ends else ""))
        yield me
        if me.ok:
            recent = {"start_time": int((self.gate.clock - 2 * _UNSETTLED).timestamp())}
            for name in ("tickets/cursor", "users/cursor", "organizations"):
                path = f"/api/v2/incremental/{name}.json"
                yield self.tried(name.removesuffix("/cursor"), partial(self._readable, path, recent))
            yield self.tried("jira_links", partial(self._readable, "/api/v2/jira/links", {}))

    @cached_property
    def _zenpy(self) -> Zenpy:
        from zenpy import Zenpy  # costs start time, and Dagster loads this module far more often than it reads

        # The addresses are absolute, so the subdomain is never used; the gate logs in and waits, so zenpy does not.
        return Zenpy(subdomain="-", session=self.gate.session(), anonymous=True, disable_cache=True)

    def _get(self, path: str, parameters: Mapping[str, Any]) -> Response:
        response: Response = self._zenpy.tickets._get(self.gate.site.url + path, raw_response=True, params=parameters)
        return response

    def _page(self, name: str, records: Raw, response: Response) -> rows.Page:
        try:
            return self._decoders[name].page(records)
        except msgspec.DecodeError:
            raise self.surprise(response, f"no list of {name}") from None

    def _cursor_export(self, name: str, cursor: Cursor, parameters: Mapping[str, Any]) -> Iterator[Batch]:
        after = cursor.get("after")
        while True:
            place = {"cursor": after} if after else {"start_time": 0}
            response = self._get(f"/api/v2/incremental/{name}/cursor.json", {**parameters, **place})
            export = self.decoded(response, _Export)
            page = self._page(name, getattr(export, name), response)
            if not export.end_of_stream and export.after_cursor in (None, after):
                raise self.surprise(response, "the export does not move on")
            after = export.after_cursor or after
            until = self.gate.clock - _UNSETTLED if export.end_of_stream else None
            yield Batch({"after": after}, {name: page.table}, page.rejects, covered_until=until)
            if export.end_of_stream:
                return

    def _time_export(self, name: str, cursor: Cursor) -> Iterator[Batch]:
        """The last second of a page comes again at the head of the next one, under the same keys."""
        reached = int(cursor.get("end_time", 0))
        start = max(0, reached - _LOOK_BACK)
        while True:
            response = self._get(f"/api/v2/incremental/{name}.json", {"start_time": start})
            export = self.decoded(response, _Export)
            page = self._page(name, getattr(export, name), response)
            end = export.end_time or start
            if not export.end_of_stream and end <= start:
                raise self.surprise(response, "the export does not move on")
            reached, start = max(reached, end), end
            until = self.gate.clock - _UNSETTLED if export.end_of_stream else None
            yield Batch({"end_time": reached}, {name: page.table}, page.rejects, covered_until=until)
            if export.end_of_stream:
                return

    def _jira_links(self, cursor: Cursor) -> Iterator[Batch]:
        """All links, by rising id: the vendor says nothing of links that were removed."""
        seen: list[str] = []
        known = cursor.get("count", 0)
        until = None
        while True:
            response = self._get("/api/v2/jira/links", {"since_id": max(map(int, seen))} if seen else {})
            until = until or self.gate.clock
            links = self.decoded(response, _Links)
            page = self._page("jira_links", links.links, response)
            found = page.table["id"].to_pylist()
            seen += found
            if not found or (links.total is not None and len(seen) >= links.total):
                if known and not seen:
                    raise self.emptied("links to Jira", known)
                present = {"jira_links": rows.keys(_STREAMS["jira_links"], {"id": seen})}
                yield Batch({"count": len(seen)}, {"jira_links": page.table}, page.rejects, present, until)
                return
            known = max(known, len(seen))
            yield Batch({"count": known}, {"jira_links": page.table}, page.rejects)

    def _me(self) -> str:
        me = msgspec.json.decode(self._get("/api/v2/users/me.json", {}).content)
        return str(me.get("user", {}).get("role"))

    def _readable(self, path: str, parameters: Mapping[str, Any]) -> str:
        self._get(path, parameters)
        return "can be read"


def _bucket(path: str) -> str:
    """The exports share ten requests a minute; everything else has the account's limit."""
    return "exports" if path.startswith("/api/v2/incremental/") else "account"


def _decoders(fields: Mapping[str, Mapping[str, str]]) -> dict[str, rows.Decoder]:
    feature = fields.get("tickets", {}).get("feature")
    salesforce_id = fields.get("organizations", {}).get("salesforce_id")
    return {
        "tickets": rows.Decoder(
            _STREAMS["tickets"],
            sources={"feature": "custom_fields"} if feature else {},
            values={"feature": _custom_field(str(feature))} if feature else {},
            drop=("fields",),  # repeats custom_fields
            deleted=lambda table: rows.deleted_where(pc.equal(table["status"], "deleted"), table["updated_at"]),
        ),
        "users": rows.Decoder(
            _STREAMS["users"],
            deleted=lambda table: rows.deleted_where(pc.invert(table["active"]), table["updated_at"]),
        ),
        "organizations": rows.Decoder(
            _STREAMS["organizations"],
            sources={"salesforce_id": f"organization_fields.{salesforce_id}"} if salesforce_id else {},
            deleted=_deleted_organizations,
        ),
        "jira_links": rows.Decoder(_STREAMS["jira_links"]),
    }


def _deleted_organizations(table: pa.Table) -> pa.ChunkedArray:
    return table["deleted_at"]


def _custom_field(field_id: str) -> Callable[[Any], Any]:
    """The value of one custom field out of the list of all; several chosen values stand side by side."""

    def value(custom_fields: Any) -> Any:
        if not isinstance(custom_fields, list):
            raise rows.Misfit("should be in a list of custom fields")
        found = [each.get("value") for each in custom_fields if isinstance(each, dict) and str(each.get("id")) == field_id]
        chosen = found[0] if found else None
        return ", ".join(map(str, chosen)) if isinstance(chosen, list) else chosen

    return value
