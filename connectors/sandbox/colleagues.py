"""The company's own people: sellers in Salesforce, developers in Jira, agents in Zendesk.

Here belongs who works here. Not here: customers, or what these people do.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from connectors.sandbox import names

if TYPE_CHECKING:
    from connectors.sandbox.world import World


def colleagues(world: World, number: int) -> None:
    """Sellers in Salesforce, developers in Jira (every fourth hides the address), agents in Zendesk."""
    taken: set[tuple[str, str]] = set()
    for place in range(3 * number):
        first, last = names.person(world.random)
        while (first, last) in taken:
            first, last = names.person(world.random)
        taken.add((first, last))
        {0: _seller, 1: _developer, 2: _agent}[place % 3](world, place // 3, first, last)
    for name, default in (("Support", True), ("Escalations", False), ("Billing", False)):
        world.create("group", at=world.ago(900), name=name, default=default)


def _seller(world: World, _: int, first: str, last: str) -> None:
    boss = next(iter(world.salesforce_users), None)
    email = names.address(first, last, names.VENDOR_DOMAIN)
    about: dict[str, Any] = {
        "FirstName": first,
        "LastName": last,
        "Email": email,
        "Username": email,
        "Department": "Sales",
    }
    title = "Account Executive" if boss else "VP Sales"
    world.create("salesforce_user", at=world.ago(800, 300), **about, ManagerId=boss, Title=title)


def _developer(world: World, place: int, first: str, last: str) -> None:
    email: dict[str, Any] = {} if place % 4 == 3 else {"emailAddress": names.address(first, last, names.VENDOR_DOMAIN)}
    world.create("jira_user", displayName=f"{first} {last}", **email)


def _agent(world: World, place: int, first: str, last: str) -> None:
    role = "agent" if place else "admin"
    email = names.address(first, last, names.VENDOR_DOMAIN)
    world.create("zendesk_user", at=world.ago(700, 200), name=f"{first} {last}", email=email, role=role, restricted_agent=False)


def sellers(world: World) -> list[str]:
    return [user["Id"] for user in world.alive("salesforce_user") if user["IsActive"]]


def agents(world: World) -> list[int]:
    """Colleagues were there before the first customer, so that no large world has to be searched for them."""
    first = takewhile(lambda user: user["role"] != "end-user", world.zendesk_users.values())
    return [user["id"] for user in first if user["active"]]
