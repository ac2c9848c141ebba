"""How Salesforce is read: whole objects by `queryAll`, then by SystemModstamp, deleted rows included.

Here belong Salesforce's queries, ids and ways of marking deletes. Not here: its columns, which are data, or any HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property, partial
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw
from requests import Response

from connectors import rows
from connectors.auth import SalesforceClient, SalesforceJwt, secret
from connectors.base import Batch, Cursor, Finding, Read, SourceError
from connectors.columns import streams
from connectors.http import Gate, HttpConnector, Login, Patience, Site
from connectors.window import Window, windows

if TYPE_CHECKING:
    from simple_salesforce.api import Salesforce as Client

API_VERSION = "66.0"
OBJECTS = {"accounts": "Account", "contacts": "Contact", "opportunities": "Opportunity", "users": "User"}
_MARGIN = timedelta(minutes=1)  # what is younger than this may not be visible yet
_LOOK_BACK = timedelta(minutes=15)  # a long transaction's rows become visible late, under an earlier stamp
_LONGEST_SELECT = 12_000  # characters of the field list in an address, which may have 16,384 in all
_UNREADABLE = ("address", "location", "base64")  # compound fields repeat their parts; base64 is a file
_STREAMS = streams("salesforce")


class _Page(msgspec.Struct, rename="camel"):
    records: Raw
    done: bool
    next_records_url: str | None = None


class Salesforce(HttpConnector):
    """One Salesforce org, asked with client credentials or, with a user name and a private key, by JWT bearer."""

    tool = "salesforce"
    reads = tuple(Read(name, (stream,)) for name, stream in _STREAMS.items())

    def __init__(
        self,
        url: str,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        username: str | None = None,
        private_key: str | None = None,
        fields: Mapping[str, Mapping[str, str]] | None = None,
        patience: Patience | None = None,
    ) -> None:
        by_key = bool(username or private_key) and not client_secret
        other = "SALESFORCE_USERNAME and SALESFORCE_PRIVATE_KEY_FILE" if by_key else "SALESFORCE_CLIENT_SECRET"
        site = Site("Salesforce", url, "SALESFORCE_URL", f"SALESFORCE_CLIENT_ID and {other}")
        login: Login
        if client_id and client_secret:
            client = secret("SALESFORCE_CLIENT_ID", client_id), secret("SALESFORCE_CLIENT_SECRET", client_secret)
            login = SalesforceClient(site, *client, patience=patience)
        elif client_id and username and private_key:
            key, user = secret("SALESFORCE_CLIENT_ID", client_id), secret("SALESFORCE_USERNAME", username)
            login = SalesforceJwt(site, key, user, private_key, patience=patience)
        else:
            raise SourceError(
                "Set SALESFORCE_CLIENT_ID and either SALESFORCE_CLIENT_SECRET, or both SALESFORCE_USERNAME and "
                "SALESFORCE_PRIVATE_KEY_FILE."
            )
        self.gate = Gate(site, login, patience=patience)
        self._mapped = fields or {}

    def batches(self, read: Read, cursor: Cursor | None) -> Iterator[Batch]:
        name = read.name
        fields = self._fields(OBJECTS[name])
        decoder = rows.Decoder(
            _STREAMS[name],
            sources={column: fields[wanted.lower()] for column, wanted in self._wanted(name) if wanted.lower() in fields},
            drop=("attributes",),  # wrapping: the type and address of each record
            finish=_long_ids,
            deleted=rows.nothing_deleted if name == "users" else _deleted,
        )
        selects = _selects(sorted(set(fields.values())))
        for window, after in windows(cursor, self.gate.clock - _MARGIN, _LOOK_BACK):
            yield from self._window(name, decoder, selects, window, after)

    def check(self) -> Iterator[Finding]:
        login = self.tried("login", self._limits)
        yield login
        for name, sobject in OBJECTS.items() if login.ok else ():
            yield self.tried(name, partial(self._readable, name, sobject))

    @cached_property
    def _client(self) -> Client:
        from simple_salesforce.api import (
            Salesforce as Client,
        )  # costs 0.2 s, and Dagster loads this module far more often than it reads

        # The gate puts the real token on each request, and renews it: a session id of the library's own would grow old.
        client = Client(session_id="-", instance_url=self.gate.site.url, session=self.gate.session(), version=API_VERSION)
        client.headers |= {"X-PrettyPrint": "0", "Sforce-Query-Options": "batchSize=2000"}
        return client

    def _get(self, address: str, parameters: Mapping[str, str] | None = None) -> Response:
        return self._client._call_salesforce("GET", urljoin(self._client.base_url, address), params=parameters)

    def _fields(self, sobject: str) -> dict[str, str]:
        """The fields of an object that this user may see, by their name and label in lower case."""
        described = msgspec.json.decode(self._get(f"sobjects/{sobject}/describe").content)["fields"]
        readable = [field for field in described if field["type"] not in _UNREADABLE]
        by_label = {str(field.get("label", "")).lower(): field["name"] for field in readable}
        return by_label | {field["name"].lower(): field["name"] for field in readable}

    def _wanted(self, name: str) -> list[tuple[str, str]]:
        """The fields that columns come from: (column, field)."""
        mapped = self._mapped.get(name, {})
        found = [(column.name, column.source or mapped.get(column.name, "")) for column in _STREAMS[name].columns]
        return [(column, field) for column, field in found if field]

    def _window(
        self, name: str, decoder: rows.Decoder, selects: list[str], window: Window, after: str | None
    ) -> Iterator[Batch]:
        bounds = {"SystemModstamp >= {}": window.since, "SystemModstamp < {}": window.since and window.until}
        for records, ended, response in self._pages(OBJECTS[name], selects, {**bounds, "Id > {}": after}):
            try:
                page = decoder.page(records)
            except msgspec.DecodeError:
                raise self.surprise(response, f"no list of {name}") from None
            if len(page.table):
                after = page.table["id"][-1].as_py()
            place = window.done() if ended else window.reached(after)
            yield Batch(place, {name: page.table}, page.rejects, covered_until=window.until if ended else None)

    def _pages(
        self, sobject: str, selects: list[str], conditions: Mapping[str, Any]
    ) -> Iterator[tuple[Raw | bytes, bool, Response]]:
        """Pages of records in the order of their ids, whether each is the last, and the reply it came in.

        Where the fields are too many for one address, the rest of each page's fields is asked for by its range of ids.
        What changed between the two questions is left out: it belongs to the next window.
        """
        first, *others = selects
        for page, response in self._query(sobject, first, conditions):
            if not others:
                yield page.records, page.done, response
                continue
            found = {bytes(each["Id"]): each for each in msgspec.json.decode(page.records, type=list[rows.Record])}
            ids = [msgspec.json.decode(record_id) for record_id in found]
            between = {
                **conditions,
                "Id > {}": None,
                "Id >= {}": min(ids, default=""),
                "Id <= {}": max(ids, default=""),
            }
            for select in others if found else ():
                more = chain.from_iterable(
                    msgspec.json.decode(rest.records, type=list[rows.Record])
                    for rest, _ in self._query(sobject, select, between)
                )
                answered = {bytes(each["Id"]): each for each in more}
                found = {record_id: each | answered[record_id] for record_id, each in found.items() if record_id in answered}
            yield msgspec.json.encode(list(found.values())), page.done, response

    def _query(self, sobject: str, select: str, conditions: Mapping[str, Any]) -> Iterator[tuple[_Page, Response]]:
        from simple_salesforce.format import format_soql

        where = " AND ".join(format_soql(text, value) for text, value in conditions.items() if value is not None)
        soql = f"SELECT {select} FROM {sobject}{' WHERE ' + where if where else ''} ORDER BY Id"
        response = self._get("queryAll", {"q": soql})
        page = self.decoded(response, _Page)
        yield page, response
        while not page.done:
            response = self._get(page.next_records_url or "")
            page = self.decoded(response, _Page)
            yield page, response

    def _limits(self) -> str:
        limit = msgspec.json.decode(self._get("limits").content).get("DailyApiRequests", {})
        return f"works, {limit.get('Remaining')} of {limit.get('Max')} requests of the day left"

    def _readable(self, name: str, sobject: str) -> str:
        fields = self._fields(sobject)
        hidden = sorted({wanted for _, wanted in self._wanted(name) if wanted.lower() not in fields})
        return "can be read" + (f", except {', '.join(hidden)}: hidden from this user, or not there" if hidden else "")


def _selects(fields: list[str]) -> list[str]:
    """The field lists of as few queries as their length allows; each has the id."""
    selects = ["Id"]
    for field in fields:
        if len(selects[-1]) + 3 * selects[-1].count(",") + len(field) > _LONGEST_SELECT:
            selects.append("Id")
        if field != "Id":
            selects[-1] += f",{field}"
    return selects


def _deleted(table: pa.Table) -> pa.ChunkedArray:
    return rows.deleted_where(table["is_deleted"], table["system_modstamp"])


def _long_ids(table: pa.Table) -> pa.Table:
    """Ids come with 15 characters or 18; the last three tell upper from lower case, for whoever compares without it."""
    for place, name in enumerate(table.column_names):
        if name == "id" or name.endswith("_id"):
            short = pc.equal(pc.utf8_length(table[name]), 15)
            if pc.any(short).as_py():
                table = table.set_column(place, name, pa.array(map(long_id, table[name].to_pylist()), pa.string()))
    return table


def long_id(record_id: str | None) -> str | None:
    """The 18 characters of an id: https://help.salesforce.com/s/articleView?id=000385585"""
    if record_id is None or len(record_id) != 15:
        return record_id
    upper = ["".join("01"[letter.isascii() and letter.isupper()] for letter in record_id[at : at + 5]) for at in (0, 5, 10)]
    return record_id + "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[int(bits[::-1], 2)] for bits in upper)
