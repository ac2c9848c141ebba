"""Stands in for Bulk API 2.0 query jobs: they are made, take a while, end well or badly, and keep their results for days.

Here belong jobs, their states and their results as CSV. Not here: what a query chooses (`salesforce_sight`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request

from connectors.sandbox import soql
from connectors.sandbox.salesforce_objects import OBJECTS
from connectors.sandbox.salesforce_org import record_id, time
from connectors.sandbox.salesforce_sight import DATA, failure
from connectors.sandbox.server import Paths, Reply

if TYPE_CHECKING:
    from connectors.sandbox.salesforce import Salesforce

_PAGES_AT_ONCE = 5
_LARGEST_PAGE = 250_000  # records of one result page where nobody asks for fewer


@dataclass
class Job:
    id: str
    operation: str
    query: soql.Query
    made: datetime
    end: str  # the state that it ends in
    state: str = "UploadComplete"
    asked: int = 0  # how often somebody has asked for its state
    rows: list[list[str]] = field(default_factory=list)


class Bulk:
    """`polls`: how often a job's state is asked before it has ended; `endings`: how the next jobs end, otherwise well;
    `refuses`: names of objects that Bulk does not support."""

    polls = 2
    keeps = timedelta(days=7)
    daily_jobs = 10_000

    def __init__(self, server: Salesforce) -> None:
        self._server = server
        self.jobs: dict[str, Job] = {}
        self.endings: list[str] = []
        self.refuses: set[str] = set()

    def paths(self) -> Paths:
        one = f"{DATA}/jobs/query/{{job}}"
        return (
            ("POST", f"{DATA}/jobs/query", self.create),
            ("GET", one, self.state),
            ("GET", f"{one}/results", self.results),
            ("GET", f"{one}/resultPages", self.pages),
        )

    def create(self, request: Request) -> Reply:
        asked: Mapping[str, Any] = request.state.body if isinstance(request.state.body, dict) else {}
        if asked.get("operation") not in ("query", "queryAll"):
            raise failure(400, "INVALIDOPERATION", "operation must be query or queryAll")
        query = self._server.parsed(asked.get("query", ""))
        sobject = OBJECTS[query.object.lower()]
        if sobject.name in self.refuses:
            raise failure(400, "INVALIDENTITY", f"Entity '{sobject.name}' is not supported by the Bulk API.")
        compound = [name for name in query.fields if sobject.fields[name.lower()].type in ("address", "location", "base64")]
        if compound or not query.fields:
            raise failure(400, "API_ERROR", f"Selecting compound data not supported in Bulk Query: {', '.join(compound)}")
        if len(self.jobs) >= self.daily_jobs:
            raise failure(400, "EXCEEDED_QUOTA", "ApiBatchItems Limit exceeded.")
        world = self._server.world
        job_id = record_id("750", world.number("bulk job", first=17))
        end = self.endings.pop(0) if self.endings else "JobComplete"
        self.jobs[job_id] = Job(job_id, asked["operation"], query, world.now, end)
        return Reply(self._described(self.jobs[job_id]))

    def state(self, request: Request) -> Reply:
        job = self._job(request)
        job.asked += 1
        if job.state not in ("JobComplete", "Failed", "Aborted"):
            job.state = "InProgress" if job.asked < self.polls else job.end
            if job.state == "JobComplete":
                job.rows = self._run(job)
        return Reply({**self._described(job), "numberRecordsProcessed": len(job.rows), "retries": 0})

    def _described(self, job: Job) -> dict[str, Any]:
        described = {
            "id": job.id,
            "operation": job.operation,
            "object": job.query.object,
            "createdById": next(iter(self._server.world.salesforce_users)),
            "createdDate": time(job.made),
            "systemModstamp": time(job.made),
            "state": job.state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": 66.0,
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
        }
        return {**described, "errorMessage": "InternalServerError : Retried too often"} if job.state == "Failed" else described

    def _run(self, job: Job) -> list[list[str]]:
        """What the query chooses now, in the order of nobody's ids: chunks of it were read side by side."""
        sobject = OBJECTS[job.query.object.lower()]
        rows = self._server.chosen(job.query, everything=job.operation == "queryAll")
        rows = [*rows[1::2], *rows[::2]] if not job.query.order else rows
        kinds = {name: sobject.fields[name.lower()].type for name in job.query.fields}
        return [[_written(kinds[name], self._server.value(sobject, row, name)) for name in kinds] for row in rows]

    def results(self, request: Request) -> Reply:
        job = self._complete(request)
        asked = int(request.query_params.get("maxRecords") or _LARGEST_PAGE)
        locator = request.query_params.get("locator") or "0"
        if not locator.isdigit() or int(locator) > len(job.rows):
            raise failure(400, "INVALIDLOCATOR", "Invalid locator")
        start = int(locator)
        rows = job.rows[start : start + self._server.page(asked)]
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(job.query.fields)
        writer.writerows(rows)
        reached = start + len(rows)
        headers = {
            "Content-Type": "text/csv",
            "Sforce-Locator": str(reached) if reached < len(job.rows) else "null",
            "Sforce-NumberOfRecords": str(len(rows)),
        }
        return Reply(text.getvalue().encode(), headers=headers)

    def pages(self, request: Request) -> Reply:
        job = self._complete(request)
        size = self._server.page(_LARGEST_PAGE)
        first = int(request.query_params.get("locator") or 0)
        address = f"{DATA}/jobs/query/{job.id}"
        starts = list(range(first, max(len(job.rows), 1), size))
        more = starts[_PAGES_AT_ONCE:]
        return Reply(
            {
                "resultPages": [{"resultUrl": f"{address}/results?locator={start}"} for start in starts[:_PAGES_AT_ONCE]],
                "nextRecordsUrl": f"{address}/resultPages?locator={more[0]}" if more else None,
                "done": not more,
            }
        )

    def _complete(self, request: Request) -> Job:
        job = self._job(request)
        if job.state != "JobComplete":
            raise failure(400, "INVALIDJOBSTATE", f"Results can be asked for once the job is complete: it is {job.state}")
        return job

    def _job(self, request: Request) -> Job:
        job = self.jobs.get(request.path_params["job"])
        if job is None or self._server.world.now - job.made > self.keeps:
            raise failure(404, "NOT_FOUND", "The requested resource does not exist")
        return job


def _written(kind: str, value: Any) -> str:
    """As CSV has it: null is nothing at all, and moments end otherwise than in JSON."""
    if value is None:
        return ""
    if kind == "datetime":
        return str(value).replace("+0000", "Z")
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
