"""What the administrators of a Zendesk account set up, who belongs where, and what stands in its help center.

Here belong records that no ticket brings along, and the ordinary ones of the first day. Not here: tickets, people and
organizations themselves, or any endpoint.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.sandbox import names
from connectors.sandbox.desk_history import time

if TYPE_CHECKING:
    from connectors.sandbox.founding import Size
    from connectors.sandbox.world import Record, World

STORES = {  # kind → where the world keeps its records
    "organization_membership": "organization_memberships",
    "brand": "brands",
    "ticket_field": "ticket_fields",
    "user_field": "user_fields",
    "organization_field": "organization_fields",
    "ticket_form": "ticket_forms",
    "custom_status": "custom_statuses",
    "sla_policy": "sla_policies",
    "schedule": "schedules",
    "holiday": "holidays",
    "integration_link": "integration_links",
    "article": "articles",
}
AREA_FIELD, SEVERITY_FIELD = 22000001, 22000002
BRAND, FORM = 23000001, 24000001
EXTERNAL_ID = "9d2f6c1e-5b7a-4f43-8f0e-3a1c5be0d7f1"  # of the newer Jira integration
_FIRST = {  # the first id of each kind that Zendesk numbers from a sequence of its own
    "organization_membership": 29000000001, "brand": BRAND, "ticket_field": AREA_FIELD, "user_field": 22200001,
    "organization_field": 22300001, "ticket_form": FORM, "custom_status": 21101, "sla_policy": 22400001,
    "schedule": 22500001, "holiday": 22600001, "article": 22700001,
}  # fmt: skip
_WEEK = [{"start_time": day * 1440 + 540, "end_time": day * 1440 + 1020} for day in range(1, 6)]
_FIELD: dict[str, Any] = {
    "type": "text", "title": "", "description": "", "active": True, "position": 1, "tag": None, "custom_field_options": [],
    "regexp_for_validation": None,
}  # fmt: skip
_DEFAULTS: dict[str, dict[str, Any]] = {
    "organization_membership": {"user_id": 0, "organization_id": 0, "default": None, "view_tickets": True},
    "brand": {
        "name": "", "subdomain": "quillmere", "brand_url": "https://quillmere.zendesk.com", "host_mapping": None,
        "active": True, "default": False, "is_deleted": False, "has_help_center": True, "help_center_state": "enabled",
        "logo": None, "signature_template": "{{agent.signature}}", "ticket_form_ids": [FORM],
    },
    "ticket_field": {
        **_FIELD, "title_in_portal": "", "required": False, "visible_in_portal": False, "removable": True,
        "system_field_options": [],
    },
    "user_field": {**_FIELD, "key": "", "system": False},
    "organization_field": {**_FIELD, "key": "", "system": False},
    "ticket_form": {
        "name": "", "display_name": "", "active": True, "default": False, "end_user_visible": True, "in_all_brands": True,
        "restricted_brand_ids": [], "position": 1, "ticket_field_ids": [AREA_FIELD], "agent_conditions": [],
        "end_user_conditions": [],
    },
    "custom_status": {
        "status_category": "open", "agent_label": "", "end_user_label": "", "description": "", "end_user_description": "",
        "active": True, "default": False,
    },
    "sla_policy": {
        "title": "", "description": "", "position": 1, "filter": {"all": [], "any": []},
        "policy_metrics": [{"priority": "high", "metric": "first_reply_time", "target": 60, "business_hours": False}],
    },
    "schedule": {"name": "", "time_zone": "Copenhagen", "intervals": _WEEK},
    "holiday": {"schedule_id": 0, "name": "", "start_date": "2026-12-24", "end_date": "2026-12-26"},
    "article": {
        "title": "", "body": "", "author_id": None, "section_id": 22800001, "locale": "en-us", "source_locale": "en-us",
        "draft": False, "promoted": False, "outdated": False, "position": 0, "label_names": [], "content_tag_ids": [],
        "user_segment_id": None, "permission_group_id": 22900001, "vote_sum": 0, "vote_count": 0, "comments_disabled": False,
        "html_url": None, "edited_at": None,
    },
}  # fmt: skip
_UNSTAMPED = ("holiday",)


def create(world: World, kind: str, at: datetime, fields: dict[str, Any]) -> Record:
    if kind == "integration_link":
        return _integration_link(world, fields)
    stamps = {} if kind in _UNSTAMPED else {"created_at": time(at), "updated_at": time(at)}
    record = {"id": fields.get("id") or world.number(kind, _FIRST[kind]), **_copied(_DEFAULTS[kind]), **stamps, **fields}
    if kind == "article":
        record["edited_at"] = time(at)
    return record


def _copied(defaults: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, list) else value for name, value in defaults.items()}


def _integration_link(world: World, fields: dict[str, Any]) -> Record:
    """Takes ticket_id and issue_id. The newer integration numbers nothing and dates nothing; `id` is the world's."""
    issue = world.issues[fields["issue_id"]]
    ticket = str(fields["ticket_id"])
    own = f"{EXTERNAL_ID}/{ticket}/{issue['id']}"
    return {"id": own, "ticket_id": ticket, "issue_id": issue["id"], "issue_key": issue["key"]}


def change(kind: str, record: Record, at: datetime, fields: dict[str, Any]) -> None:
    record |= fields
    if "updated_at" in record:
        record["updated_at"] = time(at)
    if kind == "article" and "body" in fields:
        record["edited_at"] = time(at)


def delete(world: World, kind: str, record: Record, at: datetime) -> None:
    if kind == "brand":
        record |= {"is_deleted": True, "active": False, "updated_at": time(at)}
    if kind == "schedule":
        for holiday in [holiday for holiday in world.alive("holiday") if holiday["schedule_id"] == record["id"]]:
            world.delete("holiday", holiday["id"], at=at)


def belong(world: World, user: Record, at: datetime) -> None:
    """Keeps the default membership of a person in step with the organization that stands in the person's record."""
    memberships = world.store("organization_membership")
    known = memberships.get(user.get("_membership"))
    if known and "_deleted_at" not in known:
        if known["organization_id"] == user["organization_id"] and user["active"]:
            return
        known["_deleted_at"] = at.isoformat()
    if not user["active"]:
        for other in memberships.values():
            if other["user_id"] == user["id"]:
                other.setdefault("_deleted_at", at.isoformat())
    elif user["organization_id"]:
        fields = {"user_id": user["id"], "organization_id": user["organization_id"], "default": True}
        new = create(world, "organization_membership", at, fields)
        memberships[new["id"]] = new
        user["_membership"] = new["id"]
    world.changed("organization_membership")


# the first day --------------------------------------------------------------------------------------------------------


def settings(world: World, wanted: Size) -> None:
    """What was set up before the first ticket came; nothing in an empty world."""
    if not wanted.tickets:
        return
    at = world.now.replace(year=world.now.year - 3)
    world.create("brand", at=at, name="Quillmere", default=True)
    options = [{"id": 22100001 + place, "name": area, "value": area.lower()} for place, area in enumerate(names.PRODUCT_AREAS)]
    world.create("ticket_field", at=at, type="tagger", title="Product area", custom_field_options=options)
    world.create("ticket_field", at=at, type="text", title="Severity")
    world.create("user_field", at=at, key="department", title="Department")
    world.create("organization_field", at=at, key="support_plan", type="dropdown", title="Support plan")
    world.create("ticket_form", at=at, name="Default ticket form", display_name="Ask us", default=True)
    world.create("custom_status", at=at, status_category="open", agent_label="With developers", end_user_label="Open")
    world.create("custom_status", at=at, status_category="pending", agent_label="Waiting for a call", end_user_label="Waiting")
    world.create("sla_policy", at=at, title="Paying customers", description="An answer within the hour")
    office = world.create("schedule", at=at, name="Office hours")
    world.create("holiday", at=at, schedule_id=office["id"], name="Christmas")
    world.create("holiday", at=at, schedule_id=office["id"], name="New Year", start_date="2026-12-31", end_date="2027-01-01")


def publications(world: World, wanted: Size) -> None:
    """Articles, second memberships, links of the newer integration: what came to be beside tickets."""
    if not wanted.tickets:
        return
    chance = world.chance("desk settings")
    at = world.now.replace(year=world.now.year - 1)
    for area in names.PRODUCT_AREAS[:4]:
        steps = "<ul><li>Choose &lsquo;Settings&rsquo;</li><li>Switch it on</li></ul>"
        body = f"<h1>{area}</h1><p>How to set up <b>{area.lower()}</b>&nbsp;step by step.</p>{steps}"
        world.create("article", at=at, title=f"Getting started with {area}", body=body, label_names=[area.lower()])
    organizations, people = list(world.organizations), list(world.zendesk_users)
    for _ in range(min(2, len(organizations))):
        world.create(
            "organization_membership",
            at=at,
            user_id=chance.choice(people),
            organization_id=chance.choice(organizations),
        )
    tickets, issues = list(world.tickets), list(world.issues)
    for place in range(3):
        world.create("integration_link", at=at, ticket_id=tickets[place], issue_id=chance.choice(issues))
