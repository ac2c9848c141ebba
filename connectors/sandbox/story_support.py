"""What happens in support by itself: people ask, are answered, come back, leave, tidy up.

Here belong the events and how often they come. Not here: how a record is stamped, or the first day.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from connectors.sandbox import colleagues, customers, names, story_desk, zendesk_desk

if TYPE_CHECKING:
    from connectors.sandbox.world import World


def overnight(world: World) -> None:
    """Zendesk's own machinery: solved tickets close after four days, deleted ones are scrubbed after thirty."""
    closing, scrubbing = (zendesk_desk.time(world.now - timedelta(days=days)) for days in (4, 30))
    at = world.now - timedelta(hours=2)
    for ticket in world.tickets.values():
        if ticket["status"] == "solved" and ticket["updated_at"] < closing:
            world.change("ticket", ticket["id"], at=at, status="closed")
        elif ticket["status"] == "deleted" and ticket["updated_at"] < scrubbing and ticket["subject"] != "SCRUBBED":
            zendesk_desk.scrub(ticket, at)
            world.changed("ticket")


def _ticket_comes_in(world: World) -> None:
    if asker := world.any("zendesk_user", lambda user: bool(user["organization_id"])):
        subject = world.random.choice(names.COMPLAINTS)
        text = f"{subject}. It worked last week."
        if world.random.random() < 0.15 and (issue := world.any("issue")):
            text += f" Is this {issue['key']} again?"
        priority = world.random.choice(("low", "normal", "high", "urgent"))
        world.create(
            "ticket",
            requester_id=asker["id"],
            subject=subject,
            description=text,
            priority=priority,
            type="question",
            tags=["how-to"],
        )


def _ticket_is_worked_on(world: World) -> None:
    following = {"new": "open", "open": "solved", "pending": "open", "hold": "open"}
    if ticket := world.any("ticket", lambda ticket: ticket["status"] in following):
        assignee = ticket["assignee_id"] or world.random.choice(colleagues.agents(world))
        world.change("ticket", ticket["id"], status=following[ticket["status"]], assignee_id=assignee)


def _ticket_waits(world: World) -> None:
    if ticket := world.any("ticket", lambda ticket: ticket["status"] == "open"):
        world.change("ticket", ticket["id"], status=world.random.choice(("pending", "hold")))


def _ticket_is_reopened(world: World) -> None:
    if ticket := world.any("ticket", lambda ticket: ticket["status"] == "solved"):
        world.change("ticket", ticket["id"], status="open")


def _ticket_is_deleted(world: World) -> None:
    if ticket := world.any("ticket", lambda ticket: ticket["status"] in ("new", "open")):
        world.delete("ticket", ticket["id"])


def _ticket_is_touched(world: World) -> None:
    if ticket := world.any("ticket"):
        world.touch(ticket["id"])


def _link_is_made(world: World) -> None:
    ticket = world.any("ticket", lambda ticket: ticket["status"] in zendesk_desk.OPEN)
    issue = world.any("issue", lambda issue: issue["fields"]["status"]["statusCategory"]["key"] != "done")
    if ticket and issue:
        world.create("jira_link", ticket_id=ticket["id"], issue_id=issue["id"])


def _link_is_removed(world: World) -> None:
    if link := world.any("jira_link"):
        world.delete("jira_link", link["id"])


def _person_writes_first(world: World) -> None:
    if organization := world.any("organization", lambda organization: bool(organization["domain_names"])):
        first, last = names.person(world.random)
        email = names.address(first, last, organization["domain_names"][0])
        world.create("zendesk_user", name=f"{first} {last}", email=email, organization_id=organization["id"])


def _people_are_merged(world: World) -> None:
    organization = world.any("organization")
    people = [u for u in world.alive("zendesk_user") if organization and u["organization_id"] == organization["id"]]
    if len(people) > 1:
        world.merge("zendesk_user", people[-1]["id"], people[0]["id"])


def _person_is_deleted(world: World) -> None:
    if user := world.any("zendesk_user", lambda user: user["role"] == "end-user"):
        world.delete("zendesk_user", user["id"])


def _organization_is_renamed(world: World) -> None:
    if organization := world.any("organization"):
        world.change("organization", organization["id"], name=organization["name"] + " Group")


def _organization_is_deleted(world: World) -> None:
    if organization := world.any("organization"):
        world.delete("organization", organization["id"])


def _organization_gets_its_id(world: World) -> None:
    """Somebody writes the account's id down where so far only the domain told who it is."""
    if organization := world.any("organization", lambda organization: not organization["external_id"]):
        domains = organization["domain_names"]
        if account := world.any("account", lambda account: customers.bare_domain(account) in domains):
            world.change("organization", organization["id"], external_id=account["Id"])


RATES: dict[Callable[[World], None], float] = {  # times a day in a world of the demo's size
    _ticket_comes_in: 5, _ticket_is_worked_on: 6, _ticket_waits: 1, _ticket_is_reopened: 0.5, _ticket_is_deleted: 0.4,
    _ticket_is_touched: 3, _link_is_made: 1, _link_is_removed: 0.3, _person_writes_first: 0.6,
    _people_are_merged: 0.15, _person_is_deleted: 0.1, _organization_is_renamed: 0.15, _organization_is_deleted: 0.08,
    _organization_gets_its_id: 0.2, **story_desk.RATES,
}  # fmt: skip
