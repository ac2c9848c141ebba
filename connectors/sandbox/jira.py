"""Stands in for the Jira Cloud REST API, version 3: search by JQL, bulk fetch, projects, fields, permissions.

Here belong Jira's paths, paging, errors and headers. Not here: the query language (`jql`) or how issues change.
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request

from connectors.sandbox import jira_site, jql, names
from connectors.sandbox.server import Paths, RefusedError, Reply, Server
from connectors.sandbox.world import Record, World

EMAIL = "fullpicture@quillmere-software.com"
API_TOKEN = "sandbox-jira-token"
ACCESS_TOKEN = "sandbox-jira-access-token"
_API = "/rest/api/3"
_TOKEN_LIFE = timedelta(days=7)
_PERMISSIONS = ("BROWSE_PROJECTS", "ADMINISTER", "CREATE_ISSUES")


def failure(status: int, *messages: str) -> RefusedError:
    return RefusedError(status, {"errorMessages": list(messages), "errors": {}})


class Jira(Server):
    """`time_zone` is the asking user's: JQL reads its dates in it, and timestamps come back in it."""

    time_zone = "Europe/Copenhagen"
    index_lag = timedelta(0)  # how long search does not know of a change yet
    burst_limit = 350

    def __init__(self, world: World) -> None:
        self.hidden_projects: set[str] = set()  # keys of projects that the account may not browse
        super().__init__(world)

    def paths(self) -> Paths:
        return (
            ("GET", f"{_API}/search/jql", self.search),
            ("POST", f"{_API}/search/jql", self.search),
            ("POST", f"{_API}/search/approximate-count", self.count),
            ("GET", f"{_API}/search", self.gone),
            ("POST", f"{_API}/search", self.gone),
            ("POST", f"{_API}/issue/bulkfetch", self.bulk_fetch),
            ("GET", f"{_API}/issue/{{key}}", self.issue),
            ("GET", f"{_API}/project/search", self.projects),
            ("GET", f"{_API}/field", self.fields),
            ("GET", f"{_API}/myself", self.myself),
            ("GET", f"{_API}/serverInfo", self.server_info),
            ("GET", f"{_API}/mypermissions", self.my_permissions),
        )

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
        reset = (self.world.now + timedelta(seconds=retry_after)).strftime("%Y-%m-%dT%H:%MZ")
        limits = {"X-RateLimit-Limit": str(self.burst_limit), "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
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

    def meter(self, _: Request, /) -> Mapping[str, str]:
        limits = {"X-RateLimit-Limit": str(self.burst_limit), "X-RateLimit-Remaining": str(self.burst_limit - 1)}
        return {**limits, "X-RateLimit-Reset": (self.world.now + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%MZ")}

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
        issues = [self._bare(issue, fields) if only_ids else self.shown(issue, fields) for _, issue in page]
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
        found = {issue_id: issue for issue_id in asked if (issue := self._visible(request, str(issue_id)))}
        unique = {issue["id"]: issue for issue in found.values()}
        fields = _flat(body.get("fields") or ["*all"])
        missing = [
            {"id": str(issue_id), "errorMessage": "Issue does not exist or you do not have permission to see it."}
            for issue_id in asked
            if issue_id not in found
        ]
        return Reply(
            {"issues": [self.shown(unique[issue_id], fields) for issue_id in sorted(unique, key=int)], "issueErrors": missing}
        )

    def issue(self, request: Request) -> Reply:
        issue = self._visible(request, request.path_params["key"])
        if issue is None:
            raise failure(404, "Issue does not exist or you do not have permission to see it.")
        return Reply(self.shown(issue, _flat([request.query_params.get("fields", "*all")])))

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
        issues = (issue for issue in self._browsable(request) if issue["fields"]["updated"] <= indexed)
        found = [issue for issue in issues if all(test(issue) for test in tests)]
        order = query.order or (("created", True),)
        placed = [
            ([_place(jql.value(issue, field), down) for field, down in order] + [int(issue["id"])], issue) for issue in found
        ]
        return sorted(placed, key=lambda pair: pair[0])

    def _browsable(self, request: Request) -> Iterator[Record]:
        if not request.state.known:
            return iter(())
        hidden = self.hidden_projects
        return (issue for issue in self.world.alive("issue") if issue["fields"]["project"]["key"] not in hidden)

    def _visible(self, request: Request, id_or_key: str) -> Record | None:
        """By id, by key, or by a key that it had before it moved."""
        issue = self.world.issues.get(self.world.issue_ids.get(id_or_key.upper(), id_or_key))
        if (
            issue is None
            or "_deleted_at" in issue
            or issue["fields"]["project"]["key"] in self.hidden_projects
            or not request.state.known
        ):
            return None
        return issue

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

    def shown(self, issue: Record, fields: Sequence[str]) -> Record:
        """The issue as the API gives it: timestamps in the user's zone, people and other issues in short."""
        values = issue["fields"]
        wanted = (
            values.keys() if not fields or {"*all", "*navigable"} & set(fields) else [name for name in fields if name in values]
        )
        wanted = [name for name in wanted if f"-{name}" not in fields]
        return {
            **self._bare(issue, ["id", "key"]),
            "fields": {name: self._field(name, values[name]) for name in wanted},
        }

    def _bare(self, issue: Record, fields: Sequence[str]) -> Record:
        if "key" not in fields:
            return {"id": issue["id"]}
        return {
            "expand": "renderedFields,names,schema,operations,editmeta,changelog,versionedRepresentations",
            "id": issue["id"],
            "self": f"{self.base_url}{_API}/issue/{issue['id']}",
            "key": issue["key"],
        }

    def _field(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        if name in ("created", "updated", "resolutiondate", "statuscategorychangedate"):
            return self._local(value)
        if name in ("assignee", "reporter", "creator"):
            return self.person(value)
        if name == "project":
            return {key: value[key] for key in ("id", "key", "name", "projectTypeKey", "simplified")} | {
                "self": f"{self.base_url}{_API}/project/{value['id']}"
            }
        if name == "fixVersions":
            return [self._version(version_id) for version_id in value]
        if name == "parent":
            return self._short(value["id"])
        if name == "issuelinks":
            return [self._link(link) for link in value]
        if name in ("status", "priority", "issuetype", "resolution"):
            return {"self": f"{self.base_url}{_API}/{name}/{value['id']}", **value}
        return value

    def _local(self, utc: str) -> str:
        """2026-11-01T10:00:00.123+0100."""
        local = datetime.strptime(utc, "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(ZoneInfo(self.time_zone))
        return f"{local:%Y-%m-%dT%H:%M:%S}.{utc[20:23]}{local:%z}"

    def person(self, user: Record) -> Record:
        """Without the address where the person hides it."""
        return {"self": f"{self.base_url}{_API}/user?accountId={user['accountId']}", "avatarUrls": {}, **user}

    def _version(self, version_id: str) -> Record:
        version = self.world.versions[version_id]
        shown: Record = {key: version[key] for key in ("id", "name", "archived", "released", "releaseDate") if key in version}
        return {"self": f"{self.base_url}{_API}/version/{version_id}", **shown}

    def _short(self, issue_id: str) -> Record:
        issue = self.world.issues[issue_id]
        fields = {name: self._field(name, issue["fields"][name]) for name in ("summary", "status", "priority", "issuetype")}
        return {"id": issue_id, "key": issue["key"], "self": f"{self.base_url}{_API}/issue/{issue_id}", "fields": fields}

    def _link(self, link: Record) -> Record:
        link_type = {"id": "10003", "name": "Polaris work item link", "inward": "is implemented by", "outward": "implements"}
        return {
            "id": link["id"],
            "self": f"{self.base_url}{_API}/issueLink/{link['id']}",
            "type": link_type,
            link["direction"]: self._short(link["issue"]),
        }

    # everything else ------------------------------------------------------------------------------------------------

    def projects(self, request: Request) -> Reply:
        visible = [p for p in self.world.alive("project") if p["key"] not in self.hidden_projects and request.state.known]
        start, size = (
            int(request.query_params.get("startAt", 0)),
            self.page(min(100, int(request.query_params.get("maxResults", 50)))),
        )
        expand = request.query_params.get("expand", "")
        values = [self._project(project, expand) for project in sorted(visible, key=lambda p: p["key"])[start : start + size]]
        here = f"{self.base_url}{_API}/project/search?maxResults={size}&startAt="
        reply: Record = {
            "self": f"{here}{start}",
            "maxResults": size,
            "startAt": start,
            "total": len(visible),
            "isLast": start + size >= len(visible),
            "values": values,
        }
        if not reply["isLast"]:
            reply["nextPage"] = f"{here}{start + size}"
        return Reply(reply)

    def _project(self, project: Record, expand: str) -> Record:
        shown: Record = {
            key: project[key]
            for key in ("id", "key", "name", "projectTypeKey", "style", "simplified", "isPrivate")
            if key in project
        }
        if project["archived"]:
            shown["archived"] = True  # the vendor leaves it out of living projects
        if "lead" in expand:
            shown["lead"] = self.person(self.world.jira_users[project["lead"]])
        category = {"projectCategory": project["projectCategory"]} if "projectCategory" in project else {}
        return {
            "expand": "description,lead,issueTypes,url,projectKeys,permissions,insight",
            "self": f"{self.base_url}{_API}/project/{project['id']}",
            "avatarUrls": {},
            "uuid": f"00000000-0000-0000-0000-0000000{project['id']}",
            "properties": {},
            **shown,
            **category,
        }

    def fields(self, request: Request) -> Reply:
        shown = [{key: value for key, value in field.items() if not key.startswith("_")} for field in self.world.alive("field")]
        return Reply([field for field in shown if request.state.known or not field["custom"]])

    def myself(self, request: Request) -> Reply:
        if not request.state.known:
            raise RefusedError(401, self.error(401))
        return Reply(
            {
                "self": f"{self.base_url}{_API}/user?accountId=712020:fullpicture",
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
        now = self._local(jira_site.time(self.world.now))
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
        have = {
            key: {
                "id": str(place),
                "key": key,
                "name": key.replace("_", " ").title(),
                "type": "PROJECT",
                "description": "",
                "havePermission": request.state.known and key == "BROWSE_PROJECTS",
            }
            for place, key in enumerate(_PERMISSIONS, 10)
        }
        return Reply({"permissions": {key: have[key] for key in asked}})


def _search_parameters(request: Request) -> Record:
    parameters = request.query_params
    return {**parameters, "fields": parameters.getlist("fields")}


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
