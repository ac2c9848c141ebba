"""Stands in for the Salesforce REST API, version 66.0: OAuth, query and queryAll, describe, deleted ids, limits.

Here belong Salesforce's paths, paging, errors and headers. Not here: what the user sees (`salesforce_sight`), the query
language (`soql`), Bulk jobs (`salesforce_bulk`) or how records change.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import jwt
from starlette.requests import Request

from connectors.sandbox import salesforce_org, soql
from connectors.sandbox.salesforce_bulk import Bulk
from connectors.sandbox.salesforce_objects import OBJECTS, Object, describe, described
from connectors.sandbox.salesforce_sight import DATA, Sight, failure
from connectors.sandbox.server import Paths, RefusedError, Reply, Server
from connectors.sandbox.world import Record, World

CLIENT_ID = "3MVG9sandboxQuillmereConsumerKey"
CLIENT_SECRET = "sandbox-salesforce-secret"
USERNAME = "fullpicture@quillmere-software.com"
_LONGEST_URL = 16_384
_ORGANIZATION = salesforce_org.long_id("00DQm0000000001")


class Salesforce(Sight, Server):
    """`public_key` (PEM) switches the JWT bearer flow on."""

    daily_requests = 100_000

    def __init__(self, world: World) -> None:
        Sight.__init__(self)
        self.public_key: str | None = None
        self.bulk = Bulk(self)
        self.used = 18
        self._sessions: set[str] = set()
        self._granted = 0
        self._opened = 0
        self._cursors: dict[str, tuple[soql.Query, list[str], int]] = {}
        Server.__init__(self, world)

    def paths(self) -> Paths:
        plain = (
            ("/query", self.query),
            ("/queryAll", self.query),
            ("/query/{locator}", self.query_more),
            ("/queryAll/{locator}", self.query_more),
            ("/sobjects", self.sobjects),
            ("/sobjects/{name}/describe", self.describe),
            ("/sobjects/{name}/deleted", self.deleted),
            ("/limits", self.limits),
        )
        data = (("GET", DATA + path + end, handler) for path, handler in plain for end in ("", "/"))
        return ("POST", "/services/oauth2/token", self.token), *data, *self.bulk.paths()

    def error(self, status: int) -> Any:
        code, message = {
            401: ("INVALID_SESSION_ID", "Session expired or invalid"),
            403: ("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
            404: ("NOT_FOUND", "The requested resource does not exist"),
            405: ("METHOD_NOT_ALLOWED", "HTTP Method not allowed"),
            503: ("SERVER_UNAVAILABLE", "The server is temporarily unavailable"),
        }.get(status, ("UNKNOWN_EXCEPTION", "An unexpected error occurred"))
        return [{"message": message, "errorCode": code}]

    # sessions -------------------------------------------------------------------------------------------------------

    def expire_tokens(self) -> None:
        self._sessions.clear()

    def authenticate(self, request: Request) -> None:
        if len(str(request.url)) > _LONGEST_URL:
            raise failure(414, "URI_TOO_LONG", "URI Too Long")
        if request.url.path == "/services/oauth2/token":
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token not in self._sessions:
            raise RefusedError(401, self.error(401), {"WWW-Authenticate": 'Token error="invalid_token"'})

    def meter(self, request: Request, /) -> Mapping[str, str]:
        if request.url.path == "/services/oauth2/token":
            return {}
        if self.used >= self.daily_requests:
            raise RefusedError(403, self.error(403))
        self.used += 1
        return {"Sforce-Limit-Info": f"api-usage={self.used}/{self.daily_requests}"}

    def token(self, request: Request) -> Reply:
        body = request.state.body if isinstance(request.state.body, bytes) else b""
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        grant = form.get("grant_type")
        if grant == "client_credentials":
            self._check_secret(form)
        elif grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            self._check_assertion(form.get("assertion", ""))
        else:
            raise RefusedError(400, {"error": "unsupported_grant_type", "error_description": "grant type not supported"})
        self._granted += 1
        token = f"{_ORGANIZATION[:15]}!AQsandbox.{self.world.seed}.{self._granted:06d}"
        self._sessions.add(token)
        issued = str(int(self.world.now.timestamp() * 1000))
        identity = f"{self.base_url}/id/{_ORGANIZATION}/{next(iter(self.world.salesforce_users))}"
        return Reply(
            {
                "access_token": token,
                "signature": "c2FuZGJveA==",
                "scope": "api",
                "instance_url": self.base_url,
                "id": identity,
                "token_type": "Bearer",
                "issued_at": issued,
                "api_instance_url": self.base_url,
            }
        )

    def _check_secret(self, form: Mapping[str, str]) -> None:
        if form.get("client_id") != CLIENT_ID:
            raise RefusedError(400, {"error": "invalid_client_id", "error_description": "client identifier invalid"})
        if form.get("client_secret") != CLIENT_SECRET:
            raise RefusedError(400, {"error": "invalid_client", "error_description": "invalid client credentials"})

    def _check_assertion(self, assertion: str) -> None:
        """Signature, issuer, subject and audience, and an expiry at most five minutes ahead."""
        audiences = ["https://login.salesforce.com", "https://test.salesforce.com", self.base_url]
        try:
            claims = jwt.decode(assertion, self.public_key or "", ["RS256"], audience=audiences, options={"verify_exp": False})
        except (jwt.InvalidTokenError, ValueError) as error:
            wrong = "audience is invalid" if isinstance(error, jwt.InvalidAudienceError) else "invalid assertion"
            raise RefusedError(400, {"error": "invalid_grant", "error_description": wrong}) from None
        if claims.get("iss") != CLIENT_ID:
            raise RefusedError(400, {"error": "invalid_client_id", "error_description": "client identifier invalid"})
        if claims.get("sub") != USERNAME:
            raise RefusedError(400, {"error": "invalid_grant", "error_description": "user hasn't approved this consumer"})
        # The client signs by its own clock, which is the machine's or the world's.
        if not any(0 < float(claims.get("exp", 0)) - clock <= 310 for clock in (time.time(), self.world.now.timestamp())):
            raise RefusedError(400, {"error": "invalid_grant", "error_description": "expired authorization code"})

    # objects --------------------------------------------------------------------------------------------------------

    def sobjects(self, _: Request) -> Reply:
        listed = [described(sobject) for name, sobject in OBJECTS.items() if self.object(name)]
        return Reply({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": listed})

    def describe(self, request: Request) -> Reply:
        sobject = self._known(request.path_params["name"])
        return Reply(describe(sobject, self.fields(sobject), self.labels))

    def _known(self, name: str) -> Object:
        sobject = self.object(name)
        if sobject is None:
            raise RefusedError(404, self.error(404))
        return sobject

    def deleted(self, request: Request) -> Reply:
        """Seconds are ignored; what was deleted over 15 days ago is not known any more."""
        sobject = self._known(request.path_params["name"])
        start, end = (_minute(request.query_params.get(name)) for name in ("start", "end"))
        earliest = self.world.now.replace(second=0, microsecond=0) - timedelta(days=15)
        if start >= end:
            raise failure(400, "INVALID_REPLICATION_DATE", "startDate before org creation date or after endDate")
        if start < earliest:
            raise failure(400, "INVALID_REPLICATION_DATE", f"start date cannot be before {salesforce_org.time(earliest)}")
        gone = [
            record
            for record in self.rows(sobject).values()
            if record.get("IsDeleted") and start <= datetime.fromisoformat(record["_deleted_at"]) < end
        ]
        records = [{"id": r["Id"], "deletedDate": salesforce_org.time(datetime.fromisoformat(r["_deleted_at"]))} for r in gone]
        covered = min(end, self.world.now.replace(second=0, microsecond=0))
        return Reply(
            {
                "deletedRecords": records,
                "earliestDateAvailable": salesforce_org.time(earliest),
                "latestDateCovered": salesforce_org.time(covered),
            }
        )

    def limits(self, _: Request) -> Reply:
        left = self.daily_requests - self.used
        jobs = self.bulk.daily_jobs
        return Reply(
            {
                "DailyApiRequests": {"Max": self.daily_requests, "Remaining": left},
                "DailyBulkV2QueryJobs": {"Max": jobs, "Remaining": jobs - len(self.bulk.jobs)},
            }
        )

    # queries --------------------------------------------------------------------------------------------------------

    def expire_locators(self) -> None:
        """Forgets the rest of every query, as Salesforce does after two days or where too many are open."""
        self._cursors.clear()

    def query(self, request: Request) -> Reply:
        query = self.parsed(request.query_params.get("q", ""))
        verb = request.url.path.rstrip("/").rsplit("/", 1)[1]
        rows = self.chosen(query, everything=verb == "queryAll")
        if not query.fields:
            return Reply({"totalSize": len(rows), "done": True, "records": []})
        size = self.page(min(2000, max(200, _batch_size(request))))
        return self._page("0", (query, [row["Id"] for row in rows], size), 0, verb)

    def query_more(self, request: Request) -> Reply:
        locator, _, start = request.path_params["locator"].rpartition("-")
        if locator not in self._cursors or not start.isdigit():
            raise failure(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(locator, self._cursors[locator], int(start), request.url.path.split("/")[4])

    def _page(self, locator: str, cursor: tuple[soql.Query, list[str], int], start: int, verb: str) -> Reply:
        """The rows are chosen once; their values are read page by page."""
        query, ids, size = cursor
        sobject = OBJECTS[query.object.lower()]
        store = self.rows(sobject)
        records = [self.shown(sobject, store[row_id], query.fields) for row_id in ids[start : start + size]]
        reply: Record = {"totalSize": len(ids), "done": start + size >= len(ids), "records": records}
        if not reply["done"]:
            if locator == "0":
                self._opened += 1
                locator = f"0r8Qm{self._opened:010d}"
                self._cursors[locator] = cursor
            reply["nextRecordsUrl"] = f"{DATA}/{verb}/{locator}-{start + size}"
        return Reply(reply)


def _minute(text: str | None) -> datetime:
    try:
        return datetime.fromisoformat((text or "").replace(" ", "+")).replace(second=0, microsecond=0)
    except ValueError:
        raise failure(400, "INVALID_REPLICATION_DATE", f"invalid date: {text}") from None


def _batch_size(request: Request) -> int:
    options = request.headers.get("sforce-query-options", "")
    name, _, size = options.partition("=")
    return int(size) if name.strip() == "batchSize" and size.strip().isdigit() else 2000
