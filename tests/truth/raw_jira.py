"""What Jira's raw tables must hold, from the world's own records.

Here belongs no connector's code: rows are put together from issues, histories and lists as the invented company keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from connectors.sandbox import jira_children, jira_site
from connectors.sandbox.world import Record, World
from tests.truth.calendar import day, moment
from tests.truth.cases import Case, Key, Row

Rows = dict[Key, Row]


def _picked(record: Record, **columns: str) -> Row:
    """By column: what stands in the record, null where it does not."""
    return {column: record.get(name) for column, name in columns.items()}


def _same(record: Record, names: str) -> Row:
    return {name: record.get(name) for name in names.split()}


def _person(world: World, account_id: str | None, prefix: str, email: bool = False) -> Row:
    user = world.jira_users[account_id] if account_id else {}
    about = {f"{prefix}_account_id": account_id, f"{prefix}_name": user.get("displayName")}
    return {**about, f"{prefix}_email": user.get("emailAddress")} if email else about


def _text(document: Record | None) -> str | None:
    """Every paragraph a line."""
    if document is None:
        return None
    return "\n".join("".join(node["text"] for node in paragraph["content"]) for paragraph in document["content"]) or None


# issues and what hangs on them ------------------------------------------------------------------------------------------


def _issue(world: World, issue: Record) -> Row:
    values = issue["fields"]
    parent = values["parent"] and world.issues[values["parent"]["id"]]
    return {
        **_same(issue, "id key"),
        **_same(values, "summary description labels"),
        "description_text": _text(values["description"]),
        "status_category": values["status"]["statusCategory"]["key"],
        "project_id": values["project"]["id"],
        "project_key": values["project"]["key"],
        "parent_id": parent and parent["id"],
        "parent_key": parent and parent["key"],
        "creator_account_id": values["creator"] and values["creator"]["accountId"],
        **{name: value for field, kind in _KINDS.items() for name, value in _listed(world, values, field, kind).items()},
        **_person(world, (values["assignee"] or {}).get("accountId"), "assignee", email=True),
        **_person(world, (values["reporter"] or {}).get("accountId"), "reporter", email=True),
        "components": [_same(world.store("component")[part["id"]], "id name") for part in values["components"]],
        "fix_versions": [_version_in_short(world, version_id) for version_id in values["fixVersions"]],
        "affected_versions": [_version_in_short(world, version_id) for version_id in values["versions"]],
        "time_spent": jira_children.spent(world, issue["id"]),
        "time_estimate": None,
        "time_original_estimate": None,
        "due_date": day(values["duedate"]),
        "resolved_at": moment(values["resolutiondate"]),
        "status_category_changed_at": moment(values["statuscategorychangedate"]),
        "created": moment(values["created"]),
        "updated": moment(values["updated"]),
        "customer": values[jira_site.CUSTOMER],
        "product_area": values[jira_site.PRODUCT_AREA] and values[jira_site.PRODUCT_AREA]["value"],
        "story_points": None,
        "sprint_ids": None,
    }


_KINDS = {
    "issuetype": ("issue_type", "issue_type"),
    "status": ("status", "issue_status"),
    "priority": ("priority", "issue_priority"),
    "resolution": ("resolution", "issue_resolution"),
}


def _listed(world: World, values: Record, field: str, kind: tuple[str, str]) -> Row:
    column, store = kind
    found = values[field] and world.store(store)[values[field]["id"]]
    return {column: found and found["name"], f"{column}_id": found and found["id"]}


def _version_in_short(world: World, version_id: str) -> Record:
    version = world.versions[version_id]
    return {name: version[name] for name in ("id", "name", "archived", "released", "releaseDate") if name in version}


def issues(world: World) -> Rows:
    return {(issue["id"],): _issue(world, issue) for issue in world.alive("issue")}


def issue_links(world: World) -> Rows:
    return {(link["id"],): _link(world, link) for link in world.alive("issue_link")}


def _link(world: World, link: Record) -> Row:
    kind = jira_children.LINK_TYPES[link["type"]]
    source, target = world.issues[link["source"]], world.issues[link["target"]]
    return {
        "id": link["id"],
        **_picked(kind, type="name", type_id="id", inward="inward", outward="outward"),
        **_picked(source, source_issue_id="id", source_issue_key="key"),
        **_picked(target, target_issue_id="id", target_issue_key="key"),
    }


def comments(world: World) -> Rows:
    return {
        (comment["id"],): {
            **_picked(comment, id="id", issue_id="issue", body="body", jsd_public="jsdPublic"),
            **_written(world, comment),
            **_person(world, comment["updateAuthor"], "update_author"),
            "body_text": _text(comment["body"]),
        }
        for comment in world.alive("issue_comment")
    }


def worklogs(world: World) -> Rows:
    columns = {"time_spent": "timeSpent", "time_spent_seconds": "timeSpentSeconds", "update_author_account_id": "updateAuthor"}
    return {
        (log["id"],): {
            **_picked(log, id="id", issue_id="issue", comment="comment", **columns),
            **_written(world, log),
            "started": moment(log["started"]),
            "comment_text": _text(log["comment"]),
        }
        for log in world.alive("worklog")
    }


def _written(world: World, record: Record) -> Row:
    return {
        **_person(world, record["author"], "author"),
        "created": moment(record["created"]),
        "updated": moment(record["updated"]),
        **_picked(record.get("visibility", {}), visibility_type="type", visibility_value="value"),
    }


def changelog(world: World) -> Rows:
    return {
        (entry["id"], place): {
            "history_id": entry["id"],
            "item": place,
            "issue_id": entry["issue"],
            "created": moment(entry["created"]),
            **_person(world, entry["author"], "author"),
            **_picked(item, field="field", field_id="fieldId", field_type="fieldtype"),
            **_picked(item, from_value="from", from_string="fromString", to_value="to", to_string="toString"),
        }
        for entry in world.alive("issue_history")
        for place, item in enumerate(entry["items"])
    }


def remote_links(world: World) -> Rows:
    return {
        (link["id"],): {
            **_picked(link, id="id", issue_id="issue", global_id="globalId", relationship="relationship"),
            **_picked(link["application"], application_type="type", application_name="name"),
            **_picked(link["object"], url="url", title="title", summary="summary"),
            "resolved": link["object"]["status"]["resolved"],
        }
        for link in world.alive("remote_link")
    }


# lists ------------------------------------------------------------------------------------------------------------------


def projects(world: World) -> Rows:
    return {
        (project["id"],): {
            **_same(project, "id key name archived"),
            "description": project.get("description", ""),
            "project_type_key": project["projectTypeKey"],
            "style": project["style"],
            **_picked(project.get("projectCategory", {}), category="name", category_id="id"),
            **_person(world, project["lead"], "lead"),
            "url": project.get("url"),
            "is_private": project["isPrivate"],
        }
        for project in world.alive("project")
    }


def components(world: World) -> Rows:
    return {
        (part["id"],): {
            **_same(part, "id name description"),
            "project_id": str(part["projectId"]),
            **_person(world, part.get("lead"), "lead"),
            "assignee_type": None,
            "assignee_account_id": None,
        }
        for part in world.alive("component")
    }


def versions(world: World) -> Rows:
    return {
        (version["id"],): {
            **_same(version, "id name description released archived"),
            "project_id": str(version["projectId"]),
            "start_date": day(version.get("startDate")),
            "release_date": day(version.get("releaseDate")),
        }
        for version in world.alive("version")
    }


def fields(world: World) -> Rows:
    return {
        (field["id"],): {
            **_same(field, "id key name custom"),
            **_picked(field["schema"], schema_type="type", schema_items="items", schema_custom="custom"),
            "scope_project_id": None,
        }
        for field in world.alive("field")
    }


def statuses(world: World) -> Rows:
    return {
        (status["id"],): {
            **_same(status, "id name description"),
            **_picked(status["statusCategory"], status_category="key", status_category_name="name"),
            "scope_project_id": None,
        }
        for status in world.alive("issue_status")
    }


def issue_types(world: World) -> Rows:
    return {
        (kind["id"],): {
            **_same(kind, "id name description subtask"),
            "hierarchy_level": kind["hierarchyLevel"],
            "scope_project_id": None,
        }
        for kind in world.alive("issue_type")
    }


def priorities(world: World) -> Rows:
    return {
        (priority["id"],): {
            **_same(priority, "id name description"),
            **_picked(priority, status_color="statusColor", is_default="isDefault"),
        }
        for priority in world.alive("issue_priority")
    }


def resolutions(world: World) -> Rows:
    return {
        (resolution["id"],): {**_same(resolution, "id name description"), "is_default": resolution.get("default")}
        for resolution in world.alive("issue_resolution")
    }


def users(world: World) -> Rows:
    columns = {"account_id": "accountId", "account_type": "accountType", "display_name": "displayName"}
    more = {"email_address": "emailAddress", "time_zone": "timeZone"}
    return {
        (user["accountId"],): {**_picked(user, **columns, **more), **_same(user, "active locale")}
        for user in world.alive("jira_user")
    }


def boards(world: World) -> Rows:
    return {
        (board["id"],): {
            **_same(board, "id name type"),
            "is_private": board["isPrivate"],
            **_picked(world.projects[board["project"]], project_id="id", project_key="key", project_name="name"),
        }
        for board in world.alive("board")
    }


def sprints(world: World) -> Rows:
    stamps = {"start_date": "startDate", "end_date": "endDate", "complete_date": "completeDate", "created_date": "createdDate"}
    return {
        (sprint["id"],): {
            **_same(sprint, "id name state goal"),
            "origin_board_id": sprint["originBoardId"],
            **{column: _second(sprint.get(name)) for column, name in stamps.items()},
        }
        for sprint in world.alive("sprint")
    }


def _second(text: str | None) -> datetime | None:
    found = moment(text)
    return found and found.replace(microsecond=0)


# how they come, change and go -------------------------------------------------------------------------------------------


def _project(world: World) -> Record:
    return next(iter(world.alive("project")))


def _new_issue(world: World, number: int = 0) -> Record:
    reporter = next(iter(world.jira_users))
    about: dict[str, Any] = {"reporter": reporter, "description": jira_site.text("Made for a test.", f"Number {number}.")}
    return world.create("issue", project=_project(world)["id"], issuetype="Story", summary=f"Issue {number}", **about)


def _an_issue(world: World) -> Record:
    """The last of at least two, so that not all is gone when it is."""
    while len(found := list(world.alive("issue"))) < 2:
        _new_issue(world)
    return found[-1]


def _one_each(make: Callable[[World, int], Any]) -> Callable[[World, int], None]:
    def made(world: World, number: int) -> None:
        for place in range(number):
            world.tick(1)
            make(world, place)

    return made


def _change(kind: str, **fields: Any) -> Callable[[World], None]:
    """Of the first one that lives."""

    def changed(world: World) -> None:
        key = jira_site.IDS.get(kind, "id")
        world.change(kind, next(iter(world.alive(kind)))[key], **fields)

    return changed


def _delete(kind: str) -> Callable[[World], None]:
    """The last one that lives, on which nothing else depends."""

    def deleted(world: World) -> None:
        key = jira_site.IDS.get(kind, "id")
        world.delete(kind, list(world.alive(kind))[-1][key])

    return deleted


def _undelete(kind: str) -> Callable[[World], None]:
    def back(world: World) -> None:
        world.undelete(
            kind, max((r for r in world.store(kind).values() if "_deleted_at" in r), key=lambda r: str(r["id"]))["id"]
        )

    return back


def _comment(world: World, number: int) -> Record:
    return world.create("issue_comment", issue=_an_issue(world)["id"], body=jira_site.text(f"Said {number}", "and more"))


def _worklog(world: World, number: int) -> Record:
    about: Any = {"timeSpent": "15m", "comment": jira_site.text("Worked") if number % 2 else None}
    return world.create("worklog", issue=_an_issue(world)["id"], timeSpentSeconds=900, **about)


def _remote_link(world: World, number: int) -> Record:
    page = {"url": f"https://example.com/{number}", "title": f"Page {number}", "summary": "", "status": {"resolved": False}}
    return world.create("remote_link", issue=_an_issue(world)["id"], globalId=f"page={number}", object=page)


def _issue_link(world: World, _: int) -> Record:
    source, target = _new_issue(world), _new_issue(world)
    return world.create("issue_link", source=source["id"], target=target["id"], type="10000")


def _changes(world: World, number: int) -> None:
    issue = _an_issue(world)
    world.change("issue", issue["id"], summary=f"Changed {number} times", labels=[f"label-{number}"], assignee=None)


def _board(world: World, number: int) -> Record:
    return world.create("board", name=f"Board {number}", type=("scrum", "kanban")[number % 2], project=_project(world)["id"])


def _sprint(world: World, number: int) -> Record:
    scrum = [board for board in world.alive("board") if board["type"] == "scrum"]
    board = scrum[0] if scrum else _board(world, 0)
    stamps: Any = {"startDate": world.now.isoformat(), "endDate": world.now.isoformat()} if number % 2 else {}
    return world.create("sprint", name=f"Sprint {number}", originBoardId=board["id"], **stamps)


def _make_project(world: World, number: int) -> Record:
    key = f"NEW{world.number('made project')}"
    return world.create("project", key=key, name=f"New {number}", lead=next(iter(world.jira_users)))


def _make_field(world: World, number: int) -> Record:
    number = world.number("made field", 11_000)
    schema = {"type": "array", "items": "string", "custom": "com.atlassian.jira.plugin.system.customfieldtypes:labels"}
    return world.create("field", id=f"customfield_{number}", name=f"Field {number}", schema=schema)


def _named(kind: str, **more: Any) -> Callable[[World, int], Any]:
    return lambda world, number: world.create(kind, name=f"Made {world.number('made')}", **more)


def _part(kind: str, **more: Any) -> Callable[[World, int], Any]:
    return lambda world, _: world.create(
        kind, name=f"Made {world.number('made')}", projectId=int(_project(world)["id"]), **more
    )


_OPEN = {"statusCategory": jira_site.STATUSES["To Do"]["statusCategory"]}
_LEVEL = {"subtask": False, "hierarchyLevel": 0}


def _listed_case(rows: Callable[[World], Rows], kind: str, make: Callable[[World, int], Any], **changed: Any) -> Case:
    return Case(rows, _one_each(make), _change(kind, **(changed or {"description": "Changed"})), _delete(kind))


CASES: dict[str, Case] = {
    "projects": Case(
        projects,
        _one_each(_make_project),
        _change("project", name="Renamed", archived=True),
        _delete("project"),
        _undelete("project"),
    ),
    "components": _listed_case(components, "component", _part("component")),
    "versions": _listed_case(versions, "version", _part("version", releaseDate="2026-12-24"), released=True, description="Out"),
    "fields": Case(fields, _one_each(_make_field), _change("field", name="Renamed"), _delete("field"), _undelete("field")),
    "statuses": _listed_case(statuses, "issue_status", _named("issue_status", **_OPEN)),
    "issue_types": _listed_case(issue_types, "issue_type", _named("issue_type", **_LEVEL)),
    "priorities": _listed_case(priorities, "issue_priority", _named("issue_priority", statusColor="#ff0000", isDefault=False)),
    "resolutions": _listed_case(resolutions, "issue_resolution", _named("issue_resolution", default=True)),
    "users": _listed_case(
        users,
        "jira_user",
        lambda world, _: world.create("jira_user", displayName="A colleague"),
        active=False,
        emailAddress=None,
    ),
    "boards": _listed_case(boards, "board", _board, name="Renamed"),
    "sprints": _listed_case(
        sprints, "sprint", _sprint, state="closed", goal="Reached", completeDate="2026-11-02T05:00:00+00:00"
    ),
    "issues": Case(issues, _one_each(_new_issue), _change("issue", status="Done", labels=["changed"]), _delete("issue")),
    "issue_links": Case(issue_links, _one_each(_issue_link), None, _delete("issue_link")),
    "comments": Case(
        comments, _one_each(_comment), _change("issue_comment", body=jira_site.text("Edited")), _delete("issue_comment")
    ),
    "changelog": Case(changelog, _one_each(_changes), None, _delete("issue")),
    "remote_links": Case(
        remote_links, _one_each(_remote_link), _change("remote_link", relationship="explains"), _delete("remote_link")
    ),
    "worklogs": Case(
        worklogs, _one_each(_worklog), _change("worklog", timeSpentSeconds=1800, timeSpent="30m"), _delete("worklog")
    ),
}
