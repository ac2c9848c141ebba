"""What hangs on issues: comments, logged work, links to other issues and to pages elsewhere, and the history.

Here belongs what Jira does with the issue when one of these comes, changes or goes. Not here: the issues themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from connectors.sandbox import jira_history

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

STORES = {  # kind → where the world keeps its records
    "issue_comment": "issue_comments",
    "worklog": "worklogs",
    "remote_link": "remote_links",
    "issue_link": "issue_links",
    "issue_history": "issue_histories",
}
LINK_TYPES: dict[str, Record] = {
    link_id: {"id": link_id, "name": name, "inward": inward, "outward": outward}
    for link_id, name, inward, outward in (
        ("10000", "Blocks", "is blocked by", "blocks"),
        ("10001", "Cloners", "is cloned by", "clones"),
        ("10002", "Duplicate", "is duplicated by", "duplicates"),
        ("10003", "Polaris work item link", "is implemented by", "implements"),
    )
}
# Jira called issues work items from the middle of 2025 on; what was written before kept its name.
_REMOTE = ("RemoteIssueLink", "RemoteWorkItemLink")
_RENAMED = "2026-06-01"


def of_issue(world: World, issue_id: str) -> Iterator[Record]:
    """What goes with an issue."""
    for kind in ("issue_comment", "worklog", "remote_link", "issue_history"):
        yield from (record for record in by_issue(world, kind).get(issue_id, ()) if "_deleted_at" not in record)


def by_issue(world: World, kind: str) -> dict[str, list[Record]]:
    """The records of a kind, deleted ones too, by issue, in the order in which they were made."""

    def grouped() -> dict[str, list[Record]]:
        groups: dict[str, list[Record]] = {}
        for record in world.store(kind).values():
            groups.setdefault(record["issue"], []).append(record)
        return groups

    found: dict[str, list[Record]] = world.derived(kind, "by issue", grouped)
    return found


def links_of(world: World, issue_id: str) -> list[Record]:
    """The living links of an issue, from whichever end."""

    def grouped() -> dict[str, list[Record]]:
        groups: dict[str, list[Record]] = {}
        for link in world.alive("issue_link"):
            for end in ("source", "target"):
                groups.setdefault(link[end], []).append(link)
        return groups

    found: dict[str, list[Record]] = world.derived("issue_link", "by issue", grouped)
    return found.get(issue_id, [])


def create(world: World, kind: str, at: str, fields: dict[str, Any]) -> Record:
    if kind == "issue_link":
        return _link(world, at, fields)
    issue = world.issues[fields["issue"]]
    if kind == "remote_link":
        record: Record = {"id": world.number("remote link", 10500), "relationship": "mentioned in", "application": {}, **fields}
        _told(world, issue, at, _remote(at, after=record))
        return record
    writer = fields.setdefault("author", world.chance("who writes in Jira").choice(list(world.jira_users)))
    stamps = {"updateAuthor": writer, "created": at, "updated": at}
    if kind == "issue_comment":
        _told(world, issue, at)
        return {"id": str(world.number("issue comment", 40001)), "jsdPublic": True, **stamps, **fields}
    record = {"id": str(world.number("worklog", 50001)), "comment": None, "started": at, **stamps, **fields}
    _told(world, issue, at, *_worked(world, record, 0, record["timeSpentSeconds"]), author=writer)
    return record


def change(world: World, kind: str, record: Record, at: str, fields: dict[str, Any]) -> None:
    before = dict(record)
    record |= fields
    items: list[Record] = []
    if kind in ("issue_comment", "worklog"):
        record["updated"] = at
    if kind == "remote_link":
        items = [_remote(at, before, record)]
    if kind == "worklog" and record["timeSpentSeconds"] != before["timeSpentSeconds"]:
        items = _worked(world, record, before["timeSpentSeconds"], record["timeSpentSeconds"])
    _told(world, world.issues[record["issue"]], at, *items)


def delete(world: World, kind: str, record: Record, at: str) -> None:
    if kind == "issue_link":
        _unlink(world, record, at)
        return
    issue = world.issues[record["issue"]]
    if kind == "issue_comment":
        _told(world, issue, at, jira_history.item("Comment", (record["id"], jira_history.words(record["body"]))))
    elif kind == "worklog":
        _told(world, issue, at, *_worked(world, record, record["timeSpentSeconds"], 0))
    elif kind == "remote_link":
        _told(world, issue, at, _remote(at, before=record))


def spent(world: World, issue_id: str) -> int | None:
    """Seconds of work logged on an issue."""
    work = [log["timeSpentSeconds"] for log in by_issue(world, "worklog").get(issue_id, ()) if "_deleted_at" not in log]
    return sum(work) if work else None


def _told(world: World, issue: Record, at: str, *items: Record, author: str | None = None) -> None:
    """The issue counts as changed, unless it was changed later already: the past is only made up on the first day."""
    jira_history.write(world, issue, at, items, author)
    issue["fields"]["updated"] = max(issue["fields"]["updated"], at)
    world.changed("issue")


def _worked(world: World, record: Record, before: int, after: int) -> list[Record]:
    spent_so_far = spent(world, record["issue"]) or 0
    was = spent_so_far if record["id"] not in world.store("worklog") else spent_so_far - after + before
    shown = [(str(seconds), str(seconds)) if seconds else (None, None) for seconds in (was, was - before + after)]
    items = [jira_history.item("timespent", *shown, field_id="timespent")]
    if before:  # who logs work anew leaves no number, who changes or takes it back does
        items.append(jira_history.item("WorklogId", (record["id"], record["id"])))
    return items


def _remote(at: str, before: Record | None = None, after: Record | None = None) -> Record:
    def shown(link: Record | None) -> jira_history.Shown:
        return (str(link["id"]), f'This issue links to "{link["object"]["title"]} (Web Link)"') if link else (None, None)

    return jira_history.item(_REMOTE[at >= _RENAMED], shown(before), shown(after))


def _link(world: World, at: str, fields: dict[str, Any]) -> Record:
    record = {"id": str(world.number("issue link", 10200)), **fields}
    for issue, words, other in _ends(world, record):
        _told(world, issue, at, jira_history.item("Link", after=_linked(record, words, other), field_id="issuelinks"))
    return record


def _unlink(world: World, record: Record, at: str) -> None:
    for issue, words, other in _ends(world, record):
        if "_deleted_at" not in issue:
            _told(world, issue, at, jira_history.item("Link", _linked(record, words, other), field_id="issuelinks"))


def _ends(world: World, record: Record) -> tuple[tuple[Record, str, Record], ...]:
    source, target = world.issues[record["source"]], world.issues[record["target"]]
    return (source, "outward", target), (target, "inward", source)


def _linked(record: Record, words: str, other: Record) -> jira_history.Shown:
    return other["key"], f"This issue {LINK_TYPES[record['type']][words]} {other['key']}"
