"""What a Zendesk account writes down by itself when a ticket comes, changes or goes: updates, comments, clocks, ratings.

Here belong the records that hang on a ticket. Not here: the ticket itself, or the endpoints that show its history.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

STORES = {  # kind → where the world keeps its records
    "ticket_audit": "ticket_audits",
    "ticket_comment": "ticket_comments",
    "ticket_metric_event": "ticket_metric_events",
    "satisfaction_rating": "satisfaction_ratings",
}
SYSTEM = -1  # who Zendesk says it was when it was Zendesk
RATED = ("offered", "good", "bad")
_TOLD = (  # fields whose changes are told, in this order; a custom field is told by its id
    "subject", "status", "type", "priority", "requester_id", "assignee_id", "group_id", "organization_id", "brand_id",
    "ticket_form_id", "problem_id", "external_id", "due_at", "tags",
)  # fmt: skip
_RUNNING = ("agent_work_time", "requester_wait_time")


def time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def values(ticket: Record) -> dict[str, Any]:
    """What can be told of a ticket, by field name."""
    custom = {str(field["id"]): field["value"] for field in ticket["custom_fields"]}
    return {**{name: ticket[name] for name in _TOLD}, **custom}


def born(world: World, ticket: Record, at: datetime) -> None:
    """The first update of a ticket sets its fields one by one, and carries its description as the first comment."""
    told = {name: value for name, value in values(ticket).items() if value not in (None, [])}
    events = [_event(world, "Create", name, value) for name, value in told.items()]
    update = audit(world, ticket, at, ticket["requester_id"], events)
    say(world, ticket, at, ticket["requester_id"], ticket["description"] or ticket["subject"], update=update)
    policies = list(world.alive("sla_policy"))
    for metric in ("reply_time", *_RUNNING):
        _clock(world, ticket, at, metric, "activate")
    for policy in policies[:1]:
        target = {"target": 60, "business_hours": False, "policy": {"id": policy["id"], "title": policy["title"]}}
        _clock(world, ticket, at, "reply_time", "apply_sla", sla=target)


def changed(world: World, ticket: Record, before: dict[str, Any], at: datetime) -> None:
    """An update for what is not as it was. An answer comes with waiting and solving, a note with putting on hold, and a
    customer who comes back says why."""
    after = values(ticket)
    events = [
        _event(world, "Change", name, after.get(name), before.get(name))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]
    if not events:
        return
    status = ticket["status"] if ticket["status"] != before["status"] else None
    agent, reopened = ticket["assignee_id"] or SYSTEM, status == "open" and before["status"] == "solved"
    author = ticket["requester_id"] if reopened else agent
    update = audit(world, ticket, at, author, events)
    said = {
        "pending": "Could you send us a screenshot, please?",
        "solved": "This works again. Please tell us if it does not.",
        "hold": "Waiting for the developers.",
        "open": "It happened again." if reopened else None,
    }.get(status or "")
    if said and author != SYSTEM and before["status"] != "deleted":
        say(world, ticket, at, author, said, public=status != "hold", update=update)
    if status and before["status"] != "deleted":
        _clocks(world, ticket, status, at)


def audit(world: World, ticket: Record, at: datetime, author: int, events: list[Record]) -> Record:
    update: Record = {
        "id": world.number("ticket_audit", 30000000001),
        "ticket_id": ticket["id"],
        "created_at": time(at),
        "author_id": author,
        "via": ticket["via"] if author == ticket["requester_id"] else {"channel": "web", "source": {"from": {}, "to": {}}},
        "metadata": {"system": {"client": "Sandbox", "location": "Copenhagen"}, "custom": {}},
        "events": events,
        "_comment": None,
    }
    world.store("ticket_audit")[update["id"]] = update
    ticket.setdefault("_audits", []).append(update["id"])
    world.changed("ticket_audit")
    return update


def _event(world: World, kind: str, name: str, value: Any, previous: Any = None) -> Record:
    event = {"id": world.number("ticket_event", 91000000001), "type": kind, "field_name": name, "value": value}
    return event if kind == "Create" else {**event, "previous_value": previous}


def say(
    world: World,
    ticket: Record,
    at: datetime,
    author: int,
    body: str,
    *,
    public: bool = True,
    update: Record | None = None,
) -> Record:
    """A comment, in an update of its own unless it comes with one."""
    update = update or audit(world, ticket, at, author, [])
    comment = {
        "id": world.number("ticket_event", 91000000001),
        "type": "Comment",
        "author_id": author,
        **_written(body),
        "public": public,
        "attachments": [],
        "audit_id": update["id"],
        "created_at": time(at),
        "via": update["via"],
        "_ticket_id": ticket["id"],
    }
    world.store("ticket_comment")[comment["id"]] = comment
    update["_comment"] = comment["id"]
    world.changed("ticket_comment", "ticket_audit")
    return comment


def _written(body: str) -> Record:
    marked = body.replace("&", "&amp;").replace("<", "&lt;")
    return {"body": body, "html_body": f'<div class="zd-comment" dir="auto"><p>{marked}</p></div>', "plain_body": body}


def revise(world: World, comment: Record, at: datetime, fields: dict[str, Any]) -> None:
    """A comment is redacted (`body`) or hidden (`public`); both is told in an update."""
    if "body" in fields:
        comment |= _written(fields["body"])
        event: Record = {"type": "CommentRedactionEvent", "comment_id": comment["id"]}
    else:
        comment["public"] = fields["public"]
        event = {"type": "CommentPrivacyChange", "comment_id": comment["id"], "public": fields["public"]}
    ticket = world.tickets[comment["_ticket_id"]]
    event = {"id": world.number("ticket_event", 91000000001), **event}
    audit(world, ticket, at, ticket["assignee_id"] or SYSTEM, [event])


# clocks ---------------------------------------------------------------------------------------------------------------


def _clocks(world: World, ticket: Record, status: str, at: datetime) -> None:
    """Stops and starts what runs on a ticket when its status changes."""
    if status in ("pending", "hold"):
        for metric in _RUNNING if status == "pending" else _RUNNING[:1]:
            _clock(world, ticket, at, metric, "pause")
    elif status == "open":
        for metric in _RUNNING:
            _clock(world, ticket, at, metric, "activate")
    elif status == "solved":
        for metric in ("reply_time", *_RUNNING):
            _clock(world, ticket, at, metric, "fulfill")
        _clock(world, ticket, at, "requester_wait_time", "update_status", status={"calendar": 40, "business": 13})


def _clock(world: World, ticket: Record, at: datetime, metric: str, kind: str, **more: Any) -> None:
    instance = 1 + ticket["metric_set"]["reopens"]
    fields = {"ticket_id": ticket["id"], "metric": metric, "instance_id": instance, "type": kind, **more}
    metric_event(world, at, fields, ticket)


def metric_event(world: World, at: datetime, fields: dict[str, Any], ticket: Record | None = None) -> Record:
    """Stamped with the change that it tells of; `_changed` is when it was written down or taken back."""
    ticket = ticket or world.tickets[fields["ticket_id"]]
    event: Record = {
        "id": world.number("ticket_metric_event", 926000000001),
        "time": time(at),
        "deleted": False,
        **fields,
        "_changed": time(at),
    }
    world.store("ticket_metric_event")[event["id"]] = event
    ticket.setdefault("_clocks", []).append(event["id"])
    world.changed("ticket_metric_event")
    return event


# ratings --------------------------------------------------------------------------------------------------------------


def rated(world: World, ticket: Record, at: datetime) -> None:
    """The rating of a ticket follows what stands in it; a customer has one for each ticket."""
    score = ticket["satisfaction_rating"]["score"]
    known = world.store("satisfaction_rating").get(ticket.get("_rating"))
    if known is not None:
        known |= {"score": score, "comment": ticket["satisfaction_rating"].get("comment"), "updated_at": time(at)}
    elif score in RATED:
        rating: Record = {
            "id": world.number("satisfaction_rating", 28000000001),
            "ticket_id": ticket["id"],
            "score": score,
            "comment": ticket["satisfaction_rating"].get("comment"),
            "reason": "No reason provided",
            "reason_id": None,
            "requester_id": ticket["requester_id"],
            "assignee_id": ticket["assignee_id"],
            "group_id": ticket["group_id"],
            "created_at": time(at),
            "updated_at": time(at),
        }
        world.store("satisfaction_rating")[rating["id"]] = rating
        ticket["_rating"] = rating["id"]
    world.changed("satisfaction_rating")


# what goes and comes back with a ticket -----------------------------------------------------------------------------


def gone(world: World, ticket: Record, at: datetime) -> None:
    for kind, record in _hanging_on(world, ticket):
        record.setdefault("_deleted_at", at.astimezone(UTC).isoformat())
        if kind == "ticket_metric_event":
            record |= {"deleted": True, "_changed": time(at)}
    world.changed(*STORES)


def back(world: World, ticket: Record, at: datetime) -> None:
    for kind, record in _hanging_on(world, ticket):
        record.pop("_deleted_at", None)
        if kind == "ticket_metric_event":
            record |= {"deleted": False, "_changed": time(at)}
    world.changed(*STORES)


def _hanging_on(world: World, ticket: Record) -> Iterator[tuple[str, Record]]:
    for kind, ids in (
        ("ticket_metric_event", ticket.get("_clocks", [])),
        ("satisfaction_rating", [ticket["_rating"]] if "_rating" in ticket else []),
    ):
        yield from ((kind, world.store(kind)[record_id]) for record_id in ids)
