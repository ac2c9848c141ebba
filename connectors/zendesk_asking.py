"""How Zendesk is asked: logins, one request and its reply, what is left of the limits, how records become rows.

Here belongs what all reads of Zendesk share. Not here: which addresses a read asks and in what order.
"""

from __future__ import annotations

import logging
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw
from requests import Response

from connectors import rows
from connectors.auth import Basic, ZendeskClient, secret
from connectors.base import ARROW, Choices, SourceError, Stream, Unavailable
from connectors.columns import streams
from connectors.html_text import plain
from connectors.http import Allowance, Gate, HttpConnector, Login, Patience, Site
from connectors.naming import field_of

log = logging.getLogger(__name__)

TOKENS_END = "Zendesk ends all API tokens on 2027-04-30. Set ZENDESK_CLIENT_ID and ZENDESK_CLIENT_SECRET before that day"
STREAMS = streams("zendesk")
UNSETTLED = timedelta(minutes=1)  # the exports leave out what changed in the last minute
_ALIVE = ARROW["timestamp"]


# What the settings name fields by, unless it is a title: tickets' by their ids, organizations' by their keys.
_NAMES = {"tickets": re.compile(r"\d+"), "organizations": re.compile(r"[a-z0-9_]+")}


class _Field(msgspec.Struct):
    title: str
    id: int = 0
    key: str = ""


class _Fields(msgspec.Struct):
    ticket_fields: list[_Field] = []
    organization_fields: list[_Field] = []
    meta: dict[str, Any] = {}
    links: dict[str, Any] = {}


class Asking(HttpConnector):
    """One Zendesk account, asked with an OAuth client's id and secret or, until they end, an agent's API token."""

    tool = "zendesk"

    def __init__(
        self,
        url: str,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        email: str | None = None,
        api_token: str | None = None,
        choices: Choices = Choices(),  # noqa: B008  (nobody can change it)
        jira_integration: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        """`jira_integration`: the id of the newer Jira integration, whose links are then read too."""
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
        self.gate = Gate(site, login, patience=patience, bucket=bucket, allowance=allowance, shape=self.shape)
        self.ends = not by_client
        self.choices = choices
        self.since = choices.since
        self.without = choices.without
        self.jira_integration = jira_integration
        self.decoders = decoders(choices)
        self.hidden: dict[str, frozenset[str]] = {}  # by table, columns whose custom field is not to be seen

    @abstractmethod
    def send(self, url: str, parameters: Mapping[str, Any]) -> Response:
        """One request through the gate."""

    def get(self, address: str, parameters: Mapping[str, Any] | None = None, *, of: Stream | None = None) -> Response:
        """The reply to one request for a path or a whole address. If `of` is an optional stream that this account lacks:
        Unavailable."""
        url = address if "://" in address else self.gate.site.url + address
        try:
            return self.send(url, parameters or {})
        except SourceError as error:
            if of is not None and of.optional and lacking(error):
                raise Unavailable(
                    f"Zendesk shows no {of.name} to this account: its plan or its settings lack them, or the user of "
                    f"{self.gate.site.login} may not read them ({error})"
                ) from None
            raise

    def shape(self, path: str) -> msgspec.json.Decoder[Any]:  # noqa: ARG002
        """What replies from a path hold, where their reader wants all of it."""
        return rows.ANY

    def page(self, name: str, records: Raw | bytes | Iterable[rows.Item], response: Response) -> rows.Page:
        try:
            return self.decoders[name].page(records)
        except msgspec.DecodeError:
            raise self.surprise(response, f"no list of {name}") from None

    def titled(self, table: str) -> Mapping[str, str]:
        """Columns that the settings map to a title."""
        wanted = self.choices.fields.get(table, {})
        return {column: name for column, name in wanted.items() if not _NAMES[table].fullmatch(name)}

    def know_fields(self, table: str, remembered: Mapping[str, str]) -> Mapping[str, str]:
        """Looks up the custom fields of a table that the settings name by their titles, so that its rows hold them. Returns
        them by title, for the next read to remember: a title can change."""
        wanted, titled = self.choices.fields.get(table, {}), self.titled(table)
        if not titled:
            return {}
        known = self._fields(table)
        found = {
            column: field_of(f"zendesk.fields.{table}.{column}", name, known, remembered.get(name))
            for column, name in titled.items()
        }
        resolved = {column: field for column, field in {**wanted, **found}.items() if field}
        self.hidden[table] = frozenset(titled.keys() - resolved.keys())
        self.decoders[table] = decoders(replace(self.choices, fields={table: resolved}))[table]
        return {name: field for column, name in titled.items() if (field := found[column])}

    def _fields(self, table: str) -> list[tuple[str, str]]:
        """The custom fields of tickets or organizations, as (id or key, title)."""
        address: str | None = f"/api/v2/{table.removesuffix('s')}_fields.json?page[size]=100"
        fields: list[tuple[str, str]] = []
        while address:
            page = self.decoded(self.get(address), _Fields)
            fields += [(str(each.id), each.title) for each in page.ticket_fields]
            fields += [(each.key, each.title) for each in page.organization_fields]
            address = page.links.get("next") if page.meta.get("has_more") else None
        return fields

    @property
    def settled(self) -> datetime:
        """Up to when (UTC) an export that has just come to its end has shown everything."""
        return self.gate.clock - UNSETTLED


def lacking(error: SourceError) -> bool:
    """Whether the vendor says that there is no such thing, or not for this user."""
    return str(error).startswith(("403 ", "404 "))


def bucket(path: str) -> str:
    """The exports share ten requests a minute or thirty, the help center counts by itself, all else by account."""
    if path.startswith("/api/v2/incremental/"):
        return "exports"
    return "help center" if path.startswith("/api/v2/help_center/") else "account"


_OWN_LIMIT = re.compile(r"total=(\d+);\s*remaining=(\d+);\s*resets=(\d+)", re.IGNORECASE)


def allowance(path: str, headers: Mapping[str, str]) -> Allowance | None:
    """What is left for requests to a path: the tightest of its own limit and the account's."""
    found = [limit[1] for limit in limits(path, headers)]
    return min(found, key=lambda each: (each.left, -each.refilled_in), default=None)


def limits(path: str, headers: Mapping[str, str]) -> list[tuple[int, Allowance]]:
    """Requests a minute and what is left of them: the limit of the path's own bucket, if it has one, and the account's."""
    found = []
    if bucket(path) == "exports":
        for name, value in headers.items():
            if name.lower().startswith("zendesk-ratelimit-") and (own := _OWN_LIMIT.search(value)):
                total, left, resets = map(int, own.groups())
                found.append((total, Allowance(left, resets)))
    words = [headers.get("ratelimit-limit"), headers.get("ratelimit-remaining"), headers.get("ratelimit-reset", "60")]
    words = [word or headers.get(old) for word, old in zip(words, ("X-Rate-Limit", "X-Rate-Limit-Remaining", ""), strict=True)]
    if all(word and word.strip().isdigit() for word in words):
        total, left, resets = (int(word or 0) for word in words)
        found.append((total, Allowance(left, resets)))
    return found


def limits_of(reply: Response) -> list[tuple[int, Allowance]]:
    return limits(urlsplit(reply.url).path, reply.headers)


def epoch(moment: datetime | None) -> int:
    """Seconds since 1970, as the exports want them; of nothing the beginning."""
    return int(moment.timestamp()) if moment else 0


def from_epoch(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def decoders(choices: Choices) -> dict[str, rows.Decoder]:
    """How each stream's records become rows, with what people chose about them."""
    feature = choices.fields.get("tickets", {}).get("feature")
    salesforce_id = choices.fields.get("organizations", {}).get("salesforce_id")
    special: dict[str, dict[str, Any]] = {
        "tickets": {
            "sources": {"feature": "custom_fields"} if feature else {},
            "values": {"feature": custom_field(str(feature))} if feature else {},
            "drop": ("fields", "metric_set"),  # the first repeats custom_fields, the second is the stream ticket_metrics
            "deleted": lambda table: rows.deleted_where(pc.equal(table["status"], "deleted"), table["updated_at"]),
        },
        "ticket_metrics": {"drop": ("url",)},  # which tells no more than the id
        "ticket_metric_events": {"deleted": lambda table: rows.deleted_where(table["deleted"], table["time"])},
        "users": {"deleted": lambda table: rows.deleted_where(pc.invert(table["active"]), table["updated_at"])},
        "organizations": {
            "sources": {"salesforce_id": f"organization_fields.{salesforce_id}"} if salesforce_id else {},
            "deleted": lambda table: table["deleted_at"],
        },
        "groups": {"deleted": lambda table: rows.deleted_where(table["deleted"], table["updated_at"])},
        "brands": {"deleted": lambda table: rows.deleted_where(table["is_deleted"], table["updated_at"])},
        "articles": {"values": {"plain_body": html}},
    }
    return {
        name: rows.Decoder(stream, without=choices.without.get(name, ()), **special.get(name, {}))
        for name, stream in STREAMS.items()
    }


def html(value: Any) -> str:
    if not isinstance(value, str):
        raise rows.Misfit("is no text")
    return plain(value)


def custom_field(field_id: str) -> Callable[[Any], Any]:
    """The value of one custom field out of the list of all; several chosen values stand side by side."""

    def value(custom_fields: Any) -> Any:
        if not isinstance(custom_fields, list):
            raise rows.Misfit("should be in a list of custom fields")
        found = [each.get("value") for each in custom_fields if isinstance(each, dict) and str(each.get("id")) == field_id]
        chosen = found[0] if found else None
        return ", ".join(map(str, chosen)) if isinstance(chosen, list) else chosen

    return value


def living(table: pa.Table) -> pa.Table:
    return table.filter(pc.is_null(table["_deleted_at"]))
