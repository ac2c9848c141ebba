"""Tickets of all ages, worked on as their age demands, some of them linked to issues.

Here belongs what customers ask. Not here: who they are, or how a ticket is stamped.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.sandbox import names, zendesk_desk
from connectors.sandbox.colleagues import agents

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World


def tickets(world: World, number: int) -> None:
    """Tickets of all ages; every sixth is linked to an issue: done ones only to tickets that are solved."""
    askers = [user["id"] for user in world.alive("zendesk_user") if user["organization_id"]]
    linkable = {done: _linkable(world, done) for done in (False, True)}
    for place in range(number):
        ticket = ask(world, world.random.choice(askers), days_ago=world.random.random() ** 2 * 300 + 1)
        if place % 6 == 0:
            solved = ticket["status"] not in zendesk_desk.OPEN
            issue = world.random.choice(linkable[solved and place % 12 == 0])
            world.create(
                "jira_link", at=zendesk_desk.moment(ticket["updated_at"]), ticket_id=ticket["id"], issue_id=issue["id"]
            )


def _linkable(world: World, done: bool) -> list[Record]:
    issues = [issue for issue in world.alive("issue") if issue["fields"]["issuetype"]["name"] != "Task"]
    return [issue for issue in issues if (issue["fields"]["status"]["statusCategory"]["key"] == "done") == done]


def ask(world: World, requester_id: int, days_ago: float, status: str | None = None, **fields: Any) -> Record:
    """A ticket, worked on as its age demands: what is older than a month is closed."""
    random = world.random
    subject = random.choice(names.COMPLAINTS)
    text = f"{subject}. We see this since yesterday, on all machines."
    if random.random() < 0.08:
        text += f" Your colleague mentioned {world.issues[str(random.randrange(10001, 10001 + len(world.issues)))]['key']}."
    area = random.choice(names.PRODUCT_AREAS)
    created = world.ago(days_ago)
    values: Record = {
        "requester_id": requester_id,
        "subject": subject,
        "description": text,
        "type": random.choice(("question", "incident", "problem", "task")),
        "priority": random.choice(("low", "normal", "normal", "high", "urgent")),
        "via": {"channel": random.choice(("email", "web", "api")), "source": {"from": {}, "to": {}, "rel": None}},
        "tags": sorted(
            {
                area.lower(),
                *random.sample(("how-to", "bug", "request", "vip"), k=1),
                *(("escalated",) if random.random() < 0.05 else ()),
            }
        ),
        "custom_fields": [
            {"id": zendesk_desk.AREA_FIELD, "value": area.lower()},
            {"id": zendesk_desk.SEVERITY_FIELD, "value": None},
        ],
        **fields,
    }
    ticket = world.create("ticket", at=created, **values)
    if status is None:
        status = (
            "closed"
            if days_ago > 32
            else random.choice(("new", "open", "open", "pending", "hold", "solved", "solved", "solved"))
        )
    work_until(world, ticket, status, created)
    return ticket


def work_until(world: World, ticket: Record, status: str, at: datetime) -> None:
    """Takes a new ticket step by step to a status, so that its metrics tell the same story."""
    steps = {"open": ["open"], "pending": ["open", "pending"], "hold": ["open", "hold"], "solved": ["open", "solved"]}
    steps["closed"] = [*steps["solved"], "closed"]
    if status in ("solved", "closed") and world.random.random() < 0.1:
        steps[status] = ["open", "solved", *steps[status]]
    for step in steps.get(status, []):
        at = min(
            at + timedelta(minutes=world.random.randrange(20, 2000)),
            world.now - timedelta(minutes=world.random.randrange(5, 400)),
        )
        change: Record = {"status": step}
        if ticket["assignee_id"] is None:
            change["assignee_id"] = world.random.choice(agents(world))
        if step == "solved" and world.random.random() < 0.3:
            change["satisfaction_rating"] = {"score": world.random.choice(("good", "good", "good", "bad", "offered"))}
        world.change("ticket", ticket["id"], at=max(at, zendesk_desk.moment(ticket["updated_at"])), **change)
