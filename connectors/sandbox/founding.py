"""What the world holds on its first day, and how much of it.

Here belongs the ordinary company, without flaws that anybody would flag.
Not here: the planted flaws, or what happens later.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from connectors.sandbox import desk_settings, jira_site
from connectors.sandbox.colleagues import colleagues
from connectors.sandbox.customers import HISTORIES, customer
from connectors.sandbox.product import product
from connectors.sandbox.sales import sales
from connectors.sandbox.support import tickets
from connectors.sandbox.usage import usage

if TYPE_CHECKING:
    from connectors.sandbox.world import World


@dataclass(frozen=True)
class Size:
    accounts: int
    features: int
    issues: int
    tickets: int
    colleagues: int

    @classmethod
    def of(cls, size: str | int) -> Size:
        """`empty` but for one colleague of each kind, `tiny` for fast tests, `demo` for people, a number for that many
        demos."""
        if size == "empty":
            return cls(accounts=0, features=0, issues=0, tickets=0, colleagues=1)
        if size == "tiny":
            return cls(accounts=6, features=4, issues=16, tickets=30, colleagues=4)
        scale = 1 if size == "demo" else int(size)
        return cls(accounts=44 * scale, features=24 * scale, issues=192 * scale, tickets=470 * scale, colleagues=10 + scale)


def found(world: World, size: str | int) -> None:
    wanted = Size.of(size)
    desk_settings.settings(world, wanted)
    colleagues(world, wanted.colleagues)
    product(world, wanted.features, wanted.issues)
    for number in range(wanted.accounts):
        customer(world, history=HISTORIES[number % len(HISTORIES)])
    asked_by(world)
    tickets(world, wanted.tickets)
    desk_settings.publications(world, wanted)
    sales(world)
    usage(world)


def asked_by(world: World) -> None:
    """Every ninth issue names the customer who asked for it, in free text."""
    accounts = list(world.accounts.values())
    for issue in islice(world.issues.values(), None, None, 9):
        issue["fields"][jira_site.CUSTOMER] = world.random.choice(accounts)["Name"]
