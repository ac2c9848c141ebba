"""How a Zendesk account keeps its records: ids, stamps, ticket metrics, deletes, merges and links to Jira.

Here belongs what Zendesk does by itself when a record is made or changed. Not here: endpoints, or why it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from connectors.sandbox import desk_history, desk_settings
from connectors.sandbox.desk_history import time as time
from connectors.sandbox.desk_settings import AREA_FIELD as AREA_FIELD
from connectors.sandbox.desk_settings import BRAND as BRAND
from connectors.sandbox.desk_settings import FORM as FORM
from connectors.sandbox.desk_settings import SEVERITY_FIELD as SEVERITY_FIELD

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

STORES = {  # kind → where the world keeps its records
    "ticket": "tickets",
    "zendesk_user": "zendesk_users",
    "organization": "organizations",
    "jira_link": "jira_links",
    "group": "groups",
    **desk_history.STORES,
    **desk_settings.STORES,
}
IDS: Mapping[str, str] = {}  # where a record's id is not in `id`

STATUS_IDS = {
    "new": 21001,
    "open": 21002,
    "pending": 21003,
    "hold": 21004,
    "solved": 21005,
    "closed": 21005,
    "deleted": 21005,
}
OPEN = ("new", "open", "pending", "hold")


_STAMPS = {"ticket": "generated_timestamp", "ticket_audit": "created_at", "ticket_metric_event": "_changed"}
_BY_TIME = ("zendesk_user", "organization", "article")


def stamp(kind: str, record: Record) -> int | str:
    """What a kind is exported or listed by: its time, or its id."""
    if kind in _STAMPS or kind in _BY_TIME:
        value: int | str = record[_STAMPS.get(kind, "updated_at")]
        return value
    return str(record["id"]) if kind == "integration_link" else int(record["id"])


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def create(world: World, kind: str, at: datetime, fields: dict[str, Any]) -> Record:
    if kind in desk_settings.STORES:
        return desk_settings.create(world, kind, at, fields)
    make = {
        "ticket": _ticket,
        "zendesk_user": _user,
        "organization": _organization,
        "jira_link": _jira_link,
        "group": _group,
        "ticket_comment": _comment,
        "ticket_metric_event": desk_history.metric_event,
    }[kind]
    return make(world, at, fields)


def _comment(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    """Takes ticket_id, body and, unless the requester writes it for all to read, author_id and public."""
    ticket = world.tickets[fields["ticket_id"]]
    author: int = fields["author_id"] if "author_id" in fields else ticket["requester_id"]
    _stamp(world, ticket, at)
    ticket["metric_set"] |= {"latest_comment_added_at": time(at), "updated_at": time(at)}
    return desk_history.say(world, ticket, at, author, fields["body"], public=fields.get("public", True))


def _stamp(world: World, ticket: Record, at: datetime) -> None:
    ticket |= {"updated_at": time(at), "generated_timestamp": int(at.timestamp())}
    world.changed("ticket")


def _ticket(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    new_id = world.number("ticket", 1001)
    requester = world.zendesk_users[fields["requester_id"]]
    record: Record = {
        "id": new_id,
        "external_id": None,
        "via": {"channel": "email", "source": {"from": {}, "to": {}, "rel": None}},
        "created_at": time(at),
        "updated_at": time(at),
        "generated_timestamp": int(at.timestamp()),
        "type": None,
        "subject": "",
        "raw_subject": "",
        "description": "",
        "priority": None,
        "status": "new",
        "recipient": None,
        "requester_id": requester["id"],
        "submitter_id": requester["id"],
        "assignee_id": None,
        "organization_id": requester["organization_id"],
        "group_id": next(iter(world.groups), None),
        "collaborator_ids": [],
        "follower_ids": [],
        "email_cc_ids": [],
        "forum_topic_id": None,
        "problem_id": None,
        "has_incidents": False,
        "is_public": True,
        "due_at": None,
        "tags": [],
        "custom_fields": [{"id": AREA_FIELD, "value": None}, {"id": SEVERITY_FIELD, "value": None}],
        "satisfaction_rating": {"score": "unoffered"},
        "sharing_agreement_ids": [],
        "custom_status_id": STATUS_IDS["new"],
        "followup_ids": [],
        "ticket_form_id": FORM,
        "brand_id": BRAND,
        "allow_channelback": False,
        "allow_attachments": True,
        "from_messaging_channel": False,
        "metric_set": _metrics(new_id, at),
    }
    _apply(record, at, fields)
    desk_history.born(world, record, at)
    desk_history.rated(world, record, at)
    return record


def _metrics(ticket_id: int, at: datetime) -> Record:
    minutes = {"calendar": None, "business": None}
    return {
        "id": 25000000 + ticket_id,
        "ticket_id": ticket_id,
        "created_at": time(at),
        "updated_at": time(at),
        "group_stations": 1,
        "assignee_stations": 0,
        "reopens": 0,
        "replies": 0,
        "assignee_updated_at": None,
        "requester_updated_at": time(at),
        "status_updated_at": time(at),
        "initially_assigned_at": None,
        "assigned_at": None,
        "solved_at": None,
        "latest_comment_added_at": time(at),
        "reply_time_in_minutes": dict(minutes),
        "first_resolution_time_in_minutes": dict(minutes),
        "full_resolution_time_in_minutes": dict(minutes),
        "agent_wait_time_in_minutes": dict(minutes),
        "requester_wait_time_in_minutes": dict(minutes),
        "on_hold_time_in_minutes": {"calendar": 0, "business": 0},
    }


def _user(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    user = _person(world, at, fields)
    desk_settings.belong(world, user, at)
    return user


def _person(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    return {
        "id": world.number("zendesk_user", 1900000000001),
        "name": None,
        "email": None,
        "created_at": time(at),
        "updated_at": time(at),
        "time_zone": "Copenhagen",
        "iana_time_zone": "Europe/Copenhagen",
        "phone": None,
        "shared_phone_number": None,
        "photo": None,
        "locale_id": 1,
        "locale": "en-US",
        "organization_id": None,
        "role": "end-user",
        "verified": True,
        "external_id": None,
        "tags": [],
        "alias": "",
        "active": True,
        "shared": False,
        "shared_agent": False,
        "last_login_at": None,
        "two_factor_auth_enabled": None,
        "signature": None,
        "details": "",
        "notes": "",
        "role_type": None,
        "custom_role_id": None,
        "moderator": False,
        "ticket_restriction": "requested",
        "only_private_comments": False,
        "restricted_agent": True,
        "suspended": False,
        "default_group_id": None,
        "report_csv": False,
        "user_fields": {"department": None},
        **fields,
    }


def _organization(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    return {
        "id": world.number("organization", 1500000000001),
        "name": None,
        "shared_tickets": False,
        "shared_comments": False,
        "external_id": None,
        "created_at": time(at),
        "updated_at": time(at),
        "domain_names": [],
        "details": "",
        "notes": "",
        "group_id": None,
        "tags": [],
        "organization_fields": {"support_plan": None},
        "deleted_at": None,
        **fields,
    }


def _jira_link(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    """Takes ticket_id and issue_id; the key is the issue's at this moment and stays as it is when the issue moves."""
    issue = world.issues[fields["issue_id"]]
    new_id = str(world.number("jira_link", 26000001))
    return {
        "id": new_id,
        "ticket_id": str(fields["ticket_id"]),
        "issue_id": issue["id"],
        "issue_key": fields.get("issue_key", issue["key"]),
        "created_at": time(at),
        "updated_at": time(at),
    }


def _group(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    new_id = world.number("group", 27000001)
    flags = {"is_public": True, "default": False, "deleted": False, "description": ""}
    return {"id": new_id, **flags, "created_at": time(at), "updated_at": time(at), **fields}


def change(world: World, kind: str, record: Record, at: datetime, fields: dict[str, Any]) -> None:
    unknown = fields.keys() - record.keys()
    if unknown:
        raise KeyError(f"{kind} has no field {', '.join(sorted(unknown))}")
    if kind == "ticket_comment":
        desk_history.revise(world, record, at, fields)
        _stamp(world, world.tickets[record["_ticket_id"]], at)
    elif kind in desk_settings.STORES:
        desk_settings.change(kind, record, at, fields)
    elif kind == "ticket":
        before = desk_history.values(record)
        _apply(record, at, fields)
        desk_history.changed(world, record, before, at)
        if "satisfaction_rating" in fields:
            desk_history.rated(world, record, at)
    else:
        record |= fields
        record["updated_at"] = time(at)
        if kind == "zendesk_user":
            desk_settings.belong(world, record, at)


def _apply(ticket: Record, at: datetime, fields: dict[str, Any]) -> None:
    unknown = fields.keys() - ticket.keys()
    if unknown:
        raise KeyError(f"ticket has no field {', '.join(sorted(unknown))}")
    _work_on(ticket, fields, at)
    ticket |= fields
    ticket |= {"updated_at": time(at), "generated_timestamp": int(at.timestamp())}
    ticket |= {"raw_subject": ticket["subject"], "custom_status_id": STATUS_IDS[ticket["status"]]}


def _work_on(ticket: Record, fields: dict[str, Any], at: datetime) -> None:
    """Moves the ticket's metrics along with its status and assignee."""
    metrics = ticket["metric_set"]
    metrics["updated_at"] = time(at)
    if fields.get("assignee_id") and fields["assignee_id"] != ticket["assignee_id"]:
        metrics["assignee_stations"] += 1
        metrics["assigned_at"] = metrics["assignee_updated_at"] = time(at)
        metrics["initially_assigned_at"] = metrics["initially_assigned_at"] or time(at)
    status = fields.get("status", ticket["status"])
    if status == ticket["status"]:
        return
    metrics["status_updated_at"] = time(at)
    minutes = int((at - moment(ticket["created_at"])).total_seconds() // 60)
    spent = {"calendar": minutes, "business": minutes // 3}
    if status in ("pending", "solved") and metrics["reply_time_in_minutes"]["calendar"] is None:
        metrics["reply_time_in_minutes"] = dict(spent)
        metrics["replies"] += 1
    if status == "solved":
        metrics["solved_at"] = time(at)
        metrics["full_resolution_time_in_minutes"] = dict(spent)
        if metrics["first_resolution_time_in_minutes"]["calendar"] is None:
            metrics["first_resolution_time_in_minutes"] = dict(spent)
    elif ticket["status"] == "solved" and status in OPEN:
        metrics["reopens"] += 1
        metrics["solved_at"] = None
        metrics["full_resolution_time_in_minutes"] = {"calendar": None, "business": None}


def delete(world: World, kind: str, record: Record, at: datetime) -> None:
    """Tickets, users and organizations stay visible in the exports, marked; what is only listed just vanishes."""
    if kind in desk_settings.STORES:
        desk_settings.delete(world, kind, record, at)
    elif kind == "ticket":
        record["_status"] = record["status"]
        _set_status(world, record, "deleted", at)
        desk_history.gone(world, record, at)
    elif kind == "zendesk_user":
        record |= {"updated_at": time(at), "active": False}
        desk_settings.belong(world, record, at)
    elif kind == "organization":
        record |= {"updated_at": time(at), "deleted_at": time(at)}
        for member_kind in ("zendesk_user", "ticket"):
            for member in [member for member in world.alive(member_kind) if member["organization_id"] == record["id"]]:
                world.change(member_kind, member["id"], at=at, organization_id=None)
        for other in [each for each in world.alive("organization_membership") if each["organization_id"] == record["id"]]:
            world.delete("organization_membership", other["id"], at=at)
    elif kind == "group":
        record |= {"updated_at": time(at), "deleted": True}


def undelete(world: World, kind: str, record: Record, at: datetime) -> None:
    """Only tickets come back, within thirty days."""
    if kind != "ticket" or record["subject"] == "SCRUBBED":
        raise KeyError(f"{kind} does not come back")
    _set_status(world, record, record.pop("_status"), at)
    desk_history.back(world, record, at)


def _set_status(world: World, ticket: Record, status: str, at: datetime) -> None:
    """As Zendesk does by itself, without an effect on the ticket's figures."""
    before = desk_history.values(ticket)
    ticket |= {"status": status, "custom_status_id": STATUS_IDS[status]}
    ticket |= {"updated_at": time(at), "generated_timestamp": int(at.timestamp())}
    desk_history.changed(world, ticket, before, at)


def scrub(ticket: Record, at: datetime) -> None:
    """Thirty days after a ticket's deletion Zendesk wipes what people wrote, and forgets its history."""
    ticket |= {"subject": "SCRUBBED", "raw_subject": "SCRUBBED", "description": "SCRUBBED", "tags": []}
    ticket["generated_timestamp"] = int(at.timestamp())


def merge_users(world: World, loser: Record, winner: Record, at: datetime) -> None:
    for ticket in [ticket for ticket in world.alive("ticket") if ticket["requester_id"] == loser["id"]]:
        world.change("ticket", ticket["id"], at=at, requester_id=winner["id"])
    loser |= {"active": False, "email": None, "_deleted_at": at.isoformat(), "_merged_into": winner["id"]}
    loser["updated_at"] = winner["updated_at"] = time(at)
    desk_settings.belong(world, loser, at)
