"""The product as its users meet it on the first day: pages, features, guides, and who visits for which account.

Here belongs who and what there is. Not here: what visitors do on any day, or how Pendo keeps it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from connectors.sandbox import jira_site, names, pendo_app

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

REASONS = (
    "The weekly overview saves us hours.", "Exports are too slow.", "We miss approvals on the phone.", "Support is great.",
    "Too many clicks to change a shift.", "Dates were wrong twice this month.", "Does what it should.",
)  # fmt: skip


def usage(world: World) -> None:
    if not world.accounts:
        return
    chance = world.chance("usage")
    product(world)
    people = list(visitors(world, chance))
    for place in range(len(people) // 4):
        world.create("visitor", at=ago(world, chance, 80), visitorId=f"{pendo_app.ANONYMOUS}{place:04d}xYz{world.seed}")
    nps = next(guide for guide in world.alive("guide") if guide["polls"])
    for visitor in people:
        if chance.random() < 0.3:
            answer(world, chance, nps, visitor, ago(world, chance, 60))


def ago(world: World, chance: random.Random, days: float) -> datetime:
    """Some moment of the last days, to the millisecond, and not of the last hours."""
    at = world.now - timedelta(days=chance.uniform(0.3, days))
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def product(world: World) -> None:
    long_ago = world.now - timedelta(days=200)
    pages = {
        area: world.create("pendo_page", at=long_ago, name=area, rules=[_rule(area)])["id"] for area in names.PRODUCT_AREAS
    }
    for issue in shipped(world):
        area = issue["fields"][jira_site.PRODUCT_AREA]["value"]
        tag(world, issue["fields"]["summary"], long_ago, group={"id": area, "name": area}, pageId=pages[area])
    tag(world, "Dark mode switch", long_ago, isCoreEvent=True)  # nobody planned it in Jira
    tag(world, "Scan button", long_ago, appId=pendo_app.MOBILE)
    world.create("guide", at=long_ago, name="Plan your first week", _steps=3)
    world.create("guide", at=long_ago, name="How are we doing?", _nps=True)
    world.create("guide", at=long_ago, name="New in November", state="draft", publishedAt=None)
    world.create("guide", at=long_ago, name="Scan with your phone", appId=pendo_app.MOBILE)


def shipped(world: World) -> Iterator[Record]:
    """The features that are done, by Jira: visitors can use them."""
    for issue in world.alive("issue"):
        values = issue["fields"]
        kind, status = values["issuetype"]["name"], values["status"]["statusCategory"]["key"]
        if kind in ("Epic", "Idea", "New Feature") and status == "done" and values[jira_site.PRODUCT_AREA]:
            yield issue


def _rule(area: str) -> Record:
    path = f"/{area.lower()}"
    return {"rule": f"//*{path}", "designerHint": "", "parsedRule": f"^https?://[^/]*{path}$"}


def tag(world: World, name: str, at: datetime, **fields: object) -> Record:
    return world.create("pendo_feature", at=at, name=name, **fields)


def visitors(world: World, chance: random.Random) -> Iterator[Record]:
    """The people of every customer, some for two of them, and a trial account that nobody else knows."""
    customers = [account for account in world.alive("account") if account["Type"] == "Customer"]
    people: dict[str, list[Record]] = {}
    for contact in world.alive("contact"):
        people.setdefault(contact["AccountId"], []).append(contact)
    known: list[str] = []
    for place, account in enumerate(customers):
        known.append(account_of(world, account, place, ago(world, chance, 300))["accountId"])
        for contact in people.get(account["Id"], ()):
            accounts = known[-2:] if place % 9 == 8 else known[-1:]
            yield visitor_of(world, contact, accounts, ago(world, chance, 90))
    trial = world.create("pendo_account", at=ago(world, chance, 40), accountId="trial-4711", name="Nobody in particular")
    for number in range(2):
        visitor_id = f"somebody{number}@gmail.com"
        yield world.create("visitor", at=ago(world, chance, 30), visitorId=visitor_id, accountids=[trial["accountId"]])


def account_of(world: World, account: Record, place: int, at: datetime) -> Record:
    """Most applications tell Pendo the Salesforce id, in one of its two lengths; some a name, and never changed it."""
    account_id = account["Name"] if place % 11 == 5 else account["Id"][:15] if place % 11 in (3, 7) else account["Id"]
    plan = ("basic", "team", "enterprise")[place % 3]
    return world.create("pendo_account", at=at, accountId=account_id, name=account["Name"], custom={"plan": plan})


def visitor_of(world: World, contact: Record, accounts: list[str], at: datetime) -> Record:
    """Named by the address or by the application's own number, with the address beside it."""
    email = contact["Email"]
    number = world.number("application user")
    about = {"email": email, "full_name": contact["Name"], "role": ("planner", "manager", "admin")[number % 3]}
    taken = email in world.store("visitor")
    visitor_id = f"u-{number}" if number % 3 == 0 or taken else email
    return world.create("visitor", at=at, visitorId=visitor_id, accountids=accounts, language="en", **about)


def answer(world: World, chance: random.Random, nps: Record, visitor: Record, at: datetime, *, late: float = 1) -> None:
    """Sees the question, gives a score and mostly a reason; Pendo hears of it so many minutes later."""
    score, reason = (poll["id"] for poll in nps["polls"])
    delay = timedelta(minutes=late)
    about = {"visitorId": visitor["visitorId"], "guideId": nps["id"], "appId": nps["appId"]}
    seen = {"type": "guideSeen", "guideStepId": nps["steps"][0]["id"], "url": "https://app.quillmere-software.com/home"}
    world.create("action", at=at, late=delay, source="guideEvents", **about, **seen)
    responses: list[tuple[str, int | str]] = [(score, min(10, int(chance.triangular(0, 11, 9))))]
    if chance.random() < 0.6:
        responses.append((reason, chance.choice(REASONS)))
    for place, (poll_id, response) in enumerate(responses):
        after = at + timedelta(seconds=20 + 40 * place)
        polled = {"type": "pollResponse", "pollId": poll_id, "pollResponse": response}
        world.create("action", at=after, late=delay, source="pollEvents", **about, **polled)
