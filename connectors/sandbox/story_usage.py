"""What happens around the product's use by itself: people come and go, things are tagged, guides shown and answered.

Here belong the events and how often they come; they draw from a chance of their own. Not here: the use itself, which
follows from the day (`visits`), or the first day.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from connectors.sandbox import names, pendo_app, usage

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

    Event = Callable[[World, random.Random, datetime], None]


def overnight(world: World) -> None:
    """Lets happen what the last day brought, at moments of that day."""
    chance = world.chance("usage")
    today = world.number("usage day", first=0)
    scale = max(1, len(world.store("visitor")) // 150)
    for event, rate in RATES.items():
        for _ in range(int(rate * scale * (today + 1)) - int(rate * scale * today)):
            event(world, chance, world.now - timedelta(minutes=chance.randrange(60, 1320)))


def _any(world: World, chance: random.Random, kind: str, fits: Callable[[Record], bool] = lambda _: True) -> Record | None:
    found = [record for record in world.alive(kind) if fits(record)]
    return chance.choice(found) if found else None


def _named(visitor: Record) -> bool:
    return not visitor["visitorId"].startswith(pendo_app.ANONYMOUS)


def _visitor_comes(world: World, chance: random.Random, at: datetime) -> None:
    if account := _any(world, chance, "pendo_account"):
        first, last = names.person(chance)
        email = names.address(first, last, "visitors.example")
        if email not in world.store("visitor"):
            about = {"email": email, "full_name": f"{first} {last}"}
            world.create("visitor", at=at, visitorId=email, accountids=[account["accountId"]], **about)


def _visitor_goes(world: World, _: random.Random, at: datetime) -> None:
    """Who asks to be forgotten is gone from every day; it is somebody who did something long ago."""
    if action := next(world.alive("action"), None):
        world.delete("visitor", action["visitorId"], at=at)


def _visitor_works_for_another(world: World, chance: random.Random, at: datetime) -> None:
    visitor, account = _any(world, chance, "visitor", _named), _any(world, chance, "pendo_account")
    if visitor and account:
        accounts = visitor["metadata"]["auto"]["accountids"]
        if account["accountId"] not in accounts:
            world.change("visitor", visitor["visitorId"], at=at, accountids=[*accounts, account["accountId"]])


def _anonymous_visitor_comes(world: World, chance: random.Random, at: datetime) -> None:
    world.create("visitor", at=at, visitorId=f"{pendo_app.ANONYMOUS}{chance.randrange(10**9):09d}")


def _account_comes(world: World, _: random.Random, at: datetime) -> None:
    known = world.store("pendo_account")
    for account in world.alive("account"):
        if account["Type"] == "Customer" and not {account["Id"], account["Id"][:15], account["Name"]} & known.keys():
            usage.account_of(world, account, len(known), at)
            return


def _account_changes_its_plan(world: World, chance: random.Random, at: datetime) -> None:
    if account := _any(world, chance, "pendo_account"):
        custom = {**account["metadata"]["custom"], "plan": chance.choice(("basic", "team", "enterprise", "custom"))}
        world.change("pendo_account", account["accountId"], at=at, custom=custom)


def _account_goes(world: World, chance: random.Random, at: datetime) -> None:
    if account := _any(world, chance, "pendo_account"):
        world.delete("pendo_account", account["accountId"], at=at)


def _feature_is_tagged(world: World, _: random.Random, at: datetime) -> None:
    """The tag finds what was done with it in the weeks before."""
    known = {feature["name"] for feature in world.store("pendo_feature").values()}
    for issue in usage.shipped(world):
        if (name := issue["fields"]["summary"]) not in known:
            usage.tag(world, name, at, _used_since=at - timedelta(days=20))
            return


def _feature_is_renamed(world: World, chance: random.Random, at: datetime) -> None:
    if feature := _any(world, chance, "pendo_feature"):
        world.change("pendo_feature", feature["id"], at=at, name=f"{feature['name']} (new)")


def _feature_is_removed(world: World, chance: random.Random, at: datetime) -> None:
    if feature := _any(world, chance, "pendo_feature", lambda feature: feature["pageId"] == "__noPage__"):
        world.delete("pendo_feature", feature["id"], at=at)


def _page_is_renamed(world: World, chance: random.Random, at: datetime) -> None:
    if page := _any(world, chance, "pendo_page"):
        world.change("pendo_page", page["id"], at=at, name=f"{page['name']}, overview")


def _guide_is_edited(world: World, chance: random.Random, at: datetime) -> None:
    if guide := _any(world, chance, "guide"):
        world.change("guide", guide["id"], at=at, state=chance.choice(("public", "staged", "disabled")))


def _guide_is_removed(world: World, chance: random.Random, at: datetime) -> None:
    if guide := _any(world, chance, "guide", lambda guide: not guide["polls"]):
        world.delete("guide", guide["id"], at=at)


def _guide_is_seen(world: World, chance: random.Random, at: datetime) -> None:
    guide, visitor = _any(world, chance, "guide"), _any(world, chance, "visitor")
    if guide and visitor:
        about = {"visitorId": visitor["visitorId"], "guideId": guide["id"], "appId": guide["appId"]}
        step = {"guideStepId": guide["steps"][0]["id"], "url": "https://app.quillmere-software.com/home"}
        world.create("action", at=at, source="guideEvents", type="guideSeen", **about, **step)
        dismissed = at + timedelta(seconds=chance.randrange(3, 90))
        world.create("action", at=dismissed, source="guideEvents", type="guideDismissed", **about, **step)


def _question_is_answered(world: World, chance: random.Random, at: datetime) -> None:
    """Every other time from a train, and known to Pendo hours later."""
    nps, visitor = _any(world, chance, "guide", lambda guide: bool(guide["polls"])), _any(world, chance, "visitor", _named)
    if nps and visitor:
        usage.answer(world, chance, nps, visitor, at, late=chance.choice((1, 355)))


def _train_arrives(world: World, chance: random.Random, _: datetime) -> None:
    """What was done offline in the last hours arrives only now, or later still."""
    feature, visitor = _any(world, chance, "pendo_feature"), _any(world, chance, "visitor", _named)
    if feature and visitor:
        about = {"visitorId": visitor["visitorId"], "featureId": feature["id"], "appId": feature["appId"]}
        at = world.now - timedelta(minutes=chance.randrange(200, 350))
        late = timedelta(minutes=chance.randrange(180, 360))
        clicks = chance.randrange(1, 9)
        world.create("action", at=at, late=late, source="featureEvents", clicks=clicks, **about)


RATES: dict[Event, float] = {  # times a day in a world of the demo's size
    _visitor_comes: 0.8, _visitor_goes: 0.15, _visitor_works_for_another: 0.15, _anonymous_visitor_comes: 1,
    _account_comes: 0.15, _account_changes_its_plan: 0.2, _account_goes: 0.08, _feature_is_tagged: 0.15,
    _feature_is_renamed: 0.15, _feature_is_removed: 0.08, _page_is_renamed: 0.15, _guide_is_edited: 0.2,
    _guide_is_removed: 0.08, _guide_is_seen: 4, _question_is_answered: 2, _train_arrives: 2,
}  # fmt: skip
