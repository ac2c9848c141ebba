"""How a Zendesk account keeps its records: ids, stamps, ticket metrics, deletes, merges and links to Jira.

Here belongs what Zendesk does by itself when a record is made or changed. Not here: endpoints, or why it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

STORES = {  # kind → where the world keeps its records
    "ticket": "tickets",
    "zendesk_user": "zendesk_users",
    "organization": "organizations",
    "jira_link": "jira_links",
    "group": "groups",
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
AREA_FIELD, SEVERITY_FIELD = 22000001, 22000002
BRAND, FORM = 23000001, 24000001
OPEN = ("new", "open", "pending", "hold")


def stamp(kind: str, record: Record) -> int | str:
    value: int | str = record["generated_timestamp"] if kind == "ticket" else record["updated_at"]
    return int(record["id"]) if kind == "jira_link" else value


def time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def create(world: World, kind: str, at: datetime, fields: dict[str, Any]) -> Record:
    make = {
        "ticket": _ticket,
        "zendesk_user": _user,
        "organization": _organization,
        "jira_link": _jira_link,
        "group": _group,
    }[kind]
    return make(world, at, fields)


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
    change(world, "ticket", record, at, fields)
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


def change(_: World, kind: str, record: Record, at: datetime, fields: dict[str, Any]) -> None:
    unknown = fields.keys() - record.keys()
    if unknown:
        raise KeyError(f"{kind} has no field {', '.join(sorted(unknown))}")
    if kind == "ticket":
        _work_on(record, fields, at)
    record |= fields
    record["updated_at"] = time(at)
    if kind == "ticket":
        record["raw_subject"] = record["subject"]
        record["custom_status_id"] = STATUS_IDS[record["status"]]
        record["generated_timestamp"] = int(at.timestamp())


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
    """Tickets, users and organizations stay visible in the exports, marked; links just vanish."""
    if kind == "jira_link":
        return
    record["updated_at"] = time(at)
    if kind == "ticket":
        record |= {
            "status": "deleted",
            "custom_status_id": STATUS_IDS["deleted"],
            "generated_timestamp": int(at.timestamp()),
        }
    elif kind == "zendesk_user":
        record["active"] = False
    elif kind == "organization":
        record["deleted_at"] = time(at)
        for member_kind in ("zendesk_user", "ticket"):
            for member in [member for member in world.alive(member_kind) if member["organization_id"] == record["id"]]:
                world.change(member_kind, member["id"], at=at, organization_id=None)
    elif kind == "group":
        record["deleted"] = True


def scrub(ticket: Record, at: datetime) -> None:
    """Thirty days after a ticket's deletion Zendesk wipes what people wrote."""
    ticket |= {"subject": "SCRUBBED", "raw_subject": "SCRUBBED", "description": "SCRUBBED", "tags": []}
    ticket["generated_timestamp"] = int(at.timestamp())


def merge_users(world: World, loser: Record, winner: Record, at: datetime) -> None:
    for ticket in [ticket for ticket in world.alive("ticket") if ticket["requester_id"] == loser["id"]]:
        world.change("ticket", ticket["id"], at=at, requester_id=winner["id"])
    loser |= {"active": False, "email": None, "_deleted_at": at.isoformat(), "_merged_into": winner["id"]}
    loser["updated_at"] = winner["updated_at"] = time(at)
