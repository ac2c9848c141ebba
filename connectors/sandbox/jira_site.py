"""How a Jira site keeps its records: ids, keys, workflow, stamps, hard deletes and moves between projects.

Here belongs what Jira does by itself when a record is made or changed. Not here: what hangs on issues
(`jira_children`), what a change leaves in the history, JQL, endpoints, or why it changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.sandbox import jira_children, jira_history

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

STORES = {  # kind → where the world keeps its records
    "project": "projects",
    "field": "fields",
    "version": "versions",
    "issue": "issues",
    "jira_user": "jira_users",
    "component": "components",
    "issue_status": "issue_statuses",
    "issue_type": "issue_types",
    "issue_priority": "issue_priorities",
    "issue_resolution": "issue_resolutions",
    "board": "boards",
    "sprint": "sprints",
    **jira_children.STORES,
}
IDS: Mapping[str, str] = {"jira_user": "accountId"}  # where a record's id is not in `id`

STORY_POINTS, PRODUCT_AREA, CUSTOMER = "customfield_10028", "customfield_10050", "customfield_10051"
EPIC_LINK, SPRINT, RANK, FLAGGED = "customfield_10014", "customfield_10020", "customfield_10019", "customfield_10021"

_CATEGORIES = {
    "new": (2, "blue-gray", "To Do"),
    "indeterminate": (4, "yellow", "In Progress"),
    "done": (3, "green", "Done"),
}


def _named(first: int, **more: Any) -> Any:
    return {name: {"id": str(first + place), "name": name, **values} for place, (name, values) in enumerate(more.items())}


def _status(key: str) -> Record:
    new_id, colour, name = _CATEGORIES[key]
    return {"statusCategory": {"id": new_id, "key": key, "colorName": colour, "name": name}}


STATUSES: dict[str, Record] = _named(
    10000,
    **{
        "To Do": _status("new"),
        "In Progress": _status("indeterminate"),
        "In Review": _status("indeterminate"),
        "Done": _status("done"),
    },
    **{
        "Parking lot": _status("new"),
        "Planned": _status("indeterminate"),
        "Delivered": _status("done"),
        "Archived": _status("done"),
    },
)
PRIORITIES: dict[str, Record] = _named(1, Highest={}, High={}, Medium={}, Low={}, Lowest={})
RESOLUTIONS: dict[str, Record] = _named(10000, **{"Done": {}, "Won't Do": {}, "Duplicate": {}})
_LEVELS = {"Epic": 1, "Idea": 0, "New Feature": 0, "Story": 0, "Task": 0, "Bug": 0}
ISSUE_TYPES: dict[str, Record] = _named(
    10001, **{name: {"subtask": False, "hierarchyLevel": level} for name, level in _LEVELS.items()}
)
_CHOICES = {"status": STATUSES, "priority": PRIORITIES, "resolution": RESOLUTIONS, "issuetype": ISSUE_TYPES}
_FIRST = {  # ids of what the administrators add later
    "component": 20000,
    "issue_status": 11000,
    "issue_type": 11000,
    "issue_priority": 11000,
    "issue_resolution": 11000,
    "board": 1,
    "sprint": 1,
}
_RESOLVED_AS = {"Done": "Done", "Delivered": "Done", "Archived": "Won't Do"}


def stamp(kind: str, record: Record) -> str:
    text: str = record["fields"]["updated"] if kind == "issue" else record.get("id", "")
    return text


def time(at: datetime) -> str:
    """2026-11-01T10:00:00.123+0000, kept in UTC; the server gives it in the asking user's zone."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}+0000"


def text(*paragraphs: str) -> Record:
    """Atlassian's document format, the way the editor saves plain paragraphs."""
    content = [{"type": "paragraph", "content": [{"type": "text", "text": paragraph}]} for paragraph in paragraphs]
    return {"type": "doc", "version": 1, "content": content}


def create(world: World, kind: str, at: datetime, fields: dict[str, Any]) -> Record:
    if kind == "issue":
        return _issue(world, at, fields)
    if kind in jira_children.STORES:
        return jira_children.create(world, kind, time(at), fields)
    makers = {"project": _project, "field": _field, "version": _version, "jira_user": _user}
    return makers[kind](world, fields) if kind in makers else _numbered(world, kind, at, fields)


def _numbered(world: World, kind: str, at: datetime, fields: dict[str, Any]) -> Record:
    """Boards and sprints have numbers for ids; the lists that the site's administrators keep have texts."""
    number = world.number(kind, _FIRST[kind])
    if kind == "board":
        return {"id": number, "type": "scrum", "isPrivate": False, "_sprints": fields.get("type", "scrum") == "scrum", **fields}
    if kind == "sprint":
        return {"id": number, "state": "future", "goal": "", "createdDate": at.isoformat(), **fields}
    return {"id": str(number), "description": "", **fields}


def _project(world: World, fields: dict[str, Any]) -> Record:
    defaults = {
        "projectTypeKey": "software",
        "style": "classic",
        "simplified": False,
        "isPrivate": False,
        "archived": False,
    }
    return {"id": str(world.number("project", 10000)), **defaults, "components": [], **fields}


def _field(_: World, fields: dict[str, Any]) -> Record:
    key = fields["id"]
    custom = key.startswith("customfield_")
    clauses = [f"cf[{key[12:]}]", fields["name"]] if custom else [key]
    return {
        "key": key,
        "custom": custom,
        "orderable": True,
        "navigable": True,
        "searchable": True,
        "clauseNames": clauses,
        **fields,
    }


def _version(world: World, fields: dict[str, Any]) -> Record:
    return {"id": str(world.number("version", 10100)), "archived": False, "released": False, **fields}


def _user(world: World, fields: dict[str, Any]) -> Record:
    account_id = f"712020:{world.random.getrandbits(96):024x}"
    return {
        "accountId": account_id,
        "accountType": "atlassian",
        "active": True,
        "timeZone": "Europe/Copenhagen",
        **fields,
    }


def _issue(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    project = world.projects[fields.pop("project")]
    new_id = str(world.number("issue", 10001))
    key = f"{project['key']}-{world.number('issues of ' + project['id'])}"
    world.issue_ids[key] = new_id
    values: Record = {
        "summary": None,
        "issuetype": ISSUE_TYPES["Task"],
        "project": project,
        "status": STATUSES["To Do"],
        "statuscategorychangedate": time(at),
        "priority": PRIORITIES["Medium"],
        "resolution": None,
        "resolutiondate": None,
        "created": time(at),
        "updated": None,
        "creator": None,
        "reporter": None,
        "assignee": None,
        "description": None,
        "duedate": None,
        "labels": [],
        "components": [],
        "fixVersions": [],
        "versions": [],
        "issuelinks": [],
        "parent": None,
        STORY_POINTS: None,
        PRODUCT_AREA: None,
        CUSTOMER: None,
        EPIC_LINK: None,
        SPRINT: None,
        FLAGGED: None,
        RANK: f"0|i{int(new_id):05d}:",
    }
    record: Record = {"id": new_id, "key": key, "fields": values, "_former_keys": []}
    change(world, "issue", record, at, {"creator": fields.get("reporter"), **fields})
    return record


def change(world: World, kind: str, record: Record, at: datetime, fields: dict[str, Any]) -> None:
    """Issues take status, priority, resolution and type by name, people by account id, parents by issue id."""
    if kind in jira_children.STORES:
        jira_children.change(world, kind, record, time(at), fields)
        return
    if kind != "issue":
        record |= fields
        return
    values = record["fields"]
    before = dict(values)
    unknown = fields.keys() - values.keys()
    if unknown or "project" in fields:
        raise KeyError(
            f"an issue has no field {', '.join(sorted(unknown))}" if unknown else "an issue changes its project by move()"
        )
    for name, value in fields.items():
        if name == "status":
            _enter(values, STATUSES[value], at)
        elif name in _CHOICES and value is not None:
            values[name] = _CHOICES[name][value]
        elif name in ("assignee", "reporter", "creator") and value is not None:
            values[name] = world.jira_users[value]
        elif name == "parent":
            values["parent"] = {"id": value} if value else None
            epic = world.issues.get(value) if value else None
            values[EPIC_LINK] = epic["key"] if epic and epic["fields"]["project"]["style"] == "classic" else None
        else:
            values[name] = value
    if values["updated"]:  # that an issue was created is no change of it
        jira_history.write(world, record, time(at), jira_history.differences(world, before, values))
    values["updated"] = time(at)


def _enter(values: Record, status: Record, at: datetime) -> None:
    """What a transition's post functions do: the resolution is set on the way into Done and cleared on the way out."""
    category = status["statusCategory"]["key"]
    if category != values["status"]["statusCategory"]["key"]:
        values["statuscategorychangedate"] = time(at)
        resolution = RESOLUTIONS[_RESOLVED_AS[status["name"]]] if category == "done" else None
        values["resolution"], values["resolutiondate"] = resolution, time(at) if resolution else None
    values["status"] = status


def delete(world: World, kind: str, record: Record, at: datetime) -> None:
    """Gone for good: no endpoint shows it again. What belongs to it goes with it, what points to it does so no more."""
    if kind == "issue":
        _delete_issue(world, record, at)
    elif kind in jira_children.STORES:
        jira_children.delete(world, kind, record, time(at))
    elif kind == "project":
        _delete_project(world, record)
    elif kind == "board":
        _along(record, "board", (s for s in world.alive("sprint") if s["originBoardId"] == record["id"]))
    elif kind in _HELD_IN:
        _take_out(world, kind, record, at)


def undelete(world: World, kind: str, record: Record, at: datetime) -> None:  # noqa: ARG001
    """Only projects and fields have a bin. What went with a project comes back with it, and none of it is stamped."""
    if kind not in ("project", "field"):
        raise ValueError(f"Jira cannot bring back a {kind}")
    if kind == "project":
        for child in (kind for kind in STORES if kind != "project"):
            for each in world.store(child).values():
                if each.get("_went_with") == f"project {record['id']}":
                    del each["_went_with"], each["_deleted_at"]


def _delete_issue(world: World, record: Record, at: datetime) -> None:
    """Children stay without their parent."""
    for link in list(jira_children.links_of(world, record["id"])):
        world.delete("issue_link", link["id"], at=at)
    for issue in world.alive("issue"):
        parent = issue["fields"]["parent"]
        if parent and parent["id"] == record["id"]:
            change(world, "issue", issue, at, {"parent": None})
    _along(record, "issue", jira_children.of_issue(world, record["id"]))


def _delete_project(world: World, record: Record) -> None:
    project_id = record["id"]
    issues = [issue for issue in world.alive("issue") if issue["fields"]["project"]["id"] == project_id]
    boards = [board for board in world.alive("board") if board["project"] == project_id]
    numbers = {board["id"] for board in boards}
    parts = [part for kind in ("version", "component") for part in world.alive(kind) if str(part["projectId"]) == project_id]
    sprints = [sprint for sprint in world.alive("sprint") if sprint["originBoardId"] in numbers]
    children = [child for issue in issues for child in jira_children.of_issue(world, issue["id"])]
    _along(record, "project", [*issues, *boards, *parts, *sprints, *children])


def _along(record: Record, kind: str, children: Iterable[Record]) -> None:
    for child in list(children):
        child |= {"_deleted_at": record["_deleted_at"], "_went_with": f"{kind} {record['id']}"}


_HELD_IN = {"version": "fixVersions", "component": "components", "sprint": SPRINT}  # the field of issues that holds them


def _take_out(world: World, kind: str, record: Record, at: datetime) -> None:
    field = _HELD_IN[kind]
    for issue in world.alive("issue"):
        held = issue["fields"][field] or []
        left = [each for each in held if (each["id"] if isinstance(each, dict) else each) != record["id"]]
        if left != held:
            change(world, "issue", issue, at, {field: left})


def link(world: World, implementing: Record, idea: Record, at: datetime) -> None:
    """`implementing` implements `idea`."""
    world.create("issue_link", at=at, source=implementing["id"], target=idea["id"], type="10003")


def move(world: World, issue: Record, project: Record, at: datetime) -> None:
    """Components and versions belong to a project and are left behind; the old key still leads to the issue."""
    before = dict(issue["fields"])
    issue["_former_keys"].append(issue["key"])
    issue["key"] = f"{project['key']}-{world.number('issues of ' + project['id'])}"
    world.issue_ids[issue["key"]] = issue["id"]
    issue["fields"] |= {"project": project, "components": [], "fixVersions": [], "updated": time(at)}
    for child in world.alive("issue"):
        if child["fields"][EPIC_LINK] in issue["_former_keys"]:
            child["fields"][EPIC_LINK] = issue["key"]
    moved = jira_history.item("Key", (None, issue["_former_keys"][-1]), (None, issue["key"]))
    left = jira_history.differences(world, before, issue["fields"])
    jira_history.write(world, issue, time(at), [moved, *left])
