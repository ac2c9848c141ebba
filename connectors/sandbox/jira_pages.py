"""The rest of Jira's REST API: lists that administrators keep, people, boards, and what hangs on issues.

Here belong paths, paging and errors of everything but the search for issues and their bulk fetch. Not here: how a record
looks in a reply (`jira_shown`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request

from connectors.sandbox.jira_shown import AGILE, API, milliseconds
from connectors.sandbox.server import Paths, RefusedError, Reply

if TYPE_CHECKING:
    from connectors.sandbox.jira import Jira
    from connectors.sandbox.world import Record

_UNSEEN_FOR = 60_000  # milliseconds for which the lists of worklogs do not tell of a change


def failure(status: int, *messages: str) -> RefusedError:
    return RefusedError(status, {"errorMessages": list(messages), "errors": {}})


class Pages:
    """The endpoints of one stand-in."""

    def __init__(self, server: Jira) -> None:
        self.server = server
        self.world = server.world
        self.shown = server.shown

    def paths(self) -> Paths:
        listed = {"status": "issue_status", "issuetype": "issue_type"}
        paged = {"priority": "issue_priority", "resolution": "issue_resolution"}
        return (
            ("GET", f"{API}/project/search", self.projects),
            ("GET", f"{API}/project/{{id}}", self.project),
            ("GET", f"{API}/field", self.fields),
            *(("GET", f"{API}/{path}", self._list(path, kind)) for path, kind in listed.items()),
            *(("GET", f"{API}/{path}/search", self._pages(path, kind)) for path, kind in paged.items()),
            ("GET", f"{API}/users/search", self.users),
            ("GET", f"{AGILE}/board", self.boards),
            ("GET", f"{AGILE}/board/{{id}}/sprint", self.sprints),
            ("POST", f"{API}/changelog/bulkfetch", self.changelogs),
            ("GET", f"{API}/issue/{{key}}/comment", self.comments),
            ("GET", f"{API}/issue/{{key}}/worklog", self.worklogs_of),
            ("GET", f"{API}/issue/{{key}}/remotelink", self.remote_links),
            ("GET", f"{API}/worklog/updated", self.worklogs_updated),
            ("GET", f"{API}/worklog/deleted", self.worklogs_deleted),
            ("POST", f"{API}/worklog/list", self.worklogs),
        )

    def _page(self, request: Request, found: Sequence[Any], most: int, usual: int = 50) -> Record:
        """Pages by place: what comes or goes meanwhile moves the rest."""
        start = int(request.query_params.get("startAt", 0))
        size = self.server.page(min(most, int(request.query_params.get("maxResults", usual))))
        return {
            "maxResults": size,
            "startAt": start,
            "total": len(found),
            "isLast": start + size >= len(found),
            "values": [each for each in found[start : start + size] if not each or each.get("id") not in self.server.kept_back],
        }

    # lists ----------------------------------------------------------------------------------------------------------

    def projects(self, request: Request) -> Reply:
        expand = request.query_params.get("expand", "")
        states = request.query_params.getlist("status") or ["live"]
        found = [p for p in self._projects(request) if ("archived" if p["archived"] else "live") in states]
        page = self._page(request, sorted(found, key=lambda project: project["key"]), 100)
        page["values"] = [self.shown.project(project, expand) for project in page["values"]]
        here = f"{self.server.base_url}{API}/project/search?maxResults={page['maxResults']}&startAt="
        more = {} if page["isLast"] else {"nextPage": f"{here}{page['startAt'] + page['maxResults']}"}
        return Reply({"self": f"{here}{page['startAt']}", **page, **more})

    def project(self, request: Request) -> Reply:
        asked = request.path_params["id"]
        found = [project for project in self._projects(request) if asked in (project["id"], project["key"])]
        if not found:
            raise failure(404, f"No project could be found with key '{asked}'.")
        return Reply(self.shown.whole_project(found[0]))

    def _projects(self, request: Request) -> Iterable[Record]:
        hidden = self.server.hidden_projects
        return (p for p in self.world.alive("project") if request.state.known and p["key"] not in hidden)

    def fields(self, request: Request) -> Reply:
        shown = [{key: value for key, value in field.items() if not key.startswith("_")} for field in self.world.alive("field")]
        return Reply([field for field in shown if request.state.known or not field["custom"]])

    def _list(self, path: str, kind: str) -> Callable[[Request], Reply]:
        return lambda _: Reply([self.shown.listed(path, record) for record in self.world.alive(kind)])

    def _pages(self, path: str, kind: str) -> Callable[[Request], Reply]:
        return lambda asked: Reply(
            self._page(asked, [self.shown.listed(path, record) for record in self.world.alive(kind)], 50)
        )

    def users(self, request: Request) -> Reply:
        """Accounts that the asking user may not see are left out of the page on which they would stand, which is then
        short, and no end of the list."""
        if not self.server.browses_users:
            raise failure(403, "You do not have the permission to browse users and groups.")
        everybody: list[Record | None] = []
        for place, user in enumerate(sorted(self.world.alive("jira_user"), key=lambda user: user["accountId"])):
            everybody += [user, None] if place % 4 == 1 else [user]
        page = self._page(request, everybody, 1000)["values"]
        return Reply([self.shown.person(user["accountId"]) for user in page if user])

    def boards(self, request: Request) -> Reply:
        self._software()
        seen = {project["id"] for project in self._projects(request)}
        found = [self.shown.board(board) for board in self.world.alive("board") if board["project"] in seen]
        return Reply(self._page(request, found, 50))

    def sprints(self, request: Request) -> Reply:
        self._software()
        board = self.world.store("board").get(int(request.path_params["id"]))
        if board is None or "_deleted_at" in board:
            raise failure(404, "The requested board cannot be viewed: it does not exist, or you do not have permission.")
        if not board["_sprints"]:
            raise failure(400, "The board does not support sprints")
        on_it = (
            board["id"],
            *board.get("_shows", ()),
        )  # and the sprints of others whose issues it shows
        found = [sprint for sprint in self.world.alive("sprint") if sprint["originBoardId"] in on_it]
        return Reply(self._page(request, [self.shown.sprint(sprint) for sprint in found], 50))

    def _software(self) -> None:
        if not self.server.software:
            raise failure(403, "The request is not permitted: Jira Software is not licensed on this site.")

    # what hangs on issues -------------------------------------------------------------------------------------------

    def changelogs(self, request: Request) -> Reply:
        """By time, then by issue, so that an issue's history can be spread over all pages."""
        body = request.state.body
        asked, fields = [str(each) for each in body["issueIdsOrKeys"]], set(body.get("fieldIds") or ())
        size = int(body.get("maxResults", 1000))
        if not 1 <= len(asked) <= 1000 or len(fields) > 10 or not 1 <= size <= 10_000:
            raise failure(400, "Request is invalid: at most 1000 issues, 10 fields and 10000 results can be asked for.")
        found = self._histories(request, asked)
        start = self._resumed(body.get("nextPageToken"), asked)
        page = found[start : start + self.server.page(size)]
        logs: dict[str, list[Record]] = {}
        for entry in page:
            shown = self.shown.history_in_bulk(entry)
            if fields:
                shown["items"] = [item for item in shown["items"] if item.get("fieldId") in fields]
            if shown["items"]:
                logs.setdefault(entry["issue"], []).append(shown)
        reply: Record = {"issueChangeLogs": [{"issueId": key, "changeHistories": entries} for key, entries in logs.items()]}
        if start + len(page) < len(found):
            reply["nextPageToken"] = base64.urlsafe_b64encode(msgspec.json.encode([start + len(page), asked[0]])).decode()
        return Reply(reply)

    def _histories(self, request: Request, asked: list[str]) -> list[Record]:
        """Remembered while nothing changes, so that deep paging stays quick."""
        seen = (request.state.known, *sorted(self.server.hidden_projects))

        def gathered() -> list[Record]:
            issues = {issue["id"] for each in asked if (issue := self.server.visible(request, each))}
            entries = [entry for issue_id in issues for entry in self.shown.children("issue_history", issue_id)]
            return sorted(entries, key=lambda entry: (entry["created"], int(entry["issue"]), int(entry["id"])))

        found: list[Record] = self.world.derived("issue_history", (*asked, *seen), gathered)
        return found

    def _resumed(self, token: str | None, asked: list[str]) -> int:
        if not token:
            return 0
        try:
            start, first = msgspec.json.decode(base64.urlsafe_b64decode(token))
        except ValueError:
            start, first = 0, None
        if first != asked[0]:
            raise failure(400, "The provided next page token is invalid or expired.")
        return int(start)

    def comments(self, request: Request) -> Reply:
        issue = self._issue(request)
        page = self._page(request, self.shown.children("issue_comment", issue["id"]), 100, 100)
        found = [self.shown.comment(comment) for comment in page.pop("values")]
        del page["isLast"]
        return Reply({**page, "comments": found})

    def worklogs_of(self, request: Request) -> Reply:
        issue = self._issue(request)
        page = self._page(request, self.shown.children("worklog", issue["id"]), 5000, 5000)
        found = [self.shown.worklog(log) for log in page.pop("values")]
        del page["isLast"]
        return Reply({**page, "worklogs": found})

    def remote_links(self, request: Request) -> Reply:
        issue = self._issue(request)
        if not self.server.linking:
            raise failure(403, "Issue linking is currently disabled.")
        return Reply([self.shown.remote_link(link) for link in self.shown.children("remote_link", issue["id"])])

    def _issue(self, request: Request) -> Record:
        issue = self.server.visible(request, request.path_params["key"])
        if issue is None:
            raise failure(404, "Issue does not exist or you do not have permission to see it.")
        return issue

    def worklogs_updated(self, request: Request) -> Reply:
        return self._changed(request, "updated", ((log, milliseconds(log["updated"])) for log in self.world.alive("worklog")))

    def worklogs_deleted(self, request: Request) -> Reply:
        """What went with its issue is not told of."""
        gone = (log for log in self.world.store("worklog").values() if "_deleted_at" in log and "_went_with" not in log)
        return self._changed(request, "deleted", ((log, milliseconds(_stamp(log["_deleted_at"]))) for log in gone))

    def _changed(self, request: Request, path: str, logs: Iterable[tuple[Record, int]]) -> Reply:
        """From the oldest change on, after `since`: where many changed in the same moment at the border of a page, the
        address of the next page leaves out those that are left of it."""
        since = int(request.query_params.get("since", 0))
        now = round(self.world.now.timestamp() * 1000)
        found = sorted((at, int(log["id"])) for log, at in logs if since < at <= now - _UNSEEN_FOR)
        page = found[: self.server.page(1000)]
        here, until = f"{self.server.base_url}{API}/worklog/{path}?since=", page[-1][0] if page else now
        reply = {
            "values": [{"worklogId": log_id, "updatedTime": at, "properties": []} for at, log_id in page],
            "since": since,
            "until": until,
            "self": f"{here}{since}",
            "lastPage": len(page) == len(found),
        }
        return Reply(reply if reply["lastPage"] else {**reply, "nextPage": f"{here}{until}"})

    def worklogs(self, request: Request) -> Reply:
        ids = request.state.body["ids"]
        if not 1 <= len(ids) <= 1000:
            raise failure(400, "The number of worklog ids must be between 1 and 1000.")
        found = [self.world.store("worklog").get(str(each)) for each in ids]
        return Reply([self.shown.worklog(log) for log in found if log and "_deleted_at" not in log])


def _stamp(moment: str) -> str:
    return f"{moment[:19]}.000+0000"
