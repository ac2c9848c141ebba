"""What happens around tickets by itself: people write and rate, belong elsewhere, and administrators set things up.

Here belong the events and how often they come. Not here: what tickets, people and organizations go through (`story_support`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from connectors.sandbox import names

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

_SET_UP = (
    "group", "brand", "ticket_field", "user_field", "organization_field", "ticket_form", "custom_status", "sla_policy",
    "schedule", "holiday", "integration_link", "article",
)  # fmt: skip
_NAMED = {"user_field": "title", "organization_field": "title", "ticket_field": "title", "custom_status": "agent_label"}
_NAMED |= {"sla_policy": "title", "article": "title"}  # what the name of such a record is called; else name


def _one(world: World, kind: str, fits: Callable[[Record], bool] = lambda _: True) -> Record | None:
    """One of the living records that fit, by a chance that leaves all else that happens as it was."""
    found = [record for record in world.alive(kind) if fits(record)]
    return world.chance("desk").choice(found) if found else None


def _comment_is_written(world: World) -> None:
    if ticket := _one(world, "ticket", lambda ticket: ticket["status"] in ("new", "open", "pending", "hold")):
        agent = ticket["assignee_id"]
        if agent and world.chance("desk").random() < 0.6:
            body, public = world.chance("desk").choice(
                (("We are looking into it.", True), ("Ask <Engineering> & wait.", False))
            )
            world.create("ticket_comment", ticket_id=ticket["id"], author_id=agent, body=body, public=public)
        else:
            world.create("ticket_comment", ticket_id=ticket["id"], body="Any news?\nWe still see it.")


def _comment_is_revised(world: World) -> None:
    def fits(comment: Record) -> bool:
        return "_deleted_at" not in world.tickets[comment["_ticket_id"]] and "▇" not in comment["body"]

    if comment := _one(world, "ticket_comment", fits):
        if comment["public"] and world.chance("desk").random() < 0.5:
            world.change("ticket_comment", comment["id"], public=False)
        else:
            world.change("ticket_comment", comment["id"], body="▇▇▇▇ " + comment["body"][-9:])


def _ticket_comes_back(world: World) -> None:
    deleted = [ticket for ticket in world.tickets.values() if ticket["status"] == "deleted" and ticket["subject"] != "SCRUBBED"]
    if deleted:
        world.undelete("ticket", deleted[-1]["id"])


def _customer_rates(world: World) -> None:
    if ticket := _one(world, "ticket", lambda ticket: ticket["status"] == "solved"):
        following = {"unoffered": "offered", "offered": "bad", "bad": "good", "good": "good"}
        score = following[ticket["satisfaction_rating"]["score"]]
        comment = {"comment": "Quick and friendly."} if score == "good" else {}
        world.change("ticket", ticket["id"], satisfaction_rating={"score": score, **comment})


def _rating_is_taken_back(world: World) -> None:
    if rating := _one(world, "satisfaction_rating"):
        world.delete("satisfaction_rating", rating["id"])


def _person_joins(world: World) -> None:
    """A consultant who works for a second company."""
    user, organization = _one(world, "zendesk_user"), _one(world, "organization")
    if user and organization:
        world.create("organization_membership", user_id=user["id"], organization_id=organization["id"])


def _membership_moves(world: World) -> None:
    if membership := _one(world, "organization_membership", lambda membership: not membership["default"]):
        if membership["view_tickets"]:
            world.change("organization_membership", membership["id"], view_tickets=False)
        else:
            world.delete("organization_membership", membership["id"])


def _something_is_set_up(world: World) -> None:
    """One kind after the other: first something is renamed, then something comes, then the newest goes."""
    if not world.store("brand"):
        return
    turn = world.number("set up", first=0)
    kind, act = _SET_UP[turn % len(_SET_UP)], turn // len(_SET_UP) % 3
    alive = list(world.alive(kind))
    if act == 1:
        world.create(kind, **_new(world, kind, turn))
    elif kind == "integration_link" or act == 2:
        if len(alive) > 1:
            world.delete(kind, alive[-1]["id"])
    elif alive:
        fields: dict[str, Any] = {_NAMED.get(kind, "name"): f"{names.PRODUCT_AREAS[turn % len(names.PRODUCT_AREAS)]} {turn}"}
        world.change(kind, alive[0]["id"], **fields)


def _new(world: World, kind: str, turn: int) -> dict[str, Any]:
    if kind == "integration_link":
        linked = {(link["ticket_id"], link["issue_id"]) for link in world.store(kind).values()}
        pairs = ((ticket, issue) for ticket in world.tickets for issue in world.issues)
        ticket, issue = next(pair for pair in pairs if (str(pair[0]), pair[1]) not in linked)
        return {"ticket_id": ticket, "issue_id": issue}
    fields: dict[str, Any] = {_NAMED.get(kind, "name"): f"Number {turn}"}
    if kind in ("user_field", "organization_field"):
        fields["key"] = f"field_{turn}"
    if kind == "holiday":
        fields["schedule_id"] = next(world.alive("schedule"))["id"]
    return fields


RATES: dict[Callable[[World], None], float] = {  # times a day in a world of the demo's size
    _comment_is_written: 4, _comment_is_revised: 0.4, _ticket_comes_back: 0.15, _customer_rates: 1,
    _rating_is_taken_back: 0.1, _person_joins: 0.2, _membership_moves: 0.2, _something_is_set_up: 2,
}  # fmt: skip
