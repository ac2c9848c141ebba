"""What a change leaves in an issue's history: one entry per change, one item per changed field, in Jira's own shapes.

Here belongs how a value before and after is written down. Not here: what changes, or how the history is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

Shown = tuple[str | None, str | None]  # a value's id, and what people read

_NOTHING: Shown = (None, None)
_UNTOLD = ("updated", "creator", "statuscategorychangedate", "resolutiondate", "issuelinks")
_NAMES = {"fixVersions": "Fix Version", "versions": "Version", "components": "Component", "parent": "IssueParentAssociation"}
_WITHOUT_ID = ("parent",)  # fields that an item does not name by id


def write(world: World, issue: Record, at: str, items: Iterable[Record], author: str | None = None) -> None:
    """Adds an entry, by `author` or anybody who works here, unless nothing changed."""
    items = list(items)
    if items:
        new_id = str(world.number("issue history", 30001))
        author = author or world.chance("who works in Jira").choice(list(world.jira_users))
        entry = {"id": new_id, "issue": issue["id"], "author": author, "created": at, "items": items}
        world.store("issue_history")[new_id] = entry
        world.changed("issue_history")


def item(field: str, before: Shown = _NOTHING, after: Shown = _NOTHING, *, field_id: str | None = None) -> Record:
    kind = "custom" if (field_id or "").startswith("customfield_") else "jira"
    named = {"fieldId": field_id} if field_id else {}
    values = {"from": before[0], "fromString": before[1], "to": after[0], "toString": after[1]}
    return {"field": field, "fieldtype": kind, **named, **values}


def differences(world: World, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Record]:
    """An item for each field that is not what it was; for lists of versions and components one for each that came or went."""
    for name, value in after.items():
        was = before[name]
        if value == was or name in _UNTOLD:
            continue
        custom = world.fields.get(name, {}).get("custom")
        field = world.fields[name]["name"] if custom else _NAMES.get(name, name)
        field_id = None if name in _WITHOUT_ID else name
        if name in ("fixVersions", "versions", "components"):
            yield from _came_and_went(world, field, field_id, was, value)
        else:
            yield item(field, _shown(world, name, was), _shown(world, name, value), field_id=field_id)


def _came_and_went(world: World, field: str, field_id: str | None, was: Any, value: Any) -> Iterable[Record]:
    for gone in (each for each in was if each not in value):
        yield item(field, before=_part(world, gone), field_id=field_id)
    for new in (each for each in value if each not in was):
        yield item(field, after=_part(world, new), field_id=field_id)


def _part(world: World, value: Any) -> Shown:
    """A version, which issues keep by its id, or a component, which they keep with its name."""
    return (value["id"], value["name"]) if isinstance(value, dict) else (value, world.versions[value]["name"])


def _shown(world: World, name: str, value: Any) -> Shown:
    if value is None:
        return _NOTHING
    if name == "labels":
        return "", " ".join(value)
    if name == "parent":
        return value["id"], world.issues[value["id"]]["key"]
    if name == "duedate":
        return value, f"{value} 00:00:00.0"
    if name in world.fields and world.fields[name]["schema"].get("custom", "").endswith("gh-sprint"):
        return ", ".join(map(str, value)), ", ".join(world.store("sprint")[each]["name"] for each in value)
    if isinstance(value, dict):
        if value.get("type") == "doc":
            return None, words(value)
        return value.get("accountId") or value.get("id"), value.get("displayName") or value.get("name") or value.get("value")
    return None, f"{value:g}" if isinstance(value, float) else str(value)


def words(document: Record | None) -> str:
    """The text of a document as the history keeps it: paragraphs one below the other."""
    paragraphs = (document or {}).get("content", ())
    return "\n".join("".join(node.get("text", "") for node in paragraph["content"]) for paragraph in paragraphs)
