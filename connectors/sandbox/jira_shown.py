"""How Jira's REST API shows its records: times in the asking user's zone, people and other records in short.

Here belongs the form of a record in a reply. Not here: which records a request gets, or their pages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from connectors.sandbox import jira_children, jira_site

if TYPE_CHECKING:
    from connectors.sandbox.jira import Jira
    from connectors.sandbox.world import Record

API = "/rest/api/3"
AGILE = "/rest/agile/1.0"
_TIMES = ("created", "updated", "resolutiondate", "statuscategorychangedate")
_LISTS = {"status": "issue_status", "priority": "issue_priority", "issuetype": "issue_type", "resolution": "issue_resolution"}
_COMPUTED = ("comment", "worklog", "timespent")  # what *all gives beside the fields that an issue keeps
WORKLOGS_EMBEDDED = 20


class Shown:
    """Records as one stand-in shows them."""

    def __init__(self, server: Jira) -> None:
        self.server = server
        self.world = server.world

    # issues ---------------------------------------------------------------------------------------------------------

    def issue(self, issue: Record, fields: Sequence[str], expand: Sequence[str] = ()) -> Record:
        everything = not fields or {"*all", "*navigable"} & set(fields)
        names = [*issue["fields"], *_COMPUTED]
        wanted = [name for name in (names if everything else fields) if name in names and f"-{name}" not in fields]
        shown: Record = {
            **self.bare(issue, ["id", "key"]),
            "fields": {name: self._field(issue, name) for name in wanted},
        }
        if "changelog" in expand:
            shown["changelog"] = self._embedded_changelog(issue)
        return shown

    def bare(self, issue: Record, fields: Sequence[str]) -> Record:
        if "key" not in fields:
            return {"id": issue["id"]}
        return {
            "expand": "renderedFields,names,schema,operations,editmeta,changelog,versionedRepresentations",
            "id": issue["id"],
            "self": self._self("issue", issue["id"]),
            "key": issue["key"],
        }

    def _field(self, issue: Record, name: str) -> Any:
        special: Mapping[str, Callable[[], Any]] = {
            "comment": lambda: self._embedded_comments(issue),
            "worklog": lambda: self._embedded_worklogs(issue),
            "timespent": lambda: jira_children.spent(self.world, issue["id"]),
            "issuelinks": lambda: self._links(issue),
        }
        if name in special:
            return special[name]()
        value = issue["fields"][name]
        if value is None:
            return None
        if name in _TIMES:
            return self.local(value)
        if name in ("assignee", "reporter", "creator"):
            return self.person(value["accountId"])
        if name in ("fixVersions", "versions"):
            return [self._version_in_short(version_id) for version_id in value]
        if name in _LISTS:
            now = self.world.store(_LISTS[name])[value["id"]]
            return {"self": self._self(name, value["id"]), **value, "name": now["name"]}
        shapes: Mapping[str, Callable[[Any], Any]] = {
            "project": self._project_in_short,
            "components": lambda parts: [self._component_in_short(part["id"]) for part in parts],
            "parent": lambda parent: self._in_short(parent["id"]),
            jira_site.SPRINT: lambda ids: [self._sprint_in_issue(each) for each in ids],
        }
        return shapes[name](value) if name in shapes else value

    def _in_short(self, issue_id: str) -> Record:
        issue = self.world.issues[issue_id]
        fields = {name: self._field(issue, name) for name in ("summary", "status", "priority", "issuetype")}
        return {"id": issue_id, "key": issue["key"], "self": self._self("issue", issue_id), "fields": fields}

    def _links(self, issue: Record) -> list[Record]:
        """Links to issues that the asking user may not see are left out."""
        shown = []
        for link in jira_children.links_of(self.world, issue["id"]):
            outward = link["source"] == issue["id"]
            other = link["target" if outward else "source"]
            if self.server.browsable(self.world.issues[other]):
                kind = {**jira_children.LINK_TYPES[link["type"]], "self": self._self("issueLinkType", link["type"])}
                end = {"outwardIssue" if outward else "inwardIssue": self._in_short(other)}
                shown.append({"id": link["id"], "self": self._self("issueLink", link["id"]), "type": kind, **end})
        return shown

    def _embedded_comments(self, issue: Record) -> Record:
        """The latest ones only, where there are many."""
        found = self.children("issue_comment", issue["id"])
        most = self.server.page(self.server.embedded_comments)
        return {
            "comments": [self.comment(comment) for comment in found[-most:]],
            "self": self._self("issue", f"{issue['id']}/comment"),
            "maxResults": min(most, len(found)),
            "total": len(found),
            "startAt": 0,
        }

    def _embedded_worklogs(self, issue: Record) -> Record:
        found = self.children("worklog", issue["id"])
        first = [self.worklog(log) for log in found[:WORKLOGS_EMBEDDED]]
        return {"startAt": 0, "maxResults": WORKLOGS_EMBEDDED, "total": len(found), "worklogs": first}

    def _embedded_changelog(self, issue: Record) -> Record:
        """The latest entries come first, and no more than so many."""
        found = self.children("issue_history", issue["id"])[::-1]
        most = self.server.embedded_changelog
        histories = [self.history(entry) for entry in found[:most]]
        return {"startAt": 0, "maxResults": min(most, len(found)), "total": len(found), "histories": histories}

    # what hangs on issues -------------------------------------------------------------------------------------------

    def children(self, kind: str, issue_id: str) -> list[Record]:
        """The living ones of a kind, by the time at which they were made."""
        found = jira_children.by_issue(self.world, kind).get(issue_id, ())
        return sorted((each for each in found if "_deleted_at" not in each), key=lambda each: each.get("created", ""))

    def comment(self, comment: Record) -> Record:
        return {
            **self._written(comment),
            "self": self._self("issue", f"{comment['issue']}/comment/{comment['id']}"),
            "body": comment["body"],
            "jsdPublic": comment["jsdPublic"],
        }

    def worklog(self, log: Record) -> Record:
        said = {"comment": log["comment"]} if log["comment"] else {}  # left out where nothing was said
        return {
            **self._written(log),
            "self": self._self("issue", f"{log['issue']}/worklog/{log['id']}"),
            "issueId": log["issue"],
            "started": self.local(log["started"]),
            "timeSpent": log["timeSpent"],
            "timeSpentSeconds": log["timeSpentSeconds"],
            **said,
        }

    def _written(self, record: Record) -> Record:
        seen = {"visibility": record["visibility"]} if record.get("visibility") else {}
        return {
            "id": record["id"],
            "author": self.person(record["author"]),
            "updateAuthor": self.person(record["updateAuthor"]),
            "created": self.local(record["created"]),
            "updated": self.local(record["updated"]),
            **seen,
        }

    def history(self, entry: Record) -> Record:
        return {**self._entry(entry), "created": self.local(entry["created"])}

    def history_in_bulk(self, entry: Record) -> Record:
        """The bulk fetch writes times as milliseconds, whatever its description says."""
        return {**self._entry(entry), "created": milliseconds(entry["created"])}

    def _entry(self, entry: Record) -> Record:
        return {"id": entry["id"], "author": self.person(entry["author"]), "items": entry["items"]}

    def remote_link(self, link: Record) -> Record:
        shown = {name: link[name] for name in ("id", "globalId", "application", "relationship", "object")}
        return {**shown, "self": self._self("issue", f"{link['issue']}/remotelink/{link['id']}")}

    # everything else ------------------------------------------------------------------------------------------------

    def local(self, utc: str) -> str:
        """2026-11-01T10:00:00.123+0100."""
        local = datetime.strptime(utc, "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(ZoneInfo(self.server.time_zone))
        return f"{local:%Y-%m-%dT%H:%M:%S}.{utc[20:23]}{local:%z}"

    def person(self, account_id: str) -> Record:
        """Without the address where the person hides it."""
        user = {name: value for name, value in self.world.jira_users[account_id].items() if value is not None}
        user.pop("_deleted_at", None)
        return {"self": f"{self.server.base_url}{API}/user?accountId={account_id}", "avatarUrls": {}, **user}

    def project(self, project: Record, expand: str) -> Record:
        names = ("id", "key", "name", "projectTypeKey", "style", "simplified", "isPrivate")
        shown: Record = {name: project[name] for name in names if name in project}
        if project["archived"]:
            shown["archived"] = True  # the vendor leaves it out of living projects
        if "lead" in expand:
            shown["lead"] = self.person(project["lead"])
        if "description" in expand:
            shown["description"] = project.get("description", "")
        if "url" in expand and project.get("url"):
            shown["url"] = project["url"]
        category = {"projectCategory": project["projectCategory"]} if "projectCategory" in project else {}
        return {
            "expand": "description,lead,issueTypes,url,projectKeys,permissions,insight",
            "self": self._self("project", project["id"]),
            "avatarUrls": {},
            "uuid": f"00000000-0000-0000-0000-0000000{project['id']}",
            "properties": {},
            **shown,
            **category,
        }

    def whole_project(self, project: Record) -> Record:
        """With its components, in which the API does not say whose they are, and its versions."""
        number = int(project["id"])
        components = [part for part in self.world.alive("component") if part["projectId"] == number]
        versions = [version for version in self.world.alive("version") if version["projectId"] == number]
        return {
            **self.project(project, "description,lead,url"),
            "assigneeType": "UNASSIGNED",
            "components": [self._component(part) for part in components],
            "versions": [self.version(version) for version in versions],
            "issueTypes": [],
            "roles": {},
        }

    def _component(self, part: Record) -> Record:
        lead = {"lead": self.person(part["lead"])} if part.get("lead") else {}
        shown = {"id": part["id"], "name": part["name"], "description": part["description"], "isAssigneeTypeValid": False}
        return {"self": self._self("component", part["id"]), **shown, **lead}

    def version(self, version: Record) -> Record:
        names = ("id", "name", "description", "archived", "released", "startDate", "releaseDate", "projectId")
        shown: Record = {name: version[name] for name in names if version.get(name) is not None}
        if not version["released"] and "releaseDate" in shown:
            shown["overdue"] = version["releaseDate"] < self.world.day(0)
        return {"self": self._self("version", version["id"]), **shown}

    def listed(self, path: str, record: Record) -> Record:
        """A record of one of the lists that administrators keep."""
        return {"self": self._self(path, record["id"]), **{k: v for k, v in record.items() if not k.startswith("_")}}

    def board(self, board: Record) -> Record:
        project = self.world.projects[board["project"]]
        shown = {name: board[name] for name in ("id", "name", "type", "isPrivate")}
        location = {
            "projectId": int(project["id"]),
            "displayName": f"{project['name']} ({project['key']})",
            "projectName": project["name"],
            "projectKey": project["key"],
            "projectTypeKey": project["projectTypeKey"],
            "name": f"{project['name']} ({project['key']})",
        }
        return {"self": f"{self.server.base_url}{AGILE}/board/{board['id']}", **shown, "location": location}

    def sprint(self, sprint: Record) -> Record:
        """Times that are not set are left out."""
        names = ("id", "state", "name", "originBoardId", "goal")
        times = ("startDate", "endDate", "completeDate", "createdDate")
        stamps = {name: _zulu(sprint[name]) for name in times if sprint.get(name)}
        url = f"{self.server.base_url}{AGILE}/sprint/{sprint['id']}"
        return {"self": url, **{name: sprint[name] for name in names}, **stamps}

    def _sprint_in_issue(self, sprint_id: int) -> Record:
        sprint = self.sprint(self.world.store("sprint")[sprint_id])
        return {"boardId": sprint.pop("originBoardId"), **{k: v for k, v in sprint.items() if k not in ("self", "createdDate")}}

    def _project_in_short(self, value: Record) -> Record:
        shown = {name: value[name] for name in ("id", "key", "name", "projectTypeKey", "simplified")}
        return {"self": self._self("project", value["id"]), **shown}

    def _version_in_short(self, version_id: str) -> Record:
        version = self.world.versions[version_id]
        names = ("id", "name", "archived", "released", "releaseDate")
        shown: Record = {name: version[name] for name in names if name in version}
        return {"self": self._self("version", version_id), **shown}

    def _component_in_short(self, component_id: str) -> Record:
        part = self.world.store("component")[component_id]
        return {"self": self._self("component", component_id), "id": component_id, "name": part["name"]}

    def _self(self, path: str, record_id: Any) -> str:
        return f"{self.server.base_url}{API}/{path}/{record_id}"


def milliseconds(utc: str) -> int:
    return round(datetime.strptime(utc, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() * 1000)


def _zulu(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%dT%H:%M:%S}.000Z"
