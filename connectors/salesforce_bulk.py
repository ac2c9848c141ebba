"""How Bulk API 2.0 query jobs are asked: made, waited for, and their results read as the JSON that pages would have been.

Here belong jobs, their ends and their CSV. Not here: when a job is worth while, or what becomes of its records.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv
from msgspec import Raw
from requests import Response

from connectors.base import SourceError
from connectors.salesforce_api import SalesforceApi

PAGE = 10_000  # records of a result page: what is held in memory at a time
_LONGEST_PAUSE = 30.0  # seconds between two looks at a job
_LONGEST_WAIT = 3_600.0  # seconds after which this run stops waiting
_OLDEST = timedelta(days=1)  # Salesforce gives up earlier

Job = Mapping[str, Any]  # id, made (when), locator (of the next result page; empty for the first): part of a cursor


class JobLost(Exception):
    """A job that will never give its results, and why, as the end of a sentence."""


class _State(msgspec.Struct, rename="camel"):
    id: str
    state: str
    error_message: str | None = None


@dataclass(frozen=True)
class Results:
    """A page of a job's results. `following`: the job as it stands after this page; None: it was the last."""

    records: bytes
    following: Job | None
    response: Response


def create(api: SalesforceApi, query: str) -> Job:
    """Raises JobLost where this query cannot be a job."""
    try:
        response = api.post("jobs/query", {"operation": "queryAll", "query": query})
    except SourceError as error:
        raise _lost(error) from None
    return {"id": api.decoded(response, _State).id, "made": api.gate.clock.isoformat(), "locator": ""}


def waiting(api: SalesforceApi, job: Job) -> Iterator[None]:
    """Until the job is complete, with a word after each look. Raises JobLost if it never will be."""
    started, pause = time.monotonic(), api.gate.patience.first_wait
    while not job["locator"]:  # else it has given results before
        time.sleep(pause)
        try:
            found = api.decoded(api.get(f"jobs/query/{job['id']}"), _State)
        except SourceError as error:
            raise _lost(error) from None
        if found.state == "JobComplete":
            return
        if found.state in ("Aborted", "Failed"):
            raise JobLost(f"ended as {found.state}{': ' if found.error_message else ''}{found.error_message or ''}")
        if api.gate.clock - datetime.fromisoformat(job["made"]) > _OLDEST:
            raise JobLost("is not done after a day")
        if time.monotonic() - started > _LONGEST_WAIT:
            raise SourceError(
                f"Salesforce has not done Bulk job {job['id']} yet. The next run goes on waiting for it.", transient=True
            )
        yield
        pause = min(2 * pause, _LONGEST_PAUSE)


def results(api: SalesforceApi, job: Job, kinds: Mapping[str, str]) -> Iterator[Results]:
    """`kinds`: the types of the fields that were asked for. Raises JobLost if the results are gone."""
    following: Job | None = job
    while following:
        place = {"locator": following["locator"]} if following["locator"] else {}
        address = f"jobs/query/{following['id']}/results"
        try:
            response = api.get(address, {"maxRecords": PAGE, **place}, Accept="text/csv")
        except SourceError as error:
            raise _lost(error) from None
        locator = response.headers.get("Sforce-Locator", "null")
        following = {**job, "locator": locator} if locator != "null" else None
        try:
            records, rows = as_json(response.content, kinds)
        except pa.ArrowInvalid:
            raise api.surprise(response, "no CSV") from None
        if str(rows) != response.headers.get("Sforce-NumberOfRecords", str(rows)):
            raise api.surprise(response, f"{rows} records")
        yield Results(records, following, response)


def _lost(error: SourceError) -> Exception:
    """What trying again can help is tried again by the next run; all else is the end of the job."""
    return error if error.transient else JobLost(f"gave no answer: {error}")


def as_json(body: bytes, kinds: Mapping[str, str]) -> tuple[bytes, int]:
    """CSV as the JSON array that a page of the same records would have, and how many they are: numbers, booleans, null
    for nothing, moments as pages write them. Raises pa.ArrowInvalid if it is no CSV."""
    if not body.strip():
        return b"[]", 0
    text = body.decode(errors="replace").replace("\0", "\ufffd").encode()
    table = pyarrow.csv.read_csv(
        pa.BufferReader(text),
        read_options=pyarrow.csv.ReadOptions(block_size=len(text) + 1, use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(kinds, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    names = table.column_names
    columns = [_typed(kinds.get(name, ""), table[name].to_pylist()) for name in names]
    records = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    return msgspec.json.encode(records), len(records)


_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z", re.ASCII)


def _typed(kind: str, values: Sequence[str | None]) -> list[Any]:
    typed = _TYPED.get(kind)
    return [value if typed is None or value is None else typed(value) for value in values]


def _number(value: str) -> Any:
    return Raw(value.encode()) if _NUMBER.fullmatch(value) else value


def _moment(value: str) -> str:
    found = _MOMENT.fullmatch(value)
    return f"{found[1]}+0000" if found else value


_TYPED: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("int", "long", "double", "currency", "percent"), _number),
    **dict.fromkeys(("datetime", "anyType"), _moment),
    "boolean": {"true": True, "false": False}.get,
}
