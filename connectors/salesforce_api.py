"""How Salesforce is asked: descriptions of its objects, queries page by page, counts.

Here belong addresses, SOQL with its escaping, and replies. Not here: which records are wanted and when, or Bulk jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import msgspec
from msgspec import Raw
from requests import Response

from connectors.base import SourceError
from connectors.http import HttpConnector
from connectors.rows import Record

if TYPE_CHECKING:
    from simple_salesforce.api import Salesforce as Client

API_VERSION = "66.0"
PAGE = 2_000  # records of a page, the most there are
_LONGEST_SELECT = 12_000  # characters of the field list in an address, which may have 16,384 in all
_TRIES = 5  # to have a record in all parts as it was at one moment
_UNREADABLE = ("address", "location", "base64")  # compound fields repeat their parts; base64 is a file

_records = msgspec.json.Decoder(list[Record])


class Field(msgspec.Struct):
    name: str
    type: str
    label: str = ""
    calculated: bool = False  # a formula or a roll-up: it changes without a change of the record


class _Description(msgspec.Struct):
    name: str
    fields: list[Field]


class _Listed(msgspec.Struct):
    fields: Raw


class _Reply(msgspec.Struct, rename="camel"):
    total_size: int
    done: bool
    records: Raw
    next_records_url: str | None = None


@dataclass(frozen=True)
class SObject:
    """An object as this user may see it. `listed`: all fields as Salesforce describes them, as JSON; `fields`: those that
    can be read, by name."""

    name: str
    fields: Mapping[str, Field]
    listed: Raw

    @property
    def flagged(self) -> bool:
        """Whether deleted records stay for a while, marked."""
        return "IsDeleted" in self.fields

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Each field's name, and what people see in its place."""
        return [(name, field.label) for name, field in self.fields.items()]

    def named(self, wanted: str) -> str | None:
        """The field of a name, in any case."""
        return next((name for name in self.fields if name.lower() == wanted.lower()), None)


@dataclass(frozen=True)
class Page:
    """Some of a query's records. `total`: how many the whole query has."""

    records: Raw | bytes
    total: int
    last: bool
    response: Response


class SalesforceApi(HttpConnector):
    """What one org is asked through one gate."""

    @cached_property
    def _client(self) -> Client:
        from simple_salesforce.api import (
            Salesforce as Client,
        )  # costs 0.2 s, and Dagster loads this module far more often than it reads

        # The gate puts the real token on each request, and renews it: a session id of the library's own would grow old.
        client = Client(session_id="-", instance_url=self.gate.site.url, session=self.gate.session(), version=API_VERSION)
        client.headers |= {"X-PrettyPrint": "0", "Sforce-Query-Options": f"batchSize={PAGE}"}
        return client

    @cached_property
    def _described(self) -> dict[str, SObject]:
        return {}

    def get(self, address: str, parameters: Mapping[str, Any] | None = None, **headers: str) -> Response:
        address = urljoin(self._client.base_url, address)
        return self._client._call_salesforce("GET", address, params=parameters, headers=headers)

    def post(self, address: str, body: Mapping[str, Any]) -> Response:
        return self._client._call_salesforce("POST", urljoin(self._client.base_url, address), json=body)

    def described(self, name: str) -> SObject:
        """One request for each object, however often it is needed."""
        if name not in self._described:
            response = self.get(f"sobjects/{name}/describe")
            description, listed = self.decoded(response, _Description), self.decoded(response, _Listed)
            readable = {field.name: field for field in description.fields if field.type not in _UNREADABLE}
            self._described[name] = SObject(description.name, readable, listed.fields)
        return self._described[name]

    def pages(self, sobject: str, fields: Sequence[str], stamp: str, conditions: Sequence[str]) -> Iterator[Page]:
        """Records, deleted ones too, in the order of their ids.

        Where the fields are too many for one address, the rest of each page's fields is asked for by its range of ids.
        """
        selects = _selects(fields, stamp)
        for page in self._query(soql(selects[0], sobject, conditions)):
            yield page if len(selects) == 1 else replace(page, records=self._whole(page, selects, sobject, stamp, conditions))

    def _whole(self, page: Page, selects: Sequence[str], sobject: str, stamp: str, conditions: Sequence[str]) -> bytes:
        """A page's records with the fields of all selects. Those whose `stamp` moves between two questions are asked for
        again: joined, they would never have been so, and left out, be taken for gone. Only what is gone by then is not."""
        first, *others = selects
        whole: dict[bytes, Record] = {}
        found, tries = self._by_id([page]), 0
        while left := found.keys() - whole.keys():
            if tries == _TRIES:
                raise SourceError(
                    f"Records of {sobject} change faster than they can be read in {len(selects)} parts; trying again later "
                    "can help, and so does leaving some of its fields out in the settings.",
                    transient=True,
                )
            tries += 1
            ids = [msgspec.json.decode(record_id) for record_id in left]
            these = [*conditions, filled("Id >= {}", min(ids)), filled("Id <= {}", max(ids))]
            rests = [self._by_id(self._query(soql(select, sobject, these))) for select in others]
            for record_id, record in found.items():
                parts = [record, *(rest.get(record_id, {}) for rest in rests)]
                if all(part.get(stamp) == record[stamp] for part in parts):
                    whole[record_id] = {name: value for part in parts for name, value in part.items()}
            found = self._by_id(self._query(soql(first, sobject, these))) if left - whole.keys() else {}
        return msgspec.json.encode(list(whole.values()))

    def _by_id(self, pages: Iterable[Page]) -> dict[bytes, Record]:
        found: dict[bytes, Record] = {}
        for page in pages:
            try:
                found |= {bytes(each["Id"]): each for each in _records.decode(page.records)}
            except (msgspec.DecodeError, KeyError):
                raise self.surprise(page.response, "no list of records") from None
        return found

    def _query(self, text: str) -> Iterator[Page]:
        response = self.get("queryAll", {"q": text})
        while True:
            reply = self.decoded(response, _Reply)
            yield Page(reply.records, reply.total_size, reply.done, response)
            if reply.done:
                return
            response = self.get(reply.next_records_url or "")

    def count(self, sobject: str, conditions: Sequence[str]) -> int:
        """`queryAll` counts archived tasks and events too, which `query` leaves out; who wants living records says so."""
        response = self.get("queryAll", {"q": f"SELECT COUNT() FROM {sobject}{_where(conditions)}"})
        return self.decoded(response, _Reply).total_size


def soql(select: str, sobject: str, conditions: Sequence[str], *, ordered: bool = True) -> str:
    return f"SELECT {select} FROM {sobject}{_where(conditions)}{' ORDER BY Id' if ordered else ''}"


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def filled(condition: str, *values: Any) -> str:
    """A condition with its values quoted and escaped. Moments are cut to the second."""
    from simple_salesforce.format import format_soql

    return format_soql(condition, *values)


def _selects(fields: Sequence[str], stamp: str) -> list[str]:
    """The field lists of as few queries as their length allows; each has the id and, of several, the stamp."""
    wanted = [field for field in fields if field != "Id"]
    selects = ["Id"]
    for field in wanted:
        if len(selects[-1]) + 3 * selects[-1].count(",") + len(field) > _LONGEST_SELECT:
            selects.append("Id")
        selects[-1] += f",{field}"
    if len(selects) == 1:
        return selects
    return [select if stamp in select.split(",") else f"{select},{stamp}" for select in selects]
