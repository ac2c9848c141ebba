"""Stands in for the Jira Cloud REST API, version 3: login, limits, search by JQL, bulk fetch, permissions.

Here belongs how issues are found, and what holds for every request. Not here: the query language (`jql`), the other
endpoints (`jira_pages`), how records look in replies (`jira_shown`) or how they change (`jira_site`).
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request

from connectors.sandbox import jira_site, jql, names
from connectors.sandbox.jira_pages import Pages, failure
from connectors.sandbox.jira_shown import API, Shown
from connectors.sandbox.server import Paths, RateLimit, RefusedError, Reply, Server
from connectors.sandbox.world import Record, World

EMAIL = "fullpicture@quillmere-software.com"
API_TOKEN = "sandbox-jira-token"
ACCESS_TOKEN = "sandbox-jira-access-token"
CLOUD_ID = "11111111-2222-3333-4444-555555555555"
GATEWAY = f"/ex/jira/{CLOUD_ID}"  # where OAuth apps and scoped tokens reach the site, on api.atlassian.com
_TOKEN_LIFE = timedelta(days=7)
_PERMISSIONS = {"BROWSE_PROJECTS": "PROJECT", "ADMINISTER": "GLOBAL", "CREATE_ISSUES": "PROJECT", "USER_PICKER": "GLOBAL"}
_IDS = re.compile(r"(?<!/api)/(?:[A-Z][A-Z0-9_]*-)?\d+(?=/|$)")  # the 3 of /api/3 is none


class Jira(Server):
    """`time_zone` is the asking user's: JQL reads its dates in it, and timestamps come back in it."""

    time_zone = "Europe/Copenhagen"
    index_lag = timedelta(0)  # how long search does not know of a change yet
    burst_limit = 350
    embedded_comments = 20  # of an issue, in a search or a bulk fetch
    embedded_changelog = 40
    software = True  # whether the site has Jira Software, which brings boards
    linking = True  # whether issues can be linked
    browses_users = True  # whether the account has that permission

    def __init__(self, world: World) -> None:
        self.hidden_projects: set[str] = set()  # keys of projects that the account may not browse
        self.kept_back: set[Any] = set()  # ids that lists paged by place count and do not show
        self.limits: dict[str, RateLimit] = {}  # by endpoint: /rest/api/3/issue/{id} and the like
        self.world = world
        self.shown = Shown(self)
        self.pages = Pages(self)
        super().__init__(world)

    def paths(self) -> Paths:
        paths = (
            ("GET", f"{API}/search/jql", self.search),
            ("POST", f"{API}/search/jql", self.search),
            ("POST", f"{API}/search/approximate-count", self.count),
            ("GET", f"{API}/search", self.gone),
            ("POST", f"{API}/search", self.gone),
            ("POST", f"{API}/issue/bulkfetch", self.bulk_fetch),
            ("GET", f"{API}/myself", self.myself),
            ("GET", f"{API}/serverInfo", self.server_info),
            ("GET", f"{API}/mypermissions", self.my_permissions),
            *self.pages.paths(),
            ("GET", f"{API}/issue/{{key}}", self.issue),
        )
        return (*paths, *((method, GATEWAY + path, handler) for method, path, handler in paths))

    def error(self, status: int) -> Any:
        if status == 401:
            return {"message": "Client must be authenticated to access this resource.", "status-code": 401}
        words = {
            403: "Forbidden",
            404: "Not Found",
            405: "Method Not Allowed",
            429: "Rate limit exceeded.",
            503: "Service Unavailable",
        }
        return {"errorMessages": [words.get(status, "Internal server error")], "errors": {}}

    def rate_limited(self, path: str = "", *, times: int = 1, retry_after: int = 1) -> None:
        """The next matching requests meet the burst limit."""
        limits = self._limits(self.burst_limit, 0, retry_after)
        self.faults.answer(
            429,
            path,
            times=times,
            headers={"Retry-After": str(retry_after), "RateLimit-Reason": "jira-burst-based", **limits},
        )

    def authenticate(self, request: Request) -> None:
        """Whoever sends no credentials is anonymous and sees nothing, with status 200; wrong ones are refused."""
        header = request.headers.get("authorization")
        basic = "Basic " + base64.b64encode(f"{EMAIL}:{API_TOKEN}".encode()).decode()
        request.state.known = header in (basic, f"Bearer {ACCESS_TOKEN}")
        if header is not None and not request.state.known:
            reason = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED", "WWW-Authenticate": 'OAuth realm="sandbox"'}
            raise RefusedError(401, self.error(401), reason)

    def meter(self, request: Request, /) -> Mapping[str, str]:
        """Every endpoint has a limit of its own."""
        limit = self.limits.get(_IDS.sub("/{id}", request.url.path.removeprefix(GATEWAY)))
        wait = limit.wait() if limit else 0
        if wait and limit:
            headers = {**self._limits(limit.shown, 0, wait), "Retry-After": str(int(wait) + 1)}
            raise RefusedError(429, self.error(429), {**headers, "RateLimit-Reason": "jira-burst-based"})
        if limit:
            return self._limits(limit.shown, limit.remaining, limit.resets)
        return self._limits(self.burst_limit, self.burst_limit - 1, 60)

    def _limits(self, limit: int, left: int, seconds: float) -> Mapping[str, str]:
        reset = (self.world.now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%MZ")
        return {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(left), "X-RateLimit-Reset": reset}

    # issues ---------------------------------------------------------------------------------------------------------

    def search(self, request: Request) -> Reply:
        """Pages follow the last issue's place in the order, so that issues that change meanwhile move between pages."""
        asked = request.state.body if request.method == "POST" else _search_parameters(request)
        query = self._parsed(asked.get("jql") or "")
        if not query.clauses:
            raise failure(400, "Unbounded JQL queries are not allowed here. Please add a search restriction to your query.")
        fields = _flat(asked.get("fields") or ["id"])
        only_ids = set(fields) <= {"id", "key"}
        found = self._found(request, query)
        if asked.get("nextPageToken"):
            after = self._place(asked["nextPageToken"], asked.get("jql") or "")
            found = found[bisect_right(found, after, key=lambda pair: pair[0]) :]
        size = self.page(min(int(asked.get("maxResults", 50)), 5000 if only_ids else 100))
        page = found[:size]
        expand = _expanded(asked.get("expand"))
        issues = [self.shown.bare(issue, fields) if only_ids else self.shown.issue(issue, fields, expand) for _, issue in page]
        reply: Record = {"issues": issues, "isLast": len(found) <= size}
        if not reply["isLast"]:
            reply["nextPageToken"] = self._page_token(page[-1][0], asked.get("jql") or "")
        return Reply(reply)

    def count(self, request: Request) -> Reply:
        query = self._parsed(request.state.body.get("jql") or "")
        if not query.clauses:
            raise failure(400, "Unbounded JQL queries are not allowed here. Please add a search restriction to your query.")
        return Reply({"count": len(self._found(request, query))})

    def gone(self, _: Request) -> Reply:
        raise failure(
            410,
            "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. "
            "A full migration guideline is available at https://developer.atlassian.com/changelog/#CHANGE-2046",
        )

    def bulk_fetch(self, request: Request) -> Reply:
        body = request.state.body
        asked = body["issueIdsOrKeys"]
        if not asked or len(asked) > 100:
            raise failure(400, "The number of issues must be between 1 and 100.")
        found = {issue_id: issue for issue_id in asked if (issue := self.visible(request, str(issue_id)))}
        unique = {issue["id"]: issue for issue in found.values()}
        fields, expand = _flat(body.get("fields") or ["*all"]), _expanded(body.get("expand"))
        missing = [
            {"id": str(issue_id), "errorMessage": "Issue does not exist or you do not have permission to see it."}
            for issue_id in asked
            if issue_id not in found
        ]
        issues = [self.shown.issue(unique[issue_id], fields, expand) for issue_id in sorted(unique, key=int)]
        return Reply({"issues": issues, "issueErrors": missing})

    def issue(self, request: Request) -> Reply:
        issue = self.visible(request, request.path_params["key"])
        if issue is None:
            raise failure(404, "Issue does not exist or you do not have permission to see it.")
        fields = _flat(request.query_params.getlist("fields") or ["*all"])
        return Reply(self.shown.issue(issue, fields, _expanded(request.query_params.get("expand"))))

    def _parsed(self, text: str) -> jql.Query:
        try:
            return jql.parse(text)
        except jql.MalformedError as error:
            raise failure(400, str(error)) from None

    def _found(self, request: Request, query: jql.Query) -> list[tuple[Any, Record]]:
        """(place in the order, issue), remembered while nothing changes, so that deep paging stays quick."""
        asker = (request.state.known, self.time_zone, self.index_lag, *sorted(self.hidden_projects))
        found: list[tuple[Any, Record]] = self.world.derived(
            "issue", (query, self.world.now, asker), lambda: self._search(request, query)
        )
        return found

    def _search(self, request: Request, query: jql.Query) -> list[tuple[Any, Record]]:
        """Changes younger than the index lag hide their issue from search."""
        zone, now = ZoneInfo(self.time_zone), self.world.now
        try:
            tests = [jql.holds(clause, zone, now, self.world.issue_ids) for clause in query.clauses]
        except jql.MalformedError as error:
            raise failure(400, str(error)) from None
        indexed = jira_site.time(now - self.index_lag) if self.index_lag else "9"
        issues = (issue for issue in self.world.alive("issue") if issue["fields"]["updated"] <= indexed)
        issues = (issue for issue in issues if request.state.known and self.browsable(issue))
        found = [issue for issue in issues if all(test(issue) for test in tests)]
        order = query.order or (("created", True),)
        placed = [
            ([_place(jql.value(issue, field), down) for field, down in order] + [int(issue["id"])], issue) for issue in found
        ]
        return sorted(placed, key=lambda pair: pair[0])

    def browsable(self, issue: Record) -> bool:
        return "_deleted_at" not in issue and issue["fields"]["project"]["key"] not in self.hidden_projects

    def visible(self, request: Request, id_or_key: str) -> Record | None:
        """By id, by key, or by a key that it had before it moved."""
        issue = self.world.issues.get(self.world.issue_ids.get(id_or_key.upper(), id_or_key))
        return issue if issue and request.state.known and self.browsable(issue) else None

    def _page_token(self, place: Sequence[Any], text: str) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode([self.world.now.isoformat(), text, place])).decode()

    def _place(self, token: str, text: str) -> list[Any]:
        """Where the last page ended. A token is good for seven days and for its own query."""
        try:
            issued, asked, place = msgspec.json.decode(base64.urlsafe_b64decode(token))
        except ValueError:
            asked, issued, place = None, self.world.now.isoformat(), []
        if asked != text or datetime.fromisoformat(issued) + _TOKEN_LIFE < self.world.now:
            raise failure(400, "The provided next page token is invalid or expired.")
        return list(place)

    # who asks -------------------------------------------------------------------------------------------------------

    def myself(self, request: Request) -> Reply:
        if not request.state.known:
            raise RefusedError(401, self.error(401))
        return Reply(
            {
                "self": f"{self.base_url}{API}/user?accountId=712020:fullpicture",
                "accountId": "712020:fullpicture",
                "accountType": "atlassian",
                "emailAddress": EMAIL,
                "displayName": "Fullpicture",
                "active": True,
                "timeZone": self.time_zone,
                "locale": "en_US",
                "groups": {"size": 0, "items": []},
                "applicationRoles": {"size": 1, "items": []},
                "expand": "groups,applicationRoles",
            }
        )

    def server_info(self, _: Request) -> Reply:
        now = self.shown.local(jira_site.time(self.world.now))
        return Reply(
            {
                "baseUrl": self.base_url,
                "displayUrl": names.JIRA_SITE,
                "version": "1001.0.0-SNAPSHOT",
                "versionNumbers": [1001, 0, 0],
                "deploymentType": "Cloud",
                "buildNumber": 100290,
                "buildDate": now,
                "serverTime": now,
                "scmInfo": "sandbox",
                "serverTitle": names.VENDOR,
                "serverTimeZone": "GMT",
            }
        )

    def my_permissions(self, request: Request) -> Reply:
        asked = [key for key in request.query_params.get("permissions", "").split(",") if key]
        unknown = [key for key in asked if key not in _PERMISSIONS]
        if unknown or not asked:
            raise failure(
                400,
                *(f"Unrecognized permission '{key}'" for key in unknown),
                *(() if asked else ("The 'permissions' query parameter is required.",)),
            )
        granted = {"BROWSE_PROJECTS": request.state.known, "USER_PICKER": request.state.known and self.browses_users}
        have = {
            key: {
                "id": str(place),
                "key": key,
                "name": key.replace("_", " ").title(),
                "type": kind,
                "description": "",
                "havePermission": granted.get(key, False),
            }
            for place, (key, kind) in enumerate(_PERMISSIONS.items(), 10)
        }
        return Reply({"permissions": {key: have[key] for key in asked}})


def _search_parameters(request: Request) -> Record:
    parameters = request.query_params
    return {**parameters, "fields": parameters.getlist("fields")}


def _expanded(expand: str | Sequence[str] | None) -> list[str]:
    """A list in a bulk fetch, one text with commas elsewhere."""
    return _flat([expand] if isinstance(expand, str) else expand or ())


def _flat(fields: Sequence[str]) -> list[str]:
    """Both `fields=a,b` and `fields=a&fields=b` are understood."""
    return [name for part in fields for name in re.split(r"\s*,\s*", part) if name]


def _place(value: Any, descending: bool) -> Any:
    """A place in the order that survives JSON: turned round for descending ones."""
    if isinstance(value, tuple):
        return [_place(part, descending) for part in value]
    if not descending:
        return value if value is not None else ""
    return -value if isinstance(value, int) else [-ord(character) for character in value or ""]
